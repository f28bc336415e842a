"""The writer over real files: events are encoded beside the commit, and stored as if they had not been."""

import math
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path

import apsw
import pytest
import trio
from trio.testing import MockClock

from supervisor.domain.events import ChainBegan, Recorded
from supervisor.domain.state import State
from supervisor.journal import codec
from supervisor.journal.codec import GENESIS, Encoded
from supervisor.journal.files import ChainStart
from supervisor.journal.reader import Reader
from supervisor.journal.store import Chain, End, Store, read_through
from supervisor.journal.writer import RECOVERED_EVERY_S, STALLED_S, Journal, ThreadedStore
from supervisor.ports.errors import JournalError
from tests.kit.journals import lively, read_all, states
from tests.kit.memory import MemorySegment
from tests.kit.patience import give_up_after

ROWS = lively()
AFTER = states(ROWS)


class HeldStore(Store):
    """A store whose commits wait until they are let go on, and fail when they are asked to."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.began = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.failures = 0
        self.groups: list[list[int]] = []

    def append(self, batch: Sequence[Recorded], state: State, encoded: Sequence[Encoded] | None = None) -> None:
        self.began.release()
        assert self.go_on.wait(10)
        self.groups.append([each.seq for each in batch])
        if self.failures:
            self.failures -= 1
            self._broken = True
            raise apsw.IOError("disk I/O error")
        super().append(batch, state, encoded)

    def begin_chain(self, chain: Chain) -> ChainStart:
        self.began.release()
        assert self.go_on.wait(10)
        return super().begin_chain(chain)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[HeldStore]:
    store = HeldStore(tmp_path / "journal")
    yield store
    store.close()


@asynccontextmanager
async def writing(store: HeldStore, chain: Chain | None = None) -> AsyncIterator[tuple[Journal, list[Recorded]]]:
    """A journal that writes to `store`, and all that it has published."""
    published: list[Recorded] = []
    segments = ThreadedStore(store)
    journal = Journal(segments, published.extend, fault=chain.why if chain else None, chain=chain)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.run)
        yield journal, published
        nursery.cancel_scope.cancel(reason="the test is over")
    segments.close()


def put(journal: Journal, first: int, last: int) -> None:
    for recorded in ROWS[first - 1 : last]:
        journal.append_nowait(recorded, AFTER[recorded.seq])


async def begun(store: HeldStore) -> None:
    """Wait until a commit is under way."""
    assert await trio.to_thread.run_sync(store.began.acquire, True, 10)


async def test_next_group_is_encoded_while_one_is_committed(store: HeldStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the loop, each event once; its own commit finds it encoded. Nothing is published before it is stored."""
    seen: list[tuple[int, bool]] = []
    encoded = codec.encoded

    def see(recorded: Recorded) -> Encoded:
        seen.append((recorded.seq, threading.current_thread() is threading.main_thread()))
        return encoded(recorded)

    monkeypatch.setattr(codec, "encoded", see)
    async with writing(store) as (journal, published):
        put(journal, 1, 5)
        await begun(store)
        put(journal, 6, 40)
        assert seen == [(seq, seq > 5) for seq in range(1, 41)]
        assert published == []
        store.go_on.set()
        assert await journal.wait_committed(40)
        assert seen == [(seq, seq > 5) for seq in range(1, 41)]
    assert published == ROWS[:40]
    assert store.groups == [[*range(1, 6)], [*range(6, 41)]]
    assert read_all(store.folder) == ROWS[:40]
    assert read_through(store._opened().path)[:2] == (40, store.end.digest)


async def test_encoded_group_that_cannot_be_committed_is_committed_later(store: HeldStore) -> None:
    """Nothing of it is published before, and nothing is stored twice or out of order."""
    store.failures = 1
    store.go_on.set()
    recovered = trio.Event()
    async with writing(store) as (journal, published):
        journal.on_recovered = lambda why, lasted_s: recovered.set()
        put(journal, 1, 5)
        assert not await journal.wait_committed(5)
        assert published == []
        put(journal, 6, 10)
        with give_up_after(10):
            await recovered.wait()
            assert await journal.wait_committed(10)
    assert published == ROWS[:10] == read_all(store.folder)
    assert read_through(store._opened().path)[:2] == (10, store.end.digest)


async def test_no_memory_to_encode_in_the_loop_is_no_end(store: HeldStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The event is in line already: the thread encodes it."""
    encoded = codec.encoded

    def refuse(recorded: Recorded) -> Encoded:
        if threading.current_thread() is threading.main_thread():
            raise MemoryError
        return encoded(recorded)

    monkeypatch.setattr(codec, "encoded", refuse)
    async with writing(store) as (journal, _):
        put(journal, 1, 5)
        await begun(store)
        put(journal, 6, 10)
        store.go_on.set()
        assert await journal.wait_committed(10)
    assert read_all(store.folder) == ROWS[:10]


async def test_first_event_of_a_chain_is_stored_with_the_end_that_was_found(tmp_path: Path) -> None:
    """It was encoded when that end was not known yet."""
    folder = tmp_path / "journal"
    old = Store(folder)
    old.append(ROWS[:5], AFTER[5])
    end = old.end
    old.close()
    store, recovered = HeldStore(folder), trio.Event()
    async with writing(store, Chain(AFTER[5], None, "damaged")) as (journal, _):
        journal.on_recovered = lambda why, lasted_s: recovered.set()
        await begun(store)
        event = ChainBegan(0, "", "damaged")
        journal.append_nowait(
            Recorded(6, 6, 6, ROWS[0].node, ROWS[0].run, event.stream, 1, event, None, "", "system"), State(seq=6)
        )
        store.go_on.set()
        with give_up_after(10):
            await recovered.wait()
            assert await journal.wait_committed(6)
    reader = Reader(folder)
    assert [row.event for row in reader.events(6, 6)] == [ChainBegan(end.seq, end.digest.hex(), "damaged")]
    reader.close()


class RefusingSegments:
    """Segments that cannot be opened, for reasons that come in turn."""

    def __init__(self, *reasons: str) -> None:
        self.on_replaced = lambda error: None
        self.last_seq, self.end = 0, End(0, GENESIS)
        self._reasons = cycle(reasons)

    async def reconnect(self) -> None:
        raise JournalError(next(self._reasons))


@pytest.mark.parametrize(
    ("reasons", "logged"),
    [(["locked"], ["locked"]), (["full"], ["locked", "full"]), (["locked", "full"], ["locked", "full", "locked"])],
)
async def test_fault_of_a_start_and_another_reason_are_logged_once(
    autojump_clock: object, caplog: pytest.LogCaptureFixture, reasons: list[str], logged: list[str]
) -> None:
    """Reasons that come in turn are lines of the log once a minute."""
    journal = Journal(RefusingSegments(*reasons), lambda rows: None, fault="locked")  # type: ignore[arg-type]
    with trio.move_on_after(1.2 * RECOVERED_EVERY_S):
        await journal.run()
    assert [record.getMessage() for record in caplog.records if record.levelname == "CRITICAL"] == [
        f"the journal cannot write: {reason}" for reason in logged
    ]


class SlowSegment(MemorySegment):
    """The first batch takes 0.6 s, the second one for ever."""

    async def append(self, batch: Sequence[Recorded], state: State) -> None:
        await trio.sleep(math.inf if self.rows else 0.6)
        await super().append(batch, state)


async def test_disk_that_stops_after_an_answer_is_noticed_a_second_later(autojump_clock: MockClock) -> None:
    """The time begins with the newest question to the disk, and not with the first of a row."""
    journal = Journal(SlowSegment(), lambda rows: None)
    async with trio.open_nursery() as nursery:
        journal.append_nowait(ROWS[0], AFTER[1])
        nursery.start_soon(journal.run)
        await trio.sleep(0.3)
        journal.append_nowait(ROWS[1], AFTER[2])
        assert not await journal.wait_committed(2)
        assert 0.6 + STALLED_S <= trio.current_time() <= 0.6 + STALLED_S + 0.2
        nursery.cancel_scope.cancel()
