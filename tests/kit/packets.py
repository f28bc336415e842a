"""NAL units in the payloads of RTP packets, and payloads in packets. Sans-I/O.

Source: RFC 6184, section 5.8; RFC 7798, section 4.4.3; RFC 3550, section 5.1.
"""

from collections.abc import Iterable, Iterator

from actors.media.h264 import H264
from actors.media.media import VideoCodec


def fragments(unit: bytes, size: int, codec: VideoCodec = H264) -> Iterator[bytes]:
    """A NAL unit as it is, or in fragments of at most `size` bytes of it."""
    if len(unit) <= size:
        yield unit
        return
    head = 1 if codec is H264 else 2
    kind = codec.nal_type(unit)
    indicator = bytes([unit[0] & 0xE0 | 28]) if codec is H264 else bytes([unit[0] & 0x81 | 49 << 1, unit[1]])
    for at in range(head, len(unit), size):
        start, end = at == head, at + size >= len(unit)
        yield indicator + bytes([start << 7 | end << 6 | kind]) + unit[at : at + size]


def packet(payload: bytes, sequence: int, timestamp: int, marker: bool, number: int = 96, ssrc: int = 1) -> bytes:
    head = bytes([0x80, number | marker << 7]) + (sequence & 0xFFFF).to_bytes(2)
    return head + (timestamp & 0xFFFFFFFF).to_bytes(4) + ssrc.to_bytes(4) + payload


def framed(data: bytes, channel: int = 0) -> bytes:
    """As it goes over the RTSP connection (RFC 2326, section 10.12)."""
    return b"$" + bytes([channel]) + len(data).to_bytes(2) + data


def packets(
    pictures: Iterable[tuple[bytes, ...]],
    size: int = 1400,
    step: int = 3000,
    sequence: int = 0,
    codec: VideoCodec = H264,
) -> list[bytes]:
    """RTP packets of these pictures, one after the other."""
    made: list[bytes] = []
    for index, units in enumerate(pictures):
        payloads = [payload for unit in units for payload in fragments(unit, size, codec)]
        for place, payload in enumerate(payloads):
            made.append(packet(payload, sequence + len(made), index * step, place == len(payloads) - 1))
    return made
