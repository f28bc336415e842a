"""The data that flows from a source through the hub to the viewers: access units of video, frames of audio."""

from collections import Counter
from collections.abc import Callable, Iterable

import attrs

from .bitstream import START_CODE
from .oddities import Oddity

CLOCK_RATE = 90_000
"""Ticks per second of all time stamps between source and viewer (RFC 6184, section 8.1)."""


ENCODE_VIDEO = "-c:v libx264 -tune zerolatency -pix_fmt yuv420p -g 60"
"""Arguments of ffmpeg that are recommended for a video codec that cannot be passed on: no B-frames, any decoder."""
AUDIO_OFF = "its audio is off in the configuration"
"""Why a camera with `audio: off` has no audio, for people."""
UNIT_WEIGHT = 64
"""Bytes of memory for a NAL unit beside its content: 33 for its object, 8 for its tuple entry, malloc's overhead."""


@attrs.frozen(eq=False)
class VideoCodec:
    """The properties of a codec that passing it on requires. One instance for each codec: compared by identity."""

    name: str
    header: int
    """Bytes of a NAL unit's header."""
    nal_type: Callable[[bytes], int]
    key_types: frozenset[int]
    """NAL unit types that make an access unit a key frame."""
    set_types: tuple[int, ...]
    """NAL unit types of the parameter sets, in the order in which they precede a key frame."""
    sps_type: int
    picture_size: Callable[[bytes], tuple[int, int]]
    """Width and height in pixels as an SPS declares them, after cropping. Raises `BitstreamError`."""
    coded_size: Callable[[bytes], tuple[int, int]]
    """The same before cropping: the size for which a decoder allocates memory."""
    check_set: Callable[[bytes], None]
    """Raises `BitstreamError` for a parameter set that ends early, or that no video can have."""
    start: bytes = START_CODE
    """The bytes in front of each unit in a stream. JPEG, and MPEG-4 with its own start codes, need nothing."""

    def join(self, units: Iterable[bytes]) -> bytes:
        """Return the bytes of an access unit: Annex B for H.264 and H.265."""
        return b"".join(self.start + unit for unit in units)


@attrs.frozen(eq=False)
class AccessUnit:
    """One access unit: its NAL units and its times. Key frames carry parameter sets.

    `pts` and `dts` are in 1/90000 s of the hub's clock. Access units arrive in the order of their decode times; with
    B-frames, they are presented in another order.
    """

    codec: VideoCodec
    units: tuple[bytes, ...]
    pts: int
    """Presentation time. No two access units of a connection have the same one."""
    key: bool
    size: int
    """Bytes of all its NAL units."""
    dts: int
    """Decode time: larger than that of each earlier access unit."""
    arrived_ns: int = 0
    """When it arrived, in nanoseconds of the monotonic clock."""
    connection: int = 0
    """The number of the source's connection in the life of the hub, from 1."""

    @property
    def weight(self) -> int:
        """Approximate bytes of memory: each NAL unit is a separate object, however short it is."""
        return self.size + UNIT_WEIGHT * len(self.units)

    @property
    def data(self) -> bytes:
        return self.codec.join(self.units)


@attrs.frozen
class AudioFormat:
    codec: str
    rate: int
    """Samples per second of the coded audio. Where viewers get it unchanged, that is its RTP clock rate."""
    channels: int
    config: bytes = b""
    """AudioSpecificConfig (ISO/IEC 14496-3) for AAC."""
    bits: int = 0
    """Bits per sample, where the codec leaves a choice: G.726."""

    @property
    def is_passed(self) -> bool:
        """Whether viewers get it unchanged; else it is transcoded to Opus."""
        return self.codec == "opus" or (self.codec in ("pcmu", "pcma") and (self.rate, self.channels) == (8000, 1))


@attrs.frozen(eq=False)
class AudioFrame:
    """The payload of one RTP packet of audio; `pts` uses the same clock as that of `AccessUnit`."""

    format: AudioFormat
    data: bytes
    pts: int


@attrs.define
class SourceLoss:
    """Packets and access units that were lost or damaged on the way from a camera; counted for the life of its hub."""

    lost: int = 0
    """Packets that never arrived, by their sequence numbers."""
    reordered: int = 0
    """Packets that arrived out of order, but early enough to be sorted."""
    late: int = 0
    """Packets that arrived twice, or too late."""
    malformed: int = 0
    """Packets that do not follow the standards."""
    skipped: int = 0
    """Access units that were incomplete, or that depend on an incomplete one."""
    oddities: Counter[Oddity] = attrs.field(factory=Counter)
    """How often each was met."""

    def meet(self, oddity: Oddity) -> None:
        self.oddities[oddity] += 1
