"""The formats of coded audio, and time that is counted in samples."""

import random
from itertools import pairwise

import pytest

from actors.media.audio import OPUS, SampleClock, parse_aac, samples_of
from actors.media.bitstream import BitstreamError
from actors.media.media import CLOCK_RATE, AudioFormat
from tests.kit.media import AAC_CONFIG


@pytest.mark.parametrize(
    ("config", "rate", "channels"),
    [
        (AAC_CONFIG, 48_000, 2),
        (bytes.fromhex("1408"), 16_000, 1),
        (bytes.fromhex("1588"), 8000, 1),
        (bytes.fromhex("2b118800"), 24_000, 2),  # HE-AAC: 24 kHz, doubled by the decoder
        (bytes.fromhex("11b8"), 48_000, 8),
    ],
)
def test_aac_configuration_gives_rate_and_channels(config: bytes, rate: int, channels: int) -> None:
    """Rates and channels of five configurations, HE-AAC and eight channels among them."""
    assert parse_aac(config) == AudioFormat("aac", rate, channels, config)


@pytest.mark.parametrize("config", ["", "11", "17801770", "1180", "b98c0000", "f8e62000"])
def test_aac_of_an_unusual_kind(config: str) -> None:
    """The cases: truncated, a rate outside the table, channels elsewhere, AAC-LD, AAC-ELD."""
    with pytest.raises(BitstreamError):
        parse_aac(bytes.fromhex(config))


@pytest.mark.parametrize(
    ("frame", "samples"),
    [
        ("fc", 960),
        ("fd", 1920),
        ("fe", 1920),
        ("ff03", 2880),
        ("ff", 0),
        ("", 0),
        ("e0", 120),
        ("18", 2880),
        ("60", 480),
    ],
)
def test_how_long_opus_lasts(frame: str, samples: int) -> None:
    """The TOC byte gives the samples at 48 kHz; a packet without a valid count of frames has 0."""
    assert samples_of(OPUS, bytes.fromhex(frame)) == samples


def test_duration_of_audio_frames_of_other_codecs() -> None:
    """G.711 has a sample for each byte; an AAC frame has 1024."""
    assert samples_of(AudioFormat("pcma", 8000, 1), bytes(160)) == 160
    assert samples_of(parse_aac(AAC_CONFIG), b"any") == 1024


def test_time_is_counted_and_milliseconds_do_not_show() -> None:
    """An hour of AAC with rounded times: every frame begins where the one before it ended."""
    clock = SampleClock(48_000, 900)
    stamps = [clock.stamp(round(index * 1024 / 48) * 90, 1024) for index in range(168_750)]
    assert {later - earlier for earlier, later in pairwise(stamps)} == {1920}


def test_a_leap_is_followed() -> None:
    """A deviation of 900 ticks, the tolerance, is smoothed; beyond it the container's time is taken."""
    clock = SampleClock(8000, 900)
    assert [clock.stamp(told, 160) for told in (0, 1800, 3600 + 900, 7200 + 901)] == [0, 1800, 3600, 7200 + 901]


def test_drift_is_followed_within_the_tolerance() -> None:
    """A source whose clock is 0.1 % off never deviates from its own time stamps by more than the tolerance."""
    clock = SampleClock(48_000, 900)
    for index in range(20_000):
        told = int(index * 1024 * CLOCK_RATE / 48_000 * 1.001)
        assert abs(clock.stamp(told, 1024) - told) <= 900


def test_damage_never_surprises() -> None:
    """5000 random inputs raise `BitstreamError` or give a rate of at least 7350 Hz."""
    rng = random.Random(3)
    for _ in range(5000):
        data = rng.randbytes(rng.randrange(12))
        samples_of(OPUS, data)
        try:
            assert parse_aac(data).rate >= 7350
        except BitstreamError:
            continue
