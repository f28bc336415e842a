"""A disk that is a list: the journal's segment without a file, with the faults a test asks for."""

from collections.abc import Sequence

import apsw
import attrs
import trio

from supervisor.domain.events import Recorded
from supervisor.domain.state import State
from supervisor.journal.store import Kept


@attrs.define
class MemorySegment:
    """A segment for the writer. While `broken`, every append fails; after a fault it must be reconnected."""

    rows: list[Recorded] = attrs.field(factory=list)
    state: State = attrs.field(factory=State)
    """After the last append."""
    batches: list[int] = attrs.field(factory=list)
    broken: bool = False
    broken_after: bool = False
    """Store, and fail all the same: as when the power of the disk goes between the sync and the answer."""
    connected: bool = True

    skipped: int = 0
    """The last event that was lost."""

    @property
    def last_seq(self) -> int:
        return max(self.skipped, self.rows[-1].seq if self.rows else 0)

    def forget(self) -> None:
        """Keep the last row only: for runs so long that what is stored would count as memory that is lost."""
        del self.rows[:-1], self.batches[:]

    async def append(self, batch: Sequence[Recorded], state: State) -> None:
        await trio.lowlevel.checkpoint()
        assert self.connected, "a connection is used again after an error"
        if self.broken:
            self.connected = False
            raise apsw.FullError("database or disk is full")
        assert batch[0].seq == self.last_seq + 1
        self.rows.extend(batch)
        self.batches.append(len(batch))
        assert batch[-1].seq == state.seq
        self.state = state
        if self.broken_after:
            self.connected = self.broken_after = False
            raise apsw.IOError("disk I/O error")

    async def skip(self, state: State) -> None:
        await trio.lowlevel.checkpoint()
        self.skipped, self.state = state.seq, state

    async def keep(self) -> Kept:
        await trio.lowlevel.checkpoint()
        return Kept((), ())

    async def reconnect(self) -> None:
        await trio.lowlevel.checkpoint()
        self.connected = True
