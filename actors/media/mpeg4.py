"""Reads from MPEG-4 part 2 only what passing it on requires: its configuration, key frames, size. Pure.

The hub carries a picture (VOP) as an access unit of units that keep their start codes: `split_picture` makes them. A
unit is a configuration (all up to the VOL header), or a VOP with what precedes it. A key frame is an I-VOP; the hub
puts the configuration in front of it, as parameter sets. Only the transcoder, snapshots and motion read it.

Source: ISO/IEC 14496-2 (2004), 6.2.2, 6.2.3 and 6.2.5; RFC 6416 for `config`.
"""

import re
from functools import lru_cache

from .bitstream import CACHED_SIZES, MAX_SPS, Bits, BitstreamError, possible
from .media import VideoCodec

CONFIGURATION, I_VOP, OTHER_VOP = 1, 2, 3
"""Kinds of units."""
_VOP = re.compile(rb"\x00\x00\x01[\xb3\xb6]")
"""The start of a picture, or of the group header in front of it."""
_CODED = b"\x00\x00\x01\xb6"
_LAYER = re.compile(rb"\x00\x00\x01[\x20-\x2f]")
_GREY, _RECTANGULAR = 3, 0
"""Shapes of a layer."""


def split_picture(data: bytes) -> tuple[bytes, ...]:
    """Return the units of one picture: its configuration, if it has one, and the VOP. Also splits a `config`.

    Only the first `MAX_SPS` bytes are searched.
    """
    begin = _VOP.search(data, 0, MAX_SPS)
    at = begin.start() if begin else len(data) if _LAYER.search(data, 0, MAX_SPS) else 0
    if _LAYER.search(data, 0, min(at, MAX_SPS)) is None:
        return (data,) if data else ()
    return tuple(unit for unit in (data[:at], data[at:]) if unit)


def unit_kind(unit: bytes) -> int:
    """Return the kind of a unit of `split_picture`."""
    at = unit.find(_CODED, 0, MAX_SPS)
    if at >= 0:
        return I_VOP if unit[at + 4 : at + 5] and unit[at + 4] >> 6 == 0 else OTHER_VOP
    return CONFIGURATION if _LAYER.search(unit, 0, MAX_SPS) else OTHER_VOP


@lru_cache(maxsize=CACHED_SIZES)
def picture_size(configuration: bytes) -> tuple[int, int]:
    """Return width and height in pixels. Raises `BitstreamError` for a configuration that has none."""
    layer = _LAYER.search(configuration, 0, MAX_SPS)
    if layer is None:
        raise BitstreamError("an MPEG-4 configuration without a layer")
    bits, version = Bits(configuration[layer.end() : MAX_SPS]), 1
    bits.u(9)  # random_accessible_vol, video_object_type_indication
    if bits.u(1):
        version = bits.u(4)
        bits.u(3)
    if bits.u(4) == 15:
        bits.u(16)  # the aspect ratio of a pixel
    if bits.u(1):
        bits.u(3)  # chroma_format, low_delay
        if bits.u(1):
            bits.u(79)  # the buffer of the decoder
    shape = bits.u(2)
    if shape == _GREY and version != 1:
        bits.u(4)
    bits.u(1)
    resolution = bits.u(16)
    bits.u(1)
    if bits.u(1):
        bits.u(max(1, (resolution - 1).bit_length()) if resolution else 1)
    if shape != _RECTANGULAR:
        raise BitstreamError("an MPEG-4 layer that is not rectangular")
    bits.u(1)
    width = bits.u(13)
    bits.u(1)
    return possible(width, bits.u(13))


def check_set(unit: bytes) -> None:
    """Raise `BitstreamError` for a configuration that ends early, or that no video can have."""
    if unit_kind(unit) == CONFIGURATION:
        picture_size(unit)


MPEG4 = VideoCodec(
    "mpeg4",
    5,
    unit_kind,
    frozenset({I_VOP}),
    (CONFIGURATION,),
    CONFIGURATION,
    picture_size,
    picture_size,
    check_set,
    b"",
)
