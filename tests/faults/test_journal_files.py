"""External changes of the journal's files: while a daemon writes to them, and before it starts.

Rules of this file:
- One daemon meets all acts, one after the other. Each leaves a writable folder.
- An act is detected before the next acknowledgement: the first lease request after it is refused. An act on an older
  segment, to which no commit writes, is detected within 0.4 s.
- No acknowledged event is missing unnoticed: it is in the files, or `verify` reports its number.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path

import apsw
import attrs
import pytest
import trio
from trio_websocket import WebSocketConnection, wrap_client_stream

from supervisor.domain import events as e
from supervisor.domain.events import Recorded
from supervisor.journal.check import verify
from supervisor.journal.files import list_segments
from supervisor.journal.recovery import SPAN
from tests.kit.daemon import MANY_REQUESTS, Daemon, launch_daemon, write_config
from tests.kit.disk import FAILING_DISK, Fault
from tests.kit.http import request
from tests.kit.journals import TINY, change, lively, read_all, write_journal
from tests.kit.processes import wait_until

CAMERAS: dict[str, object] = {"front": "test:64x64@20", "spare": {"source": "test:64x64@20", "mode": "on_demand"}}
MORE = f"limits: {{leases_per_client: 200, peers_per_client: 200, {MANY_REQUESTS}}}"
CRITICAL_WITHIN_S = 1.0
BEGUN_WITHIN_S = 1.0
SLACK_S = 4.0
"""Tolerance added to the guaranteed second: a client measures these times, and its machine may be loaded."""


def newest(journal: Path) -> Path:
    return list_segments(journal)[-1].path


def remove_files(journal: Path) -> None:
    for path in journal.iterdir():
        path.unlink()


def roll_back(journal: Path) -> None:
    """An older copy over the files: the same inodes, older content."""
    for path in (journal.parent / "older").iterdir():
        with (
            path.open("rb") as old,
            (journal / path.name).open("r+b" if (journal / path.name).exists() else "wb") as file,
        ):
            file.write(old.read())
            file.truncate()


def exchange(journal: Path) -> None:
    """The same bytes in another file under the name."""
    path = newest(journal)
    shutil.copy2(path, path.with_suffix(".copy"))
    path.with_suffix(".copy").rename(path)


def link_elsewhere(journal: Path) -> None:
    """The name of the folder leads to another folder."""
    (journal.parent / "elsewhere").mkdir()
    journal.rename(journal.parent / "first")
    journal.symlink_to("elsewhere")


def link_back(journal: Path) -> None:
    journal.unlink()
    (journal.parent / "first").rename(journal)


ACTS: dict[str, tuple[Callable[[Path], object], Callable[[Path], object]]] = {
    "segment removed": (lambda journal: newest(journal).unlink(), lambda journal: None),
    "segment exchanged": (exchange, lambda journal: None),
    "segment truncated": (lambda journal: os.truncate(newest(journal), 4096), lambda journal: None),
    "segment overwritten": (lambda journal: newest(journal).write_bytes(bytes(4096)), lambda journal: None),
    "wal removed": (lambda journal: Path(f"{newest(journal)}-wal").unlink(), lambda journal: None),
    "wal truncated": (lambda journal: os.truncate(f"{newest(journal)}-wal", 0), lambda journal: None),
    "older segment removed": (lambda journal: list_segments(journal)[0].path.unlink(), lambda journal: None),
    "lock removed": (lambda journal: (journal / "lock").unlink(), lambda journal: None),
    "manifest appeared": (lambda journal: (journal / "manifest.jsonl").write_text("{}\n"), lambda journal: None),
    "rollback journal appeared": (
        lambda journal: Path(f"{newest(journal)}-journal").write_bytes(b"text" * 150),
        lambda journal: None,
    ),
    "rolled back": (roll_back, lambda journal: None),
    "all files removed": (remove_files, lambda journal: None),
    "folder removed": (shutil.rmtree, Path.mkdir),
    "folder moved away and back": (
        lambda journal: journal.rename(journal.with_name("away")),
        lambda journal: journal.with_name("away").rename(journal),
    ),
    "folder exchanged by a link": (link_elsewhere, link_back),
}
LAST = tuple(ACTS)[-1]
OLDER = "older segment removed"
AT_ONCE = [act for act in ACTS if act != OLDER]


@attrs.define
class Seen:
    """The observations after one act."""

    is_refused: bool = False
    is_critical: bool = False
    critical_after_s: float = 0.0
    begun_after_s: float = 0.0
    fps: float = 0.0
    last: int = 0
    """The last event that was acknowledged before it."""
    first: Recorded | None = None
    """The first event of the new chain."""
    missing: tuple[str, ...] = ()


@attrs.define
class Run:
    seen: dict[str, Seen] = attrs.field(factory=dict)
    code: int = -1
    output: str = ""


async def lease(daemon: Daemon) -> tuple[int, str]:
    """Status and id of a lease that is asked for."""
    body, headers = '{"kind": "viewer", "camera": "spare"}', {"Content-Type": "application/json"}
    answer = await request(daemon.port, "POST", "/api/leases", body, headers)
    return answer.status, answer.json["lease"] if answer.status == 201 else ""


async def frames(daemon: Daemon) -> float:
    text = (await request(daemon.port, "GET", "/metrics")).text
    name = 'banken_camera_frames_total{camera="front"}'
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


async def verdict(daemon: Daemon) -> str:
    return str((await daemon.get("/api/health"))["parts"][0]["verdict"])


async def writes(daemon: Daemon) -> bool:
    return await verdict(daemon) == "ok"


async def grants_leases(daemon: Daemon) -> bool:
    return (await lease(daemon))[0] == 201


async def has_frames(daemon: Daemon, count: float) -> bool:
    return await frames(daemon) > count


async def has_begun(journal: Path, before: Path) -> bool:
    return newest(journal) != before


async def refuses_or_has_begun(daemon: Daemon, before: Path) -> bool:
    """Whether a lease is refused. A client half a second late, on a loaded machine, meets the new chain already."""
    status, name = await lease(daemon)
    if status != 201:
        return status == 503
    begun = newest(daemon.folder / "journal")
    leases = [row.event.lease for row in read_all(begun) if isinstance(row.event, e.LeaseGranted)]
    return begun != before and name in leases


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it holds; a failure when it takes far too long."""
    with trio.fail_after(BEGUN_WITHIN_S + SLACK_S):
        while True:
            if await holds():
                return
            await trio.sleep(0.02)


async def last_acknowledged(daemon: Daemon) -> int:
    status, name = await lease(daemon)
    assert status == 201
    rows = [row for row in read_all(newest(daemon.folder / "journal")) if isinstance(row.event, e.LeaseGranted)]
    assert rows[-1].event.lease == name  # type: ignore[attr-defined]
    return rows[-1].seq


async def meet(daemon: Daemon, name: str) -> Seen:
    journal = daemon.folder / "journal"
    act, undo = ACTS[name]
    seen = Seen(last=await last_acknowledged(daemon))
    shutil.rmtree(daemon.folder / "older", ignore_errors=True)
    shutil.copytree(journal, daemon.folder / "older", ignore=shutil.ignore_patterns("lock"))
    seen.last = await last_acknowledged(daemon)
    began, first_frame = trio.current_time(), await frames(daemon)
    before = newest(journal)
    act(journal)
    if name == OLDER:
        await until(partial(has_begun, journal, before))
    else:
        seen.is_refused = await refuses_or_has_begun(daemon, before)
        seen.is_critical = await verdict(daemon) == "critical" or await has_begun(journal, before)
    seen.critical_after_s = trio.current_time() - began
    undo(journal)
    restored = trio.current_time()
    await until(partial(writes, daemon))
    seen.begun_after_s = trio.current_time() - restored
    await until(partial(has_frames, daemon, first_frame + 5))
    seen.fps = (await frames(daemon) - first_frame) / (trio.current_time() - began)
    assert (await lease(daemon))[0] == 201
    found = verify(journal)
    seen.missing = tuple(map(str, found.damages))
    seen.first = read_all(newest(journal))[0]
    return seen


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trio.run(meet_all, tmp_path_factory.mktemp("files"))


async def meet_all(folder: Path) -> Run:
    write_config(folder, CAMERAS, MORE)
    run = Run()
    write_journal(folder / "journal", lively(), batch=60, rotation=TINY)
    (folder / "journal" / "manifest.jsonl").unlink()
    async with launch_daemon(folder) as daemon:
        await daemon.wait_ready()
        await daemon.wait_camera("front", "live")
        for name in ACTS:
            run.seen[name] = await meet(daemon, name)
        run.code = await daemon.end()
        run.output = daemon.output
    return run


@pytest.mark.parametrize("act", AT_ONCE)
def test_lease_after_an_act_is_refused(run: Run, act: str) -> None:
    """Before the next acknowledgement the files are looked at: 503, and health is critical at once."""
    assert run.seen[act].is_refused
    assert run.seen[act].is_critical
    assert run.seen[act].critical_after_s < CRITICAL_WITHIN_S + SLACK_S


@pytest.mark.parametrize("act", ACTS)
def test_cameras_go_on_after_an_act(run: Run, act: str) -> None:
    """Frames come as before."""
    assert run.seen[act].fps > 5


@pytest.mark.parametrize("act", ACTS)
def test_new_chain_names_the_end_of_the_old_one(run: Run, act: str) -> None:
    """As soon as the folder can be written to; its first event names the last event that was acknowledged."""
    seen = run.seen[act]
    assert seen.begun_after_s < BEGUN_WITHIN_S + SLACK_S
    assert seen.first is not None
    event = seen.first.event
    assert isinstance(event, e.ChainBegan)
    assert event.last >= seen.last
    assert len(event.digest) == 64
    assert event.why


@pytest.mark.parametrize("act", ["segment removed", "segment overwritten", "rolled back"])
def test_verify_names_missing_acknowledged_events(run: Run, act: str) -> None:
    """Acknowledged events that are missing in the folder are reported."""
    assert any("a new chain begins" in damage for damage in run.seen[act].missing)


def test_daemon_ends_in_good_order_after_all_acts(run: Run) -> None:
    """The daemon ends without a traceback and without pending events."""
    assert run.code == 0
    assert "Traceback" not in run.output
    assert "never stored" not in run.output


def shorten_indexes(journal: Path) -> None:
    """The files of the journal that SQLite would map."""
    for path in journal.glob("*-shm"):
        with suppress(FileNotFoundError):
            os.truncate(path, 0)


async def repeat(act: Callable[[], None]) -> None:
    while True:
        act()
        await trio.sleep(0.001)


def mapped(pid: int) -> str:
    """The files that a process maps."""
    return Path(f"/proc/{pid}/maps").read_text()


async def test_truncated_file_of_the_journal_does_not_end_the_daemon(tmp_path: Path) -> None:
    """While events are written, and read by a page and by another process, no access to a lost page ends it."""
    write_config(tmp_path, CAMERAS, MORE)
    async with launch_daemon(tmp_path) as daemon, trio.open_nursery() as nursery:
        await daemon.wait_ready()
        await daemon.wait_camera("front", "live")
        nursery.start_soon(repeat, partial(shorten_indexes, daemon.folder / "journal"))
        for _ in range(40):
            assert (await lease(daemon))[0] == 201
            assert (await request(daemon.port, "GET", "/api/events?limit=5")).status == 200
        seq = await last_acknowledged(daemon)
        assert str(daemon.folder / "journal") not in mapped(daemon.process.pid)
        nursery.cancel_scope.cancel()
        assert await daemon.end() == 0
    assert daemon.journal()[-1].seq >= seq
    assert not verify(tmp_path / "journal").damages


# ── at the start ────────────────────────────────────────────────────────────────────────────────────────────────


def in_place_of_newest(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def act(journal: Path) -> None:
        path = newest(journal)
        path.unlink()
        make(path)

    return act


STARTS: dict[str, Callable[[Path], object]] = {
    "random bytes": lambda journal: newest(journal).write_bytes(os.urandom(40_000)),
    "empty file": lambda journal: os.truncate(newest(journal), 0),
    "folder": in_place_of_newest(Path.mkdir),
    "pipe": in_place_of_newest(os.mkfifo),
    "another database": in_place_of_newest(lambda path: change_foreign(path)),
    "missing end": lambda journal: change(
        journal, "DELETE FROM event WHERE seq > (SELECT max(seq) - 3 FROM event)", 61
    ),
    "damaged event": lambda journal: change(journal, "UPDATE event SET crc = 0 WHERE seq = 70", 61),
    "missing event": lambda journal: change(journal, "DELETE FROM event WHERE seq = 70", 61),
    "no head": lambda journal: change(journal, "DELETE FROM segment", 61),
}


def change_foreign(path: Path) -> None:
    db = apsw.Connection(str(path))
    db.execute("CREATE TABLE theirs (x)")
    db.close()


def two_segments(folder: Path) -> Path:
    """A journal whose newest segment begins with event 61."""
    rows = lively()[:110]
    return write_journal(folder / "journal", rows, batch=60, rotation=TINY)


@pytest.mark.parametrize("case", STARTS)
async def test_start_over_a_damaged_segment_sets_it_aside(tmp_path: Path, case: str) -> None:
    """Cameras run, leases are acknowledged, the file is there under another name, and no number is given twice."""
    journal = two_segments(tmp_path)
    name = newest(journal).name
    STARTS[case](journal)
    write_config(tmp_path, CAMERAS, MORE)
    async with launch_daemon(tmp_path) as daemon:
        await daemon.wait_ready()
        await daemon.wait_camera("front", "live")
        await until(partial(grants_leases, daemon))
        assert await daemon.end() == 0
    asides = [path.name for path in journal.iterdir() if path.name.startswith("damaged-")]
    assert [aside for aside in asides if aside.endswith(name)]
    rows = [row for row in daemon.journal() if row.seq > 60]
    assert rows[0].seq == 61 + SPAN + 1
    assert isinstance(rows[0].event, e.ChainBegan)
    assert rows[0].event.last == 60
    told = [row.event for row in rows if isinstance(row.event, e.JournalFileSetAside)]
    assert [(event.file, event.aside in asides) for event in told] == [(name, True)]
    assert not verify(journal).damages


@asynccontextmanager
async def open_page(daemon: Daemon) -> AsyncIterator[WebSocketConnection]:
    """The WebSocket of a dashboard."""
    stream = await trio.open_tcp_stream("127.0.0.1", daemon.port)
    async with stream, trio.open_nursery() as nursery:
        path = "/ws/events?state=changes"
        yield await wrap_client_stream(nursery, stream, f"127.0.0.1:{daemon.port}", path)
        nursery.cancel_scope.cancel()


async def hear(page: WebSocketConnection, kind: str) -> dict[str, object]:
    """The next message of this type."""
    with trio.fail_after(BEGUN_WITHIN_S + SLACK_S):
        while True:
            message: dict[str, object] = json.loads(await page.get_message())
            if message["type"] == kind:
                return message


async def meet_page(page: WebSocketConnection) -> None:
    """A dashboard shows the cameras and the fault."""
    await hear(page, "hello")
    state = json.dumps(await hear(page, "state"))
    assert '"critical"' in state
    assert '"front"' in state


async def meet_start(folder: Path, restore: Callable[[], object], program: str = "supervisor") -> Daemon:
    """Start with an unusable journal, query it as people and pages do, repair it, and wait until it is used."""
    write_config(folder, CAMERAS, MORE)
    environment = {FAILING_DISK: str(folder / "fault")}
    async with launch_daemon(folder, environment, program) as daemon:
        await daemon.wait_ready()
        await daemon.wait_camera("front", "live")
        assert await verdict(daemon) == "critical"
        assert (await lease(daemon))[0] == 503
        async with open_page(daemon) as page:
            await meet_page(page)
            restore()
            await until(partial(grants_leases, daemon))
            assert await hear(page, "events")
        assert await verdict(daemon) == "ok"
        assert await daemon.end() == 0
    assert "Traceback" not in daemon.output
    return daemon


@pytest.mark.parametrize("fault", [Fault.FULL, Fault.READ_ONLY, Fault.WRITE_FAILS, Fault.SYNC_FAILS])
@pytest.mark.parametrize("new", [False, True], ids=["a journal", "no journal yet"])
async def test_start_on_a_failing_disk_journals_when_it_works(tmp_path: Path, fault: Fault, new: bool) -> None:
    """Sequence numbers and chain continue: no event was lost, so no new chain begins."""
    if not new:
        two_segments(tmp_path)
    (tmp_path / "fault").write_text(fault)
    daemon = await meet_start(tmp_path, (tmp_path / "fault").unlink, "tests.kit.disk")
    rows = daemon.journal()
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert "ChainBegan" not in {row.type for row in rows}
    assert not verify(tmp_path / "journal").damages


async def test_start_without_a_folder_begins_when_it_is_there(tmp_path: Path) -> None:
    """The old journal comes back later: a new chain follows it, with numbers far above."""
    hidden = two_segments(tmp_path).rename(tmp_path / "hidden")
    (tmp_path / "journal").write_text("a file where a folder should be")

    def restore() -> None:
        (tmp_path / "journal").unlink()
        hidden.rename(tmp_path / "journal")

    rows = [row for row in (await meet_start(tmp_path, restore)).journal() if row.seq > 110]
    assert isinstance(rows[0].event, e.ChainBegan)
    assert rows[0].event.last == 110
    assert len(rows[0].event.digest) == 64
    assert not verify(tmp_path / "journal").damages


READ = (
    "import apsw, sys; db = apsw.Connection(sys.argv[1], flags=apsw.SQLITE_OPEN_READONLY);"
    "print(db.execute('BEGIN; SELECT count(*) FROM event').get, flush=True); sys.stdin.read()"
)


@contextmanager
def reading(path: Path) -> Iterator[int]:
    """The pid of another process, in the middle of a transaction. It ends when it is killed."""
    command = [sys.executable, "-c", READ, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert int(reader.stdout.readline()) == 50
        yield reader.pid


async def test_start_names_the_process_that_reads_the_newest_segment(tmp_path: Path) -> None:
    """The reader is named in the log, once, and its end is enough."""
    path = newest(two_segments(tmp_path))
    with reading(path) as pid:
        daemon = await meet_start(tmp_path, partial(os.kill, pid, signal.SIGKILL))
    assert daemon.output.count("the journal cannot write") == 1
    assert f"the journal cannot write: {path}: process {pid} has this file open" in daemon.output
    assert "the journal writes again" in daemon.output
    assert not verify(tmp_path / "journal").damages


async def test_journal_of_a_newer_release_is_not_touched(tmp_path: Path) -> None:
    """It is whole, and nobody's to set aside: cameras run, nothing is acknowledged."""
    journal = two_segments(tmp_path)
    for segment in list_segments(journal):
        change(journal, "PRAGMA user_version = 99", segment.first)
    before = {path.name: path.read_bytes() for path in journal.iterdir() if path.suffix == ".sqlite"}
    write_config(tmp_path, CAMERAS, MORE)
    async with launch_daemon(tmp_path) as daemon:
        await daemon.wait_ready()
        await daemon.wait_camera("front", "live")
        assert (await lease(daemon))[0] == 503
        assert "written by a newer banken" in (await daemon.get("/api/health"))["parts"][0]["reason"]
        assert (await request(daemon.port, "GET", "/api/events")).status == 503
        async with open_page(daemon) as page:
            await meet_page(page)
        assert await daemon.end() == 1  # nothing was stored
    assert {path.name: path.read_bytes() for path in journal.iterdir() if path.suffix == ".sqlite"} == before


@pytest.mark.parametrize("name", [".", "lock"])
async def test_start_while_a_backup_holds_the_lock_journals_after_its_release(tmp_path: Path, name: str) -> None:
    """Cameras run, nothing is acknowledged; then numbers and chain go on."""
    journal = two_segments(tmp_path)
    (journal / "lock").write_text("0\n")  # the last daemon was not this process
    held = os.open(journal / name, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_SH)
    daemon = await meet_start(tmp_path, partial(os.close, held))
    rows = daemon.journal()
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    assert "ChainBegan" not in {row.type for row in rows}
    assert not verify(journal).damages


async def test_second_daemon_is_refused_without_a_lock_file(tmp_path: Path) -> None:
    """The lock belongs to the folder: exit 2, and the first goes on."""
    write_config(tmp_path, CAMERAS, MORE)
    async with launch_daemon(tmp_path) as daemon:
        await daemon.wait_ready()
        (tmp_path / "journal" / "lock").unlink()
        (tmp_path / "second").mkdir()
        write_config(tmp_path / "second", CAMERAS, MORE)
        text = (tmp_path / "second" / "banken.yaml").read_text()
        (tmp_path / "second" / "banken.yaml").write_text(text.replace("path: journal", f"path: {tmp_path}/journal"))
        async with launch_daemon(tmp_path / "second", {"BANKEN_STATE_PATH": str(tmp_path / "second")}) as second:
            await wait_until(lambda: second.process.poll() is not None, 20)
            assert second.process.returncode == 2
            assert "in use by another daemon" in second.output
        assert await daemon.end() == 0
