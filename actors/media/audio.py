"""Reads from coded audio only what passing it on requires: the length of a frame, and AAC's configuration. Pure.

Source: ISO/IEC 14496-3, sections 1.6.2.1 (AudioSpecificConfig), 1.7.3 (StreamMuxConfig) and 1.A.2 (ADTS); ISO/IEC
11172-3 and 13818-3, section 2.4.2.3 (MPEG audio); RFC 6716, section 3 (Opus).
"""

import struct
from collections.abc import Iterator

import attrs

from .bitstream import Bits, BitstreamError
from .media import CLOCK_RATE, AudioFormat

OPUS = AudioFormat("opus", 48_000, 2)
"""RFC 7587, section 4.1: the clock rate is always 48,000, and receivers expect two channels."""

_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
_SBR, _PS, _ESCAPE = 5, 29, 31
_OPUS_SAMPLES = (*(480, 960, 1920, 2880) * 3, *(480, 960) * 2, *(120, 240, 480, 960) * 4)
"""Samples of one Opus frame by its configuration number (table 2)."""

_KILOBITS = {
    1: (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    4: (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    5: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates by index, from 1: of layers 1 to 3; then, for half the sample rates, of layer 1, and of layers 2 and 3."""


def parse_aac(config: bytes) -> AudioFormat:
    """Return the format that an AudioSpecificConfig announces, with the rate and channels of its core.

    Raises `BitstreamError` for formats that cameras do not send: object types above 4, whose frames may hold another
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


def make_aac(rate: int, channels: int) -> bytes:
    """Return the AudioSpecificConfig of AAC-LC with this rate in Hz and 1 to 15 channels."""
    index = _RATES.index(rate) if rate in _RATES else 15
    if index < 15:
        return (2 << 11 | index << 7 | channels << 3).to_bytes(2)
    return (2 << 35 | index << 31 | rate << 7 | channels << 3).to_bytes(5)


def parse_latm(mux: bytes) -> tuple[bytes, int]:
    """Return the AudioSpecificConfig of a StreamMuxConfig, with bits behind it, and the frames in one element.

    Raises `BitstreamError` for several programs or layers, and for later versions.
    """
    if len(mux) < 4 or mux[0] & 0x80 or int.from_bytes(mux[:2]) >> 1 & 0x7F:
        raise BitstreamError("LATM with several programs or layers")
    head = 15
    kept = (int.from_bytes(mux) << head) & ((1 << 8 * len(mux)) - 1)
    return kept.to_bytes(len(mux))[:-1], (mux[0] & 0x3F) + 1


def is_adts(data: bytes, at: int = 0) -> bool:
    """Return whether an ADTS header begins at `at`. No frame of AAC without one begins like this."""
    return len(data) >= at + 7 and data[at] == 0xFF and data[at + 1] & 0xF6 == 0xF0


def split_adts(data: bytes) -> Iterator[bytes]:
    """Yield the frames of AAC in ADTS, without headers; the rest is left out when a header is wrong."""
    at = 0
    while is_adts(data, at):
        end = at + ((data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5)
        body = at + (7 if data[at + 1] & 1 else 9)
        if not body < end <= len(data):
            return
        yield data[body:end]
        at = end


def make_speex(rate: int) -> bytes:
    """Return the header that a decoder of Speex expects, for one frame of 20 ms in each packet."""
    mode = 2 if rate > 16_000 else 1 if rate > 8000 else 0
    fields = (1, 80, rate, mode, 4, 1, -1, 160 << mode, 0, 1, 0, 0, 0)
    return b"Speex   " + b"1.2".ljust(20, b"\0") + struct.pack("<13i", *fields)


@attrs.frozen
class MpegFrame:
    """The header of a frame of MPEG audio: bytes of the frame, samples in it, and samples per second."""

    size: int
    samples: int
    rate: int


def parse_mpeg(data: bytes, at: int = 0) -> MpegFrame | None:
    """Read the header of a frame of layer 1, 2 or 3; None for anything else, also for a free bit rate."""
    if len(data) < at + 4 or data[at] != 0xFF or data[at + 1] & 0xE0 != 0xE0:
        return None
    version, layer, padding = data[at + 1] >> 3 & 3, 4 - (data[at + 1] >> 1 & 3), data[at + 2] >> 1 & 1
    index, rate = data[at + 2] >> 4, data[at + 2] >> 2 & 3
    if version == 1 or layer == 4 or rate == 3 or index in (0, 15):
        return None
    per_second = (44_100, 48_000, 32_000)[rate] >> (0 if version == 3 else 1 if version == 2 else 2)
    bits = _KILOBITS[layer if version == 3 else 4 if layer == 1 else 5][index - 1] * 1000
    if layer == 1:
        return MpegFrame((12 * bits // per_second + padding) * 4, 384, per_second)
    samples = 576 if layer == 3 and version != 3 else 1152
    return MpegFrame(samples // 8 * bits // per_second + padding, samples, per_second)


def _object_type(bits: Bits) -> int:
    kind = bits.u(5)
    return 32 + bits.u(6) if kind == _ESCAPE else kind


def samples_of(audio: AudioFormat, frame: bytes) -> int:
    """Return the number of samples in a frame, at `audio.rate`; 0 if it is damaged."""
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
    """Time stamps that count samples while they stay close to the container's time stamps.

    Containers round to milliseconds, and playback at 48,000 samples per second must not stutter because of it.
    """

    def __init__(self, rate: int, tolerance: int) -> None:
        """`tolerance` is in 1/90000 s."""
        self._rate, self._tolerance = rate, tolerance
        self._anchor: int | None = None
        self._samples = 0

    def stamp(self, told: int, samples: int) -> int:
        """Return the time, in 1/90000 s, of a frame of `samples` whose time stamp in the container is `told`."""
        if self._anchor is not None:
            counted = self._anchor + self._samples * CLOCK_RATE // self._rate
            if abs(counted - told) <= self._tolerance:
                self._samples += samples
                return counted
        self._anchor, self._samples = told, samples
        return told
