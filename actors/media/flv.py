"""Demuxes FLV from ffmpeg's pipe. Sans-I/O.

FLV is the only container that ffmpeg flushes frame by frame, that carries time stamps, and that costs a reader only one
header for each access unit. Sources: Adobe Flash Video File Format Specification 10.1, Annex E; for FourCC names,
Enhanced RTMP 2 (Veovera Software Organization).

Damaged audio, or audio of another codec, raises no error and never costs an access unit.
"""

from collections.abc import Iterator

import attrs

from .audio import OPUS, parse_aac
from .bitstream import BitstreamError, split_prefixed
from .h264 import H264, parse_avcc
from .h265 import H265, parse_hvcc
from .media import AudioFormat, VideoCodec

MAX_TAG = 8 * 1024 * 1024
"""Bytes. An access unit is never larger than this."""

_HEADER, _TAG, _TRAILER, _AUDIO, _VIDEO = 9, 11, 4, 8, 9
_CODECS = {2: "h263", 4: "vp6", 5: "vp6", 7: "h264"}
_FOURCCS = {b"av01": "av1", b"vp09": "vp9", b"vp08": "vp8", b"vvc1": "h266"}
_CONFIGURED = {b"avc1": (H264, parse_avcc), b"hvc1": (H265, parse_hvcc)}
_BEGIN, _FRAME, _FRAME_AT_ITS_TIME = 0, 1, 3
"""Packet types: decoder configuration; coded frame; coded frame without a composition offset."""

_G711 = {7: AudioFormat("pcma", 8000, 1), 8: AudioFormat("pcmu", 8000, 1)}
_AAC, _ENHANCED, _STEREO = 10, 9, 1
_AUDIO_FORMATS = {0: "PCM", 1: "ADPCM", 2: "MP3", 3: "PCM", 7: "G.711 in stereo", 8: "G.711 in stereo", 11: "Speex"}
_AUDIO_FOURCCS = {b"fLaC": "FLAC", b"ac-3": "AC-3", b"ec-3": "E-AC-3", b".mp3": "MP3"}


class UnsupportedCodec(Exception):
    """The stream is intact, but its codec cannot be passed on. The message is the codec's name."""


@attrs.frozen
class Sets:
    """The parameter sets of the following access units."""

    codec: VideoCodec
    units: tuple[bytes, ...]


@attrs.frozen
class Sample:
    """One access unit. `pts_ms` is its presentation time, `dts_ms` its decode time; `units` are its NAL units."""

    pts_ms: int
    dts_ms: int
    units: tuple[bytes, ...]
    codec: VideoCodec = H264


@attrs.frozen
class Announced:
    """The format of the following audio. Without audio that can be passed on, `mute` gives the reason, for people."""

    audio: AudioFormat | None
    mute: str = ""


@attrs.frozen
class AudioSample:
    """One frame of the announced audio."""

    pts_ms: int
    data: bytes


Item = Sets | Sample | Announced | AudioSample


class FlvDemuxer:
    """Takes bytes in chunks of any size and yields complete items."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._started = False
        self._length_size = 4
        self._announced: Announced | None = None

    def feed(self, data: bytes | bytearray) -> Iterator[Item]:
        """Yield the items that `data` completes.

        Raises `BitstreamError` for bytes that are not FLV, and `UnsupportedCodec` for video that is not H.264 or H.265.
        """
        self._buffer += data
        if not self._started:
            if len(self._buffer) < _HEADER + _TRAILER:
                return
            if self._buffer[:3] != b"FLV":
                raise BitstreamError("not FLV")
            del self._buffer[: _HEADER + _TRAILER]
            self._started = True
        at, buffer = 0, self._buffer
        while len(buffer) - at >= _TAG:
            size = int.from_bytes(buffer[at + 1 : at + 4])
            if size > MAX_TAG:
                raise BitstreamError(f"a frame of {size} bytes, at most {MAX_TAG} are allowed")
            whole = _TAG + size + _TRAILER
            if len(buffer) - at < whole:
                break
            kind = buffer[at] & 0x1F
            dts_ms = int.from_bytes(buffer[at + 4 : at + 7]) | buffer[at + 7] << 24
            body = bytes(buffer[at + _TAG : at + _TAG + size])
            at += whole
            if kind == _VIDEO and len(body) >= 5:
                yield from self._video(dts_ms, body)
            elif kind == _AUDIO and len(body) > 1:
                yield from self._audio(dts_ms, body)
        del buffer[:at]

    def _video(self, dts_ms: int, body: bytes) -> Iterator[Item]:
        enhanced = bool(body[0] & 0x80)
        if enhanced:
            packet, name, at = body[0] & 0x0F, body[1:5], 5
            if name not in _CONFIGURED:
                raise UnsupportedCodec(_FOURCCS.get(name, "unknown"))
        else:
            number = body[0] & 0x0F
            if _CODECS.get(number) != "h264":
                raise UnsupportedCodec(_CODECS.get(number, f"FLV codec {number}"))
            packet, name, at = body[1], b"avc1", 2
        codec, parse = _CONFIGURED[name]
        if packet == _BEGIN:
            self._length_size, sets = parse(body[5:])
            yield Sets(codec, sets)
        elif packet == _FRAME:
            offset_ms = int.from_bytes(body[at : at + 3], signed=True)
            yield Sample(dts_ms + offset_ms, dts_ms, tuple(split_prefixed(body[at + 3 :], self._length_size)), codec)
        elif packet == _FRAME_AT_ITS_TIME and enhanced:
            yield Sample(dts_ms, dts_ms, tuple(split_prefixed(body[at:], self._length_size)), codec)

    def _audio(self, dts_ms: int, body: bytes) -> Iterator[Item]:
        kind = body[0] >> 4
        packet, name, data = (body[0] & 0x0F, body[1:5], body[5:]) if kind == _ENHANCED else (body[1], b"", body[2:])
        if kind == _AAC or name == b"mp4a":
            if packet == _BEGIN:
                yield from self._announce(_aac(data))
        elif name == b"Opus":
            yield from self._announce(Announced(OPUS))
        elif kind in _G711 and not body[0] & _STEREO:
            yield from self._announce(Announced(_G711[kind]))
            packet, data = _FRAME, body[1:]
        else:
            codec = _AUDIO_FOURCCS.get(name) or _AUDIO_FORMATS.get(kind, "of an unknown codec")
            yield from self._announce(_mute(codec))
        if packet == _FRAME and data and self._announced is not None and self._announced.audio is not None:
            yield AudioSample(dts_ms, data)

    def _announce(self, announced: Announced) -> Iterator[Announced]:
        """Yield the announcement if it differs from the last one."""
        if announced != self._announced:
            self._announced = announced
            yield announced


def _aac(config: bytes) -> Announced:
    try:
        return Announced(parse_aac(config))
    except BitstreamError:
        return _mute("AAC of an unusual kind")


def _mute(what: str) -> Announced:
    return Announced(None, f"the audio is {what}, which cannot be passed on")
