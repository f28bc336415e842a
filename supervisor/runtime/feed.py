"""The feed: publishes each durable event to any number of subscribers. One that falls behind reads from the journal."""

from collections.abc import Awaitable, Callable, Sequence

from ..base.ring_buffer import RingBuffer
from ..domain.events import Recorded
from ..ports.questions import Query

KEPT = 2000
"""Events kept in memory. Older events come from the journal."""
PAGE = 100
"""Events in a page: few enough that encoding a page as JSON does not block the loop."""

ReadPage = Callable[[Query, int], Awaitable[list[Recorded]]]
"""`await read(query, limit)` returns up to `limit` durable events."""


class Feed:
    """Only the journal's writer publishes. `read` returns events that the feed no longer keeps."""

    def __init__(self, last_seq: int, read: ReadPage) -> None:
        self._ring: RingBuffer[Recorded] = RingBuffer(KEPT, start=last_seq + 1)
        self._read = read

    @property
    def last_seq(self) -> int:
        """Number of the last durable event."""
        return self._ring.end - 1

    def publish(self, batch: Sequence[Recorded]) -> None:
        """Publish durable events, in order. Numbers missing before an event belong to lost events. Never waits."""
        for recorded in batch:
            if recorded.seq != self._ring.end:  # the events in between were lost
                self._ring.restart(recorded.seq)
            self._ring.append(recorded)

    async def next_page(self, after: int) -> Sequence[Recorded]:
        """Wait for events after number `after`; return at least one of them, without a gap.

        Raises what `read` raises.
        """
        while after >= self.last_seq:
            await self._ring.wait_beyond(after + 1)
        if after + 1 < self._ring.start:
            return await self._read(Query(after=after), PAGE)
        return self._ring.read_nowait(after + 1, PAGE)
