"""A journal on a disk with every kind of failure that SQLite can receive, under a real daemon; and the store alone.

Rules of this file:
- One daemon meets all faults, one after the other: it must recover completely from each.
- A fault lasts until all conditions that must hold meanwhile have been checked.
- No event is lost as long as the daemon runs: the gap is exactly 0.
"""

import json
import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import apsw
import attrs
import pytest
import trio

from supervisor.domain import events as e
from supervisor.domain.events import Recorded
from supervisor.domain.evolve import fold
from supervisor.journal.check import verify
from supervisor.journal.reader import Reader
from supervisor.journal.store import Store
from supervisor.journal.writer import STALLED_S, Journal, ThreadedStore
from supervisor.ports.errors import JournalError
from tests.kit.daemon import Daemon, launch_daemon, write_config
from tests.kit.disk import FAILING_DISK, STALL_S, Disk, Fault
from tests.kit.http import Answer, request
from tests.kit.journals import append_all, lively, read_all, states
from tests.kit.kills import ENCODER, OFFER

FAULTS = [fault for fault in Fault if fault is not Fault.NONE]
FPS = 20
FAULT_S = 2.5
"""Seconds during which frames are counted while the disk fails."""
SEEN_WITHIN_S = 4.0
RECOVERED_WITHIN_S = 8.0
"""The writer tries again every second; a sync that stalls ends first."""
WATCHED, HIDDEN = "front", "hall"


def other(fault: Fault) -> str:
    """The camera whose child dies during this fault."""
    return f"in-{fault.name.lower().replace('_', '-')}"


@attrs.define
class Seen:
    """The observations during one fault, with their times."""

    fps: float = 0.0
    verdict: str = ""
    critical_after_s: float = 0.0
    refused: tuple[int, int] = (0, 0)
    """The answers to a new viewer and to an operator."""
    hidden: tuple[int, bool, int] = (0, False, 0)
    """The answer to a switch to private, whether the camera is private then, and the answer to a switch back."""
    ended_after_s: float = 0.0
    """Seconds from the death of a child process until it was reported and another one ran."""
    waiting: int = 0
    """Events that waited for the disk at the end of the fault."""
    recovered_after_s: float = 0.0


@attrs.define
class Run:
    seen: dict[Fault, Seen] = attrs.field(factory=dict)
    code: int = -1
    output: str = ""
    rows: list[Recorded] = attrs.field(factory=list)
    promised: int = 0
    """Events that the daemon itself counted as stored, before it was asked to stop."""


@asynccontextmanager
async def open_failing(folder: Path, cameras: dict[str, object]) -> AsyncIterator[Daemon]:
    write_config(folder, cameras)
    environment = {FAILING_DISK: str(folder / "fault")}
    async with launch_daemon(folder, environment, "tests.kit.disk") as daemon:
        await daemon.wait_ready()
        yield daemon


@asynccontextmanager
async def open_fault(daemon: Daemon, fault: Fault) -> AsyncIterator[None]:
    """Apply this fault to the daemon's disk for the length of the block."""
    file, draft = daemon.folder / "fault", daemon.folder / "fault.new"
    draft.write_text(fault)
    draft.rename(file)
    try:
        yield
    finally:
        file.unlink()


async def number(daemon: Daemon, name: str) -> float:
    """Return one metric of the daemon."""
    text = (await request(daemon.port, "GET", "/metrics")).text
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


async def pictures(daemon: Daemon) -> float:
    return await number(daemon, f'banken_camera_frames_total{{camera="{WATCHED}"}}')


async def child_of(daemon: Daemon, camera: str) -> int | None:
    found = (await daemon.get("/api/processes"))["processes"]
    return next((process["pid"] for process in found if process["camera"] == camera and process["pid"]), None)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trio.run(meet_all, tmp_path_factory.mktemp("disk"))


async def meet_all(folder: Path) -> Run:
    picture = ["-f", "lavfi", "-re", "-i", "testsrc=size=64x64:rate=5", *ENCODER]
    cameras: dict[str, object] = {other(fault): {"ffmpeg": picture} for fault in FAULTS}
    cameras |= {WATCHED: f"test:64x64@{FPS}", HIDDEN: "test:64x64@5"}
    run = Run()
    async with open_failing(folder, cameras) as daemon:
        for name in cameras:
            await daemon.wait_camera(name, "live")
        for fault in FAULTS:
            run.seen[fault] = await meet(daemon, fault)
        run.promised = int(await number(daemon, "banken_journal_events_total"))
        run.code = await daemon.end()
        run.output = daemon.output
    run.rows = daemon.journal()
    assert not verify(folder / "journal").damages
    return run


async def meet(daemon: Daemon, fault: Fault) -> Seen:
    seen = Seen()
    async with open_fault(daemon, fault), trio.open_nursery() as nursery:
        nursery.start_soon(count_pictures, daemon, seen)
        began = trio.current_time()
        child = await child_of(daemon, other(fault))
        assert child is not None
        os.kill(child, signal.SIGKILL)
        nursery.start_soon(see_another, daemon, fault, child, seen)
        await move_on_when(partial(is_critical, daemon, seen), SEEN_WITHIN_S)
        seen.critical_after_s = trio.current_time() - began
        offered = (await daemon.offer(WATCHED, OFFER)).status
        kicked = (await request(daemon.port, "DELETE", "/api/peers/nobody")).status
        seen.refused = (offered, kicked)
        on, is_private = (await hide(daemon, on=True)).status, (await daemon.camera(HIDDEN))["privacy"] is not None
        seen.hidden = on, is_private, (await hide(daemon, on=False)).status
        seen.waiting = int(await number(daemon, "banken_journal_pending_events"))
    began = trio.current_time()
    await move_on_when(partial(is_recovered, daemon), RECOVERED_WITHIN_S)
    seen.recovered_after_s = trio.current_time() - began
    assert (await hide(daemon, on=False)).status == 200
    return seen


async def hide(daemon: Daemon, *, on: bool) -> Answer:
    """Switch a camera to private, or back."""
    body = json.dumps({"on": on})
    return await request(
        daemon.port, "PUT", f"/api/cameras/{HIDDEN}/privacy", body, {"Content-Type": "application/json"}
    )


async def move_on_when(holds: Callable[[], Awaitable[bool]], within_s: float) -> None:
    """Wait until it holds, or until the time is over."""
    with trio.move_on_after(within_s):
        while True:
            if await holds():
                return
            await trio.sleep(0.02)


async def is_critical(daemon: Daemon, seen: Seen) -> bool:
    seen.verdict = (await daemon.get("/api/health"))["parts"][0]["verdict"]
    return seen.verdict == "critical"


async def is_recovered(daemon: Daemon) -> bool:
    """Whether journal and cameras are healthy; alerts of the monitors about the fault are cleared later."""
    waiting = await number(daemon, "banken_journal_pending_events")
    parts = (await daemon.get("/api/health"))["parts"]
    ours = [part["verdict"] for part in parts if not part["part"].startswith(("monitor/", "alert/"))]
    return not waiting and set(ours) == {"ok"}


async def has_another(daemon: Daemon, camera: str, dead: int) -> bool:
    return await child_of(daemon, camera) not in (None, dead)


async def count_pictures(daemon: Daemon, seen: Seen) -> None:
    first, began = await pictures(daemon), trio.current_time()
    await trio.sleep(FAULT_S)
    seen.fps = (await pictures(daemon) - first) / (trio.current_time() - began)


async def see_another(daemon: Daemon, fault: Fault, dead: int, seen: Seen) -> None:
    began = trio.current_time()
    await move_on_when(partial(has_another, daemon, other(fault), dead), RECOVERED_WITHIN_S)
    seen.ended_after_s = trio.current_time() - began


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_pictures_go_on(run: Run, fault: Fault) -> None:
    """At least 80 % of the frame rate during each fault."""
    assert run.seen[fault].fps > 0.8 * FPS


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_health_is_critical_while_it_lasts(run: Run, fault: Fault) -> None:
    """This also holds for a disk that never answers."""
    assert run.seen[fault].verdict == "critical"
    assert run.seen[fault].critical_after_s < SEEN_WITHIN_S


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_request_that_needs_a_durable_event_is_refused(run: Run, fault: Fault) -> None:
    """A new viewer and an operator's DELETE get 503: nothing could be stored durably."""
    assert run.seen[fault].refused == (503, 503)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_camera_is_hidden_at_once_and_shown_again_only_by_the_journal(run: Run, fault: Fault) -> None:
    """When in doubt, nobody sees it. The journal has each switch in the end."""
    assert run.seen[fault].hidden == (200, True, 503)
    assert [type(row.event) for row in run.rows].count(e.PrivacyBegan) == len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_ends_are_taken_and_a_camera_comes_back_during_a_fault(run: Run, fault: Fault) -> None:
    """A child that dies meanwhile is reaped and followed by another."""
    assert run.seen[fault].ended_after_s < RECOVERED_WITHIN_S
    died = [r for r in run.rows if isinstance(r.event, e.ChildEnded) and r.event.camera == other(fault)]
    assert [row.event.signal for row in died][:1] == ["SIGKILL"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_journal_catches_up(run: Run, fault: Fault) -> None:
    """Within 8 s after the end of each fault."""
    assert run.seen[fault].recovered_after_s < RECOVERED_WITHIN_S


def test_the_gap_is_exactly_none(run: Run) -> None:
    """Every event is stored once, in order, chained, and the last state is that of a graceful end."""
    assert run.code == 0
    assert [row.seq for row in run.rows] == list(range(1, len(run.rows) + 1))
    assert len(run.rows) > run.promised > 0
    assert run.rows[-1].type == "RunEnded"
    assert not fold(run.rows).children
    assert "never stored" not in run.output
    assert "Traceback" not in run.output


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_a_daemon_that_ends_meanwhile_says_what_is_missing(tmp_path: Path, fault: Fault) -> None:
    """Exit code 1. All acknowledged events are stored; a failed sync may have left further ones."""
    async with open_failing(tmp_path, {WATCHED: f"test:64x64@{FPS}"}) as daemon:
        await daemon.wait_camera(WATCHED, "live")
        promised = int(await number(daemon, "banken_journal_events_total"))
        async with open_fault(daemon, fault):
            code = await daemon.end()
            output = daemon.output
    said = re.search(r"(\d+) events? \((\d+) to (\d+)\) (?:was|were) never stored for certain", output)
    assert code == (0 if said is None else 1)
    rows = daemon.journal()
    if fault is Fault.SYNC_STALLS and said is None:  # it came in time
        assert rows[-1].type == "RunEnded"
        return
    assert said is not None, output
    count, first, last = map(int, said.groups())
    assert count == last - first + 1
    assert first == promised + 1 or fault is Fault.SYNC_STALLS  # then a first sync may have come in time
    assert len(rows) == promised or fault in (Fault.SYNC_FAILS, Fault.SYNC_STALLS)
    assert first - 1 <= len(rows) <= last
    async with open_failing(tmp_path, {}) as again:
        begun = [row.type for row in again.journal()[len(rows) :]]
    assert begun[0] == "RunStarted" if rows[-1].type == "RunEnded" else "RunAbandoned" in begun


# -- the store and its writer alone ----------------------------------------------------------------------------


@pytest.fixture
def failing() -> Iterator[tuple[Disk, list[Fault]]]:
    fault = [Fault.NONE]
    disk = Disk(lambda: fault[0])
    yield disk, fault
    disk.unregister()


@pytest.mark.parametrize("watched", [False, True], ids=["alone", "beside a reader"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_event_counts_as_stored_only_after_a_sync(
    tmp_path: Path, failing: tuple[Disk, list[Fault]], fault: Fault, watched: bool
) -> None:
    """However often it fails and is reopened: events that are readable after a failed sync are not durable yet."""
    disk, now = failing
    rows, after = lively(), states(lively())
    store = Store(tmp_path)
    reader = Reader(tmp_path) if watched else None
    append_all(store, rows[:10], 10)
    now[0] = fault
    for _ in range(3):
        try:
            store.append(rows[store.last_seq : 20], after[20])
            break
        except (apsw.Error, JournalError):  # the second: it is not open since the fault
            try_to_reconnect(store)
            assert store.last_seq == 10, "counted as stored while no sync succeeds"
    now[0] = Fault.NONE
    assert disk.failed
    store.reconnect()
    store.append(rows[store.last_seq : 30], after[30])
    assert disk.lost() == 0
    assert read_all(tmp_path) == rows[:30]
    assert not verify(tmp_path).damages
    if reader is not None:
        reader.close()
    store.close()


def try_to_reconnect(store: Store) -> None:
    try:
        store.reconnect()
    except (apsw.Error, JournalError):
        return


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_every_event_is_stored_exactly_once(
    tmp_path: Path, failing: tuple[Disk, list[Fault]], fault: Fault
) -> None:
    """The writer over the real store: the fault comes and goes while events are queued."""
    disk, now = failing
    rows, after, published = lively(), states(lively()), list[Recorded]()
    store = Store(tmp_path)
    journal = Journal(ThreadedStore(store), published.extend)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.run)
        for place, row in enumerate(rows):
            if place == 20:
                assert await journal.wait_committed(20)
                now[0] = fault
            journal.append_nowait(row, after[row.seq])
            if place == 40:
                began = trio.current_time()
                assert not await journal.wait_committed(41)
                assert trio.current_time() - began < STALLED_S + 0.5
                assert journal.fault is not None
                assert disk.failed
                now[0] = Fault.NONE
        with trio.fail_after(STALL_S + RECOVERED_WITHIN_S):
            while True:
                if await journal.wait_committed(len(rows)):
                    break
                await trio.sleep(0.05)
        nursery.cancel_scope.cancel()
    assert (journal.fault, journal.committed, disk.lost()) == (None, len(rows), 0)
    assert published == rows == read_all(tmp_path)
    assert not verify(tmp_path).damages
    store.close()
