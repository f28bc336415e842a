"""FLV, as ffmpeg writes it to a pipe, taken apart. Sans-I/O: bytes in, samples out.

FLV because it is the one container that ffmpeg flushes frame by frame, that carries time stamps, and that costs a
reader one header for each access unit. Source: Adobe Flash Video File Format Specification 10.1, Annex E.
"""

from collections.abc import Iterator

import attrs

from .bitstream import BitstreamError, split_prefixed
from .h264 import parse_avcc

MAX_TAG = 8 * 1024 * 1024
"""An access unit larger than this is not a picture any more."""

_HEADER, _TAG, _TRAILER, _VIDEO = 9, 11, 4, 9
_CODECS = {2: "h263", 4: "vp6", 5: "vp6", 7: "h264"}


class UnsupportedCodec(Exception):
    """The stream is whole, but of a codec that cannot be passed on; the message is its name."""


@attrs.frozen
class Sample:
    """One access unit. `pts_ms` is its presentation time; `units` are its NAL units."""

    pts_ms: int
    units: tuple[bytes, ...]


class FlvDemuxer:
    """Feed it what came; it gives back the samples that are complete, and remembers the parameter sets."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._started = False
        self._length_size = 4
        self.parameter_sets: tuple[bytes, ...] = ()

    def feed(self, data: bytes | bytearray) -> Iterator[Sample]:
        """Raises `BitstreamError` for what is not FLV and `UnsupportedCodec` for a video codec that is not H.264."""
        self._buffer += data
        if not self._started:
            if len(self._buffer) < _HEADER + _TRAILER:
                return
            if self._buffer[:3] != b"FLV":
                raise BitstreamError("not FLV")
            del self._buffer[: _HEADER + _TRAILER]
            self._started = True
        while len(self._buffer) >= _TAG:
            size = int.from_bytes(self._buffer[1:4])
            if size > MAX_TAG:
                raise BitstreamError(f"a frame of {size} bytes, {MAX_TAG} are the most")
            whole = _TAG + size + _TRAILER
            if len(self._buffer) < whole:
                return
            kind = self._buffer[0] & 0x1F
            dts_ms = int.from_bytes(self._buffer[4:7]) | self._buffer[7] << 24
            body = bytes(self._buffer[_TAG : _TAG + size])
            del self._buffer[:whole]
            if kind == _VIDEO and (sample := self._video(dts_ms, body)) is not None:
                yield sample

    def _video(self, dts_ms: int, body: bytes) -> Sample | None:
        if len(body) < 5:
            return None
        if body[0] & 0x80:  # the extension of 2023, with a FourCC
            raise UnsupportedCodec({b"hvc1": "h265", b"av01": "av1", b"vp09": "vp9"}.get(body[1:5], "unknown"))
        codec = body[0] & 0x0F
        if _CODECS.get(codec) != "h264":
            raise UnsupportedCodec(_CODECS.get(codec, f"FLV codec {codec}"))
        packet, offset_ms = body[1], int.from_bytes(body[2:5], signed=True)
        if packet == 0:
            self._length_size, self.parameter_sets = parse_avcc(body[5:])
        elif packet == 1:
            return Sample(dts_ms + offset_ms, tuple(split_prefixed(body[5:], self._length_size)))
        return None
