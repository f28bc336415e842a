"""The part of a JPEG in front of its scan, which RTP does not carry: markers, size and tables. Pure.

Rules of this file:
- The result is a complete baseline JPEG with its Huffman tables, as every decoder reads it.
- A header that names no size, or tables that did not come, is no header: the caller gets an error that names it.

Source: RFC 2435, sections 3.1 and 4.1 to 4.2 and appendices A and B; ITU-T T.81, annexes B and K; ONVIF Streaming
Specification, section 5.1.4 (a header in the extension of RTP).
"""

from functools import cache, lru_cache

import attrs

from ...media.bitstream import MAX_SIDE

MAX_TABLES = 2
"""Quantization tables that the types of RFC 2435 use."""
MAX_EXTENSION = 4096
"""Bytes of a header extension that are read: all tables and a comment have less than 1000."""
MAX_SEGMENTS = 32
CACHED = 64
"""Headers that are kept, for all cameras together."""
SCAN_END = b"\xff\xd9"
RESTARTS = 64
"""Added to the types whose packets have a restart header."""
SAMPLING = {0: 0x21, 1: 0x22}
"""By the type: how many samples of brightness come for one of color, horizontally and vertically."""

_SOI, _APP0 = b"\xff\xd8", b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_QUANTIZATION, _HUFFMAN, _FRAME, _RESTART, _SCAN = 0xDB, 0xC4, 0xC0, 0xDD, 0xDA
_ONE, _TWO = 64, 128
"""Bytes of a table of 8 and of 16 bits."""
_LUMA = bytes((
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61,
    60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113,
    121, 112, 100, 120, 92, 101, 103, 99,
))  # fmt: skip
_CHROMA = bytes((17, 18, 18, 24, 21, 24, 47, 26, 26, 47, 99, 66, 56, 66)) + bytes([99]) * 50
"""T.81, tables K.1 and K.2, in zigzag order."""
_HUFFMAN_TABLES = bytes.fromhex(
    """
    0000010501010101010100000000000000000102030405060708090a0b010003010101010101010101000000000000010203040506070809
    0a0b100002010303020403050504040000017d01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282
    090a161718191a25262728292a3435363738393a434445464748494a535455565758595a636465666768696a737475767778797a83848586
    8788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7
    e8e9eaf1f2f3f4f5f6f7f8f9fa1100020102040403040705040400010277000102031104052131061241510761711322328108144291a1b1
    c109233352f0156272d10a162434e125f11718191a262728292a35363738393a434445464748494a535455565758595a636465666768696a
    737475767778797a82838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4
    d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa
    """
)
"""T.81, tables K.3, K.5, K.4 and K.6, each as in a DHT segment."""


class JpegHeaderError(ValueError):
    """The packet has no usable header."""


@attrs.frozen
class JpegTables:
    """Quantization tables in zigzag order: of 64 bytes, or of 128 with 16 bits for each value."""

    luma: bytes
    chroma: bytes


@attrs.frozen
class JpegParts:
    """Parts of a header that the extension of an RTP packet carries, each as a whole segment; empty without one."""

    frame: bytes = b""
    quantization: bytes = b""
    huffman: bytes = b""


@cache
def scaled_tables(quality: int) -> JpegTables:
    """Return the tables of a quality from 1 to 99 (RFC 2435, appendix A); other values count as the nearest one."""
    known = min(99, max(1, quality))
    scale = 5000 // known if known < 50 else 200 - 2 * known
    return JpegTables(
        *(bytes(min(255, max(1, (value * scale + 50) // 100)) for value in of) for of in (_LUMA, _CHROMA))
    )


def read_tables(precision: int, data: bytes) -> JpegTables:
    """Return the tables of a packet. Bit 0 of `precision` is set for 16 bits in the first one, bit 1 in the second.

    One alone is for both. Raises `JpegHeaderError` for cut ones.
    """
    found, at = [], 0
    for index in range(MAX_TABLES):
        size = _TWO if precision >> index & 1 else _ONE
        if len(data) - at >= size:
            found.append(_narrow(data[at : at + size]))
        elif len(data) > at or not found:
            raise JpegHeaderError("a quantization table that ends early")
        at += size
    return JpegTables(found[0], found[-1])


def _narrow(table: bytes) -> bytes:
    """Return a table of 16 bits as one of 8 bits if its values allow that: baseline JPEG has no others."""
    return table[1::2] if len(table) == _TWO and not any(table[::2]) else table


def read_extension(data: bytes) -> JpegParts:
    """Return the segments behind the SOI in an RTP header extension (ONVIF); those that are cut or odd are left out."""
    begin = data.find(_SOI, 0, 64)
    parts: dict[int, bytes] = {}
    at = begin + 4  # the length of the extension
    for _ in range(MAX_SEGMENTS if begin >= 0 else 0):
        while data[at : at + 2] == b"\xff\xff":
            at += 1
        size = int.from_bytes(data[at + 2 : at + 4])
        end = at + 2 + size
        if data[at : at + 1] != b"\xff" or size < 2 or end > len(data):
            break
        parts[data[at + 1]] = parts.get(data[at + 1], b"") + data[at:end]
        at = end
    frame = parts.get(_FRAME, b"")
    usable = len(frame) == 19 and frame[9] == 3 and all(0 < side <= MAX_SIDE for side in _sides(frame))
    return JpegParts(frame if usable else b"", parts.get(_QUANTIZATION, b""), parts.get(_HUFFMAN, b""))


def _sides(frame: bytes) -> tuple[int, int]:
    return int.from_bytes(frame[5:7]), int.from_bytes(frame[7:9])


@lru_cache(maxsize=CACHED)
def build_header(
    kind: int,
    width: int,
    height: int,
    tables: JpegTables | None,
    interval: int,
    parts: JpegParts = JpegParts(),
) -> bytes:
    """Return the header up to the scan.

    Args:
        kind: the type of RFC 2435 without `RESTARTS`.
        width, height: in pixels; 0 where only `parts` have them.
        tables: None where only `parts` have them.
        interval: MCUs between two restart markers; 0 without any.

    Raises `JpegHeaderError` for a header without a size or tables.
    """
    frame = parts.frame
    if not frame:
        if not width or not height:
            raise JpegHeaderError("a JPEG without a size")
        size = height.to_bytes(2) + width.to_bytes(2)
        frame = _segment(_FRAME, b"\x08" + size + bytes((3, 1, SAMPLING[kind], 0, 2, 0x11, 1, 3, 0x11, 1)))
    quantization = parts.quantization
    if not quantization:
        if tables is None:
            raise JpegHeaderError("a JPEG without quantization tables")
        quantization = b"".join(
            _segment(_QUANTIZATION, bytes([(len(table) == _TWO) << 4 | index]) + table)
            for index, table in enumerate((tables.luma, tables.chroma))
        )
    restart = _segment(_RESTART, interval.to_bytes(2)) if interval else b""
    scan = _segment(_SCAN, bytes((3, frame[10], 0, frame[13], 0x11, frame[16], 0x11, 0, 63, 0)))
    huffman = parts.huffman or _segment(_HUFFMAN, _HUFFMAN_TABLES)
    return _SOI + _APP0 + quantization + frame + huffman + restart + scan


def _segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2) + body
