"""The boxes of ISO base media files: written, and their headers read. Pure.

Source: ISO/IEC 14496-12, section 4.2 (box and full box).
"""

import struct
from collections.abc import Iterator

from actors.media.bitstream import BitstreamError

U16, U32 = struct.Struct(">H"), struct.Struct(">I")
HEADER = 8
"""Bytes of a box's header: its size and its type."""


def box(kind: bytes, *parts: bytes) -> bytes:
    """Return a box of this type, of four letters."""
    body = b"".join(parts)
    return U32.pack(HEADER + len(body)) + kind + body


def full_box(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    """Return a box with a version and 24 bits of flags."""
    return box(kind, U32.pack(version << 24 | flags), *parts)


def split_boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and content of the boxes that follow each other in `data`.

    Raises `BitstreamError` for a box that ends beyond `data`.
    """
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4])
        if size < HEADER or at + size > len(data):
            raise BitstreamError(f"a box of {size} bytes where {len(data) - at} are left")
        yield data[at + 4 : at + HEADER], data[at + HEADER : at + size]
        at += size
