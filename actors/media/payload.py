"""Packetizes access units into RTP payloads, once for all viewers: WebRTC and RTSP. Pure.

Rules of this file:
- Small NAL units are aggregated (STAP-A, AP), and large ones are split into fragments of equal size (FU-A, FU). Equal
  sizes make long runs, which the kernel takes in one call.

Source: RFC 6184 (H.264, packetization-mode=1), RFC 7798 (H.265, without DONL).
"""

from collections.abc import Callable, Iterable, Iterator

from .h264 import H264
from .h265 import H265
from .media import VideoCodec

MAX_PAYLOAD = 1180
"""Bytes: with RTP header, extension, SRTP tag, RTX, UDP and IPv6 below 1,280, which every path carries unfragmented."""

_STAP_A, _FU_A = 24, 28
_AP, _FU = 48, 49
_START, _END = 0x80, 0x40

_USELESS = {H264: {9, 12}, H265: {35, 38}}
"""Access unit delimiters and filler: the marker bit and the packet's length already carry this information."""


def packetize(codec: VideoCodec, nals: tuple[bytes, ...]) -> Iterator[bytes]:
    """Yield the payloads of one access unit in order, at most `MAX_PAYLOAD` bytes each. The last needs the marker."""
    useless, nal_type = _USELESS[codec], codec.nal_type
    units = [nal for nal in nals if nal_type(nal) not in useless] or nals
    aggregate, fragment = _PACKETIZERS[codec]
    for group in _groups(units):
        if len(group) > 1:
            yield aggregate(group)
        elif len(group[0]) <= MAX_PAYLOAD:
            yield group[0]
        else:
            yield from fragment(group[0])


def _groups(units: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield neighbours that fit into one packet together, and larger NAL units alone."""
    group: list[bytes] = []
    size = 2
    for unit in units:
        if group and size + 2 + len(unit) > MAX_PAYLOAD:
            yield group
            group, size = [], 2
        group.append(unit)
        size += 2 + len(unit)
    yield group


def _stap_a(units: list[bytes]) -> bytes:
    head = bytes([_STAP_A | max(unit[0] & 0x60 for unit in units)])
    return head + b"".join(len(unit).to_bytes(2) + unit for unit in units)


def _fu_a(unit: bytes) -> Iterator[bytes]:
    indicator, kind = unit[0] & 0x60 | _FU_A, unit[0] & 0x1F
    return _fragments(unit, 1, lambda position: bytes([indicator, kind | position]))


def _ap(units: list[bytes]) -> bytes:
    temporal = min(unit[1] & 7 for unit in units)
    return bytes([_AP << 1, temporal]) + b"".join(len(unit).to_bytes(2) + unit for unit in units)


def _fu(unit: bytes) -> Iterator[bytes]:
    head, kind = bytes([_FU << 1 | unit[0] & 0x81, unit[1]]), (unit[0] >> 1) & 0x3F
    return _fragments(unit, 2, lambda position: head + bytes([kind | position]))


def _fragments(unit: bytes, skip: int, header: Callable[[int], bytes]) -> Iterator[bytes]:
    """Yield the bytes of `unit` behind its own header, in equal fragments; only the last may be shorter."""
    room, total = MAX_PAYLOAD - len(header(0)), len(unit) - skip
    size = -(-total // -(-total // room))
    for at in range(skip, len(unit), size):
        position = (_START if at == skip else 0) | (_END if at + size >= len(unit) else 0)
        yield header(position) + unit[at : at + size]


_PACKETIZERS: dict[VideoCodec, tuple[Callable[[list[bytes]], bytes], Callable[[bytes], Iterator[bytes]]]] = {
    H264: (_stap_a, _fu_a),
    H265: (_ap, _fu),
}
PACKETIZED = frozenset(_PACKETIZERS)
"""The codecs that `packetize` takes. Video of others is transcoded."""
