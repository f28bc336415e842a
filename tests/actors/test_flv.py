"""FLV from ffmpeg, in whatever pieces it comes."""

import random

import pytest

from actors.bitstream import BitstreamError
from actors.flv import MAX_TAG, FlvDemuxer, Sample, UnsupportedCodec
from tests.kit.media import FPS, access_units, flv, video_tag, without_sets


@pytest.mark.parametrize("step", [1, 7, 188, 100_000])
def test_samples_come_out_whole_however_they_came_in(step: int) -> None:
    stream, demuxer, samples = b"".join(flv()), FlvDemuxer(), []
    for at in range(0, len(stream), step):
        samples += demuxer.feed(stream[at : at + step])
    assert samples == [Sample(index * 1000 // FPS, without_sets(units)) for index, units in enumerate(access_units())]
    assert demuxer.parameter_sets == access_units()[0][:2]


def test_times_beyond_24_bits() -> None:
    """After 4.6 hours the upper byte stands elsewhere."""
    head, configuration, picture = list(flv(count=1))
    late = video_tag(0x01_000_002, picture[11:-4])
    (sample,) = FlvDemuxer().feed(head + configuration + late)
    assert sample.pts_ms == 0x01_000_002


@pytest.mark.parametrize(
    ("body", "name"), [(b"\x22\x01\x00\x00\x00", "h263"), (b"\x90hvc1\x00", "h265"), (b"\x90av01\x00", "av1")]
)
def test_other_codecs_are_named(body: bytes, name: str) -> None:
    head = next(flv(count=1))
    with pytest.raises(UnsupportedCodec, match=name):
        list(FlvDemuxer().feed(head + video_tag(0, body)))


def test_what_is_not_flv_is_said_at_once() -> None:
    with pytest.raises(BitstreamError, match="not FLV"):
        list(FlvDemuxer().feed(b"<html>not a stream</html>"))


def test_a_tag_beyond_the_bound_is_refused_before_it_is_gathered() -> None:
    head = next(flv(count=1))
    with pytest.raises(BitstreamError, match=f"{MAX_TAG} are the most"):
        list(FlvDemuxer().feed(head + b"\x09\xff\xff\xff" + bytes(7)))


def test_damage_never_surprises() -> None:
    """A flipped bit anywhere: samples, or one of the two errors."""
    rng, stream = random.Random(2), b"".join(flv(count=5))
    for _ in range(3000):
        damaged = bytearray(stream)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        try:
            list(FlvDemuxer().feed(damaged))
        except (BitstreamError, UnsupportedCodec):
            continue
