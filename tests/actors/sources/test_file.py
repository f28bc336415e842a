"""Files, read by a real ffmpeg: the output on the hub, and its timing."""

import os
import shutil
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import attrs
import av
import imageio_ffmpeg
import pytest
import trio

from actors.media.hub import Hub
from actors.media.media import AUDIO_OFF, CLOCK_RATE, AccessUnit, AudioFrame
from actors.sources import KINDS, file
from supervisor.config.config import Source
from supervisor.domain import events as e
from supervisor.domain.values import Fault, Reason
from tests.actors.process.test_child import tools
from tests.kit.core import open_core
from tests.kit.domain import GATE
from tests.kit.media import FPS, decode, follow, pitch, tone
from tests.kit.patience import give_up_after

BUNDLED = str(imageio_ffmpeg.get_ffmpeg_exe())
PROGRAMS = sorted({BUNDLED, shutil.which("ffmpeg") or BUNDLED})
"""Debian's ffmpeg is older, and muxes neither H.265 nor Opus into FLV."""


def write_clip(path: Path, video: str = "libx264", sound: str = "", rate: int = 48_000, b_frames: int = 0) -> Path:
    """Write a clip of two seconds, which brightens from second to second."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream(video, rate=FPS)
        assert isinstance(pictures, av.VideoStream)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 64, "yuv420p"
        pictures.codec_context.gop_size, pictures.codec_context.max_b_frames = FPS, b_frames
        pictures.codec_context.options = {"x265-params": f"log-level=none:bframes={b_frames}:pools=1"}
        layout = "mono" if sound.startswith("pcm") else "stereo"
        heard = container.add_stream(sound, rate=rate, layout=layout) if sound else None
        for index in range(2 * FPS):
            frame = av.VideoFrame(64, 64, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([index * 10]) * plane.buffer_size)
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode(None))
        if heard is not None:
            assert isinstance(heard, av.AudioStream)
            for chunk in tone(2, rate):
                container.mux(heard.encode(chunk))
            container.mux(heard.encode(None))
    return path


@attrs.define
class Played:
    units: list[AccessUnit]
    sounds: list[AudioFrame]
    children: list[str]
    """The purposes of the started children, in order."""
    mute: str
    """Why there is no audio."""


async def play(path: Path, ffmpeg: str, pictures: int = 8, sounds: int = 0, wants_audio: bool = True) -> Played:
    """Play a file until `pictures` access units and `sounds` audio frames have arrived."""
    async with open_core() as core:
        hub = Hub(core.kernel.clock)
        child_tools = attrs.evolve(tools(core), ffmpeg=ffmpeg)
        source = Source("file", f"file://{path}", audio=wants_audio)
        units: list[AccessUnit] = []
        with give_up_after(15):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(KINDS["file"].run, GATE, source, hub, child_tools)
                viewer = hub.subscribe()
                while len(units) < pictures:
                    units.append((await follow(hub, viewer))[0])
                while hub.audio_frames.end < sounds:
                    await hub.audio_frames.wait_beyond(hub.audio_frames.end)
                nursery.cancel_scope.cancel()
        children = [row.event.purpose for row in await core.stored() if isinstance(row.event, e.ChildStarting)]
        assert hub.picture is not None
        return Played(units, hub.audio_frames.read_nowait(hub.audio_frames.start, 1000), children, hub.picture.mute)


@pytest.mark.parametrize("ffmpeg", PROGRAMS)
async def test_a_film_with_aac(tmp_path: Path, ffmpeg: str) -> None:
    """Both pass unchanged; audio that began with the video stays aligned, and its frames are contiguous."""
    played = await play(write_clip(tmp_path / "clip.mp4", sound="aac"), ffmpeg, sounds=40)
    assert played.children == ["inspector", "source"]
    assert {(sound.format.codec, sound.format.rate) for sound in played.sounds} == {("aac", 48_000)}
    steps = {later.pts - earlier.pts for earlier, later in pairwise(played.sounds)}
    assert steps == {1024 * CLOCK_RATE // 48_000}
    assert abs(played.sounds[0].pts - played.units[0].pts) <= 0.04 * CLOCK_RATE
    heard = decode("aac", (sound.data for sound in played.sounds), played.sounds[0].format.config)
    assert pitch(heard[4:]) == pytest.approx(1000, abs=3)


@pytest.mark.parametrize("ffmpeg", PROGRAMS)
@pytest.mark.parametrize(
    ("name", "sound", "rate"),
    [("clip.mov", "pcm_mulaw", 8000), ("clip.mkv", "libopus", 48_000), ("clip.avi", "mp3", 44_100)],
)
async def test_file_with_other_audio_loses_no_access_unit(
    tmp_path: Path, ffmpeg: str, name: str, sound: str, rate: int
) -> None:
    """The audio passes unchanged or as AAC; no access unit is lost."""
    played = await play(write_clip(tmp_path / name, sound=sound, rate=rate), ffmpeg, sounds=20)
    as_it_is = {"pcm_mulaw": "pcmu", "libopus": "opus" if ffmpeg == BUNDLED else "aac", "mp3": "aac"}
    assert {sound.format.codec for sound in played.sounds} == {as_it_is[sound]}


@pytest.mark.parametrize("ffmpeg", PROGRAMS)
async def test_audio_of_a_file_that_is_off_is_left_out(tmp_path: Path, ffmpeg: str) -> None:
    """Its video plays, and the reason names the configuration."""
    played = await play(write_clip(tmp_path / "clip.mp4", sound="aac"), ffmpeg, pictures=15, wants_audio=False)
    assert (played.sounds, played.mute) == ([], AUDIO_OFF)


@pytest.mark.parametrize("ffmpeg", PROGRAMS)
async def test_a_film_in_h265(tmp_path: Path, ffmpeg: str) -> None:
    """H.265 without B-frames passes unchanged; it is re-encoded for an ffmpeg that cannot mux it."""
    played = await play(write_clip(tmp_path / "clip.mp4", "libx265"), ffmpeg)
    can = ffmpeg == BUNDLED
    assert {unit.codec.name for unit in played.units} == {"h265" if can else "h264"}
    assert played.children == ["inspector", "source", *([] if can else ["source"])]


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
async def test_b_frames_are_re_encoded(tmp_path: Path, codec: str) -> None:
    """A viewer cannot decode B-frames over WebRTC: the output is H.264, of both codecs."""
    played = await play(write_clip(tmp_path / "clip.mkv", codec, b_frames=2), BUNDLED)
    assert {unit.codec.name for unit in played.units} == {"h264"}
    assert played.children == ["inspector", "source"]


async def ends(path: Path) -> tuple[Reason, list[str]]:
    """Return why the source of a file ends, and the journaled events of its children."""
    async with open_core() as core:
        hub, source = Hub(core.kernel.clock), Source("file", f"file://{path}")
        with give_up_after(15):
            ended = await KINDS["file"].run(GATE, source, hub, tools(core))
        await core.stored()
        assert not core.kernel.state.children
        return ended, core.types("child/")


@pytest.mark.parametrize(
    ("content", "says"), [(b"no video at all", "Invalid data"), (b"", "Invalid data"), (None, "No such")]
)
async def test_file_that_is_no_video_ends_with_the_reason(tmp_path: Path, content: bytes | None, says: str) -> None:
    """The probing child reports the reason; no ffmpeg is started for the file."""
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    ended, types = await ends(path)
    assert (ended.code, ended.fault, says in ended.text) == ("bad-data", Fault.FATAL, True), ended
    assert types == ["ChildStarting", "ChildStarted", "ChildEnded"]


async def test_film_without_video_ends_with_the_reason(tmp_path: Path) -> None:
    """A file with audio alone cannot be shown."""
    path = tmp_path / "sound.mka"
    with av.open(str(path), "w") as container:
        heard = container.add_stream("libopus", rate=48_000, layout="stereo")
        assert isinstance(heard, av.AudioStream)
        for chunk in tone(1):
            container.mux(heard.encode(chunk))
        container.mux(heard.encode(None))
    ended, _ = await ends(path)
    assert (ended.code, ended.fault) == ("no-video", Fault.FATAL)


async def test_file_that_does_not_answer_is_given_up_and_its_child_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe without a writer hangs like a network drive; neither the loop nor other files wait for it."""
    monkeypatch.setattr(file, "INSPECTION_S", 0.5)
    path = tmp_path / "pipe.mp4"
    os.mkfifo(path)
    ended, types = await ends(path)
    assert (ended.code, ended.fault) == ("timeout", Fault.TEMPORARY)
    assert types[-2:] == ["ChildStopping", "ChildEnded"]
