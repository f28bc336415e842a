"""The header `Range` (RFC 9110, section 14): one range of bytes. Pure.

Rules of this file:
- A header that is not one range of bytes is ignored, as the RFC demands of what is invalid and allows for several.
- The number of digits is bounded before a number is parsed.
"""

import re

_RANGE = re.compile(r"[ \t]*+bytes[ \t]*+=[ \t]*+([0-9]{0,19})-([0-9]{0,19})[ \t]*+", re.ASCII | re.IGNORECASE)


class Unsatisfiable(Exception):
    """No byte of the range exists (416). `size`: bytes of the whole."""

    def __init__(self, size: int) -> None:
        super().__init__(f"there are {size} bytes")
        self.size = size


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The first byte of the range, and the one behind its last; None for the whole. Raises `Unsatisfiable`."""
    match = None if header is None else _RANGE.fullmatch(header)
    if match is None or match[1] == match[2] == "":
        return None
    if not match[1]:
        if int(match[2]) == 0 or size == 0:
            raise Unsatisfiable(size)
        return max(0, size - int(match[2])), size
    begin = int(match[1])
    if match[2] and int(match[2]) < begin:
        return None
    if begin >= size:
        raise Unsatisfiable(size)
    return begin, min(int(match[2]) + 1, size) if match[2] else size
