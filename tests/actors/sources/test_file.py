"""Files, read by a real ffmpeg: what reaches the hub, and when."""

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
from actors.sources import KINDS
from supervisor.config import Source
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
    types: list[str]
    """What the journal says, in order."""


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
        rows = [row.type for row in await core.stored()]
        return Played(units, hub.sounds.read_nowait(hub.sounds.start, 1000), rows)


@pytest.mark.parametrize("ffmpeg", PROGRAMS)
async def test_a_film_with_aac(tmp_path: Path, ffmpeg: str) -> None:
    """Both as they are; sound that began with the picture stays with it, and its frames follow one another."""
    played = await play(write_clip(tmp_path / "clip.mp4", sound="aac"), ffmpeg, sounds=40)
    assert played.types.count("ChildStarting") == 1
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
    assert played.types.count("ChildStarting") == (1 if can else 2)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
async def test_b_frames_are_re_encoded(tmp_path: Path, codec: str) -> None:
    played = await play(write_clip(tmp_path / "clip.mkv", codec, b_frames=2), BUNDLED)
    assert {unit.codec.name for unit in played.units} == {"h264"}
    assert played.types.count("ChildStarting") == 1
