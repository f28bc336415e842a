"""What must be known of coded sound to pass it on: how long a frame lasts, what AAC says of itself. Pure.

Source: ISO/IEC 14496-3, section 1.6.2.1 (AudioSpecificConfig); RFC 6716, section 3 (Opus).
"""

from .bitstream import Bits, BitstreamError
from .media import CLOCK_RATE, AudioFormat

OPUS = AudioFormat("opus", 48_000, 2)
"""RFC 7587, section 4.1: its clock is always this, and whoever hears it expects two channels."""

_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
_SBR, _PS, _ESCAPE = 5, 29, 31
_OPUS_SAMPLES = (*(480, 960, 1920, 2880) * 3, *(480, 960) * 2, *(120, 240, 480, 960) * 4)
"""Samples of one Opus frame by its configuration number (table 2)."""


def parse_aac(config: bytes) -> AudioFormat:
    """The format that an AudioSpecificConfig announces, rate and channels those of its core.

    Raises `BitstreamError` for kinds that cameras do not send: object types above 4, whose frames may hold another
    number of samples, and rates and channels that are not in the table.
    """
    bits = Bits(config)
    kind, index, channels = _object_type(bits), bits.u(4), bits.u(4)
    if kind in (_SBR, _PS):
        if bits.u(4) == 15:
            bits.u(24)
        kind = _object_type(bits)
    if not (1 <= kind <= 4 and index < len(_RATES) and 1 <= channels <= 7):
        raise BitstreamError(f"AAC of object type {kind}, rate index {index}, {channels} channels")
    return AudioFormat("aac", _RATES[index], channels + (channels == 7), config)


def _object_type(bits: Bits) -> int:
    kind = bits.u(5)
    return 32 + bits.u(6) if kind == _ESCAPE else kind


def samples_of(audio: AudioFormat, frame: bytes) -> int:
    """How many samples of `audio.rate` a frame holds; 0 where it is damaged."""
    if audio.codec == "aac":
        return 1024
    if audio.codec in ("pcmu", "pcma"):
        return len(frame) // audio.channels
    if audio.codec == "opus" and frame:
        code = frame[0] & 3
        count = 1 if code == 0 else 2 if code < 3 else frame[1] & 0x3F if len(frame) > 1 else 0
        return count * _OPUS_SAMPLES[frame[0] >> 3]
    return 0


class SampleClock:
    """Time stamps that run by counting samples, for as long as what they are told is not too far off.

    Containers round to milliseconds; what is played at 48,000 samples a second must not stumble over that.
    """

    def __init__(self, rate: int, tolerance: int) -> None:
        """`tolerance` is in 1/90000 s."""
        self._rate, self._tolerance = rate, tolerance
        self._anchor: int | None = None
        self._samples = 0

    def stamp(self, told: int, samples: int) -> int:
        """The time, in 1/90000 s, of a frame of `samples` that is said to begin at `told`."""
        if self._anchor is not None:
            counted = self._anchor + self._samples * CLOCK_RATE // self._rate
            if abs(counted - told) <= self._tolerance:
                self._samples += samples
                return counted
        self._anchor, self._samples = told, samples
        return told
