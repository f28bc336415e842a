"""Child processes with all known kinds of misbehavior, all at the same time, as cameras of one core.

One run serves the whole table: each row is then checked in the journal of that run.
"""

import os
from pathlib import Path

import attrs
import pytest
import trio

from actors.media.hub import STALL_S
from actors.process.child import LAST_WORDS_S, PATIENCE_S
from actors.process.process import MARK
from supervisor.config.config import Timeouts
from supervisor.domain import events as e
from supervisor.domain.ids import CameraId
from supervisor.domain.restart import backoff_s
from tests.kit.domain import RUN
from tests.kit.process_group import end_marked
from tests.kit.processes import descriptors, wait_until
from tests.kit.stage import JITTER, PLAIN, SECRET, open_stage
from tests.kit.stand_in import STREAMS_S
from tests.kit.tools import OWNER

pytestmark = pytest.mark.alone

FIRST_KEY_S = Timeouts().first_picture_s

STALL_SLACK_S = 1.0
START_SLACK_S = 2.5
"""Three dozen interpreters start on few cores."""
GATE_S = 5.0
"""For as long may the gate hold back a camera whose wait is over."""
LONGEST_S = 26.0
"""The run is over when every camera has been tried again; those that are not by then show in their rows."""
STOP_S = 5.0


@attrs.frozen
class Row:
    """The expected result of a part: the end of the first child process, and the reaction of the camera."""

    part: str
    code: str
    exit_code: int | None = None
    signal: str | None = None
    signals: tuple[str, ...] = ()
    """Those that were needed."""
    live: bool = False
    after_s: float = 0.0
    """From its start, or from the first picture where there was one, until it is lost."""
    says: str = ""
    """Text that the reason and the last output must contain."""
    plain: bool = True
    """Whether the behavior is the same without a guardian."""


TERM, KILL = "SIGTERM", "SIGKILL"
STALL = STREAMS_S + STALL_S

ROWS = (
    Row("exits-0", "ended", 0, says="the stream ended"),
    Row("exits-1", "ended", 1, says="ffmpeg ended with 1: that makes 1"),
    Row("exits-69", "ended", 69, says="ffmpeg ended with 69"),
    Row("dies-of-segv", "killed", signal="SIGSEGV", says="ended by SIGSEGV"),
    Row("dies-of-kill", "killed", signal=KILL),
    Row("dies-of-a-nameless-signal", "killed", signal="SIG40", says="ended by SIG40"),
    Row("ignores-term", "stalled", signal=KILL, signals=(TERM, KILL), live=True, after_s=STALL + PATIENCE_S),
    Row("hangs", "stalled", signal=TERM, signals=(TERM,), after_s=FIRST_KEY_S),
    Row("floods", "stalled", signal=TERM, signals=(TERM,), after_s=FIRST_KEY_S, says="error while decoding"),
    Row("half-a-frame", "stalled", signal=TERM, signals=(TERM,), after_s=FIRST_KEY_S),
    Row("drips", "stalled", signal=TERM, signals=(TERM,), after_s=FIRST_KEY_S),
    Row("closes-output", "stayed", signal=TERM, signals=(TERM,), after_s=LAST_WORDS_S),
    Row("garbage", "bad-data", signal=TERM, signals=(TERM,), says="not FLV"),
    Row("huge-frames", "bad-data", signal=TERM, signals=(TERM,), says="a frame of 16777215 bytes"),
    Row("streams-and-stalls", "stalled", signal=TERM, signals=(TERM,), live=True, after_s=STALL),
    Row("stops-itself", "stalled", signal=KILL, signals=(TERM, KILL), live=True, after_s=STALL + PATIENCE_S),
    Row("tells-secrets", "ended", 1, says="rtsp://viewer:***@192.0.2.1/"),
    Row("endless-line", "ended", 1, says="error 0 error 1 "),
    Row("lists-descriptors", "ended", 0, says="descriptors 0 1 2"),
    Row("leaves-a-grandchild", "ended", 3, plain=False),
    Row("stalls-beside-a-daemon", "stalled", signal=TERM, signals=(TERM,), live=True, after_s=STALL, plain=False),
)
UNHURT = ("streams-and-floods", "streams-and-floods-plain", "streams-beside-a-daemon")
"""They misbehave and send pictures all the same."""
CASES = {row.part: row for row in ROWS} | {row.part + PLAIN: row for row in ROWS if row.plain}


@attrs.define
class Play:
    """The results of the run: the journal until the stop, and the results of the stop."""

    before: list[e.Recorded] = attrs.field(factory=list)
    phases: dict[str, str] = attrs.field(factory=dict)
    after: list[e.Recorded] = attrs.field(factory=list)
    largest_gap_s: float = 0.0
    stopped_within_s: float = 0.0
    left_over: list[object] = attrs.field(factory=list)
    descriptors: tuple[dict[int, str], dict[int, str]] = ({}, {})

    def of(self, name: str) -> list[e.Recorded]:
        """Return the events of a camera and its child processes until the stop."""
        return [recorded for recorded in self.before if getattr(recorded.event, "camera", None) == name]

    def children(self, name: str) -> dict[str, list[e.Recorded]]:
        """The same by child, oldest first."""
        found: dict[str, list[e.Recorded]] = {}
        for recorded in self.of(name):
            if isinstance(recorded.event, e.ChildEvent):
                found.setdefault(recorded.event.child, []).append(recorded)
        return found


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Play:
    return trio.run(perform, tmp_path_factory.mktemp("stage"))


async def perform(folder: Path) -> Play:
    play = Play()
    names = [CameraId(name) for name in (*CASES, *UNHURT)]
    before = descriptors(os.getpid())
    async with open_stage(folder, *names) as stage:

        def all_came_back() -> bool:
            attempts = dict.fromkeys(CASES, 0)
            for recorded in stage.core.disk.rows:
                if isinstance(recorded.event, e.CameraConnecting) and recorded.event.camera in attempts:
                    attempts[recorded.event.camera] += 1
            return min(attempts.values()) > 1

        with trio.move_on_after(LONGEST_S):
            await wait_until(all_came_back, LONGEST_S + 1)
        play.before = list(stage.core.disk.rows)
        play.phases = {name: camera.phase.value for name, camera in stage.core.kernel.state.cameras.items()}
        play.largest_gap_s = stage.largest_gap_s
        began = trio.current_time()
    play.stopped_within_s = trio.current_time() - began
    play.after = stage.core.disk.rows
    begun = [recorded.event for recorded in play.after if isinstance(recorded.event, e.ChildStarting)]
    play.left_over = list(end_marked(*(f"{MARK}={OWNER}/{RUN}/{child.camera}/{child.child}" for child in begun)))
    play.descriptors = (before, descriptors(os.getpid()))
    return play


@pytest.mark.parametrize("name", CASES)
def test_first_child_is_journaled_from_intent_to_end(play: Play, name: str) -> None:
    """The first child process is journaled from the intent to the end, with the reason that its camera reports."""
    row, (first, *_) = CASES[name], play.children(name).values()
    types = ["ChildStarting", "ChildStarted", *("ChildStopping" for _ in row.signals), "ChildEnded"]
    assert [recorded.type for recorded in first] == types
    assert tuple(r.event.signal for r in first if isinstance(r.event, e.ChildStopping)) == row.signals
    ended = first[-1].event
    assert isinstance(ended, e.ChildEnded)
    assert (ended.exit_code, ended.signal) == (row.exit_code, row.signal)
    assert row.says in "\n".join((ended.reason.text, *ended.stderr_tail))
    lost = next(recorded.event for recorded in play.of(name) if isinstance(recorded.event, e.CameraWaiting))
    assert (lost.reason.code, lost.reason.text) == (row.code, ended.reason.text)


@pytest.mark.parametrize("name", CASES)
def test_its_camera_is_lost_in_time_and_tried_again_after_a_growing_wait(play: Play, name: str) -> None:
    """The times of each case are in `CASES`, the waits in `backoff_s`."""
    row, rows = CASES[name], play.of(name)
    began = next(r for r in rows if isinstance(r.event, e.CameraLive if row.live else e.ChildStarted))
    waits = [recorded for recorded in rows if isinstance(recorded.event, e.CameraWaiting)]
    took_s = (waits[0].mono_ns - began.mono_ns) / 1e9
    assert row.after_s - 1 <= took_s <= row.after_s + (STALL_SLACK_S if row.code == "stalled" else START_SLACK_S)
    delays = [recorded.event.delay_s for recorded in waits if isinstance(recorded.event, e.CameraWaiting)]
    assert delays == [round(backoff_s(n, JITTER), 3) for n in range(1, len(waits) + 1)]
    tries = [recorded for recorded in rows if isinstance(recorded.event, e.CameraConnecting)]
    for wait, delay_s, again in zip(waits, delays, tries[1:], strict=False):
        assert delay_s - 0.01 <= (again.mono_ns - wait.mono_ns) / 1e9 <= delay_s + GATE_S
    assert len(tries) > 1
    assert any(recorded.type == "CameraLive" for recorded in rows) is row.live


@pytest.mark.parametrize("name", UNHURT)
def test_camera_stays_live_during_a_flood_and_a_daemon_beside_it(play: Play, name: str) -> None:
    """A flood on stderr and a daemon beside the program: one child, live until the end."""
    assert [recorded.type for recorded in play.of(name)][-1] == "CameraLive"
    assert (play.phases[name], len(play.children(name))) == ("live", 1)


def test_no_camera_has_crashed_or_been_given_up(play: Play) -> None:
    """A faulty child is an expected event, not a bug of its actor."""
    assert set(play.phases.values()) <= {"connecting", "live", "stalled", "waiting"}
    assert not {"CameraCrashed", "CameraQuarantined", "ChildUnkillable"} & {recorded.type for recorded in play.after}


def test_journaled_stderr_is_bounded_and_without_secrets(play: Play) -> None:
    """No password in any event; at most 20 lines of 300 characters for each child."""
    assert SECRET not in str(play.after)
    tails = [recorded.event.stderr_tail for recorded in play.after if isinstance(recorded.event, e.ChildEnded)]
    assert max(len(tail) for tail in tails) == 20
    assert max(len(line) for tail in tails for line in tail) == 300


def test_the_loop_stays_responsive(play: Play) -> None:
    """100 MB/s of error output delays no other task; ten starts at once cause a small delay."""
    assert play.largest_gap_s < 1.0


def test_all_are_gone_in_time_and_nothing_is_left(play: Play) -> None:
    """On cancellation every child is ended, reaped and journaled within the ladder's bound; no resource is left."""
    assert play.stopped_within_s < STOP_S
    started = [recorded.stream for recorded in play.after if isinstance(recorded.event, e.ChildStarting)]
    ended = [recorded.stream for recorded in play.after if isinstance(recorded.event, e.ChildEnded)]
    assert sorted(started) == sorted(ended)
    assert play.left_over == []
    before, after = play.descriptors
    assert after == before
