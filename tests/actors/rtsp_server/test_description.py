"""Descriptions for readers: what banken's own client reads in them is what the camera sends."""

import pytest

from actors.media.audio import make_aac
from actors.media.h264 import H264
from actors.media.h265 import H265
from actors.media.media import AudioFormat, VideoCodec
from actors.rtsp_server.description import AUDIO, VIDEO, audio_track, describe, video_track
from actors.sources.rtsp.audio_formats import read_audio
from actors.sources.rtsp.sdp import parse
from tests.kit.media import access_units, h265_units

FORMATS = [
    AudioFormat("pcmu", 8000, 1),
    AudioFormat("pcma", 8000, 1),
    AudioFormat("pcma", 16_000, 2),
    AudioFormat("opus", 48_000, 2),
    AudioFormat("aac", 16_000, 1, make_aac(16_000, 1)),
    AudioFormat("aac", 48_000, 2, make_aac(48_000, 2)),
    AudioFormat("g722", 16_000, 1),
    AudioFormat("g726", 8000, 1, bits=4),
    AudioFormat("l16", 16_000, 1),
    AudioFormat("l24", 48_000, 2),
    AudioFormat("gsm", 8000, 1),
]


@pytest.mark.parametrize(("codec", "units"), [(H264, access_units()[0]), (H265, h265_units(64, 64)[0])])
def test_description_has_the_parameter_sets_of_the_video(codec: VideoCodec, units: tuple[bytes, ...]) -> None:
    """As `sprop` parameters, and with the profile of H.264."""
    (media,) = parse(describe("gate", (video_track(codec, units),), 1, "127.0.0.1")).media
    (known,) = media.formats()
    assert (media.kind, media.control) == ("video", "trackID=0")
    assert (known.encoding, known.clock_rate, known.oddities) == (codec.name.upper(), 90_000, frozenset())
    names = ["sprop-parameter-sets"] if codec is H264 else ["sprop-vps", "sprop-sps", "sprop-pps"]
    assert all(known.parameters.get(name) for name in names)


@pytest.mark.parametrize("audio", FORMATS, ids=lambda each: f"{each.codec}-{each.rate}-{each.channels}")
def test_description_of_audio_is_read_as_that_audio(audio: AudioFormat) -> None:
    """By the client that reads cameras."""
    track = audio_track(audio)
    assert track is not None
    video = video_track(H264, access_units()[0])
    (known,) = parse(describe("gate", (video, track), 1, "::1")).media[1].formats()
    read = read_audio(known)
    assert read is not None
    assert (read.audio, read.clock_rate) == (audio, track.rate)
    assert (video.number, track.number) == (VIDEO, AUDIO)


@pytest.mark.parametrize("codec", ["latm", "amr", "pcm"])
def test_audio_that_no_format_carries_has_no_track(codec: str) -> None:
    """It is left out, and the video stays."""
    assert audio_track(AudioFormat(codec, 8000, 1)) is None
