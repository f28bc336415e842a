"""FLV from ffmpeg, regardless of how the bytes are split."""

import random
from itertools import islice

import pytest

from actors.media.audio import OPUS
from actors.media.bitstream import MAX_UNITS, BitstreamError, split_prefixed
from actors.media.flv import MAX_TAG, Announced, AudioSample, FlvDemuxer, Item, Sample, Sets, UnsupportedCodec
from actors.media.h264 import H264
from actors.media.h265 import H265
from actors.media.media import AudioFormat
from tests.kit.media import (
    AAC_CONFIG,
    FPS,
    aac_frames,
    access_units,
    audio_tag,
    flv,
    flv_of_h265,
    flv_with_audio,
    h265_units,
    video_tag,
    without_sets,
)


@pytest.mark.parametrize("step", [1, 7, 188, 100_000])
def test_samples_come_out_whole_however_they_came_in(step: int) -> None:
    """Steps of 1, 7, 188 and 100,000 bytes give the same parameter sets and samples."""
    stream, demuxer = b"".join(flv()), FlvDemuxer()
    samples: list[Item] = []
    for at in range(0, len(stream), step):
        samples += demuxer.feed(stream[at : at + step])
    pictures = [
        Sample(index * 1000 // FPS, index * 1000 // FPS, without_sets(units))
        for index, units in enumerate(access_units())
    ]
    assert samples == [Sets(H264, access_units()[0][:2]), *pictures]


def test_times_beyond_24_bits() -> None:
    """After 4.6 hours the upper byte is in another position."""
    head, configuration, picture = list(flv(count=1))
    late = video_tag(0x01_000_002, picture[11:-4])
    _, sample = FlvDemuxer().feed(head + configuration + late)
    assert isinstance(sample, Sample)
    assert sample.pts_ms == 0x01_000_002


@pytest.mark.parametrize(
    ("body", "name"), [(b"\x22\x01\x00\x00\x00", "h263"), (b"\x90av01\x00", "av1"), (b"\x90what\x00", "unknown")]
)
def test_other_codecs_are_named(body: bytes, name: str) -> None:
    """H.263, AV1 and an unknown FourCC: `UnsupportedCodec` carries the name."""
    head = next(flv(count=1))
    with pytest.raises(UnsupportedCodec, match=name):
        list(FlvDemuxer().feed(head + video_tag(0, body)))


def heard(*bodies: bytes) -> list[Item]:
    """Return the result of audio tags with these bodies, 20 ms apart."""
    return list(
        FlvDemuxer().feed(next(flv(count=1)) + b"".join(audio_tag(20 * i, body) for i, body in enumerate(bodies)))
    )


def test_h265_in_the_enhanced_header() -> None:
    """It works with and without a composition offset."""
    pictures = h265_units(64, 64, 3)
    sets, *samples = FlvDemuxer().feed(b"".join(flv_of_h265()))
    assert sets == Sets(H265, pictures[0][:3])
    shown = [tuple(unit for unit in units if unit not in pictures[0][:3]) for units in pictures]
    assert samples == [Sample(0, 0, shown[0], H265), Sample(105, 100, shown[1], H265), Sample(200, 200, shown[2], H265)]


def test_aac_is_announced_before_its_frames() -> None:
    """Only then does a consumer know the rate and the channels of the first frame."""
    items = list(FlvDemuxer().feed(b"".join(flv_with_audio(1))))
    assert items[1] == Announced(AudioFormat("aac", 48_000, 2, AAC_CONFIG))
    assert tuple(item.data for item in items if isinstance(item, AudioSample)) == aac_frames(1)


@pytest.mark.parametrize(
    ("bodies", "audio"),
    [
        ((b"\x82abc",), AudioFormat("pcmu", 8000, 1)),
        ((b"\x72abc",), AudioFormat("pcma", 8000, 1)),
        ((b"\x90OpusOpusHead", b"\x91Opusabc"), OPUS),
        ((b"\x90mp4a" + AAC_CONFIG, b"\x91mp4aabc"), AudioFormat("aac", 48_000, 2, AAC_CONFIG)),
    ],
)
def test_audio_that_flv_carries_is_announced_and_passed_on(bodies: tuple[bytes, ...], audio: AudioFormat) -> None:
    """G.711 of both laws in the old header; Opus and AAC in the enhanced header, after their configuration."""
    assert heard(*bodies) == [Announced(audio), AudioSample(20 * (len(bodies) - 1), b"abc")]


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"\x2fabc", "MP3"),
        (b"\x83abc", "G.711 in stereo"),
        (b"\x90fLaCabc", "FLAC"),
        (b"\x90whatabc", "of an unknown codec"),
        (b"\xaf\x00\xff\xff", "AAC of an unusual kind"),
        (b"\xaf\x00", "AAC of an unusual kind"),
    ],
)
def test_unsupported_audio_is_named_once_and_video_continues(body: bytes, name: str) -> None:
    """Two tags give one announcement without a format, and the video continues."""
    assert heard(body, body) == [Announced(None, f"the audio is {name}, which cannot be passed on")]


def test_frames_of_aac_that_was_never_announced_are_left_out() -> None:
    """Without its configuration the frame cannot be decoded."""
    assert heard(b"\xaf\x01abc") == []


def test_input_that_is_not_flv_is_an_error_at_its_first_bytes() -> None:
    """A page of HTML is an error at its first bytes."""
    with pytest.raises(BitstreamError, match="not FLV"):
        list(FlvDemuxer().feed(b"<html>not a stream</html>"))


def test_a_tag_beyond_the_bound_is_refused_before_it_is_gathered() -> None:
    """A header that announces 16 MiB is enough: no byte of the body is buffered."""
    head = next(flv(count=1))
    with pytest.raises(BitstreamError, match=f"at most {MAX_TAG} are allowed"):
        list(FlvDemuxer().feed(head + b"\x09\xff\xff\xff" + bytes(7)))


def picture_of(units: int) -> bytes:
    return video_tag(0, b"\x27\x01\x00\x00\x00" + b"\x00\x00\x00\x01\x41" * units)


def test_units_of_one_picture_are_bounded() -> None:
    """An access unit of 100,000 NAL units took 0.1 s of the loop."""
    head = b"".join(islice(flv(count=1), 2))
    (_, sample) = FlvDemuxer().feed(head + picture_of(MAX_UNITS))
    assert isinstance(sample, Sample)
    assert len(sample.units) == MAX_UNITS
    with pytest.raises(BitstreamError, match=f"more than {MAX_UNITS} NAL units"):
        list(FlvDemuxer().feed(head + picture_of(MAX_UNITS + 1)))
    with pytest.raises(BitstreamError, match=f"more than {MAX_UNITS} NAL units"):
        list(split_prefixed(bytes(1000 * MAX_UNITS), 4))


def test_damage_never_surprises() -> None:
    """Any flipped bit yields samples, or one of the two errors."""
    rng, stream = random.Random(2), b"".join([*flv_with_audio(1), *flv_of_h265()][:40])
    for _ in range(3000):
        damaged = bytearray(stream)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        try:
            list(FlvDemuxer().feed(damaged))
        except (BitstreamError, UnsupportedCodec):
            continue
