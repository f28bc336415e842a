"""The start gate of all cameras: many starts at once cost no viewer a frame.

Rules of this file:
- Only a start that happens costs a token. A cancelled start leaves the queue at once.
- Cameras that are always open and cameras that are watched alternate; then come those on demand, then those of a
  patrol. So a camera that is always open waits for at most one watched start, regardless of the number of viewers.
- Within one rank, the order is first in, first out. Each camera waits at most once, so the queue is no longer than the
  list of cameras.
- Attempts after a failure are limited to `STARTS_PER_S`; first attempts are limited only by their load on the loop.
"""

import math
from collections.abc import Callable
from enum import IntEnum

import attrs
import trio

from supervisor.domain.bucket import Bucket
from supervisor.domain.restart import CONNECTIONS_PER_S, FORKS_PER_S, STARTS_PER_S

FIRST_AT_ONCE = 4
"""The burst of first attempts that is allowed after a time without starts."""


class Rank(IntEnum):
    """The priority of a start, highest first. The first two alternate."""

    ALWAYS = 0
    WATCHED = 1
    DEMAND = 2
    PATROL = 3


Kind = tuple[bool, bool]
"""The kind of a start: whether it starts a child process, and whether the last attempt failed."""


@attrs.define(eq=False)
class _Waiter:
    rank: Callable[[], Rank]
    kind: Kind
    since: float
    granted: bool = False
    awake: trio.Event = attrs.field(factory=trio.Event)


class StartGate:
    """Not a task: the first waiter keeps the time for all.

    The arguments limit the starts per second: attempts after a failure, first attempts that fork, and first attempts
    that only connect.
    """

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
        """The waiter that keeps the time for all."""
        self._last = Rank.WATCHED
        """Which of the first two ranks started last."""

    def waiting(self, now: float) -> tuple[int, float]:
        """Return the number of waiting starts, and the seconds that the oldest of them has waited."""
        return len(self._waiting), max((now - waiter.since for waiter in self._waiting), default=0.0)

    async def wait_start(self, rank: Callable[[], Rank], *, again: bool = False, forks: bool = True) -> None:
        """Wait until the caller may start; it must then start without waiting for anything else.

        `rank` is evaluated each time a start is granted. `again` states that the last attempt failed, `forks` that the
        start forks a child process.

        Cancellation: at any time; the caller leaves the queue. Cleanup: the next waiter keeps the time.
        """
        await trio.lowlevel.checkpoint()
        waiter = _Waiter(rank, (forks, again), trio.current_time())
        self._waiting.append(waiter)
        try:
            if self._ready_at(waiter.since)[waiter.kind] <= waiter.since:
                self._grant()
            if not waiter.granted and self._keeper is not None:
                self._keeper.awake.set()  # this waiter may be ready before the others
            while not waiter.granted:
                await self._wait(waiter)
            await trio.lowlevel.checkpoint_if_cancelled()
        except BaseException:
            if waiter.granted:  # cancelled in the same moment in which it was granted: return the tokens
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
        """Wait until `waiter` may have been granted, or has to keep the time."""
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
        """Grant every start for which there is a token."""
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
        """Return when each kind of start has its tokens; computed per kind, because the queue may be long."""
        return {kind: now + max(bucket.ready_in(now) for bucket in buckets) for kind, buckets in self._buckets.items()}

    def _order(self, rank: Rank) -> int:
        """The order within the ranks: of the first two, the one that did not start last comes first."""
        return int(rank) if rank > Rank.WATCHED else int(rank is self._last)
