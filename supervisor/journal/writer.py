"""The journal's writer: the one actor that appends. Commits are grouped by what gathers while one is under way.

Rules of this file:
- Events are stored in the order in which they were decided, without a gap as long as they find room to wait.
- `committed` only ever names events that are synced; what was promised is at or below it.
- What waits is bounded. Beyond the bound events are lost, but not silently: as soon as the disk writes again, the state
  that they led to is stored, and an event that says how many they were.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice, takewhile
from typing import Protocol

import apsw
import attrs
import trio

from ..clock import SystemClock
from ..domain.events import Recorded
from ..domain.state import State
from .errors import JournalError
from .store import Kept, Store

logger = logging.getLogger(__name__)

BATCH = 512
"""Events in one transaction at the most."""
PENDING = 4096
"""Events that may wait for a disk that does not write: hours of ordinary life."""
RETRY_S = 1.0
STALLED_S = 1.0
"""A disk that has not answered for so long counts as one that cannot write, until it does: nobody waits for ever."""
KEEP_EVERY_S = 60.0
"""How often full segments are sealed and old ones let go."""


class Segments(Protocol):
    """Where the writer writes: `ThreadedStore` over a real store, or one in memory for simulated time."""

    @property
    def last_seq(self) -> int: ...

    async def append(self, batch: Sequence[Recorded], state: State) -> None: ...

    async def skip(self, state: State) -> None: ...

    async def reconnect(self) -> None: ...

    async def keep(self) -> Kept: ...


class ThreadedStore:
    """A `Store` whose calls run in threads: appends one at a time, and beside them what can wait.

    A cancellation abandons a call: the disk may hang.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._appending, self._keeping = trio.CapacityLimiter(1), trio.CapacityLimiter(1)

    @property
    def last_seq(self) -> int:
        return self._store.last_seq

    async def append(self, batch: Sequence[Recorded], state: State) -> None:
        await self._run(partial(self._store.append, batch, state))

    async def skip(self, state: State) -> None:
        await self._run(partial(self._store.skip, state))

    async def reconnect(self) -> None:
        await self._run(self._store.reconnect)

    async def keep(self) -> Kept:
        keep = partial(self._store.keep, SystemClock().wall_ns())
        return await trio.to_thread.run_sync(keep, abandon_on_cancel=True, limiter=self._keeping)

    async def _run(self, call: Callable[[], None]) -> None:
        await trio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=self._appending)


@attrs.frozen
class JournalStatistics:
    """`pending` events wait for the disk; `commits` were made and `lost` events dropped since the start.

    `fault` says why it cannot write.
    """

    committed: int
    pending: int
    commits: int
    lost: int
    fault: str | None
    waited_s: float = 0.0
    """How long the oldest that waits has waited."""


@attrs.frozen
class Gap:
    """Events that found no room while the disk did not write, and the state that they led to."""

    first: int
    state: State
    since: float

    @property
    def last(self) -> int:
        return self.state.seq


@attrs.frozen
class Waiting:
    """An event in line, and the state after it."""

    recorded: Recorded
    state: State
    since: float
    """On trio's clock."""


class Journal:
    """The writing end of the journal.

    `publish` is called with every batch once it is durable.
    """

    def __init__(
        self,
        segments: Segments,
        publish: Callable[[Sequence[Recorded]], None],
    ) -> None:
        self._segments = segments
        self._publish = publish
        self.on_gap: Callable[[int, int], object] = lambda first, last: None
        """Called with the first and the last of events that were lost: what it appends is stored right after them."""
        self._line: deque[Waiting | Gap] = deque()
        self._overflow: Gap | None = None
        self._gap: Gap | None = None
        """The last one that is stored."""
        self._work = trio.lowlevel.ParkingLot()
        self._waiters = trio.lowlevel.ParkingLot()
        self._commits = self._lost = 0
        self._fault: str | None = None
        self._asked_at: float | None = None
        """Since when the disk has been at work; none while it is not."""
        self.committed = segments.last_seq

    @property
    def fault(self) -> str | None:
        """Why nothing can be promised now."""
        if self._fault is None and self._asked_at is not None:
            now = trio.current_time()
            if now >= self._asked_at + STALLED_S:
                return f"the disk has not answered for {now - self._asked_at:.0f} s"
        return self._fault

    def append_nowait(self, recorded: Recorded, state: State) -> None:
        """Put an event in line; `state` is the one after it."""
        if self._overflow is not None or len(self._line) >= PENDING:
            if self._overflow is None:
                logger.critical("event %d and what follows are lost: %d wait for the disk", recorded.seq, PENDING)
            lost = self._overflow or Gap(recorded.seq, state, trio.current_time())
            self._overflow = attrs.evolve(lost, state=state)
            self._lost += 1
            return
        self._line.append(Waiting(recorded, state, trio.current_time()))
        self._work.unpark_all()

    async def wait_committed(self, seq: int) -> bool:
        """Wait until event `seq` is durable: true; or until the journal has a fault, or has lost it: false."""
        while self.committed < seq and self.fault is None:
            await self._waiters.park()
        return self.committed >= seq and not (self._gap is not None and self._gap.first <= seq <= self._gap.last)

    def waiting(self) -> list[Recorded]:
        """The events in line."""
        return [each.recorded for each in self._line if isinstance(each, Waiting)]

    def statistics(self) -> JournalStatistics:
        waited_s = trio.current_time() - self._line[0].since if self._line else 0.0
        return JournalStatistics(self.committed, len(self._line), self._commits, self._lost, self.fault, waited_s)

    async def run(self) -> None:
        """Store what is put in line, for ever.

        Cancellation: at once; `wait_committed` first, if what is in line matters. Cleanup: nothing is held.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._run_keeping)
            while True:
                if not self._line:
                    await self._work.park()
                    continue
                await self._commit()
                if self._fault is not None:
                    await trio.sleep(RETRY_S)

    async def _run_keeping(self) -> None:
        """Seal and let go, every minute; a fault is the disk's, told by the appends, and it is tried again."""
        while True:
            await trio.sleep(KEEP_EVERY_S)
            try:
                kept = await self._segments.keep()
            except (apsw.Error, JournalError, OSError) as error:
                logger.error("old segments of the journal are not looked after: %s", error)
                continue
            for name in kept.removed:
                logger.info("%s is older than what the journal keeps, and was removed", name)

    async def _commit(self) -> None:
        self._asked_at = trio.current_time()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._tell_of_stall)
                await self._store()
                nursery.cancel_scope.cancel(reason="the disk has answered")
        except* (apsw.Error, JournalError, OSError) as group:
            if self._fault is None:
                logger.critical("the journal cannot write: %s", group.exceptions[0])
            self._fault = str(group.exceptions[0])
        else:
            if self.fault is not None:
                logger.warning("the journal writes again after %.1f s", trio.current_time() - self._asked_at)
            self._fault = None
            self._commits += 1
        finally:
            self._asked_at = None
        self._waiters.unpark_all()

    async def _tell_of_stall(self) -> None:
        """Let those who wait look again when the disk has not answered for too long."""
        await trio.sleep(STALLED_S)
        self._waiters.unpark_all()

    async def _store(self) -> None:
        """Store what is first in line. After a fault the file is opened anew; what it holds is not stored twice."""
        if self._fault is not None:
            await self._segments.reconnect()
        first = self._line[0]
        if isinstance(first, Gap):
            if self._segments.last_seq < first.last:
                await self._segments.skip(first.state)
            self._line.popleft()
            self._gap, self.committed = first, first.last
        else:
            await self._store_batch()
        if not self._line and self._overflow is not None:
            gap, self._overflow = self._overflow, None
            self._line.append(gap)
            self.on_gap(gap.first, gap.last)

    async def _store_batch(self) -> None:
        batch = list(takewhile(lambda each: isinstance(each, Waiting), islice(self._line, BATCH)))
        rows = [each.recorded for each in batch if isinstance(each, Waiting)]
        rest = [row for row in rows if row.seq > self._segments.last_seq]
        if rest:
            await self._segments.append(rest, batch[-1].state)
        for _ in batch:
            self._line.popleft()
        self.committed = rows[-1].seq
        self._publish(rows)
