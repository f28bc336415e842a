"""Reads from H.264 only what passing it on requires: parameter sets, key frames, size. Pure; nothing is decoded.

Source: ITU-T H.264 (08/2021), sections 7.3 and 7.4; ISO/IEC 14496-15 for `avcC`.
"""

from collections.abc import Sequence
from functools import lru_cache

import attrs

from .bitstream import CACHED_SIZES, MAX_SPS, Bits, BitstreamError, possible, unescape
from .media import VideoCodec

IDR, SPS, PPS = 5, 7, 8
MAX_SPS_ID, MAX_PPS_ID = 31, 255
MAX_DEPTH = 6
"""The largest bit_depth_luma_minus8."""

_HIGH_PROFILES = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}
"""Profiles whose SPS has more fields about chroma (7.3.2.1.1)."""
_WITH_CHROMA = {100, 110, 122, 144}
"""Profiles whose `avcC` names chroma format and bit depths."""


def nal_type(unit: bytes) -> int:
    return unit[0] & 0x1F


def parse_avcc(record: bytes) -> tuple[int, tuple[bytes, ...]]:
    """Return the length size and the parameter sets of an AVCDecoderConfigurationRecord. Raises `BitstreamError`."""
    if len(record) < 7 or record[0] != 1:
        raise BitstreamError("not an avcC record")
    at, units = 5, list[bytes]()
    for mask in (0x1F, 0xFF):
        if at >= len(record):
            raise BitstreamError("an avcC record that ends early")
        count = record[at] & mask
        at += 1
        for _ in range(count):
            size = int.from_bytes(record[at : at + 2])
            unit = record[at + 2 : at + 2 + size]
            if size == 0 or len(unit) != size:
                raise BitstreamError("an avcC record that ends early")
            units.append(unit)
            at += 2 + size
    if {nal_type(unit) for unit in units} != {SPS, PPS}:
        raise BitstreamError("an avcC record without parameter sets")
    return (record[4] & 3) + 1, tuple(units)


def make_avcc(sets: Sequence[bytes]) -> bytes:
    """Return the AVCDecoderConfigurationRecord of these parameter sets, for lengths of 4 bytes.

    Raises `BitstreamError` without a sequence parameter set that can be read.
    """
    kinds = {kind: [unit for unit in sets if nal_type(unit) == kind] for kind in (SPS, PPS)}
    if not kinds[SPS]:
        raise BitstreamError("no sequence parameter set")
    sps = kinds[SPS][0]
    read = _read_sps(sps[:MAX_SPS])
    record = bytes((1, *sps[1:4], 0xFF, 0xE0 | len(kinds[SPS])))
    record += b"".join(len(unit).to_bytes(2) + unit for unit in kinds[SPS])
    record += bytes((len(kinds[PPS]),)) + b"".join(len(unit).to_bytes(2) + unit for unit in kinds[PPS])
    if sps[1] in _WITH_CHROMA:
        record += bytes((0xFC | read.chroma, 0xF8 | read.luma_bits - 8, 0xF8 | read.chroma_bits - 8, 0))
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
    if nal_type(unit) == SPS:
        picture_size(unit)
    elif nal_type(unit) == PPS:
        bits = Bits(unescape(unit[1:MAX_SPS]))
        if bits.ue() > MAX_PPS_ID or bits.ue() > MAX_SPS_ID:
            raise BitstreamError("a picture parameter set with an impossible number")
        bits.u(2)
        bits.ue()  # num_slice_groups_minus1


@attrs.frozen
class CodedPicture:
    """The values by which slices of one picture differ from those of the next (7.4.1.2.4)."""

    pps: int
    number: int
    """frame_num"""
    field: int
    """0 for a frame, 1 for a top field, 2 for a bottom field."""
    is_reference: bool
    idr: int
    """idr_pic_id; -1 for other pictures."""
    order: int
    """The picture order count as the slice has it."""

    def is_field_of(self, other: "CodedPicture") -> bool:
        """Whether these are the two fields of one frame."""
        return self.field + other.field == 3 and self.field > 0 < other.field and self.number == other.number


def picture_of(unit: bytes, sps: bytes) -> CodedPicture:
    """Read a slice header, of which the first bytes are enough. Raises `BitstreamError`, also without an SPS."""
    read = _read_sps(sps[:MAX_SPS])
    bits = Bits(unescape(unit[1:]))
    bits.ue()  # first_mb_in_slice
    bits.ue()  # slice_type
    pps = bits.ue()
    if read.has_planes:
        bits.u(2)
    number = bits.u(read.number_bits)
    field = 0
    if not read.has_frames_only and bits.u(1):
        field = 1 + bits.u(1)
    idr = bits.ue() if nal_type(unit) == IDR else -1
    order = bits.u(read.order_bits) if read.order_bits else bits.se() if read.has_delta else 0
    return CodedPicture(pps, number, field, unit[0] & 0x60 > 0, idr, order)


@attrs.frozen
class _Sps:
    width: int
    height: int
    """In pixels, before cropping."""
    across: int
    down: int
    """Pixels that cropping removes from each."""
    number_bits: int
    """Bits of frame_num in a slice header."""
    order_bits: int
    """Bits of pic_order_cnt_lsb in a slice header; 0 without it."""
    has_delta: bool
    """Whether a slice header has delta_pic_order_cnt."""
    has_frames_only: bool
    has_planes: bool
    chroma: int
    """chroma_format_idc"""
    luma_bits: int
    chroma_bits: int


@lru_cache(maxsize=CACHED_SIZES)
def _read_sps(sps: bytes) -> _Sps:
    if len(sps) < 4:
        raise BitstreamError("a sequence parameter set that ends early")
    bits = Bits(unescape(sps[4:]))
    if bits.ue() > MAX_SPS_ID:
        raise BitstreamError("a sequence parameter set with an impossible number")
    chroma, has_planes, luma_bits, chroma_bits = 1, False, 8, 8
    if sps[1] in _HIGH_PROFILES:
        chroma = bits.ue()
        if chroma == 3:
            has_planes = bits.u(1) == 1
        luma_bits, chroma_bits = 8 + min(bits.ue(), MAX_DEPTH), 8 + min(bits.ue(), MAX_DEPTH)
        bits.u(1)
        if bits.u(1):
            for index in range(8 if chroma != 3 else 12):
                if bits.u(1):
                    _skip_scaling_list(bits, 16 if index < 6 else 64)
    number_bits = bits.ue() + 4
    order = bits.ue()
    order_bits, has_delta = 0, False
    if order == 0:
        order_bits = bits.ue() + 4
    elif order == 1:
        has_delta = bits.u(1) == 0
        bits.se()
        bits.se()
        for _ in range(min(bits.ue(), 255)):
            bits.se()
    bits.ue()  # max_num_ref_frames
    bits.u(1)
    width = (bits.ue() + 1) * 16
    height = bits.ue() + 1
    frames_only = bits.u(1)
    height *= 16 * (2 - frames_only)
    if not frames_only:
        bits.u(1)
    bits.u(1)
    across = down = 0
    if bits.u(1):
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
        across = (left + right) * (2 if chroma in (1, 2) else 1)
        down = (top + bottom) * (2 if chroma == 1 else 1) * (2 - frames_only)
    return _Sps(
        width, height, across, down, number_bits, order_bits, has_delta, frames_only == 1, has_planes, chroma & 3,
        luma_bits, chroma_bits,
    )  # fmt: skip


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last, following = 8, 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


H264 = VideoCodec("h264", 1, nal_type, frozenset({IDR}), (SPS, PPS), SPS, picture_size, coded_size, check_set)
