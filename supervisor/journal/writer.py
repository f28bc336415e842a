"""The journal's writer: the one actor that appends. Commits are grouped by what gathers while one is under way.

Rules of this file:
- Events are stored in the order in which they were decided, without a gap, whatever happens to the disk.
- `committed` only ever names events that are synced; what was promised is at or below it.
- What waits is bounded. When the bound is reached nothing new may begin; what has begun may still report its end,
  so the live state never differs from what will be stored.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import Protocol

import apsw
import attrs
import trio

from ..domain.events import Recorded
from .errors import JournalError, JournalUnavailable
from .store import Store

logger = logging.getLogger(__name__)

BATCH = 512
"""Events in one transaction at the most."""
PENDING = 4096
"""Events that may wait for a disk that does not write: hours of ordinary life."""
RETRY_S = 1.0
STALLED_S = 1.0
"""A disk that has not answered for so long counts as one that cannot write, until it does: nobody waits for ever."""


class Segment(Protocol):
    """Where the writer writes: `ThreadedSegment` over a real store, or one in memory for simulated time."""

    @property
    def last_seq(self) -> int: ...

    async def append(self, batch: Sequence[Recorded], state_hash: tuple[int, str] | None) -> None: ...

    async def reconnect(self) -> None: ...


class ThreadedSegment:
    """A `Store` whose calls run in a thread, one at a time. A cancellation abandons one: the disk may hang."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._limiter = trio.CapacityLimiter(1)

    @property
    def last_seq(self) -> int:
        return self._store.last_seq

    async def append(self, batch: Sequence[Recorded], state_hash: tuple[int, str] | None) -> None:
        store = partial(self._store.append, batch, state_hash)
        await trio.to_thread.run_sync(store, abandon_on_cancel=True, limiter=self._limiter)

    async def reconnect(self) -> None:
        await trio.to_thread.run_sync(self._store.reconnect, abandon_on_cancel=True, limiter=self._limiter)


@attrs.frozen
class JournalStatistics:
    """`pending` events wait for the disk; `commits` were made since the start; `fault` says why it cannot write."""

    committed: int
    pending: int
    commits: int
    fault: str | None


class Journal:
    """The writing end of the journal. `publish` is called with every batch once it is durable."""

    def __init__(self, segment: Segment, publish: Callable[[Sequence[Recorded]], None]) -> None:
        self._segment = segment
        self._publish = publish
        self._pending: deque[Recorded] = deque()
        self._state_hashes: deque[tuple[int, str]] = deque()
        self._work = trio.lowlevel.ParkingLot()
        self._waiters = trio.lowlevel.ParkingLot()
        self._commits = 0
        self._fault: str | None = None
        self._asked_at: float | None = None
        """Since when the disk has been at work; none while it is not."""
        self.committed = segment.last_seq

    @property
    def fault(self) -> str | None:
        """Why nothing can be promised now."""
        if self._fault is None and self._asked_at is not None:
            now = trio.current_time()
            if now >= self._asked_at + STALLED_S:
                return f"the disk has not answered for {now - self._asked_at:.0f} s"
        return self._fault

    def require_room(self) -> None:
        """Raise `JournalUnavailable` when no more events should wait than do already."""
        if len(self._pending) >= PENDING:
            raise JournalUnavailable(f"the journal cannot write and its buffer is full: {self.fault}")

    def append_nowait(self, recorded: Recorded, state_hash: str | None = None) -> None:
        """Put an event in line. `state_hash` is the hash of the live state after it, written beside it."""
        self._pending.append(recorded)
        if state_hash is not None:
            self._state_hashes.append((recorded.seq, state_hash))
        self._work.unpark_all()

    async def wait_committed(self, seq: int) -> bool:
        """Wait until event `seq` is durable: true; or until the journal has a fault: false."""
        while self.committed < seq and self.fault is None:
            with trio.move_on_at((self._asked_at or trio.current_time()) + STALLED_S):
                await self._waiters.park()
        return self.committed >= seq

    def statistics(self) -> JournalStatistics:
        return JournalStatistics(self.committed, len(self._pending), self._commits, self.fault)

    async def run(self) -> None:
        """Store what is put in line, for ever.

        Cancellation: at once; `wait_committed` first, if what is in line matters. Cleanup: nothing is held.
        """
        while True:
            if not self._pending:
                await self._work.park()
                continue
            await self._commit()
            if self._fault is not None:
                await trio.sleep(RETRY_S)

    async def _commit(self) -> None:
        batch = list(islice(self._pending, BATCH))
        self._asked_at = trio.current_time()
        try:
            await self._store(batch)
        except (apsw.Error, JournalError, OSError) as error:
            if self._fault is None:
                logger.critical("the journal cannot write: %s", error)
            self._fault = str(error)
        else:
            if self.fault is not None:
                took_s = trio.current_time() - self._asked_at
                logger.warning("the journal writes again: %d events took %.1f s", len(batch), took_s)
            self._fault = None
            for _ in batch:
                self._pending.popleft()
            self._commits += 1
            self.committed = batch[-1].seq
            while self._state_hashes and self._state_hashes[0][0] <= self.committed:
                self._state_hashes.popleft()
            self._publish(batch)
        finally:
            self._asked_at = None
        self._waiters.unpark_all()

    async def _store(self, batch: Sequence[Recorded]) -> None:
        """After a fault the file is opened anew, and what it already holds is not stored twice."""
        if self._fault is not None:
            await self._segment.reconnect()
        rest = [recorded for recorded in batch if recorded.seq > self._segment.last_seq]
        if rest:
            hashes = [pair for pair in self._state_hashes if rest[0].seq <= pair[0] <= rest[-1].seq]
            await self._segment.append(rest, hashes[0] if hashes else None)
