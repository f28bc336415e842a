"""The feed: every durable event, as it comes, to any number of followers. Who falls behind reads on in the journal."""

from collections.abc import Awaitable, Callable, Sequence

from .domain.events import Recorded
from .journal.reader import Query
from .tape import Tape

KEPT = 2000
"""Events kept in memory; older ones come from the journal."""
PAGE = 100
"""Events in a page: few enough that turning one into JSON does not hold up the loop."""

ReadPage = Callable[[Query, int], Awaitable[list[Recorded]]]
"""`await read(query, limit)`: up to `limit` durable events."""


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
            if recorded.seq != self._tape.end:  # those in between were lost
                self._tape.restart(recorded.seq)
            self._tape.append(recorded)

    async def next_page(self, after: int) -> Sequence[Recorded]:
        """The events that follow `after`, at least one of them, none left out; waits until there is one."""
        while after >= self.last_seq:
            await self._tape.wait_beyond(after + 1)
        if after + 1 < self._tape.start:
            return await self._read(Query(after=after), PAGE)
        return self._tape.read_nowait(after + 1, PAGE)
