"""Slices and parameter sets whose headers have chosen values; their bodies are no picture.

Source: ITU-T H.264 (08/2021), sections 7.3.2.1, 7.3.2.2 and 7.3.3; ITU-T H.265 (08/2021), section 7.3.6.1.
"""

import re

NUMBER_BITS = ORDER_BITS = 4
PPS = b"\x68\xce\x3c\x80"
BODY = bytes(range(5, 45))


def ue(value: int) -> str:
    """An exp-Golomb code as text."""
    bits = f"{value + 1:b}"
    return "0" * (len(bits) - 1) + bits


def h264_sps(*, fields: bool = False, order: int = 0) -> bytes:
    """64x64, with fields or frames only, and the picture order count of this type."""
    bits = ue(0) + ue(NUMBER_BITS - 4) + ue(order)
    bits += ue(ORDER_BITS - 4) if order == 0 else "0" + ue(0) + ue(0) + ue(0) if order == 1 else ""
    bits += ue(1) + "0" + ue(3) + (ue(1) + "00" if fields else ue(3) + "1") + "1" + "0" + "0"
    return _unit(b"\x67\x4d\x00\x1e", bits + "1")


def h264_slice(
    number: int = 0,
    first_mb: int = 0,
    *,
    key: bool = False,
    order: int = 0,
    field: int | None = None,
    fields: bool = False,
    reference: bool = True,
    body: bytes = BODY,
) -> bytes:
    """A slice for `h264_sps(fields=fields)`; `field` is 0 for a top field, 1 for a bottom field."""
    bits = ue(first_mb) + ue(7 if key else 5) + ue(0) + f"{number:0{NUMBER_BITS}b}"
    if fields:
        bits += "0" if field is None else f"1{field}"
    bits += (ue(0) if key else "") + f"{order:0{ORDER_BITS}b}"
    return _unit(bytes(((0x60 if reference else 0) | (5 if key else 1),)), bits + "1", body)


def h265_slice(number: int = 0, *, first: bool = True, key: bool = False, body: bytes = BODY) -> bytes:
    """A slice segment; `number` only makes it differ from others."""
    return bytes(((19 if key else 1) << 1, 1, (0x80 if first else 0) | number + 1)) + body


def _unit(head: bytes, bits: str, body: bytes = b"") -> bytes:
    bits += "0" * (-len(bits) % 8)
    payload = head + int(bits, 2).to_bytes(len(bits) // 8) + body
    return re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\x00\x00\x03", payload)
