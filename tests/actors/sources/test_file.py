"""Files, read by a real ffmpeg: what reaches the hub, and when."""

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

from actors.hub import Hub
from actors.media import CLOCK_RATE, AccessUnit, AudioFrame
from actors.sources import KINDS, file
from supervisor.config import Source
from supervisor.domain import events as e
from supervisor.domain.values import Fault, Reason
from tests.actors.test_child import tools
from tests.kit.core import open_core
from tests.kit.domain import GATE
from tests.kit.media import FPS, decode, follow, pitch, tone

BUNDLED = str(imageio_ffmpeg.get_ffmpeg_exe())
PROGRAMS = sorted({BUNDLED, shutil.which("ffmpeg") or BUNDLED})
"""Debian's is older, and puts neither H.265 nor Opus into FLV."""


def write_clip(path: Path, video: str = "libx264", sound: str = "", rate: int = 48_000, b_frames: int = 0) -> Path:
    """Two seconds. The picture brightens from second to second."""
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
    """The purposes of the children that were started, in order."""


async def play(path: Path, ffmpeg: str, pictures: int = 8, sounds: int = 0) -> Played:
    """Play a file until so many pictures and frames of sound have come."""
    async with open_core() as core:
        hub = Hub(core.kernel.clock)
        hands = attrs.evolve(tools(core), ffmpeg=ffmpeg)
        source = Source("file", f"file://{path}")
        units: list[AccessUnit] = []
        with trio.fail_after(15):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(KINDS["file"].run, GATE, source, hub, hands, core.disk.rows[-1])
                viewer = hub.subscribe()
                while len(units) < pictures:
                    units.append((await follow(hub, viewer))[0])
                while hub.sounds.end < sounds:
                    await hub.sounds.wait_beyond(hub.sounds.end)
                nursery.cancel_scope.cancel()
        children = [row.event.purpose for row in await core.stored() if isinstance(row.event, e.ChildStarting)]
        return Played(units, hub.sounds.read_nowait(hub.sounds.start, 1000), children)


@pytest.mark.parametrize("ffmpeg", PROGRAMS)
async def test_a_film_with_aac(tmp_path: Path, ffmpeg: str) -> None:
    """Both as they are; sound that began with the picture stays with it, and its frames follow one another."""
    played = await play(write_clip(tmp_path / "clip.mp4", sound="aac"), ffmpeg, sounds=40)
    assert played.children == ["probe", "source"]
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
async def test_a_film_with_other_sound(tmp_path: Path, ffmpeg: str, name: str, sound: str, rate: int) -> None:
    """It is carried as it is, or as AAC; it costs no picture."""
    played = await play(write_clip(tmp_path / name, sound=sound, rate=rate), ffmpeg, sounds=20)
    as_it_is = {"pcm_mulaw": "pcmu", "libopus": "opus" if ffmpeg == BUNDLED else "aac", "mp3": "aac"}
    assert {sound.format.codec for sound in played.sounds} == {as_it_is[sound]}


@pytest.mark.parametrize("ffmpeg", PROGRAMS)
async def test_a_film_in_h265(tmp_path: Path, ffmpeg: str) -> None:
    """As it is, without B-frames; by an ffmpeg that cannot write it, re-encoded."""
    played = await play(write_clip(tmp_path / "clip.mp4", "libx265"), ffmpeg)
    can = ffmpeg == BUNDLED
    assert {unit.codec.name for unit in played.units} == {"h265" if can else "h264"}
    assert played.children == ["probe", "source", *([] if can else ["source"])]


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
async def test_b_frames_are_re_encoded(tmp_path: Path, codec: str) -> None:
    played = await play(write_clip(tmp_path / "clip.mkv", codec, b_frames=2), BUNDLED)
    assert {unit.codec.name for unit in played.units} == {"h264"}
    assert played.children == ["probe", "source"]


async def ends(path: Path) -> tuple[Reason, list[str]]:
    """Why the source of a file ends by itself, and which events the journal has of children."""
    async with open_core() as core:
        hub, source = Hub(core.kernel.clock), Source("file", f"file://{path}")
        with trio.fail_after(15):
            ended = await KINDS["file"].run(GATE, source, hub, tools(core), core.disk.rows[-1])
        await core.stored()
        assert not core.kernel.state.children
        return ended, core.types("child/")


@pytest.mark.parametrize(
    ("content", "says"), [(b"no video at all", "Invalid data"), (b"", "Invalid data"), (None, "No such")]
)
async def test_file_that_is_no_video_ends_with_the_reason(tmp_path: Path, content: bytes | None, says: str) -> None:
    """The child that looked into it says why; no ffmpeg is started for it."""
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    ended, types = await ends(path)
    assert (ended.code, ended.fault, says in ended.text) == ("bad-data", Fault.FATAL, True), ended
    assert types == ["ChildStarting", "ChildStarted", "ChildEnded"]


async def test_film_without_video_ends_with_the_reason(tmp_path: Path) -> None:
    """Sound alone is shown by nothing."""
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
    """A pipe without a writer hangs as a network drive does; the loop and other files do not wait for it."""
    monkeypatch.setattr(file, "PROBE_S", 0.5)
    path = tmp_path / "pipe.mp4"
    os.mkfifo(path)
    ended, types = await ends(path)
    assert (ended.code, ended.fault) == ("timeout", Fault.TEMPORARY)
    assert types[-2:] == ["ChildStopping", "ChildEnded"]
