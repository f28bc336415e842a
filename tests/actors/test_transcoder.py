"""AAC → Opus by a real ffmpeg: what comes out, when, and how little it matters what becomes of the child."""

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

from actors import transcoder
from actors.hub import Hub
from actors.listeners import Listeners
from actors.media import CLOCK_RATE, AudioFormat, AudioFrame
from actors.sound import parse_aac
from actors.sources import KINDS
from actors.transcoder import run_transcoder
from supervisor.config import Source
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.ids import PeerId
from supervisor.domain.values import Reason
from supervisor.tape import Tape
from tests.actors.sources.test_file import write_clip
from tests.actors.test_child import tools
from tests.kit.core import Core, open_core
from tests.kit.domain import ASKED, GATE, peer
from tests.kit.media import FPS, aac_frames, decode, pitch, samples_in
from tests.kit.processes import read_process, wait_until

BUNDLED = str(imageio_ffmpeg.get_ffmpeg_exe())
PROGRAMS = sorted({BUNDLED, shutil.which("ffmpeg") or BUNDLED})
CONFIGS = {48_000: "1190", 16_000: "1410", 8000: "1590"}
BEGAN = 123_456_789


@attrs.define
class Studio:
    core: Core
    sounds: Tape[AudioFrame]
    out: Tape[AudioFrame]
    listeners: Listeners

    def append(self, frames: tuple[bytes, ...], rate: int, began: int = BEGAN) -> None:
        audio = parse_aac(bytes.fromhex(CONFIGS[rate]))
        for index, frame in enumerate(frames):
            self.sounds.append(AudioFrame(audio, frame, began + index * 1024 * CLOCK_RATE // rate))

    async def play(self, frames: tuple[bytes, ...], rate: int = 48_000) -> int:
        """Let the child start with the first frame, and give it the others at once. Returns its pid."""
        await trio.testing.wait_all_tasks_blocked()
        self.append(frames[:1], rate)
        pid = await self.wait_child()
        self.append(frames[1:], rate, BEGAN + 1024 * CLOCK_RATE // rate)
        return pid

    async def take(self, count: int, position: int = 0) -> list[AudioFrame]:
        """So many frames of Opus."""
        with trio.fail_after(10):
            while self.out.end < position + count:
                await self.out.wait_beyond(self.out.end)
        return self.out.read_nowait(position, count)

    def pid(self) -> int | None:
        """Of the child, once it has started."""
        return next((child.pid for child in self.core.kernel.state.children.values() if child.purpose == "audio"), None)

    async def wait_child(self, other_than: int | None = None) -> int:
        await wait_until(lambda: self.pid() not in (None, other_than), 10)
        pid = self.pid()
        assert pid is not None
        return pid

    async def wait_no_child(self) -> None:
        await wait_until(lambda: not self.core.kernel.state.children, 10)

    def endings(self) -> list[Reason]:
        return [row.event.reason for row in self.core.disk.rows if isinstance(row.event, e.ChildEnded)]


@asynccontextmanager
async def open_studio(ffmpeg: str = BUNDLED) -> AsyncIterator[Studio]:
    async with open_core() as core:
        studio = Studio(core, Tape(256), Tape(256), Listeners())
        hands = attrs.evolve(tools(core), ffmpeg=ffmpeg)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_transcoder, GATE, studio.sounds, studio.out, studio.listeners, hands)
            await trio.testing.wait_all_tasks_blocked()
            yield studio
            nursery.cancel_scope.cancel()
        assert not core.kernel.state.children


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes seconds takes moments."""
    monkeypatch.setattr(transcoder, "LINGER_S", 0.05)
    monkeypatch.setattr(transcoder, "STUCK_S", 0.5)


def onset(frames: list[AudioFrame]) -> float:
    """When Opus that was silent becomes loud, in seconds from `BEGAN`."""
    samples = samples_in(decode("libopus", (frame.data for frame in frames)))
    loud = next(index for index, value in enumerate(samples) if abs(value) > 0.01)
    return (frames[0].pts - BEGAN) / CLOCK_RATE + loud / 48_000


@pytest.mark.parametrize("ffmpeg", PROGRAMS)
@pytest.mark.parametrize("rate", CONFIGS)
async def test_a_tone_stays_the_same_and_keeps_its_time(ffmpeg: str, rate: int) -> None:
    """Packets of 20 ms, one after the other; what was heard at a moment is heard at that moment still."""
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


async def test_what_never_came_leaves_a_gap() -> None:
    """A camera that was away for three seconds: what it says then is not said three seconds early."""
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
    """It comes with the first and goes after the last; the journal says for whom."""
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
            studio.core.kernel.emit(c.ReportPeerClosed(PeerId("peer-1"), ASKED))
        await studio.wait_no_child()
        assert read_process(pid) is None
        assert [reason.code for reason in studio.endings()] == ["unused"]
        rows = {row.type: row for row in await studio.core.stored()}
        assert rows["ChildStarting"].cause == rows["PeerOpened"].seq
        assert rows["ChildStopping"].cause == rows["PeerClosed"].seq


async def test_who_comes_back_soon_hears_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcoder, "LINGER_S", 60)
    async with open_studio() as studio:
        with studio.listeners.listen():
            pid = await studio.play(aac_frames(1))
        await trio.testing.wait_all_tasks_blocked()
        with studio.listeners.listen():
            await studio.take(10)
            assert studio.pid() == pid


async def test_sound_that_becomes_another_needs_no_child() -> None:
    """It ends by itself, with all that it was given; AAC at another rate gets another child."""
    async with open_studio() as studio:
        with studio.listeners.listen():
            await studio.play(aac_frames(1))
            studio.sounds.append(AudioFrame(AudioFormat("pcmu", 8000, 1), bytes(160), BEGAN + 2 * CLOCK_RATE))
            await studio.wait_no_child()
            assert [reason.code for reason in studio.endings()] == ["ended"]
            await studio.take(46)
            await studio.play(aac_frames(1, 16_000), 16_000)
            assert studio.pid() is not None


async def test_a_child_that_is_killed_is_replaced_and_no_picture_is_missed(tmp_path: Path) -> None:
    """After a backoff, from the newest sound on; the camera's own child and its pictures go on."""
    clip = write_clip(tmp_path / "clip.mp4", sound="aac")
    async with open_core() as core, trio.open_nursery() as nursery:
        hub, listeners, out = Hub(core.kernel.clock), Listeners(), Tape[AudioFrame](256)
        hands = attrs.evolve(tools(core), ffmpeg=BUNDLED)
        studio = Studio(core, hub.sounds, out, listeners)
        source = Source("file", f"file://{clip}")
        nursery.start_soon(KINDS["file"].run, GATE, source, hub, hands, core.disk.rows[-1])
        nursery.start_soon(run_transcoder, GATE, hub.sounds, out, listeners, hands)
        with trio.fail_after(20), listeners.listen():
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
        started = [row.event.purpose for row in core.disk.rows if isinstance(row.event, e.ChildStarting)]
        assert sorted(started) == ["audio", "audio", "probe", "source"]
        assert [reason.code for reason in studio.endings()] == ["probed", "killed"]
        await hub.wait_unit()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("reads", [True, False], ids=["reads and says nothing", "does not even read"])
async def test_a_child_that_is_stuck_is_replaced(hasty: None, tmp_path: Path, reads: bool) -> None:
    """Its sound is kept for nobody; the tape goes on, and another child is tried after a backoff."""
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\n{'cat >/dev/null' if reads else 'exec sleep 60'}\n")
    program.chmod(0o755)
    async with open_studio(str(program)) as studio:
        with studio.listeners.listen():
            await studio.play(aac_frames(4))
            await wait_until(lambda: bool(studio.endings()), 10)
            assert [reason.code for reason in studio.endings()] == ["stuck"]

            def started_again() -> bool:
                studio.append(aac_frames(1)[:1], 48_000)
                return studio.core.types("child/").count("ChildStarting") == 2

            await wait_until(started_again, 10)


async def test_a_program_that_cannot_be_started_is_tried_ever_more_rarely(autojump_clock: object) -> None:
    async with open_studio("/nowhere/ffmpeg") as studio:
        with studio.listeners.listen(), trio.move_on_after(120):
            while True:
                studio.append(aac_frames(1)[:1], 48_000)
                await trio.sleep(0.02)
        assert 5 <= len(studio.endings()) <= 10
        assert {reason.code for reason in studio.endings()} == {"not-started"}
