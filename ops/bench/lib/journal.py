"""Measures the journal on this machine: durable appends, reads and queries. Writes to a separate folder.

The domain itself makes the events, those of a site of sixteen cameras whose child processes come and go while viewers
watch. So the bytes of an event and the time of a fold are realistic.
"""

import resource
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count as count_up
from pathlib import Path
from random import Random

import apsw
import attrs
import trio

from supervisor.base.clock import SystemClock
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.decide import decide
from supervisor.domain.evolve import evolve, fold
from supervisor.domain.ids import CameraId, ChildId, NodeId, PeerId, RunId
from supervisor.domain.state import State
from supervisor.domain.values import CameraSettings, Fault, Limits, Mode, Picture, Reason, SourceSummary
from supervisor.journal import codec
from supervisor.journal.reader import Reader
from supervisor.journal.store import Store
from supervisor.journal.writer import Journal, ThreadedStore
from supervisor.ports.questions import Query
from supervisor.runtime.kernel import Kernel

CAMERAS = 16
WAITING = 64
BATCH = 256
ROUND_S = 1.5
ROUNDS = 5
ASKED = 60
FOLDED = 50_000
SITE = tuple(CameraId(f"camera-{number:02}") for number in range(CAMERAS))
PICTURE = Picture("h264", 1280, 720)
LOST = Reason("unreachable", "no route to host", Fault.TEMPORARY)
ENOUGH = Reason("left", "the viewer closed the connection", Fault.NONE)
FFMPEG = "ffmpeg -hide_banner -nostats -loglevel warning -i pipe:0 -map 0:v:0 -c copy -an -f flv pipe:1"
NODE, RUN = NodeId("5d41402abc4b2a76"), RunId("7d793037a0760186")

Progress = Callable[[int, int, str], None]


@attrs.frozen
class Figure:
    """A line of the table."""

    what: str
    asked: str
    got: str


def commands(chance: Random, ids: Iterator[str]) -> Iterator[c.Command]:
    """The commands of the site, without end."""
    yield c.StartRun(RUN, NODE, "0", 1)
    sources = (SourceSummary("rtsp", f"rtsp://192.0.2.{number}/stream1") for number in range(CAMERAS))
    settings = (
        CameraSettings(name, source, None, Mode.ALWAYS, "site") for name, source in zip(SITE, sources, strict=True)
    )
    yield c.Configure("site", tuple(settings), Limits())
    while True:
        camera = chance.choice(SITE)
        child, peer = ChildId(next(ids)), PeerId(next(ids))
        yield c.ConnectCamera(camera)
        yield c.PrepareChild(child, camera, "source", tuple(FFMPEG.split()))
        yield c.ReportChildStarted(child, chance.randrange(2, 2**22), chance.randrange(2**30))
        yield c.ReportLive(camera, PICTURE)
        yield c.OpenPeer(peer=peer, camera=camera, client="192.0.2.77", owner=f"{chance.getrandbits(256):064x}")
        yield c.ReportPeerConnected(peer)
        yield c.ReportPeerClosed(peer, ENOUGH)
        yield c.ReportChildEnded(child, 1, None, LOST, ("Connection to tcp://192.0.2.10:554 failed",))
        yield c.ReportLoss(camera, LOST, chance.random())


def story(count: int, seed: int = 1) -> Iterator[tuple[e.Recorded, State]]:
    """`count` events, each with the state after it."""
    chance = Random(seed)
    state, now_ns, seq = State(), 1_800_000_000 * 10**9, 0
    ids = (f"{now_ns >> 20 << 23 | chance.getrandbits(23):016x}" for _ in count_up())
    for command in commands(chance, ids):
        correlation, cause = next(ids), seq or None
        now_ns += chance.randrange(10**9)
        for event in decide(state, command, now_ns):
            seq += 1
            version = state.versions.get(event.stream, 0) + 1
            recorded = e.Recorded(
                seq, now_ns, now_ns, NODE, RUN, event.stream, version, event, cause, correlation, "actor"
            )
            state = evolve(state, recorded)
            yield recorded, state
            if seq == count:
                return


def write(folder: Path, count: int, progress: Progress) -> None:
    """Write a journal of `count` events into `folder`."""
    store = Store(folder)
    try:
        batch: list[e.Recorded] = []
        for recorded, state in story(count):
            batch.append(recorded)
            if len(batch) == BATCH or recorded.seq == count:
                store.append(batch, state)
                batch = []
                if recorded.seq % (BATCH * 40) == 0 or recorded.seq == count:
                    progress(recorded.seq, count, f"{recorded.seq:,} events written")
        store.keep(0)
    finally:
        store.close()


async def durable(folder: Path) -> float:
    """Events a second that the real kernel acknowledges as durable, with `WAITING` concurrent callers."""
    store = Store(folder)
    journal = Journal(ThreadedStore(store), lambda rows: None)
    kernel = Kernel(State(), journal, SystemClock(), NODE, RUN)
    acknowledged = 0

    async def call(name: CameraId) -> None:
        nonlocal acknowledged
        while True:
            receipt = await kernel.submit(c.ConnectCamera(name))
            acknowledged += len(receipt.events)
            receipt = await kernel.submit(c.ReportLoss(name, LOST, 0.5))
            acknowledged += len(receipt.events)

    names = [CameraId(f"camera-{number}") for number in range(WAITING)]
    settings = (CameraSettings(name, SourceSummary("rtsp", ""), None, Mode.ALWAYS, "site") for name in names)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.run)
        await kernel.submit(c.StartRun(RUN, NODE, "0", 1))
        await kernel.submit(c.Configure("site", tuple(settings), Limits()))
        for name in names:
            nursery.start_soon(call, name)
        await trio.sleep(ROUND_S / 10)
        before, began = acknowledged, trio.current_time()
        await trio.sleep(ROUND_S)
        rate = (acknowledged - before) / (trio.current_time() - began)
        nursery.cancel_scope.cancel(reason="measured")
    store.close()
    return rate


async def bare(path: Path) -> float:
    """Rows a second that a group commit through apsw acknowledges, with the same number of callers and row size.

    Nothing is decided, folded, checked, chained or indexed: this is the minimum cost of a durable append.
    """
    body = max((codec.encode(recorded) for recorded, _ in story(200)), key=lambda row: len(row[12]) < 200)[12]
    db = apsw.Connection(str(path))
    db.pragma("journal_mode", "wal")
    db.pragma("synchronous", "full")
    db.execute("CREATE TABLE bare (seq INTEGER PRIMARY KEY, body TEXT)")
    line: list[tuple[str]] = []
    work, waiters = trio.lowlevel.ParkingLot(), trio.lowlevel.ParkingLot()
    done = 0

    def store(rows: list[tuple[str]]) -> None:
        with db:
            db.executemany("INSERT INTO bare (body) VALUES (?)", rows)

    async def commit() -> None:
        nonlocal done, line
        while True:
            rows, line = line, []
            if rows:
                await trio.to_thread.run_sync(store, rows)
                done += len(rows)
                waiters.unpark_all()
            if not line:
                await work.park()

    async def call() -> None:
        while True:
            line.append((body,))
            work.unpark_all()
            await waiters.park()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(commit)
        for _ in range(WAITING):
            nursery.start_soon(call)
        before, began = done, trio.current_time()
        await trio.sleep(ROUND_S)
        rate = (done - before) / (trio.current_time() - began)
        nursery.cancel_scope.cancel(reason="measured")
    db.close(force=True)
    return rate


def milliseconds(call: Callable[[int], object], count: int, chance: Random) -> tuple[float, float]:
    """Median and 95th percentile of the time of `call` for random sequence numbers, in milliseconds."""
    took = []
    for _ in range(ASKED):
        seq = chance.randrange(1, count + 1)
        began = time.perf_counter()
        call(seq)
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took), statistics.quantiles(took, n=20)[-1]


def folds_a_second(events: list[e.Recorded]) -> float:
    """Median number of decoded events that are folded in a second of processor time."""
    took = []
    for _ in range(ROUNDS):
        began = time.process_time()
        fold(events)
        took.append(time.process_time() - began)
    return len(events) / statistics.median(took)


def _first_screen(reader: Reader, ask: Callable[..., Query]) -> Callable[[int], object]:
    return lambda seq: reader.page(ask(before=seq), 50, newest=True)


def measure(folder: Path, count: int, progress: Progress) -> list[Figure]:
    """Make a journal of `count` events in the empty `folder`, and measure everything once."""
    rates: list[tuple[float, float]] = []
    for number in range(ROUNDS):
        progress(number, ROUNDS, "acknowledged appends, beside a bare group commit")
        rates.append((trio.run(durable, folder / f"durable-{number}"), trio.run(bare, folder / f"bare-{number}")))
    mine, theirs = (statistics.median(each) for each in zip(*rates, strict=True))
    ratio = statistics.median(ours / other for ours, other in rates)
    home = folder / "journal"
    write(home, count, progress)
    size = sum(path.stat().st_size for path in home.iterdir())
    reader = Reader(home)
    first = min(count, 1_000_000)
    began = time.process_time()
    for _ in reader.events(1, first):
        pass
    read_s = time.process_time() - began
    began = time.process_time()
    fold(reader.events(1, first))
    all_s = time.process_time() - began
    folds = folds_a_second(list(reader.events(1, min(count, FOLDED))))
    chance = Random(2)
    _, at_ms = milliseconds(reader.state_at, count, chance)
    filters = {
        "a camera": partial(Query, camera=SITE[3]),
        "a type": partial(Query, types=("CameraFailed", "RunStarted")),
        "types by a glob": partial(Query, types=("Peer*",)),
        "a camera and a type": partial(Query, camera=SITE[3], types=("PeerClosed",)),
        "a stream": partial(Query, stream="camera/camera-05"),
        "a correlation": partial(Query, correlation="0123456789abcdef"),
    }
    screens = {name: milliseconds(_first_screen(reader, ask), count, chance)[1] for name, ask in filters.items()}
    reader.close()
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [
        Figure(f"acknowledged appends a second, {WAITING} waiting", ">= 20,000", f"{mine:,.0f}"),
        Figure("of a bare group commit in the same run", ">= 0.30", f"{ratio:.2f} (of {theirs:,.0f})"),
        Figure("read and decode, events a second", "", f"{first / read_s:,.0f}"),
        Figure("fold, events a second", ">= 400,000", f"{folds:,.0f}"),
        Figure("read, decode and fold, events a second", "", f"{first / all_s:,.0f}"),
        Figure(f"state at any instant of {count:,} events, p95", "<= 300 ms", f"{at_ms:.0f} ms"),
        *(Figure(f"events of {name}, first screen, p95", "<= 300 ms", f"{ms:.1f} ms") for name, ms in screens.items()),
        Figure("bytes an event", "<= 300", f"{size / count:.0f}"),
        Figure("resident memory of this process, at the most", "<= 200 MB", f"{resident:.0f} MB"),
    ]
