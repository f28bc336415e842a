"""An in-memory disk: a segment of the journal without a file, with the faults that a test requests."""

from collections.abc import Callable, Sequence

import apsw
import attrs
import trio

from supervisor.domain.events import Recorded
from supervisor.domain.state import State
from supervisor.journal.errors import JournalReplaced
from supervisor.journal.files import ChainStart
from supervisor.journal.retention import Removal
from supervisor.journal.store import Chain, End, Kept
from supervisor.journal.writer import Take
from supervisor.ports.errors import JournalError


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
    error: Exception | None = None
    """The error with which the system refuses."""
    replaced: bool = False
    """The folder contains foreign files, and a segment cannot be created."""

    skipped: int = 0
    """The sequence number of the last lost event."""
    expendable: Removal | None = None
    removed: tuple[str, ...] = ()
    refused: OSError | None = None
    """The error with which the removal of a segment fails."""
    on_replaced: Callable[[JournalReplaced], object] = lambda error: None

    @property
    def last_seq(self) -> int:
        return max(self.skipped, self.rows[-1].seq if self.rows else 0)

    @property
    def end(self) -> End:
        return End(self.last_seq, b"")

    def forget(self) -> None:
        """Keep the last row only: for runs so long that what is stored would count as memory that is lost."""
        del self.rows[:-1], self.batches[:]

    async def append(self, batch: Sequence[Recorded], state: State) -> None:
        await trio.lowlevel.checkpoint()
        assert self.connected, "a connection is used again after an error"
        if self.replaced:
            self.connected = False
            raise JournalReplaced("another file is there")
        if self.error is not None:
            self.connected = False
            raise self.error
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

    async def drain(self, take: Take, stored: Callable[[Sequence[Recorded]], None]) -> None:
        while (batch := take()) is not None:
            await self.append(*batch[:2])
            stored(batch[0])

    async def begin_chain(self, chain: Chain) -> ChainStart:
        await trio.lowlevel.checkpoint()
        if self.replaced:
            raise JournalError("the folder cannot be used")
        self.skipped, self.state, self.connected = chain.head.seq, chain.head, True
        old = chain.old or End(0, b"")
        return ChainStart(old.seq, old.digest.hex(), chain.why)

    async def keep(self) -> Kept:
        await trio.lowlevel.checkpoint()
        return Kept((), expendable=self.expendable)

    async def remove(self, removal: Removal) -> Sequence[str]:
        await trio.lowlevel.checkpoint()
        if self.refused is not None:
            raise self.refused
        self.expendable = None
        self.removed += removal.segments
        return removal.segments

    async def reconnect(self) -> None:
        await trio.lowlevel.checkpoint()
        self.connected = True
