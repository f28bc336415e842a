"""The kernel: one command at a time is decided, put in line for the journal, and folded into the state.

Rules of this file:
- Between looking at the state and changing it there is no `await`: caps are atomic because of that.
- Nobody else changes the state.
- A caller that needs a promise waits for the commit; nobody else does.
"""

import secrets
import time
from collections.abc import Callable

import attrs
import trio

from .clock import Clock
from .domain import commands as c
from .domain.decide import decide
from .domain.events import ChildEvent, Event, PeerClosed, PeerOpened, Recorded, UseEvent
from .domain.evolve import evolve
from .domain.ids import NodeId, RunId, camera_stream, demand_stream
from .domain.state import State
from .journal.writer import Journal


@attrs.frozen
class Origin:
    """Who asks, and the correlation of everything that follows; without one, that of the event it follows from."""

    principal: str
    correlation: str | None = None


@attrs.frozen
class Receipt:
    """What came of a command. `durable` is true when every event in it has been promised to survive."""

    events: tuple[Recorded, ...]
    durable: bool

    @property
    def last(self) -> Recorded | None:
        """The event that whatever comes next should name as its cause."""
        return self.events[-1] if self.events else None


def new_id() -> str:
    """A fresh id: 64 bits in hex, the first 41 of them the time in milliseconds or so, the rest random.

    Ids that grow with time stand side by side in the journal's indexes, so a commit touches few pages.
    """
    return f"{time.time_ns() >> 20 << 23 | secrets.randbits(23):016x}"


class Kernel:
    """Holds the state. `ids` makes correlation ids; a simulation hands in a seeded one."""

    def __init__(
        self, state: State, journal: Journal, clock: Clock, node: NodeId, run: RunId, ids: Callable[[], str] = new_id
    ) -> None:
        self.state = state
        self.clock = clock
        self.node = node
        self.run = run
        self._journal = journal
        self.new_id = ids
        """Makes an id that no other event of this journal has."""
        self._latest: dict[str, Recorded] = {}
        self._changes = trio.lowlevel.ParkingLot()

    async def wait_change(self, seq: int) -> None:
        """Wait until there is a state after event `seq`, durable or not yet; or until somebody calls `wake`."""
        if self.state.seq > seq:
            await trio.lowlevel.checkpoint()
        else:
            await self._changes.park()

    def wake(self) -> None:
        """Let those who wait for a change look again."""
        self._changes.unpark_all()

    def fault(self) -> Origin:
        """The origin of what an actor reports of a fault: a correlation of its own for everything that follows."""
        return Origin("actor", self.new_id())

    def latest(self, *streams: str) -> Recorded | None:
        """The newest event of this run in any of `streams`: the natural cause of what follows there.

        What happens to a child counts for its camera as well; who comes and goes, for the camera's `demand_stream`.
        Streams that have ended are forgotten.
        """
        found = [self._latest[stream] for stream in streams if stream in self._latest]
        return max(found, key=lambda recorded: recorded.seq, default=None)

    def emit(self, command: c.Command, *, after: Recorded | None = None, origin: Origin | None = None) -> Receipt:
        """Decide now, store soon: for facts whose loss in the last moment before a crash would hurt nobody.

        `after` is the event that led to this command. Raises `Rejected`; then nothing has changed.
        """
        now_ns = self.clock.wall_ns()
        events = decide(self.state, command, now_ns)
        correlation = (origin and origin.correlation) or (after.correlation if after else self.new_id())
        principal = origin.principal if origin else after.principal if after else "system"
        cause = after.seq if after else None
        recorded = []
        for event in events:
            recorded.append(self._record(event, now_ns, cause, correlation, principal))
            if cause is None:
                cause = recorded[0].seq
        return Receipt(tuple(recorded), durable=False)

    async def submit(
        self, command: c.Command, *, after: Recorded | None = None, origin: Origin | None = None
    ) -> Receipt:
        """Decide now and wait until the outcome is durable. Raises what `emit` raises.

        A journal that cannot write gives a receipt that is not durable: the outcome stands, but is not promised.
        """
        return await self.promise(self.emit(command, after=after, origin=origin))

    async def promise(self, receipt: Receipt) -> Receipt:
        """Wait until what a receipt names is durable, or cannot be for now."""
        durable = await self._journal.wait_committed(self.state.seq if receipt.last is None else receipt.last.seq)
        return Receipt(receipt.events, durable)

    def _record(self, event: Event, now_ns: int, cause: int | None, correlation: str, principal: str) -> Recorded:
        recorded = Recorded(
            seq=self.state.seq + 1,
            wall_ns=now_ns,
            mono_ns=self.clock.mono_ns(),
            node=self.node,
            run=self.run,
            stream=event.stream,
            stream_version=self.state.versions.get(event.stream, 0) + 1,
            event=event,
            cause=cause,
            correlation=correlation,
            principal=principal,
        )
        self.state = evolve(self.state, recorded)
        self._latest[recorded.stream] = recorded
        if recorded.stream not in self.state.versions:
            del self._latest[recorded.stream]
        if isinstance(event, ChildEvent):
            self._latest[camera_stream(event.camera)] = recorded
        if isinstance(event, PeerOpened | PeerClosed | UseEvent):
            self._latest[demand_stream(event.camera)] = recorded
        self._journal.append_nowait(recorded, self.state)
        self._changes.unpark_all()
        return recorded
