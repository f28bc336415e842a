"""A kernel with its journal and feed, on an in-memory disk, with trio's clock."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import attrs
import trio

from supervisor.base.clock import Clock, TrioClock
from supervisor.domain import commands as c
from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId, RunId
from supervisor.domain.state import State
from supervisor.domain.values import Limits
from supervisor.journal.writer import Journal, Segments
from supervisor.ports.gateway import Answer
from supervisor.ports.past import Past
from supervisor.ports.questions import Query
from supervisor.runtime.feed import Feed
from supervisor.runtime.kernel import Kernel, new_id
from supervisor.services.journal_reader import JournalReader

from .domain import GATE, NODE, RUN, settings
from .memory import MemorySegment


@attrs.frozen
class MemoryReader(JournalReader):
    """Reads a disk that is a list, as `JournalReader` reads a folder."""

    disk: MemorySegment

    async def page(self, query: Query, limit: int, *, newest: bool = False) -> list[Recorded]:
        await trio.lowlevel.checkpoint()
        rows = [
            r
            for r in self.disk.rows
            if query.after < r.seq < query.before and (not query.types or r.type in query.types)
        ]
        rows = [r for r in rows if query.camera in (None, getattr(r.event, "camera", None))]
        rows = [r for r in rows if query.stream in (None, r.stream)]
        return rows[-limit:] if newest else rows[:limit]

    search = page

    async def first(self) -> Recorded | None:
        await trio.lowlevel.checkpoint()
        return next(iter(self.disk.rows), None)

    async def ask(self, question: Callable[[Past], Answer]) -> Answer:
        raise AssertionError("a disk that is a list keeps no states")


@attrs.frozen
class Core:
    kernel: Kernel
    journal: Journal
    feed: Feed
    disk: MemorySegment
    nursery: trio.Nursery

    def types(self, stream: str = "") -> list[str]:
        """The types of all stored events whose stream begins like this."""
        return [recorded.type for recorded in self.disk.rows if recorded.stream.startswith(stream)]

    async def stored(self) -> list[Recorded]:
        """Wait until all events decided so far are stored, and return them."""
        await self.journal.wait_committed(self.kernel.state.seq)
        return self.disk.rows

    def restarted(self, run: RunId) -> "Core":
        """The core of the next run on the same journal. Its kernel has the state, and no events in memory."""
        return attrs.evolve(self, kernel=Kernel(self.kernel.state, self.journal, TrioClock(), NODE, run))


def configure(*cameras: CameraId, limits: Limits | None = None) -> c.Configure:
    """The command that configures these cameras, or one called `gate`."""
    return c.Configure("test", tuple(settings(name) for name in cameras or (GATE,)), limits or Limits())


@asynccontextmanager
async def open_core(
    *cameras: CameraId,
    limits: Limits | None = None,
    configuration: c.Configure | None = None,
    disk: MemorySegment | None = None,
    ids: Callable[[], str] = new_id,
    make_journal: Callable[[Segments, Callable[[Sequence[Recorded]], None]], Journal] = Journal,
    clock: Clock = TrioClock(),  # noqa: B008
) -> AsyncIterator[Core]:
    """A daemon's core that has started, with these cameras configured."""
    disk = MemorySegment() if disk is None else disk
    feed = Feed(0, MemoryReader(disk).page)
    journal = make_journal(disk, feed.publish)
    kernel = Kernel(State(), journal, clock, NODE, RUN, ids)
    journal.on_gap = lambda first, last: kernel.emit(c.ReportGap(first, last))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.run)
        await kernel.submit(c.StartRun(RUN, NODE, "0", 1))
        await kernel.submit(configuration or configure(*cameras, limits=limits))
        yield Core(kernel, journal, feed, disk, nursery)
        await journal.wait_committed(kernel.state.seq)
        nursery.cancel_scope.cancel()
