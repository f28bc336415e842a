"""The feed: every durable event, as it comes, to any number of followers. Who falls behind reads on in the journal."""

from collections.abc import Awaitable, Callable, Sequence

from .domain.events import Recorded
from .tape import Tape

KEPT = 2000
"""Events kept in memory; older ones come from the journal."""
PAGE = 100
"""Events in a page: few enough that turning one into JSON does not hold up the loop."""

ReadPage = Callable[[int, int], Awaitable[list[Recorded]]]
"""`await read(after, limit)`: up to `limit` durable events with a number above `after`."""


class Feed:
    """Published by the journal's writer only; `read` reaches what the feed no longer keeps."""

    def __init__(self, last_seq: int, read: ReadPage) -> None:
        self._tape: Tape[Recorded] = Tape(KEPT, start=last_seq + 1)
        self._read = read

    @property
    def last_seq(self) -> int:
        """Number of the last durable event."""
        return self._tape.end - 1

    def publish(self, batch: Sequence[Recorded]) -> None:
        for recorded in batch:
            self._tape.append(recorded)

    async def next_page(self, after: int) -> Sequence[Recorded]:
        """The events that follow `after`, at least one of them, without a gap; waits until there is one."""
        while after >= self.last_seq:
            await self._tape.wait_beyond(after + 1)
        if after + 1 < self._tape.start:
            return await self._read(after, PAGE)
        return self._tape.read_nowait(after + 1, PAGE)
