"""The monitors: each read in its time, told in the journal when it passes a threshold, and never in anybody's way."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import MockClock

from supervisor.domain import commands as c
from supervisor.domain.ids import UserId
from supervisor.domain.monitors import Reading, Threshold, Thresholds
from supervisor.domain.rights import ALL, Role
from supervisor.domain.values import LeaseKind, Limits
from supervisor.domain.verdict import Verdict
from supervisor.ports.archives import ArchiveRoom
from supervisor.ports.decisions import Origin
from supervisor.ports.statistics import SocketStatistics
from supervisor.services import monitors as module
from supervisor.services.monitors import (
    Monitor,
    Processes,
    at_once,
    in_thread,
    make_monitors,
    read_archives,
    read_connections,
    read_journal,
    read_loop,
    read_users,
    run_monitors,
)
from tests.kit.core import Core, open_core
from tests.kit.daemon import open_daemon
from tests.kit.domain import lease, peer, running
from tests.kit.http import request
from tests.kit.patience import give_up_after

SHARE = Thresholds(Threshold(0.8, 0.75), Threshold(0.9, 0.85))


@attrs.define
class Gauge:
    level: float | None = 0.0
    read: int = 0

    def look(self) -> Reading:
        self.read += 1
        return Reading(self.level, f"at {self.level}")


@asynccontextmanager
async def open_monitors(gauge: Gauge) -> AsyncIterator[tuple[Core, dict[str, Reading]]]:
    readings: dict[str, Reading] = {}
    async with open_core() as core, trio.open_nursery() as nursery:
        table = {"tank": Monitor(at_once(gauge.look), 60, SHARE)}
        nursery.start_soon(run_monitors, table, readings, core.kernel)
        await trio.sleep(1)
        yield core, readings
        nursery.cancel_scope.cancel()


async def test_a_monitor_is_read_at_once_and_then_in_its_time(autojump_clock: MockClock) -> None:
    """Once at the start, then once a minute."""
    gauge = Gauge()
    async with open_monitors(gauge) as (_, readings):
        assert (gauge.read, readings["tank"].text) == (1, "at 0.0")
        await trio.sleep(58)
        assert gauge.read == 1
        await trio.sleep(600)
        assert gauge.read == 11


async def test_alerts_of_a_monitor_continue_the_cause_of_the_first(autojump_clock: MockClock) -> None:
    """A warning follows from nothing, as a timer's; all that follows it, until it is well again, is one story."""
    gauge = Gauge()
    async with open_monitors(gauge) as (core, _):
        for level in (0.8, 0.8, None, 0.95, 0.1):
            gauge.level = level
            await trio.sleep(60)
        said = [row for row in await core.stored() if row.type.startswith("Alert")]
        told = [(row.type, row.stream, row.cause, row.principal) for row in said]
        warning, critical = said[0].seq, said[1].seq
        assert told == [
            ("AlertRaised", "alert/tank-warning", None, "actor"),
            ("AlertRaised", "alert/tank-critical", warning, "actor"),
            ("AlertCleared", "alert/tank-warning", warning, "actor"),
            ("AlertCleared", "alert/tank-critical", critical, "actor"),
        ]
        assert len({row.correlation for row in said}) == 1


async def test_dead_disk_blocks_one_thread_and_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it is looked at, and what it says when it comes back is heard."""
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)
    answers, entered = threading.Event(), []

    def hang() -> Reading:
        entered.append(threading.get_ident())
        answers.wait(5)
        return Reading(0.5, "here again")

    look = in_thread(hang)
    try:
        for _ in range(3):
            found = await look()
            assert (found.level, found.text) == (None, "cannot be read: no answer within 0.05 s")
        assert len(entered) == 1
    finally:
        answers.set()
    monkeypatch.setattr(module, "PATIENCE_S", 60)
    assert (await look()).text == "here again"


@pytest.mark.parametrize("error", [FileNotFoundError("gone"), KeyError("MemAvailable:"), ValueError("not a number")])
async def test_failed_reading_has_no_level_and_the_error_as_text(error: Exception) -> None:
    """The reading has no level, and the error as its text."""

    def fail() -> Reading:
        raise error

    found = await in_thread(fail)()
    assert found.level is None
    assert found.text == f"cannot be read: {error}"


async def test_unexpected_exception_of_a_monitor_is_a_crash() -> None:
    """A TypeError is a bug and reaches the supervisor."""

    def fail() -> Reading:
        raise TypeError("a bug of ours")

    with pytest.raises(TypeError):
        await in_thread(fail)()


def test_process_found_ended_twice_is_a_zombie() -> None:
    """One reading may fall between the end of a process and its reaping, so it is not an alarm."""
    found = [{1: False, 2: True}, {1: True, 2: True, 3: True}, {1: True, 3: True}, {}]
    processes = Processes(lambda: found.pop(0))
    readings = [processes.read() for _ in range(4)]
    assert [reading.level for reading in readings] == [0, 1, 2, 0]
    assert readings[1].text == "3 processes below the daemon; 1 ended and was not reaped (pid 2)"
    assert readings[3].text == "0 processes below the daemon; none ended and was not reaped"


def test_the_fullest_cap_counts() -> None:
    """3 of 4 viewers are 0.75; 200 of 250 WebSockets are 0.8 and win."""
    story = running(limits=Limits(peers=4)).given(peer("peer-1"), peer("peer-2"))
    story.given(lease("row-1", ttl_s=0), lease("large-1", kind=LeaseKind.MODAL))
    for sockets, level in ((1, 0.75), (200, 0.8)):
        reading = read_connections(story.state, SocketStatistics(sockets, 250))
        assert reading.level == level
        watching = "3 of 4 viewers, 1 of them over MJPEG; large views: 1, suggested: 0"
        assert reading.text == f"{sockets} of 250 WebSockets, {watching}"


async def test_the_journals_lag_is_that_of_the_oldest_that_waits(autojump_clock: MockClock) -> None:
    """Two events wait, one for 3 s; the level is 3, and 0 when the disk works."""
    async with open_core() as core:
        assert read_journal(core.journal).text == "nothing waits for the disk"
        core.disk.broken = True
        core.kernel.emit(c.RaiseAlert("a", "first"))
        await trio.sleep(3)
        core.kernel.emit(c.RaiseAlert("b", "second"))
        reading = read_journal(core.journal)
        assert reading.level == pytest.approx(3)
        assert reading.text == "2 events wait for the disk, the oldest for 3.0 s"
        core.disk.broken = False
        await trio.sleep(5)
        assert read_journal(core.journal).level == 0


async def test_a_loop_that_has_only_just_begun_is_given_time() -> None:
    """Before the first measurement the level is 0, not unknown."""
    assert read_loop().level == 0


async def test_missing_users_are_reported_until_the_first_one() -> None:
    """With what is not served, and what to do."""
    async with open_core() as core:
        before = read_users(core.kernel, ["one hint", "another"])
        assert (before.level, before.text) == (1.0, "one hint; another")
        core.kernel.emit(c.AddUser(UserId("anna"), Role.ADMIN, ALL), origin=Origin("local"))
        assert read_users(core.kernel, ["one hint"]).level == 0.0


def test_little_room_that_pins_leave_is_a_warning() -> None:
    """How long it lasts at the rate of the last day, and by how much retention is late."""
    room = ArchiveRoom("recordings", 500, 0, 0, 1000, 100.0, 5.0, None, 1, 7.0, "")
    reading = read_archives([room, attrs.evolve(room, archive="cold", days_left=None, turns_over_days=14.0)])
    assert reading.level == 0.0
    assert reading.text == (
        "archive recordings has 500 B of 1000 B, and is full in 5 days; "
        "archive cold has 500 B of 1000 B, and keeps 14 days"
    )
    assert [figure.value for figure in reading.figures] == [7.0]
    warned = read_archives([attrs.evolve(room, warning="pins hold all")])
    assert (warned.level, warned.text) == (1.0, "pins hold all")
    assert read_archives([]).text == "nothing is recorded"


async def test_the_table_has_what_the_daemon_watches(tmp_path: Path) -> None:
    """Every one of them can be read here and now, and says what it found in one line."""
    async with open_core() as core:
        sockets, listens = SocketStatistics(0, 10), Reading(0.0, "listens")
        table = make_monitors(core.kernel, core.journal, tmp_path, lambda: sockets, lambda: (3, 7.5), lambda: listens)
        every = {name: monitor.every_s for name, monitor in table.items()}
        starts = await table["starts"].read()
        assert (starts.level, starts.text) == (7.5, "3 starts wait, the first for 7.5 s")
        assert table["starts"].thresholds.grade(7.5, Verdict.OK) is Verdict.DEGRADED
        assert every == {
            "memory": 60,
            "disk": 60,
            "processes": 30,
            "connections": 30,
            "loop": 10,
            "growth": 10,
            "journal": 10,
            "starts": 5,
            "control": 10,
            "archives": 30,
        }
        assert table["memory"].thresholds == Thresholds(Threshold(0.8, 0.75), Threshold(0.9, 0.85))
        for name, monitor in table.items():
            reading = await monitor.read()
            assert reading.level is not None, name
            assert "\n" not in reading.text


async def test_a_daemon_reads_them_all_as_soon_as_it_runs(tmp_path: Path) -> None:
    """Each is a part of its health, and a verdict in its metrics."""
    async with open_daemon(tmp_path, {}) as daemon:
        found: set[str] = set()
        with give_up_after(20):
            while len(found) < 10:
                parts = (await daemon.get("/api/health"))["parts"]
                found = {part["part"] for part in parts if part["part"].startswith("monitor/")}
        text = (await request(daemon.port, "GET", "/metrics")).text
        for part in found:
            assert f'banken_monitor_verdict{{monitor="{part.partition("/")[2]}"}}' in text
        assert await daemon.end() == 0
