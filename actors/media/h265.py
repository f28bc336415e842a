"""Reads from H.265 only what passing it on requires: parameter sets, key frames, size. Pure; nothing is decoded.

Source: ITU-T H.265 (08/2021), sections 7.3 and 7.4; ISO/IEC 14496-15 for `hvcC`.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache

import attrs

from .bitstream import CACHED_SIZES, MAX_SPS, Bits, BitstreamError, possible, unescape
from .media import VideoCodec

VPS, SPS, PPS = 32, 33, 34
MAX_SPS_ID, MAX_PPS_ID = 15, 63
MAX_DEPTH = 7
"""The largest value that `hvcC` has for bit_depth_luma_minus8."""
_HEAD = 32
"""Bytes of a sequence parameter set that hold its profile, tier and level."""


def nal_type(unit: bytes) -> int:
    return (unit[0] >> 1) & 0x3F


def parse_hvcc(record: bytes) -> tuple[int, tuple[bytes, ...]]:
    """Return the length size and the parameter sets of an HEVCDecoderConfigurationRecord. Raises `BitstreamError`."""
    if len(record) < 23 or record[0] != 1:
        raise BitstreamError("not an hvcC record")
    at, units = 23, list[bytes]()
    for _ in range(record[22]):
        count = int.from_bytes(record[at + 1 : at + 3])
        at += 3
        for _ in range(count):
            size = int.from_bytes(record[at : at + 2])
            unit = record[at + 2 : at + 2 + size]
            if size < 2 or len(unit) != size:
                raise BitstreamError("an hvcC record that ends early")
            units.append(unit)
            at += 2 + size
    sets = tuple(unit for unit in units if nal_type(unit) in (VPS, SPS, PPS))
    if {nal_type(unit) for unit in sets} != {VPS, SPS, PPS}:
        raise BitstreamError("an hvcC record without parameter sets")
    return (record[21] & 3) + 1, sets


def make_hvcc(sets: Sequence[bytes]) -> bytes:
    """Return the HEVCDecoderConfigurationRecord of these parameter sets, for lengths of 4 bytes.

    Raises `BitstreamError` without a sequence parameter set that can be read.
    """
    sps = next((unit for unit in sets if nal_type(unit) == SPS), b"")
    head = unescape(sps[2:_HEAD])
    if len(head) < 13:
        raise BitstreamError("no sequence parameter set")
    read = _read_sps(sps[:MAX_SPS])
    layers, nested = (head[0] >> 1 & 7) + 1, head[0] & 1
    record = b"\x01" + head[1:13] + b"\xf0\x00\xfc"
    record += bytes((0xFC | read.chroma, 0xF8 | read.luma_bits - 8, 0xF8 | read.chroma_bits - 8, 0, 0))
    kinds = [kind for kind in (VPS, SPS, PPS) if any(nal_type(unit) == kind for unit in sets)]
    record += bytes((layers << 3 | nested << 2 | 3, len(kinds)))
    for kind in kinds:
        units = [unit for unit in sets if nal_type(unit) == kind]
        record += bytes((0x80 | kind,)) + len(units).to_bytes(2)
        record += b"".join(len(unit).to_bytes(2) + unit for unit in units)
    return record


def picture_size(sps: bytes) -> tuple[int, int]:
    """Return width and height in pixels as an SPS declares them, after cropping. Raises `BitstreamError`."""
    read = _read_sps(sps[:MAX_SPS])
    return possible(read.width - read.across, read.height - read.down)


def coded_size(sps: bytes) -> tuple[int, int]:
    """Return width and height in pixels before cropping. Raises `BitstreamError`."""
    read = _read_sps(sps[:MAX_SPS])
    return possible(read.width, read.height)


def check_set(unit: bytes) -> None:
    """Raise `BitstreamError` for a parameter set that ends early, or that no video can have."""
    kind = nal_type(unit)
    if kind == SPS:
        picture_size(unit)
    elif kind == VPS:
        _skip_profile_tier_level(Bits(unescape(unit[6:MAX_SPS])), 0)
    elif kind == PPS:
        bits = Bits(unescape(unit[2:MAX_SPS]))
        if bits.ue() > MAX_PPS_ID or bits.ue() > MAX_SPS_ID:
            raise BitstreamError("a picture parameter set with an impossible number")
        bits.u(7)


@attrs.frozen
class _Sps265:
    width: int
    height: int
    """In pixels, before cropping."""
    across: int
    down: int
    """Pixels that cropping removes from each."""
    chroma: int
    """chroma_format_idc"""
    luma_bits: int
    chroma_bits: int


@lru_cache(maxsize=CACHED_SIZES)
def _read_sps(sps: bytes) -> _Sps265:
    bits = Bits(unescape(sps[2:]))
    bits.u(4)  # sps_video_parameter_set_id
    layers = bits.u(3)
    bits.u(1)
    _skip_profile_tier_level(bits, layers)
    if bits.ue() > MAX_SPS_ID:
        raise BitstreamError("a sequence parameter set with an impossible number")
    chroma = bits.ue()
    if chroma == 3:
        bits.u(1)
    width, height = bits.ue(), bits.ue()
    across = down = 0
    if bits.u(1):
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
        across = (left + right) * (2 if chroma in (1, 2) else 1)
        down = (top + bottom) * (2 if chroma == 1 else 1)
    luma_bits = chroma_bits = 8
    with suppress(BitstreamError):  # nothing depends on it but what a file says about itself
        luma_bits, chroma_bits = 8 + min(bits.ue(), MAX_DEPTH), 8 + min(bits.ue(), MAX_DEPTH)
    return _Sps265(width, height, across, down, chroma & 3, luma_bits, chroma_bits)


def _skip_profile_tier_level(bits: Bits, layers: int) -> None:
    bits.u(88)  # the general profile and its constraints
    bits.u(8)  # general_level_idc
    present = [(bits.u(1), bits.u(1)) for _ in range(layers)]
    if layers:
        bits.u(2 * (8 - layers))
    for profile, level in present:
        bits.u(88 * profile + 8 * level)


H265 = VideoCodec(
    "h265", 2, nal_type, frozenset(range(16, 22)), (VPS, SPS, PPS), SPS, picture_size, coded_size, check_set
)
