"""The journal's writer: the only actor that appends. Events that arrive during a commit form the next one.

Rules of this file:
- Events are stored in the order of their decisions, without a gap unless the queue overflows.
- Every event up to `committed` is synced. No later event is acknowledged.
- The queue is bounded. Events beyond the bound are lost, but not silently: when the disk writes again, the state after
  them is stored, with an event that records their number.
- If the files were replaced, a new chain begins. Its first event names the end of the old chain. Events that waited
  before it were never acknowledged; they are lost in the same way.
- An event that arrives while the disk is busy is encoded in the loop meanwhile. Any other event is encoded by the
  thread, which takes it at once while it is still in the cache.
- A failure of the disk or the system is a fault: it is retried, and ends nothing.
"""

import heapq
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any, Protocol

import apsw
import attrs
import trio
from msgspec.structs import replace

from ..base.clock import SystemClock
from ..base.groups import first_of
from ..base.worker import Worker
from ..domain.events import ChainBegan, Recorded
from ..domain.state import State
from ..ports.errors import JournalError
from ..ports.statistics import JournalStatistics
from . import codec
from .codec import Encoded
from .errors import JournalReplaced
from .files import ChainStart
from .retention import Removal
from .store import LOOK_EVERY_S, Chain, End, Kept, SetAsideFile, Store

logger = logging.getLogger(__name__)

BATCH = 512
"""Events in one transaction at most."""
PENDING = 4096
"""Events that may wait for a disk that does not write: hours of normal operation."""
RETRY_S = 0.5
STALLED_S = 1.0
"""A disk that has not answered for this time counts as failed until it answers, so that no caller waits forever."""
KEEP_EVERY_S = 60.0
"""How often full segments are sealed and old ones removed."""
RECOVERED_EVERY_S = 60.0
"""An intermittent fault causes at most one event in this time, because each event is another write."""
FAULTS = (apsw.Error, JournalError, OSError, MemoryError)
"""Failures of a disk or a system. `ThreadRefused` is an `OSError`."""

Batch = tuple[list[Recorded], State, list[Encoded]]
"""Consecutive events, the state after the last one, and the encoded events."""
Take = Callable[[], Batch | None]
"""Returns the next events to store; None if the queue is empty. It may be called in a thread."""


class Segments(Protocol):
    """The store below the writer: `ThreadedStore` over a real store, or one in memory for simulated time."""

    on_replaced: Callable[[JournalReplaced], object]
    """Called in the loop if the files were found to be replaced while no write was active."""

    @property
    def last_seq(self) -> int: ...

    @property
    def end(self) -> End: ...

    async def drain(self, take: Take, stored: Callable[[Sequence[Recorded]], None]) -> None:
        """Store each batch that `take` returns, until it returns None. `stored` is called with each durable batch."""
        ...

    async def skip(self, state: State) -> None:
        """Continue after `state`; the events before it were lost. Raises one of `FAULTS`."""
        ...

    async def reconnect(self) -> None:
        """Open the files again after a fault. Raises one of `FAULTS`; `JournalReplaced` needs `begin_chain` next."""
        ...

    async def begin_chain(self, chain: Chain) -> ChainStart:
        """Begin a new chain; return its record of the old one. Raises one of `FAULTS`."""
        ...

    async def keep(self) -> Kept:
        """Seal complete segments, and find those that retention removes. Raises one of `FAULTS`."""
        ...

    async def remove(self, removal: Removal) -> Sequence[str]:
        """Delete segments; return the names of the deleted ones. Raises one of `FAULTS`."""
        ...


class ThreadedStore:
    """A `Store` in a dedicated thread, which is started once. Sealing and retention have a second thread.

    The thread takes the next batch itself when the previous one is stored; the loop acknowledges meanwhile.
    A cancellation abandons a call, because the disk may hang.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._writing = Worker("journal", self._look, LOOK_EVERY_S)
        self._keeping = Worker("journal-keeping")
        self._token: trio.lowlevel.TrioToken | None = None
        self.on_replaced: Callable[[JournalReplaced], object] = lambda error: None

    @property
    def last_seq(self) -> int:
        return self._store.last_seq

    @property
    def end(self) -> End:
        return self._store.end

    def asides(self) -> list[SetAsideFile]:
        """Files that were set aside since the last call."""
        found, self._store.asides[:] = list(self._store.asides), []
        return found

    async def drain(self, take: Take, stored: Callable[[Sequence[Recorded]], None]) -> None:
        self._token = trio.lowlevel.current_trio_token()
        await self._writing.run(partial(self._drain, take), stored)

    def _drain(self, take: Take, post: Callable[[Sequence[Recorded]], None]) -> None:
        while (batch := take()) is not None:
            self._store.append(*batch)
            post(batch[0])

    async def skip(self, state: State) -> None:
        await self._writing.run(lambda post: self._store.skip(state))

    async def reconnect(self) -> None:
        await self._writing.run(lambda post: self._store.reconnect())

    async def begin_chain(self, chain: Chain) -> ChainStart:
        found: list[ChainStart] = []
        await self._writing.run(lambda post: post(self._store.begin_chain(chain)), found.append)
        return found[0]

    async def keep(self) -> Kept:
        found: list[Kept] = []
        now_ns = SystemClock().wall_ns()
        await self._keeping.run(lambda post: post(self._store.keep(now_ns)), found.append)
        return found[0]

    async def remove(self, removal: Removal) -> Sequence[str]:
        found: list[Sequence[str]] = []
        await self._keeping.run(lambda post: post(self._store.remove(removal)), found.append)
        return found[0]

    def _look(self) -> None:
        try:
            self._store.look()
        except JournalReplaced as error:
            if self._token is not None:
                with suppress(trio.RunFinishedError):
                    self._token.run_sync_soon(partial(self._tell, error))
        except FAULTS:
            return  # it says nothing about the files; a commit that fails in this way reports it

    def _tell(self, error: JournalReplaced) -> None:
        self.on_replaced(error)

    def close(self) -> None:
        """End both threads. A call that hangs runs until the process ends. Blocking, for at most a second."""
        self._writing.close()
        self._keeping.close()


@attrs.frozen
class Gap:
    """Events that did not fit into the queue while the disk did not write, and the state after them."""

    first: int
    state: State
    since: float

    @property
    def last(self) -> int:
        return self.state.seq


@attrs.define(eq=False)
class Waiting:
    """A queued event, and the state after it."""

    recorded: Recorded
    state: State
    since: float
    """On trio's clock."""
    encoded: Encoded | None = None


class Journal:
    """The write side of the journal.

    Every durable batch is passed to `publish`. The argument `state` is the state after the last stored event. If the
    store is not open yet, `fault` is the reason, and `chain` the chain that must begin first.
    """

    def __init__(
        self,
        segments: Segments,
        publish: Callable[[Sequence[Recorded]], None],
        *,
        state: State | None = None,
        fault: str | None = None,
        chain: Chain | None = None,
    ) -> None:
        self._segments = segments
        self._publish = publish
        self.on_gap: Callable[[int, int], object] = lambda first, last: None
        """Called with the first and the last lost event. The event that it appends is stored right after the gap."""
        self.on_chain: Callable[[End, str], object] = lambda old, why: None
        """Called with the end of the old chain and the reason when a new chain must begin.

        The first event that it appends is the first event of the new chain.
        """
        self.on_begun: Callable[[], object] = lambda: None
        """Called when the new chain has begun and other files are the journal."""
        self.on_aside: Callable[[SetAsideFile], object] = lambda aside: None
        self.on_removal: Callable[[Removal], Recorded | None] = lambda removal: None
        """Called before segments are removed. They are removed when the event that it returns is durable."""
        self.on_not_removed: Callable[[str], object] = lambda why: None
        """Called with the reason when a removal fails for the first time. The removal is retried."""
        self.on_recovered: Callable[[str, float], object] = lambda why, lasted_s: None
        """Called with the reason and the duration of a fault when it is over, at most once in `RECOVERED_EVERY_S`."""
        self._line: deque[Waiting | Gap] = deque()
        self._unsent: deque[Waiting] = deque()
        """The queued events that the segments have not taken yet, without those after a gap."""
        self._overflow: Gap | None = None
        self._gap: Gap | None = None
        """The last stored gap."""
        self._reported: frozenset[str] = frozenset()
        """Segments whose removal is journaled, but not done."""
        self._work = trio.lowlevel.ParkingLot()
        self._begun = trio.lowlevel.ParkingLot()
        self._waiters: list[tuple[int, int, list[trio.lowlevel.Task]]] = []
        """A heap of (event that a task waits for, tie-breaking number, the task while it waits)."""
        self._numbers = count()
        self._commits = self._lost = 0
        self._fault = fault
        self._faulty_since: float | None = None
        self._told_at = -RECOVERED_EVERY_S
        self._chain = chain
        self._asked_at: float | None = None
        """Since when the disk has been busy; None while it is idle."""
        self._head = State() if state is None else state
        """The state after the last stored event."""
        self.committed = segments.last_seq if chain is None else chain.head.seq
        segments.on_replaced = self._replaced
        self._logged = ""
        """The last logged reason of a fault. A different reason is also logged, once in `RECOVERED_EVERY_S`."""
        self._logged_at = -RECOVERED_EVERY_S
        if fault is not None:
            self._log(fault)

    @property
    def fault(self) -> str | None:
        """Why no event can be acknowledged now; None if the journal works."""
        if self._fault is None and self._asked_at is not None:
            now = trio.current_time()
            if now >= self._asked_at + STALLED_S:
                return f"the disk has not answered for {now - self._asked_at:.0f} s"
        return self._fault

    def append_nowait(self, recorded: Recorded, state: State) -> None:
        """Queue an event; `state` is the state after it. Never waits."""
        if self._overflow is not None or len(self._line) >= PENDING:
            if self._overflow is None:
                logger.critical("event %d and what follows are lost: %d wait for the disk", recorded.seq, PENDING)
            lost = self._overflow or Gap(recorded.seq, state, trio.current_time())
            self._overflow = attrs.evolve(lost, state=state)
            self._lost += 1
            return
        waiting = Waiting(recorded, state, trio.current_time())
        if not self._is_behind_gap():
            self._unsent.append(waiting)
        self._line.append(waiting)
        if self._work:
            self._work.unpark_all()
        if self._asked_at is not None:
            with suppress(MemoryError):  # then the thread tries, and its failure is a fault
                waiting.encoded = codec.encoded(recorded)

    def _is_behind_gap(self) -> bool:
        """Whether a gap is queued, always as the first entry: all other entries are stored after it."""
        return bool(self._line) and isinstance(self._line[0], Gap)

    async def wait_committed(self, seq: int) -> bool:
        """Wait until event `seq` is durable. Returns false if the journal has a fault or has lost the event."""
        while self.committed < seq and self.fault is None:
            place = (seq, next(self._numbers), [trio.lowlevel.current_task()])
            heapq.heappush(self._waiters, place)
            await trio.lowlevel.wait_task_rescheduled(partial(_leave, place[2]))
        return self.committed >= seq and not (self._gap is not None and self._gap.first <= seq <= self._gap.last)

    def _wake(self, seq: float = float("inf")) -> None:
        """Wake the tasks that wait for event `seq` or an earlier one."""
        while self._waiters and self._waiters[0][0] <= seq:
            for task in heapq.heappop(self._waiters)[2]:
                trio.lowlevel.reschedule(task)

    def waiting(self) -> list[Recorded]:
        """The queued events."""
        return [each.recorded for each in self._line if isinstance(each, Waiting)]

    def statistics(self) -> JournalStatistics:
        waited_s = trio.current_time() - self._line[0].since if self._line else 0.0
        return JournalStatistics(self.committed, len(self._line), self._commits, self._lost, self.fault, waited_s)

    async def run(self) -> None:
        """Store queued events, without end.

        Cancellation: at once; await `wait_committed` first if the queued events matter. Cleanup: nothing is held.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._run_keeping)
            while True:
                if not self._line and self._fault is None:
                    await self._work.park()
                    continue
                await self._commit()
                if self._fault is not None:
                    await trio.sleep(RETRY_S)

    async def _run_keeping(self) -> None:
        """Seal and remove segments, every minute and when a new chain has begun.

        A fault is retried. The appends report faults of the disk.
        """
        while True:
            with trio.move_on_after(KEEP_EVERY_S):
                await self._begun.park()
            try:
                await self._keep()
            except FAULTS as error:
                logger.error("old segments of the journal are not looked after: %s", error)

    async def _keep(self) -> None:
        if self._fault is not None:
            return
        kept = await self._segments.keep()
        for aside in kept.asides:
            self.on_aside(aside)
        if kept.expendable is None:
            return
        await self._remove(kept.expendable)

    async def _remove(self, removal: Removal) -> None:
        """Remove segments. A failed removal is retried; the removal and its failure are reported once."""
        if not self._reported.issuperset(removal.segments):
            reported = self.on_removal(removal)
            if reported is None or not await self.wait_committed(reported.seq):
                return
            self._reported, is_repeated = frozenset(removal.segments), False
        else:
            is_repeated = True
        try:
            removed = await self._segments.remove(removal)
        except FAULTS as error:
            if not is_repeated:
                self.on_not_removed(f"old segments were not removed: {error}")
            raise
        self._reported = frozenset()
        for name in removed:
            logger.info("%s is older than what the journal keeps, and was removed", name)

    async def _commit(self) -> None:
        self._asked_at = trio.current_time()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._tell_of_stall)
                await self._store()
                nursery.cancel_scope.cancel(reason="the disk has answered")
        except* FAULTS as group:
            error = first_of(group)
            assert isinstance(error, Exception)
            self._failed(error)
        else:
            self._writes()
        finally:
            self._asked_at = None
        if self._fault is not None:
            self._wake()

    def _failed(self, error: Exception) -> None:
        now, text = trio.current_time(), str(error) or type(error).__name__
        if self._fault is None or (text != self._logged and now >= self._logged_at + RECOVERED_EVERY_S):
            self._logged_at = now
            self._log(text)
        if self._faulty_since is None:
            self._faulty_since = now
        self._fault = text
        if isinstance(error, JournalReplaced):
            self._replaced(error)

    def _log(self, fault: str) -> None:
        self._logged = fault
        logger.critical("the journal cannot write: %s", fault)

    def _writes(self) -> None:
        """A write succeeded, so a fault is over."""
        if self._faulty_since is None and self._fault is None:
            return
        now = trio.current_time()
        since, why, self._faulty_since, self._fault = self._faulty_since, self._fault, None, None
        lasted_s = 0.0 if since is None else now - since
        logger.warning("the journal writes again after %.1f s", lasted_s)
        if why is not None and now >= self._told_at + RECOVERED_EVERY_S:
            self._told_at = now
            self.on_recovered(why, lasted_s)

    async def _tell_of_stall(self) -> None:
        """Wake all waiting tasks while the disk has not answered for too long.

        It looks often, because the time starts again with each answer.
        """
        while True:
            await trio.sleep(STALLED_S / 10)
            if self.fault is not None:
                self._wake()

    async def _store(self) -> None:
        """Store the head of the queue. After a fault the file is reopened; its events are not stored twice."""
        if self._chain is not None:
            await self._begin_chain(self._chain)
        elif self._fault is not None:
            await self._segments.reconnect()
            self._resume()
        if self._line and isinstance(first := self._line[0], Gap):
            if self._segments.last_seq < first.last:
                await self._segments.skip(first.state)
            self._line.popleft()
            self._gap, self.committed, self._head = first, first.last, first.state
            self._wake(self.committed)
            self._resume()
        if self._unsent:
            await self._segments.drain(self._take, self._stored)
        if not self._line and self._overflow is not None:
            gap, self._overflow = self._overflow, None
            self._line.append(gap)
            self.on_gap(gap.first, gap.last)

    def _take(self) -> Batch | None:
        """The next events that no segment has taken. Called in the journal's thread, where a deque's ends are safe."""
        rows: list[Recorded] = []
        encoded: list[Encoded] = []
        waiting: Waiting | None = None
        while len(rows) < BATCH and self._unsent:
            waiting = self._unsent.popleft()
            rows.append(waiting.recorded)
            encoded.append(waiting.encoded or codec.encoded(waiting.recorded))
        return (rows, waiting.state, encoded) if waiting is not None else None

    def _stored(self, rows: Sequence[Recorded]) -> None:
        """Acknowledge and publish these events: they are durable."""
        taken = [self._line.popleft() for _ in rows]
        self._head, self.committed = taken[-1].state, rows[-1].seq
        self._commits += 1
        self._asked_at = trio.current_time()
        self._writes()
        self._wake(self.committed)
        self._publish(rows)

    def _resume(self) -> None:
        """After a fault: acknowledge stored events, and send the others again, or later if they are after a gap."""
        waiting = [] if self._is_behind_gap() else [each for each in self._line if isinstance(each, Waiting)]
        found = [each.recorded for each in waiting if each.recorded.seq <= self._segments.last_seq]
        self._unsent.clear()
        self._unsent.extend(waiting[len(found) :])
        if found:
            self._stored(found)

    # ── a new chain ─────────────────────────────────────────────────────────────────────────────────────────────

    def _replaced(self, error: JournalReplaced) -> None:
        """The files are not ours any more: a new chain begins with the next event, and the queued events are lost."""
        if self._chain is not None:
            return
        logger.critical("the journal's files were replaced: %s", error)
        self._fault = str(error)
        self._faulty_since = self._faulty_since or trio.current_time()
        last = self._overflow or (self._line[-1] if self._line else None)
        head = self._head if last is None else last.state
        first = self.committed + 1
        old = self._segments.end
        self._chain = Chain(head, old, self._fault)
        self._line.clear()
        self._unsent.clear()
        self._overflow = None
        if head.seq >= first:
            self._lost += head.seq - first + 1
            self._gap = Gap(first, head, trio.current_time())
        self._told_at = trio.current_time()  # the event of the chain records it
        self.on_chain(old, self._fault)
        if head.seq >= first:
            self.on_gap(first, head.seq)
        self._wake()
        self._work.unpark_all()

    async def _begin_chain(self, chain: Chain) -> None:
        start = await self._segments.begin_chain(chain)
        self._chain, self._head, self.committed = None, chain.head, chain.head.seq
        first = self._line[0] if self._line else None
        if isinstance(first, Waiting) and isinstance(first.recorded.event, ChainBegan):
            event = replace(first.recorded.event, last=start.last, digest=start.digest)
            self._line[0] = attrs.evolve(first, recorded=replace(first.recorded, event=event), encoded=None)
        self._resume()
        self.on_begun()
        self._begun.unpark_all()


def _leave(place: list[trio.lowlevel.Task], raise_cancel: Any) -> trio.lowlevel.Abort:
    place.clear()
    return trio.lowlevel.Abort.SUCCEEDED
