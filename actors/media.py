"""What flows from a source through the hub to the viewers: access units of video, frames of audio."""

from collections.abc import Callable

import attrs

from .bitstream import join_annexb

CLOCK_RATE = 90_000
"""Ticks a second of all time stamps between source and viewer (RFC 6184, section 8.1)."""


UNIT_WEIGHT = 64
"""Bytes that a NAL unit takes beside its own: 33 of its object, 8 of its place in a tuple, and what malloc adds."""


@attrs.frozen(eq=False)
class VideoCodec:
    """What must be known of a codec to pass it on. One instance for each codec: compared by identity."""

    name: str
    header: int
    """Bytes of a NAL unit's header."""
    nal_type: Callable[[bytes], int]
    key_types: frozenset[int]
    """NAL unit types of which one makes an access unit a key frame."""
    set_types: tuple[int, ...]
    """NAL unit types of the parameter sets, in the order in which they stand in front of a key frame."""
    sps_type: int
    picture_size: Callable[[bytes], tuple[int, int]]
    """Width and height in pixels that an SPS promises, cropping applied. Raises `BitstreamError`."""
    coded_size: Callable[[bytes], tuple[int, int]]
    """The same before cropping: what a decoder takes memory for."""


@attrs.frozen(eq=False)
class AccessUnit:
    """One picture: its NAL units, parameter sets in front of every key frame, `pts` in 1/90000 s of the hub's clock."""

    codec: VideoCodec
    units: tuple[bytes, ...]
    pts: int
    key: bool
    size: int
    """Bytes of all its NAL units."""

    @property
    def weight(self) -> int:
        """Bytes of memory, about: each NAL unit is an object of its own, however short it is."""
        return self.size + UNIT_WEIGHT * len(self.units)

    def annexb(self) -> bytes:
        return join_annexb(self.units)


@attrs.frozen
class AudioFormat:
    codec: str
    """`opus`, `pcmu` and `pcma` reach viewers as they are; `aac` does by way of a transcoder."""
    rate: int
    """Samples a second of the coded sound, which is the clock of its RTP time stamps."""
    channels: int
    config: bytes = b""
    """AudioSpecificConfig (ISO/IEC 14496-3) for AAC."""


@attrs.frozen(eq=False)
class AudioFrame:
    """What one RTP packet of sound carries; `pts` as of `AccessUnit`: one clock for both."""

    format: AudioFormat
    data: bytes
    pts: int


@attrs.define
class SourceLoss:
    """What did not arrive, or not as it should, on the way from a camera; counted as long as its hub lives."""

    lost: int = 0
    """Packets that never came, by their sequence numbers."""
    reordered: int = 0
    """Packets that came late, and in time to be put back in their place."""
    late: int = 0
    """Packets that came twice, or too late."""
    malformed: int = 0
    """Packets that the standards do not know."""
    skipped: int = 0
    """Pictures that were not whole, or depend on one that was not."""
