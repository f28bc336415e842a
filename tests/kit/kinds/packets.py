"""RTP packets of a camera, in order or as odd as wanted. Source: RFC 3550, 5.1; RFC 6184, 5; RFC 7798, 4.4."""

from collections.abc import Iterable, Iterator

import attrs

from .streams import TICKS, Units

PIECE = 300
"""Bytes of NAL unit in one fragment: the key frames here have several."""
SSRC = 0x1BADCAFE

Payloads = list[bytes]


@attrs.define
class Sender:
    """Numbers the packets of one track. The default values are those of a camera without any oddity."""

    number: int = 96
    channel: int = 0
    sequence: int = 100
    timestamp: int = 1000
    ssrc: int = SSRC
    step: int = 1
    """Added to the sequence number with each packet."""

    def packet(self, payload: bytes, marker: bool, *, head: int = 0x80, middle: bytes = b"", **other: int) -> bytes:
        """Return one packet, interleaved. `middle` is between its header and its payload; `other` replaces fields."""
        number, timestamp = other.get("number", self.number), other.get("timestamp", self.timestamp)
        sequence, ssrc = other.get("sequence", self.sequence), other.get("ssrc", self.ssrc)
        data = bytes([head, number | marker << 7]) + (sequence & 0xFFFF).to_bytes(2)
        data += (timestamp & 0xFFFFFFFF).to_bytes(4) + ssrc.to_bytes(4) + middle + payload
        self.sequence += self.step
        return b"$" + bytes([other.get("channel", self.channel)]) + len(data).to_bytes(2) + data

    def picture(self, payloads: Payloads, markers: Iterable[int] = (-1,), ticks: int = TICKS) -> bytes:
        """Return the packets of one picture; `markers` are the indexes of those with the marker."""
        marked = {index % len(payloads) for index in markers}
        data = b"".join(self.packet(payload, index in marked) for index, payload in enumerate(payloads))
        self.timestamp += ticks
        return data


def single(codec: str, unit: bytes) -> Payloads:
    """Return a NAL unit as it is, or in fragments."""
    return [unit] if len(unit) <= PIECE else list(fragments(codec, unit))


def plain(codec: str, units: Units) -> Payloads:
    return [payload for unit in units for payload in single(codec, unit)]


def fragments(codec: str, unit: bytes, piece: int = PIECE) -> Iterator[bytes]:
    head, kind = split_head(codec, unit)
    size = {"h264": 1, "h265": 2}[codec]
    for at in range(size, len(unit), piece):
        first, last = at == size, at + piece >= len(unit)
        yield head + bytes([first << 7 | last << 6 | kind]) + unit[at : at + piece]


def split_head(codec: str, unit: bytes) -> tuple[bytes, int]:
    """Return the header of the fragments of a NAL unit, and the unit's type."""
    if codec == "h264":
        return bytes([unit[0] & 0xE0 | 28]), unit[0] & 0x1F
    return bytes([unit[0] & 0x81 | 49 << 1, unit[1]]), unit[0] >> 1 & 0x3F


def aggregate(codec: str, units: Iterable[bytes], behind: bytes = b"") -> bytes:
    """Return one STAP-A or aggregation packet."""
    head = {"h264": b"\x18", "h265": bytes([48 << 1, 1])}[codec]
    return head + b"".join(len(unit).to_bytes(2) + unit for unit in units) + behind


def joined(units: Iterable[bytes], code: bytes = b"\0\0\0\1") -> bytes:
    """Return NAL units with a start code between them."""
    return code.join(units)
