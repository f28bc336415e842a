"""AAC to Opus by a real ffmpeg: the output, its timing, and the small effect of the child's end."""

import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import attrs
import imageio_ffmpeg
import pytest
import trio
import trio.testing

from actors.media import transcoder
from actors.media.audio import parse_aac
from actors.media.hub import Hub
from actors.media.listeners import Listeners
from actors.media.media import CLOCK_RATE, AudioFormat, AudioFrame
from actors.media.transcoder import run_transcoder
from actors.sources import KINDS
from supervisor.base.ring_buffer import RingBuffer
from supervisor.config.config import Source
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.ids import PeerId
from supervisor.domain.values import Reason
from tests.actors.process.test_child import tools
from tests.actors.sources.test_file import write_clip
from tests.kit.core import Core, open_core
from tests.kit.domain import ASKED, GATE, peer
from tests.kit.media import FPS, aac_frames, decode, pitch, samples_in
from tests.kit.patience import give_up_after
from tests.kit.processes import read_process, wait_until
from tests.kit.tones import FORMATS, coded_tone

BUNDLED = str(imageio_ffmpeg.get_ffmpeg_exe())
PROGRAMS = sorted({BUNDLED, shutil.which("ffmpeg") or BUNDLED})
CONFIGS = {48_000: "1190", 16_000: "1410", 8000: "1590"}
BEGAN = 123_456_789


@attrs.define
class Studio:
    core: Core
    audio_frames: RingBuffer[AudioFrame]
    out: RingBuffer[AudioFrame]
    listeners: Listeners
    recorded: RingBuffer[AudioFrame] = attrs.field(factory=lambda: RingBuffer(256))

    def append(self, frames: tuple[bytes, ...], rate: int, began: int = BEGAN) -> None:
        audio = parse_aac(bytes.fromhex(CONFIGS[rate]))
        for index, frame in enumerate(frames):
            self.audio_frames.append(AudioFrame(audio, frame, began + index * 1024 * CLOCK_RATE // rate))

    async def play(self, frames: tuple[bytes, ...], rate: int = 48_000) -> int:
        """Start the child with the first frame, and send the others at once. Returns its pid."""
        await trio.testing.wait_all_tasks_blocked()
        self.append(frames[:1], rate)
        pid = await self.wait_child()
        self.append(frames[1:], rate, BEGAN + 1024 * CLOCK_RATE // rate)
        return pid

    async def take(self, count: int, position: int = 0) -> list[AudioFrame]:
        """Return the next `count` frames of Opus."""
        with give_up_after(60):
            while self.out.end < position + count:
                await self.out.wait_beyond(self.out.end)
        return self.out.read_nowait(position, count)

    def pid(self) -> int | None:
        """The pid of the child, once it has started."""
        return next((child.pid for child in self.core.kernel.state.children.values() if child.purpose == "audio"), None)

    async def wait_child(self, other_than: int | None = None) -> int:
        await wait_until(lambda: self.pid() not in (None, other_than), 60)
        pid = self.pid()
        assert pid is not None
        return pid

    async def wait_no_child(self) -> None:
        await wait_until(lambda: not self.core.kernel.state.children, 60)

    async def endings(self) -> list[Reason]:
        return [row.event.reason for row in await self.core.stored() if isinstance(row.event, e.ChildEnded)]


@asynccontextmanager
async def open_studio(ffmpeg: str = BUNDLED) -> AsyncIterator[Studio]:
    async with open_core() as core:
        studio = Studio(core, RingBuffer(256), RingBuffer(256), Listeners())
        child_tools = attrs.evolve(tools(core), ffmpeg=ffmpeg)
        async with trio.open_nursery() as nursery:
            rings = studio.audio_frames, studio.out, studio.recorded
            nursery.start_soon(run_transcoder, GATE, *rings, studio.listeners, child_tools)
            await trio.testing.wait_all_tasks_blocked()
            yield studio
            nursery.cancel_scope.cancel()
        assert not core.kernel.state.children


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten intervals of seconds to moments."""
    monkeypatch.setattr(transcoder, "LINGER_S", 0.05)
    monkeypatch.setattr(transcoder, "STUCK_S", 0.5)


def onset(frames: list[AudioFrame]) -> float:
    """Return when silent Opus becomes loud, in seconds from `BEGAN`."""
    samples = samples_in(decode("libopus", (frame.data for frame in frames)))
    loud = next(index for index, value in enumerate(samples) if abs(value) > 0.01)
    return (frames[0].pts - BEGAN) / CLOCK_RATE + loud / 48_000


@pytest.mark.parametrize("ffmpeg", PROGRAMS)
@pytest.mark.parametrize("rate", CONFIGS)
async def test_a_tone_stays_the_same_and_keeps_its_time(ffmpeg: str, rate: int) -> None:
    """The output is contiguous packets of 20 ms, aligned with the input."""
    silent = rate // 2048
    frames = aac_frames(2, rate, 440, silent)
    async with open_studio(ffmpeg) as studio:
        with studio.listeners.listen():
            await studio.play(frames, rate)
            out = await studio.take(75)
    assert {frame.format for frame in out} == {AudioFormat("opus", 48_000, 2)}
    assert {later.pts - earlier.pts for earlier, later in pairwise(out)} == {1800}
    before = samples_in(decode("aac", frames, bytes.fromhex(CONFIGS[rate])))
    was = next(index for index, value in enumerate(before) if abs(value) > 0.01) / rate
    assert onset(out) == pytest.approx(was, abs=0.003)
    assert pitch(decode("libopus", (frame.data for frame in out))[60:]) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("ffmpeg", PROGRAMS)
@pytest.mark.parametrize(
    "audio", FORMATS, ids=lambda audio: f"{audio.codec} {audio.rate}/{audio.channels} {audio.bits}"
)
async def test_every_codec_of_a_camera_is_heard(ffmpeg: str, audio: AudioFormat) -> None:
    """The tone comes out with its pitch, its time and no gap."""
    frames = coded_tone(audio)
    if audio.codec in ("mpa", "latm"):  # descriptions do not tell
        audio = attrs.evolve(audio, rate=48_000, channels=2)
    async with open_studio(ffmpeg) as studio:
        with studio.listeners.listen():
            await trio.testing.wait_all_tasks_blocked()
            for index, (frame, at) in enumerate(frames):
                studio.audio_frames.append(AudioFrame(audio, frame, BEGAN + round(at * CLOCK_RATE)))
                if index == 0:
                    await studio.wait_child()
            out = await studio.take(80)
    assert {later.pts - earlier.pts for earlier, later in pairwise(out)} == {1800}
    assert abs(out[0].pts - BEGAN) <= 3 * 1800
    assert pitch(decode("libopus", (frame.data for frame in out))[20:]) == pytest.approx(440, abs=2)


async def test_missing_audio_leaves_a_gap_of_its_length() -> None:
    """After a camera was away for three seconds, its audio is not three seconds early."""
    frames = aac_frames(2)
    back = BEGAN + 4 * CLOCK_RATE
    async with open_studio() as studio:
        with studio.listeners.listen():
            await studio.play(frames[:48])
            await studio.take(45)
            studio.append(frames, 48_000, back)
            out = await studio.take(140)
    late = [frame.pts for frame in out if frame.pts > BEGAN + 2 * CLOCK_RATE]
    assert late[0] == pytest.approx(back, abs=transcoder.TOLERANCE)
    assert late[40] == pytest.approx(back + (late[40] - late[0]), abs=transcoder.TOLERANCE)
    assert {later - earlier for earlier, later in pairwise(late)} == {1800}


async def test_without_listeners_there_is_no_child(hasty: None) -> None:
    """The child starts with the first listener, gives way to the daemon, and ends after the last."""
    async with open_studio() as studio:
        studio.append(aac_frames(1), 48_000)
        await trio.testing.wait_all_tasks_blocked()
        assert studio.pid() is None
        await studio.core.kernel.submit(peer("peer-1"))
        with studio.listeners.listen():
            pid = await studio.play(aac_frames(1))
            with studio.listeners.listen():
                await studio.take(10)
            assert studio.pid() == pid
            found = read_process(pid)
            assert found is not None
            assert found.nice == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 5)
            studio.core.kernel.emit(c.ReportPeerClosed(PeerId("peer-1"), ASKED))
        await studio.wait_no_child()
        assert read_process(pid) is None
        assert [reason.code for reason in await studio.endings()] == ["unused"]
        rows = {row.type: row for row in await studio.core.stored()}
        assert rows["ChildStarting"].cause == rows["PeerOpened"].seq
        assert rows["ChildStopping"].cause == rows["PeerClosed"].seq


async def test_listener_that_returns_soon_uses_the_same_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next listener uses the same child process while it lingers."""
    monkeypatch.setattr(transcoder, "LINGER_S", 60)
    async with open_studio() as studio:
        with studio.listeners.listen():
            pid = await studio.play(aac_frames(1))
        await trio.testing.wait_all_tasks_blocked()
        with studio.listeners.listen():
            await studio.take(10)
            assert studio.pid() == pid


async def test_transcoder_ends_when_the_audio_format_changes() -> None:
    """It ends by itself, with all of its input processed; AAC at another rate gets another child."""
    async with open_studio() as studio:
        with studio.listeners.listen():
            await studio.play(aac_frames(1))
            studio.audio_frames.append(AudioFrame(AudioFormat("pcmu", 8000, 1), bytes(160), BEGAN + 2 * CLOCK_RATE))
            await studio.wait_no_child()
            assert [reason.code for reason in await studio.endings()] == ["ended"]
            await studio.take(46)
            await studio.play(aac_frames(1, 16_000), 16_000)
            assert studio.pid() is not None


async def test_a_child_that_is_killed_is_replaced_and_no_picture_is_missed(tmp_path: Path) -> None:
    """After a backoff it continues with the newest audio; the camera's own child and its video continue."""
    clip = write_clip(tmp_path / "clip.mp4", sound="aac")
    async with open_core() as core, trio.open_nursery() as nursery:
        hub, listeners, out = Hub(core.kernel.clock), Listeners(), RingBuffer[AudioFrame](256)
        child_tools = attrs.evolve(tools(core), ffmpeg=BUNDLED)
        studio = Studio(core, hub.audio_frames, out, listeners)
        source = Source("file", f"file://{clip}")
        nursery.start_soon(KINDS["file"].run, GATE, source, hub, child_tools)
        rings = hub.audio_frames, out, hub.recorded_opus
        nursery.start_soon(run_transcoder, GATE, *rings, listeners, child_tools)
        with give_up_after(120), listeners.listen():
            await studio.take(10)
            first = await studio.wait_child()
            shown, since = hub.statistics().frames, trio.current_time()
            os.kill(first, signal.SIGKILL)
            second = await studio.wait_child(other_than=first)
            heard = await studio.take(10, position=out.end)
            assert hub.statistics().frames - shown >= int((trio.current_time() - since) * FPS) - 2
        newest = hub.units.read_nowait(hub.units.end - 1, 1)[0]
        assert abs(heard[-1].pts - newest.pts) < CLOCK_RATE
        assert second != first
        started = [row.event.purpose for row in await core.stored() if isinstance(row.event, e.ChildStarting)]
        assert sorted(started) == ["audio", "audio", "inspector", "source"]
        assert [reason.code for reason in await studio.endings()] == ["inspected", "killed"]
        await hub.wait_unit()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("reads", [True, False], ids=["reads and says nothing", "does not even read"])
async def test_a_child_that_is_stuck_is_replaced(hasty: None, tmp_path: Path, reads: bool) -> None:
    """Its input is not buffered; the ring buffer continues, and another child is tried after a backoff."""
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\n{'cat >/dev/null' if reads else 'exec sleep 60'}\n")
    program.chmod(0o755)
    async with open_studio(str(program)) as studio:
        with studio.listeners.listen():
            await studio.play(aac_frames(4))
            await wait_until(lambda: any(row.type == "ChildEnded" for row in studio.core.disk.rows), 60)
            assert [reason.code for reason in await studio.endings()] == ["stuck"]

            def started_again() -> bool:
                studio.append(aac_frames(1)[:1], 48_000)
                return studio.core.types("child/").count("ChildStarting") == 2

            await wait_until(started_again, 60)


async def test_a_program_that_cannot_be_started_is_tried_ever_more_rarely(autojump_clock: object) -> None:
    """In 120 s of audio there are five to ten attempts, all of them `not-started`."""
    async with open_studio("/nowhere/ffmpeg") as studio:
        with studio.listeners.listen(), trio.move_on_after(120):
            while True:
                studio.append(aac_frames(1)[:1], 48_000)
                await trio.sleep(0.02)
        assert 5 <= len(await studio.endings()) <= 10
        assert {reason.code for reason in await studio.endings()} == {"not-started"}


async def test_audio_that_viewers_get_unchanged_is_transcoded_only_for_a_recorder(hasty: None) -> None:
    """Viewers get none of it. The child ends with the recording, though a viewer stays."""
    audio = AudioFormat("pcmu", 8000, 1)
    frames = coded_tone(audio, 5)
    async with open_studio() as studio:
        position = 0

        def send(count: int) -> None:
            nonlocal position
            for frame, at in frames[position : position + count]:
                studio.audio_frames.append(AudioFrame(audio, frame, BEGAN + round(at * CLOCK_RATE)))
            position += count

        with studio.listeners.listen():
            await trio.testing.wait_all_tasks_blocked()
            send(10)
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert studio.pid() is None
            studio.listeners.join(records=True)
            send(1)
            await studio.wait_child()
            send(139)
            with give_up_after(60):
                while studio.recorded.end < 90:
                    await studio.recorded.wait_beyond(studio.recorded.end)
            studio.listeners.leave(records=True)
            send(10)
            await studio.wait_no_child()
            assert studio.listeners.count == 1
            send(10)
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert studio.pid() is None
    assert studio.out.end == 0
    heard = studio.recorded.read_nowait(0, 90)
    assert {frame.format for frame in heard} == {AudioFormat("opus", 48_000, 2)}
    assert pitch(decode("libopus", (frame.data for frame in heard))[20:]) == pytest.approx(440, abs=2)
