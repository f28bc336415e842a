"""Which key frames are decoded at all, decided from their parameter sets before a decoder sees them. Pure.

Rules of this file:
- The size that is *coded* counts: cropping makes a picture look small, and costs the decoder as much as without.
- Every SPS of the access unit counts, not only the first. One that cannot be read is refused.
- The child enforces the same number by itself (`codec.py`): an attacker's bytes may fool one reader, not both.
"""

from collections.abc import Iterable

from ..bitstream import BitstreamError
from ..media import VideoCodec
from .wire import MOST_REQUEST

MOST_PIXELS = 4096 * 4096
MOST_SIDE = 8192


def refusal(codec: VideoCodec, units: Iterable[bytes]) -> str | None:
    """Why a key frame of these NAL units is not decoded; none for one that may be."""
    size, sets = 0, 0
    for unit in units:
        size += len(unit) + 4
        if codec.nal_type(unit) != codec.sps_type:
            continue
        sets += 1
        try:
            width, height = codec.coded_size(unit)
        except BitstreamError as error:
            return f"its parameter sets cannot be read: {error}"
        if width * height > MOST_PIXELS or max(width, height) > MOST_SIDE:
            most = f"{MOST_PIXELS / 1e6:.1f} megapixels and sides of {MOST_SIDE}"
            return f"its pictures are coded as {width}x{height}; up to {most} are decoded"
    if not sets:
        return "it has no sequence parameter set"
    if size > MOST_REQUEST:
        return f"its key frame has {size / 1e6:.1f} MB; up to {MOST_REQUEST / 1e6:.1f} MB are decoded"
    return None
