"""The one gate through which all cameras start, so that a herd of them costs nobody a picture.

Rules of this file:
- Only a start that happens costs a token; who is cancelled leaves the queue, and nobody waits for it.
- Cameras that are always open and cameras that are watched start in turn; then those on demand, then those of a patrol.
  So a camera that is always open waits for one watched start at the most, however many viewers ask.
- Within one rank the first to come is the first to go. Each camera waits once, so the queue is as long as the cameras
  are many.
- Attempts after a failure are `STARTS_PER_S`; first attempts are bounded by what they cost the loop alone.
"""

import math
from collections.abc import Callable
from enum import IntEnum

import attrs
import trio

from supervisor.domain.bucket import Bucket
from supervisor.domain.restart import CONNECTIONS_PER_S, FORKS_PER_S, STARTS_PER_S

FIRST_AT_ONCE = 4
"""First attempts that need no token of their own, when nothing has started for a while."""


class Rank(IntEnum):
    """Why a camera starts, the most important first. The first two take turns."""

    ALWAYS = 0
    WATCHED = 1
    DEMAND = 2
    PATROL = 3


Kind = tuple[bool, bool]
"""Of a start: whether a child process starts, and whether the attempt before failed."""


@attrs.define(eq=False)
class _Waiter:
    rank: Callable[[], Rank]
    kind: Kind
    since: float
    granted: bool = False
    awake: trio.Event = attrs.field(factory=trio.Event)


class StartGate:
    """Not a task: whoever waits first keeps the time for all."""

    def __init__(
        self, per_second: float = STARTS_PER_S, forks: float = FORKS_PER_S, connections: float = CONNECTIONS_PER_S
    ) -> None:
        again = Bucket(per_second, 1)
        first = {True: Bucket(forks, FIRST_AT_ONCE), False: Bucket(connections, FIRST_AT_ONCE)}
        self._buckets: dict[Kind, tuple[Bucket, ...]] = {}
        for kind, bucket in first.items():
            self._buckets |= {(kind, False): (bucket,), (kind, True): (bucket, again)}
        self._waiting: list[_Waiter] = []
        self._keeper: _Waiter | None = None
        """The waiter that keeps the time."""
        self._last = Rank.WATCHED
        """Which of the first two ranks went last."""

    def waiting(self, now: float) -> tuple[int, float]:
        """How many starts wait, and for how many seconds the oldest of them has waited."""
        return len(self._waiting), max((now - waiter.since for waiter in self._waiting), default=0.0)

    async def wait_turn(self, rank: Callable[[], Rank], *, again: bool = False, forks: bool = True) -> None:
        """Returns when it is this caller's turn; it then starts without waiting for anything else.

        `rank` is asked whenever a turn is given. `again` says that the attempt before failed, `forks` that a child
        process starts.

        Cancellation: at any time; the caller leaves the queue. Cleanup: the next in the queue keeps the time.
        """
        await trio.lowlevel.checkpoint()
        waiter = _Waiter(rank, (forks, again), trio.current_time())
        self._waiting.append(waiter)
        try:
            if self._ready_at(waiter.since)[waiter.kind] <= waiter.since:
                self._grant()
            if not waiter.granted and self._keeper is not None:
                self._keeper.awake.set()  # this one may be ready before the others
            while not waiter.granted:
                await self._wait(waiter)
            await trio.lowlevel.checkpoint_if_cancelled()
        except BaseException:
            if waiter.granted:  # it was cancelled as its turn came
                for bucket in self._buckets[waiter.kind]:
                    bucket.take(trio.current_time(), -1)
            else:
                self._waiting.remove(waiter)
            self._grant()
            raise
        finally:
            if self._keeper is None and self._waiting:
                self._waiting[0].awake.set()

    async def _wait(self, waiter: _Waiter) -> None:
        """Until a turn may have been given to `waiter`, or it has to keep the time."""
        if self._keeper is not None:
            await waiter.awake.wait()
        else:
            self._keeper = waiter
            try:
                at = self._ready_at(trio.current_time())
                with trio.move_on_at(min((at[other.kind] for other in self._waiting), default=math.inf)):
                    await waiter.awake.wait()
            finally:
                self._keeper = None
            self._grant()
        if not waiter.granted:
            waiter.awake = trio.Event()

    def _grant(self) -> None:
        """Give every turn that there is a token for."""
        now = trio.current_time()
        at = self._ready_at(now)
        while ready := [waiter for waiter in self._waiting if at[waiter.kind] <= now]:
            ranks = [(self._order(waiter.rank()), number) for number, waiter in enumerate(ready)]
            chosen = ready[min(ranks)[1]]
            rank = chosen.rank()
            if rank <= Rank.WATCHED:
                self._last = rank
            for bucket in self._buckets[chosen.kind]:
                bucket.take(now)
            at = self._ready_at(now)
            self._waiting.remove(chosen)
            chosen.granted = True
            chosen.awake.set()

    def _ready_at(self, now: float) -> dict[Kind, float]:
        """When each kind of start has its tokens: counted for the kinds, as the queue may be long."""
        return {kind: now + max(bucket.ready_in(now) for bucket in buckets) for kind, buckets in self._buckets.items()}

    def _order(self, rank: Rank) -> int:
        """Of the first two ranks the one that did not go last comes first."""
        return int(rank) if rank > Rank.WATCHED else int(rank is self._last)
