"""What H.264 and H.265 have in common: NAL units, how they are framed, and the codes in their headers. Pure.

Source: ITU-T H.264 (08/2021), sections 7.4.1, 9.1 and Annex B, which ITU-T H.265 repeats; ISO/IEC 14496-15.
"""

from collections.abc import Iterable, Iterator

MAX_SIDE = 16384
"""Pixels: the most that any level of either standard allows on one side."""
MAX_UNITS = 1024
"""NAL units of one access unit: more slices than any level allows."""
MAX_SPS = 512
"""Bytes of a sequence parameter set that are read: its size stands in front, or behind scaling lists of some 300."""
CACHED_SIZES = 256
"""Sequence parameter sets whose sizes are remembered, of all cameras."""
MAX_ZEROS = 32
"""In front of an exp-Golomb code."""
START_CODE = b"\x00\x00\x00\x01"


class BitstreamError(ValueError):
    """Bytes that are not what the standard says they should be."""


def split_annexb(data: bytes) -> Iterator[bytes]:
    """The NAL units of an Annex B byte stream, without start codes (of 3 or 4 bytes) and trailing zeros."""
    start = data.find(b"\x00\x00\x01")
    while start >= 0:
        start += 3
        end = data.find(b"\x00\x00\x01", start)
        unit = data[start : end if end >= 0 else len(data)].rstrip(b"\x00")
        if unit:
            yield unit
        start = end


def split_prefixed(data: bytes, length_size: int) -> Iterator[bytes]:
    """The NAL units of a sample with length prefixes.

    Raises `BitstreamError` when a length leads out of it, and for more than `MAX_UNITS`.
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
    """The payload of a NAL unit without its emulation prevention bytes."""
    return payload.replace(b"\x00\x00\x03", b"\x00\x00")


def possible(width: int, height: int) -> tuple[int, int]:
    """A size in pixels that a picture can have. Raises `BitstreamError` for any other."""
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise BitstreamError(f"a picture of {width}x{height}")
    return width, height


class Bits:
    """Reads the exp-Golomb codes of section 9.1. Raises `BitstreamError` past the end.

    The bits are text, so that a code costs its own length, however long the data is.
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
