"""Video as a camera sends it: the SDP that announces it, the RTP packets that carry it.

Sans-I/O: access units in, bytes out. audio alone tests the refusal.
"""

import base64
from collections.abc import Iterator
from enum import StrEnum
from fractions import Fraction
from functools import cache

import attrs
import av

from actors.media.bitstream import split_annexb
from actors.media.h264 import IDR, PPS, SPS, nal_type

from .media import access_units

PAYLOAD = 1400
"""Bytes of payload in one packet: what an Ethernet frame carries."""
_STAMP = b"banken sent this"
"""Sixteen bytes, as the UUID in front of user data."""
SSRC = b"\x0b\xa2\x2c\xe2"


class Codec(StrEnum):
    H264 = "h264"
    H265 = "h265"
    JPEG = "mjpeg"
    PCMU = "pcmu"
    """Audio only: silence, in audio frames as long as a video frame."""

    @property
    def number(self) -> int:
        """The payload type (RFC 3551, section 6)."""
        return {Codec.JPEG: 26, Codec.PCMU: 0}.get(self, 96)

    @property
    def clock_rate(self) -> int:
        return 8000 if self is Codec.PCMU else 90_000


@attrs.frozen
class Picture:
    """One picture in pieces: the payloads of its RTP packets, in order."""

    payloads: tuple[bytes, ...]
    key: bool


@cache
def pictures(codec: Codec, width: int, height: int, fps: int, key_every: int) -> tuple[Picture, ...]:
    """One GOP that can be sent repeatedly; it starts with a key frame."""
    if codec is Codec.H264:
        return tuple(_h264(units) for units in access_units(width, height, key_every, fps))
    if codec is Codec.PCMU:
        return (Picture((b"\xff" * (codec.clock_rate // fps),), True),)
    return tuple(Picture(tuple(_PACK[codec](data)), True) for data in _encoded(codec, width, height, fps))


def describe(codec: Codec, width: int, height: int, fps: int) -> str:
    """The SDP of a camera that sends this."""
    name = {Codec.H264: "H264", Codec.H265: "H265", Codec.JPEG: "JPEG", Codec.PCMU: "PCMU"}[codec]
    kind = "audio" if codec is Codec.PCMU else "video"
    lines = [f"m={kind} 0 RTP/AVP {codec.number}", f"a=rtpmap:{codec.number} {name}/{codec.clock_rate}"]
    if codec is Codec.H264:
        units = access_units(width, height, 1, fps)[0]
        sets = [next(unit for unit in units if nal_type(unit) == wanted) for wanted in (SPS, PPS)]
        encoded = ",".join(base64.b64encode(unit).decode() for unit in sets)
        profile = sets[0][1:4].hex()
        lines += [f"a=fmtp:96 packetization-mode=1;profile-level-id={profile};sprop-parameter-sets={encoded}"]
    head = ("v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=scripted", "c=IN IP4 0.0.0.0", "t=0 0", "a=control:*")
    return "\r\n".join((*head, *lines, "a=control:track1", ""))


def interleaved(payload: bytes, sequence: int, ticks: int, last: bool, number: int) -> bytes:
    """One RTP packet as it goes over the RTSP connection, on channel 0 (RFC 2326, section 10.12)."""
    head = bytes([0x80, number | (0x80 if last else 0)]) + (sequence & 0xFFFF).to_bytes(2)
    packet = head + (ticks & 0xFFFFFFFF).to_bytes(4) + SSRC + payload
    return b"$\x00" + len(packet).to_bytes(2) + packet


def stamp(now_ns: int) -> bytes:
    """A NAL unit of user data (H.264, D.1.7) that says when; in hexadecimal digits, so that no byte needs escaping."""
    return b"\x06\x05\x20" + _STAMP + b"%016x" % now_ns + b"\x80"


def stamped_at(data: bytes) -> int | None:
    """When an access unit was sent, if it says so. Nanoseconds of the monotonic clock, which all processes share."""
    at = data.find(_STAMP)
    return None if at < 0 else int(data[at + len(_STAMP) : at + len(_STAMP) + 16], 16)


def _h264(units: tuple[bytes, ...]) -> Picture:
    payloads = tuple(payload for unit in units for payload in _fragments(unit))
    return Picture(payloads, any(nal_type(unit) == IDR for unit in units))


def _fragments(unit: bytes) -> Iterator[bytes]:
    """A NAL unit as it is, or in FU-A pieces (RFC 6184, section 5.8)."""
    if len(unit) <= PAYLOAD:
        yield unit
        return
    indicator, kind = unit[0] & 0xE0 | 28, unit[0] & 0x1F
    for at in range(1, len(unit), PAYLOAD):
        start, end = at == 1, at + PAYLOAD >= len(unit)
        yield bytes([indicator, start << 7 | end << 6 | kind]) + unit[at : at + PAYLOAD]


def _h265(data: bytes) -> Iterator[bytes]:
    """Single NAL units and fragmentation units (RFC 7798, section 4.4)."""
    for unit in split_annexb(data):
        if len(unit) <= PAYLOAD:
            yield unit
            continue
        kind, head = unit[0] >> 1 & 0x3F, bytes([unit[0] & 0x81 | 49 << 1, unit[1]])
        for at in range(2, len(unit), PAYLOAD):
            start, end = at == 2, at + PAYLOAD >= len(unit)
            yield head + bytes([start << 7 | end << 6 | kind]) + unit[at : at + PAYLOAD]


def _jpeg(data: bytes) -> Iterator[bytes]:
    """JPEG with its quantisation table in the first packet (RFC 2435, section 3.1)."""
    table = data[(at := data.index(b"\xff\xdb")) + 5 : at + 69]
    frame = data.index(b"\xff\xc0")
    height, width = int.from_bytes(data[frame + 5 : frame + 7]), int.from_bytes(data[frame + 7 : frame + 9])
    scan = data.index(b"\xff\xda")
    body = data[scan + 2 + int.from_bytes(data[scan + 2 : scan + 4]) : -2]
    for at in range(0, len(body), PAYLOAD):
        head = b"\x00" + at.to_bytes(3) + bytes([1, 255, width // 8, height // 8])
        tables = b"\x00\x00\x00\x80" + table + table if at == 0 else b""
        yield head + tables + body[at : at + PAYLOAD]


def _encoded(codec: Codec, width: int, height: int, fps: int) -> Iterator[bytes]:
    """Yield key frames only, in H.265 or JPEG."""
    name, layout = {Codec.H265: ("libx265", "yuv420p"), Codec.JPEG: ("mjpeg", "yuvj420p")}[codec]
    encoder = av.CodecContext.create(name, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, layout
    encoder.framerate, encoder.time_base = Fraction(fps), Fraction(1, fps)
    if codec is Codec.H265:
        encoder.options = {"preset": "ultrafast", "x265-params": "keyint=1:repeat-headers=1:log-level=none"}
    else:
        encoder.options = {"huffman": "default"}
    for index in range(5):
        frame = av.VideoFrame(width, height, layout)
        frame.pts = index
        yield from (bytes(packet) for packet in encoder.encode(frame))
    yield from (bytes(packet) for packet in encoder.encode(None))


_PACK = {Codec.H265: _h265, Codec.JPEG: _jpeg}
