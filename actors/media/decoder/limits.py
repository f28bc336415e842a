"""Decides from its parameter sets whether a key frame may be decoded, before a decoder reads it. Pure.

Rules of this file:
- The *coded* size counts: cropping makes a frame look small, but does not reduce the decoder's work.
- Every SPS of the access unit counts, not only the first. One that cannot be read is refused.
- The child enforces the same number by itself (`codec.py`): hostile bytes may deceive one parser, but not both.
"""

from collections.abc import Iterable

from supervisor.domain import words

from ..bitstream import BitstreamError
from ..media import VideoCodec
from .wire import MOST_REQUEST

MOST_PIXELS = 4096 * 4096
MOST_SIDE = 8192


def refusal(codec: VideoCodec, units: Iterable[bytes]) -> str | None:
    """Return why a key frame of these NAL units is not decoded; None if it may be."""
    size, sets = 0, 0
    for unit in units:
        size += len(unit) + 4
        if codec.nal_type(unit) != codec.sps_type:  # the unit of a JPEG has its size, too
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
        return f"its key frame has {words.size(size)}; up to {words.size(MOST_REQUEST)} are decoded"
    return None
