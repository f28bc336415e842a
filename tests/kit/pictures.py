"""Pictures of JPEG and MPEG-4 part 2 in RTP payloads, as cameras send them. Source: RFC 2435; RFC 6416."""

from collections.abc import Iterator

import attrs

PIECE = 300
"""Bytes of a scan in one payload: the pictures here have several."""


@attrs.frozen
class JpegSegments:
    """A JPEG taken apart: its segments by marker, without marker and length, and its scan without the last marker."""

    segments: dict[int, list[bytes]]
    scan: bytes

    @classmethod
    def of(cls, jpeg: bytes) -> "JpegSegments":
        at, found = 2, dict[int, list[bytes]]()
        while True:
            marker, end = jpeg[at + 1], at + 2 + int.from_bytes(jpeg[at + 2 : at + 4])
            found.setdefault(marker, []).append(jpeg[at + 4 : end])
            at = end
            if marker == 0xDA:
                return cls(found, jpeg[at:].removesuffix(b"\xff\xd9"))

    @property
    def size(self) -> tuple[int, int]:
        frame = self.segments[0xC0][0]
        return int.from_bytes(frame[3:5]), int.from_bytes(frame[1:3])

    @property
    def interval(self) -> int:
        return int.from_bytes(self.segments.get(0xDD, [b""])[0])

    @property
    def tables(self) -> bytes:
        """Its first quantization table, twice."""
        return self.segments[0xDB][0][1:65] * 2

    @property
    def kind(self) -> int:
        """The type: 4:2:0, perhaps with restart markers."""
        return 65 if self.interval else 1


def jpeg_payloads(
    jpeg: bytes,
    *,
    quality: int = 255,
    tables: bytes | None = None,
    precision: int = 0,
    kind: int | None = None,
    size: tuple[int, int] | None = None,
    piece: int = PIECE,
    padded: bytes = b"\xff\xd9",
) -> list[bytes]:
    """Return the payloads of one JPEG. `tables` of empty bytes are not sent; `padded` follows the scan."""
    parts = JpegSegments.of(jpeg)
    width, height = (parts.size[0] // 8, parts.size[1] // 8) if size is None else size
    known = parts.kind if kind is None else kind
    sent = parts.tables if tables is None else tables
    payloads, scan = [], parts.scan + padded
    for at in range(0, len(scan), piece):
        head = bytes(1) + at.to_bytes(3) + bytes((known, quality, width, height))
        if known & 64:
            head += parts.interval.to_bytes(2) + b"\xff\xff"
        if quality >= 128 and at == 0:
            head += bytes((0, precision)) + len(sent).to_bytes(2) + sent
        payloads.append(head + scan[at : at + piece])
    return payloads


def extension_of(jpeg: bytes) -> bytes:
    """Return the header extension of ONVIF with the size, the tables and the Huffman tables of a JPEG."""
    parts = JpegSegments.of(jpeg).segments
    body = b"".join(_segment(marker, each) for marker in (0xDB, 0xC0, 0xC4) for each in parts[marker])
    body += b"\xff" * (-len(body) % 4)
    return b"\xff\xd8" + (len(body) // 4).to_bytes(2) + body


def _segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2) + body


def pieces(data: bytes, piece: int = PIECE) -> Iterator[bytes]:
    """Return a picture of MPEG-4 in fragments."""
    return (data[at : at + piece] for at in range(0, len(data), piece))
