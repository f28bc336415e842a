"""What must be known of H.264 to pass it on: parameter sets, key frames, size. Pure; nothing is decoded.

Source: ITU-T H.264 (08/2021), sections 7.3 and 7.4; ISO/IEC 14496-15 for `avcC`.
"""

from functools import lru_cache

from .bitstream import CACHED_SIZES, MAX_SPS, Bits, BitstreamError, possible, unescape
from .media import VideoCodec

IDR, SPS, PPS = 5, 7, 8

_HIGH_PROFILES = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}
"""Profiles whose SPS says more about chroma (7.3.2.1.1)."""


def nal_type(unit: bytes) -> int:
    return unit[0] & 0x1F


def parse_avcc(record: bytes) -> tuple[int, tuple[bytes, ...]]:
    """Length size and parameter sets of an AVCDecoderConfigurationRecord. Raises `BitstreamError`."""
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


def picture_size(sps: bytes) -> tuple[int, int]:
    """Width and height in pixels that an SPS promises, cropping applied. Raises `BitstreamError`."""
    width, height, across, down = _sizes(sps[:MAX_SPS])
    return possible(width - across, height - down)


def coded_size(sps: bytes) -> tuple[int, int]:
    """Width and height in pixels before cropping. Raises `BitstreamError`."""
    return possible(*_sizes(sps[:MAX_SPS])[:2])


@lru_cache(maxsize=CACHED_SIZES)
def _sizes(sps: bytes) -> tuple[int, int, int, int]:
    """Coded width and height, and what cropping takes from each."""
    if len(sps) < 4:
        raise BitstreamError("a sequence parameter set that ends early")
    bits = Bits(unescape(sps[4:]))
    bits.ue()  # seq_parameter_set_id
    chroma = 1
    if sps[1] in _HIGH_PROFILES:
        chroma = bits.ue()
        if chroma == 3:
            bits.u(1)
        bits.ue()  # bit_depth_luma_minus8
        bits.ue()  # bit_depth_chroma_minus8
        bits.u(1)
        if bits.u(1):
            for index in range(8 if chroma != 3 else 12):
                if bits.u(1):
                    _skip_scaling_list(bits, 16 if index < 6 else 64)
    bits.ue()  # log2_max_frame_num_minus4
    order = bits.ue()
    if order == 0:
        bits.ue()
    elif order == 1:
        bits.u(1)
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
    return width, height, across, down


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last, following = 8, 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


H264 = VideoCodec("h264", 1, nal_type, frozenset({IDR}), (SPS, PPS), SPS, picture_size, coded_size)
