"""Orphaned processes: found by their mark, ended, journaled, and waited for."""

import os
import signal
import subprocess
import sys

import attrs
import pytest
import trio
from trio.testing import MockClock

from actors.process.child import PATIENCE_S
from actors.process.process import MARK
from actors.process.process_table import Marked, RealProcessTable, marked_processes
from actors.process.sweep import BLIND, Sweep
from supervisor.base.threads import ThreadRefused
from supervisor.domain import commands as c
from supervisor.domain.anomalies import anomalies
from supervisor.domain.errors import Rejected
from supervisor.domain.ids import CameraId, ChildId, RunId
from supervisor.runtime.kernel import new_id
from tests.kit.core import Core, open_core
from tests.kit.domain import ASKED, GATE, NODE, RUN, YARD, child, running
from tests.kit.processes import wait_until
from tests.kit.tools import OWNER, make_tools


@attrs.define
class FakeTable:
    """Fake processes; those that are `deaf` ignore all signals."""

    processes: list[Marked]
    deaf: bool = False
    signals: list[str] = attrs.field(factory=list)

    async def find(self, owner: str) -> list[Marked]:
        await trio.lowlevel.checkpoint()
        return list(self.processes)

    def signal(self, process: Marked, number: signal.Signals) -> None:
        self.signals.append(number.name)
        if not self.deaf:
            self.processes.remove(process)

    async def wait_end(self, process: Marked) -> None:
        while process in self.processes:  # noqa: ASYNC110 - virtual time
            await trio.sleep(0.1)


def stray(run: str = "an earlier run", name: str = "child-9") -> Marked:
    return Marked(4711, 99, run, GATE, ChildId(name), ("ffmpeg",))


def make_sweep(core: Core, table: FakeTable | RealProcessTable, owner: str = OWNER) -> Sweep:
    tools = make_tools(core.kernel, core.nursery, processes=table, owner=owner)
    return Sweep(tools, lambda: {GATE})


async def test_orphan_is_found_ended_and_journaled(autojump_clock: MockClock) -> None:
    """It gets SIGTERM, and the journal has `ChildFound`, `ChildStopping`, `ChildEnded`."""
    async with open_core() as core:
        table = FakeTable([stray()])
        await make_sweep(core, table).sweep()
        await core.stored()
        assert core.types("child/") == ["ChildFound", "ChildStopping", "ChildEnded"]
        assert table.signals == ["SIGTERM"]
        assert not core.kernel.state.children


async def test_while_a_stray_lives_its_camera_starts_no_other(autojump_clock: MockClock) -> None:
    """A process that ignores SIGTERM blocks its camera, which prevents a second connection."""
    async with open_core() as core:
        table = FakeTable([stray()], deaf=True)
        await make_sweep(core, table).sweep()
        with pytest.raises(Rejected, match="still has a child"):
            core.kernel.emit(child("child-1"))


async def test_sweep_touches_no_child_of_a_living_actor(autojump_clock: MockClock) -> None:
    """Children of this run and their descendants are not touched while the child lives."""
    async with open_core() as core:
        core.kernel.emit(child("child-9"))
        table = FakeTable([stray(RUN), attrs.evolve(stray(RUN), pid=4712)])
        await make_sweep(core, table).sweep()
        assert table.signals == []


async def test_descendant_that_outlives_its_child_is_found_by_its_mark(autojump_clock: MockClock) -> None:
    """A descendant that has left its group and its session still carries the mark."""
    async with open_core() as core:
        table = FakeTable([stray(RUN)])
        await make_sweep(core, table).sweep()
        assert table.signals == ["SIGTERM"]


async def test_a_survivor_of_an_earlier_run_keeps_its_camera_from_starting_another(autojump_clock: MockClock) -> None:
    """Its entry stays open in the new run until the sweep has ended it, even if it ignores signals."""
    async with open_core() as core:
        core.kernel.emit(child("child-9"))
        table = FakeTable([stray(RUN)], deaf=True)
        sweep = make_sweep(core, table)
        core.kernel.run = RunId("run-2")
        alive = await sweep.find_survivors()
        await core.kernel.submit(c.StartRun(core.kernel.run, NODE, "0", 1, alive))
        assert set(core.kernel.state.children) == {"child-9"}
        await sweep.sweep()
        assert core.kernel.state.children[ChildId("child-9")].phase.value == "unkillable"
        assert trio.current_time() == pytest.approx(2 * PATIENCE_S)
        table.processes.clear()
        await sweep.sweep()
        assert not core.kernel.state.children
        await core.stored()
        assert core.types("child/")[-2:] == ["ChildUnkillable", "ChildEnded"]


async def test_only_our_own_are_touched() -> None:
    """With real processes: a child of another daemon is not ours, and a reused pid is not the same process."""
    owner = new_id()
    marks = {"ours": f"{owner}/run-0/gate/child-1", "theirs": f"{new_id()}/run-0/gate/child-1"}
    sleeping = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
    started = {
        name: subprocess.Popen(sleeping, env={**os.environ, MARK: mark})  # noqa: ASYNC220 - milliseconds
        for name, mark in marks.items()
    }
    try:
        table = RealProcessTable()
        await wait_until(lambda: [p.pid for p in marked_processes(owner)] == [started["ours"].pid], 10)
        (found,) = await table.find(owner)
        assert (found.run, found.camera, found.child, found.arguments[0]) == ("run-0", GATE, "child-1", sleeping[0])
        table.signal(attrs.evolve(found, start_ticks=1), signal.SIGKILL)
        assert started["ours"].poll() is None
        async with open_core() as core:
            await make_sweep(core, table, owner).sweep()
        assert started["theirs"].poll() is None
        await wait_until(lambda: started["ours"].poll() is not None, 10)
    finally:
        for process in started.values():
            process.kill()
            process.wait()


def test_anomalies_name_children_that_should_not_exist() -> None:
    """A child of a removed camera, and two sources of one camera; an orphan does not count."""
    story = running(GATE, YARD).given(child("child-1", GATE), child("child-2", YARD))
    assert anomalies(story.state, {GATE, YARD}, ()) == {}
    story.given(child("child-4", GATE, "audio"))
    assert anomalies(story.state, {GATE, YARD}, ()) == {}, "one for the sound beside it is no second source"
    assert list(anomalies(story.state, {GATE}, ())) == ["children/yard"]
    story.given(c.ReportChildFound(ChildId("child-3"), GATE, 1, 1, ()))
    assert anomalies(story.state, {GATE, YARD}, {ChildId("child-3")}) == {}
    assert "2 child processes" in anomalies(story.state, {GATE, YARD}, ())["children/gate"]


async def test_alerts_are_raised_once_and_cleared(autojump_clock: MockClock) -> None:
    """One alert over several sweeps; it is cleared once the child has ended."""
    async with open_core(GATE, YARD) as core:
        core.kernel.emit(child("child-1", CameraId("yard")))
        sweep = make_sweep(core, FakeTable([]))
        with trio.move_on_after(150):
            await sweep.run()
        core.kernel.emit(c.ReportChildEnded(ChildId("child-1"), 0, None, ASKED))
        with trio.move_on_after(1):
            await sweep.run()
        await core.stored()
        assert [kind for kind in core.types() if kind.startswith("Alert")] == ["AlertRaised", "AlertCleared"]


class RefusedTable(FakeTable):
    """A table for whose reader the system starts no thread."""

    refused = True

    async def find(self, owner: str) -> list[Marked]:
        if self.refused:
            raise ThreadRefused
        return await super().find(owner)


async def test_refused_thread_is_an_alert_until_the_next_sweep_succeeds(autojump_clock: MockClock) -> None:
    """The sweep continues: the alert names the reason, and the first sweep that works clears it."""
    async with open_core() as core:
        table = RefusedTable([stray()])
        sweep = make_sweep(core, table)
        assert await sweep.find_survivors() == frozenset()
        assert BLIND not in core.kernel.state.alerts
        await sweep.sweep()
        assert "refuses another thread" in core.kernel.state.alerts[BLIND].text
        table.refused = False
        await sweep.sweep()
        assert BLIND not in core.kernel.state.alerts
        assert table.signals == ["SIGTERM"]
