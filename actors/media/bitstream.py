"""The parts that H.264 and H.265 share: NAL units, their framing, and the codes in their headers. Pure.

Source: ITU-T H.264 (08/2021), sections 7.4.1, 9.1 and Annex B, which ITU-T H.265 repeats; ISO/IEC 14496-15.
"""

import re
from collections.abc import Iterable, Iterator

MAX_SIDE = 16384
"""Pixels: the largest width or height that any level of either standard allows."""
MAX_ACCESS_UNIT = 8 * 1024 * 1024
"""Bytes of one access unit."""
MAX_UNITS = 1024
"""NAL units of one access unit. Any level allows fewer slices."""
MAX_SPS = 512
"""Bytes of a sequence parameter set that are read: its size comes first, or after about 300 bytes of lists."""
CACHED_SIZES = 256
"""Sequence parameter sets whose sizes are cached, for all cameras together."""
MAX_ZEROS = 32
"""Leading zero bits of an exp-Golomb code."""
START_CODE = b"\x00\x00\x00\x01"
MAX_SEARCHED = 256 * 1024
"""Bytes of a NAL unit that are searched for start codes: 2 ms at worst, where all are zeros."""
MAX_TRAILING = 64
"""Zeros behind a NAL unit that are left out."""
_CODE = re.compile(rb"\x00\x00\x01")
"""Twice as fast as `bytes.find`."""


class BitstreamError(ValueError):
    """The bytes do not follow the standard."""


def split_annexb(data: bytes) -> Iterator[bytes]:
    """Yield the NAL units of an Annex B byte stream, without start codes (3 or 4 bytes) and trailing zeros."""
    start = data.find(b"\x00\x00\x01")
    while start >= 0:
        start += 3
        end = data.find(b"\x00\x00\x01", start)
        unit = data[start : end if end >= 0 else len(data)].rstrip(b"\x00")
        if unit:
            yield unit
        start = end


def has_start_code(unit: bytes) -> bool:
    """Whether there is a start code in the first `MAX_SEARCHED` bytes of a NAL unit."""
    return _CODE.search(unit, 0, MAX_SEARCHED) is not None


def split_joined(units: bytes) -> Iterator[bytes]:
    """Yield NAL units that are joined by start codes, without these and without trailing zeros; some may be empty.

    The first one needs no start code. Only the first `MAX_SEARCHED` bytes are searched.
    """
    start = 0
    for code in _CODE.finditer(units, 0, MAX_SEARCHED):
        yield units[start : code.start()].rstrip(b"\x00")
        start = code.end()
    yield strip_zeros(units[start:])


def strip_zeros(unit: bytes) -> bytes:
    """Return a NAL unit without at most `MAX_TRAILING` trailing zeros, which belong to no unit (Annex B)."""
    tail = unit[-MAX_TRAILING:]
    return unit[: len(unit) - len(tail) + len(tail.rstrip(b"\x00"))]


def split_prefixed(data: bytes, length_size: int) -> Iterator[bytes]:
    """Yield the NAL units of a sample with length prefixes of `length_size` bytes.

    Raises `BitstreamError` for a length beyond the sample's end and for more than `MAX_UNITS` units.
    """
    at = count = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + length_size])
        at += length_size
        if size > len(data) - at:
            raise BitstreamError(f"a NAL unit of {size} bytes in a sample with {len(data) - at} left")
        if count == MAX_UNITS:
            raise BitstreamError(f"a picture of more than {MAX_UNITS} NAL units")
        count += 1
        if size:
            yield data[at : at + size]
        at += size


def join_annexb(units: Iterable[bytes]) -> bytes:
    return b"".join(START_CODE + unit for unit in units)


def unescape(payload: bytes) -> bytes:
    """Return the payload of a NAL unit without its emulation prevention bytes."""
    return payload.replace(b"\x00\x00\x03", b"\x00\x00")


def possible(width: int, height: int) -> tuple[int, int]:
    """Return the size in pixels if a frame can have it. Raises `BitstreamError` otherwise."""
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise BitstreamError(f"a picture of {width}x{height}")
    return width, height


class Bits:
    """Reads the exp-Golomb codes of section 9.1. Raises `BitstreamError` past the end.

    The bits are stored as text, so the cost of a code depends on its own length, not on the length of the data.
    """

    def __init__(self, data: bytes) -> None:
        self._text = f"{int.from_bytes(data):0{len(data) * 8}b}" if data else ""
        self._at = 0

    def u(self, count: int) -> int:
        begin, self._at = self._at, self._at + count
        if self._at > len(self._text):
            raise BitstreamError("a parameter set that ends early")
        return int(self._text[begin : self._at], 2) if count else 0

    def ue(self) -> int:
        one = self._text.find("1", self._at, self._at + MAX_ZEROS + 1)
        if one < 0 and len(self._text) - self._at > MAX_ZEROS:
            raise BitstreamError("an exp-Golomb code without an end")
        end = 2 * one + 1 - self._at
        if one < 0 or end > len(self._text):
            raise BitstreamError("a parameter set that ends early")
        self._at = end
        return int(self._text[one:end], 2) - 1

    def se(self) -> int:
        code = self.ue()
        return (code + 1) // 2 if code % 2 else -(code // 2)
