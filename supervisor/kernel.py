"""The kernel: one command at a time is decided, put in line for the journal, and folded into the state.

Rules of this file:
- Between looking at the state and changing it there is no `await`: caps are atomic because of that.
- Nobody else changes the state.
- A caller that needs a promise waits for the commit; nobody else does.
"""

import os
import time
from collections import OrderedDict
from collections.abc import Callable
from types import UnionType

import attrs
import trio

from .clock import Clock
from .domain import commands as c
from .domain.allowance import Allowance, is_charged
from .domain.clients import client_in
from .domain.decide import decide
from .domain.errors import Refusal, Rejected
from .domain.events import (
    ChildEvent,
    Event,
    EventsLost,
    LeaseEnded,
    LeaseEvent,
    PeerClosed,
    PeerOpened,
    Recorded,
    SlotEvent,
    UseEvent,
)
from .domain.evolve import evolve
from .domain.ids import LeaseId, NodeId, RunId, camera_stream, demand_stream, device_stream, sound_stream
from .domain.state import SOUND, State
from .domain.tally import Tally
from .domain.values import Policy, Reason
from .journal.writer import Journal


@attrs.frozen
class Origin:
    """Who asks, and the correlation of everything that follows; without one, that of the event it follows from."""

    principal: str
    correlation: str | None = None


_OF_DEMAND = (LeaseEvent, PeerOpened, PeerClosed, UseEvent)

ENDED = 1000
"""Leases whose ends are kept in memory."""
ACTOR = Origin("actor")
"""Of what an actor reports that is no fault."""


class Because(str):
    """What a scope is cancelled with: the words of a reason, and with them the reason and the event that wanted it."""

    reason: Reason
    event: Recorded | None
    said_at: int
    """Number of the last event before the cancellation: what is newer may follow from it."""


async def why_cancelled() -> Because | None:
    """What the task is being cancelled with; none when it is not, or when whoever cancels gave no event.

    The exception at hand may tell of a cancellation further inside, that came first.
    """
    try:
        await trio.lowlevel.checkpoint_if_cancelled()
    except trio.Cancelled as cancelled:
        return cancelled.reason if isinstance(cancelled.reason, Because) else None
    return None


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
    return f"{time.time_ns() >> 20 << 23 | random_bits() & 0x7FFFFF:016x}"


_drawn: list[int] = []
"""Random numbers of 32 bits that nobody has had yet. Taking from the end is one step, in any thread."""
os.register_at_fork(after_in_child=_drawn.clear)


def random_bits() -> int:
    """32 bits from the system's generator, which is asked for a kilobyte at a time: a call of it costs 0.9 us.

    No two threads get the same ones, and no child of a fork gets those of its parent.
    """
    try:
        return _drawn.pop()
    except IndexError:
        fresh = memoryview(os.urandom(1024)).cast("I").tolist()
        _drawn.extend(fresh[1:])
        return fresh[0]


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
        self.allowance = Allowance()
        """The token buckets of clients, and the count of refusals."""
        self.tally = Tally()
        """Which clients' requests events follow from."""
        self.ended: OrderedDict[LeaseId, Reason] = OrderedDict()
        """How the last `ENDED` leases of this run ended."""
        self._latest: dict[str, dict[type[Event], Recorded]] = {}
        self._changes, self._policies = trio.lowlevel.ParkingLot(), trio.lowlevel.ParkingLot()

    async def wait_change(self, seq: int) -> None:
        """Wait until there is a state after event `seq`, durable or not yet; or until somebody calls `wake`."""
        if self.state.seq > seq:
            await trio.lowlevel.checkpoint()
        else:
            await self._changes.park()

    async def wait_policy(self, policy: Policy) -> None:
        """Wait until the policy is another one. Other events do not wake the caller, of which each camera has one."""
        await trio.lowlevel.checkpoint()
        while self.state.policy == policy:
            await self._policies.park()

    def wake(self) -> None:
        """Let those who wait for a change look again."""
        self._changes.unpark_all()

    def fault(self) -> Origin:
        """The origin of what an actor reports of a fault: a correlation of its own for everything that follows."""
        return Origin("actor", self.new_id())

    def because(self, reason: Reason, event: Recorded | None) -> Because:
        """What to cancel a scope with, so that whoever is ended by it can name `event`: see `why_cancelled`."""
        because = Because(reason.text)
        because.reason, because.event, because.said_at = reason, event, self.state.seq
        return because

    def latest(
        self, *streams: str, of: type[Event] | UnionType = Event, because: Because | None = None
    ) -> Recorded | None:
        """The newest event of this run in any of `streams`, and of these kinds: the natural cause of what follows.

        With `because`, the event that wanted the cancellation, until something has been said in the streams since.
        What happens to a child counts for its camera as well, or for its `sound_stream`; a place, for its device; who
        comes and goes, for the camera's `demand_stream`. Streams that have ended are forgotten. A gap in the journal is
        no cause.
        """
        known = [recorded for stream in streams for recorded in self._latest.get(stream, {}).values()]
        found = [recorded for recorded in known if isinstance(recorded.event, of)]
        if because is not None and because.event is not None:
            found = [because.event, *(recorded for recorded in found if recorded.seq > because.said_at)]
        return max(found, key=lambda recorded: recorded.seq, default=None)

    def emit(self, command: c.Command, *, after: Recorded | None = None, origin: Origin | None = None) -> Receipt:
        """Decide now, store soon: for facts whose loss in the last moment before a crash would hurt nobody.

        `after` is the event that led to this command: the cause of the first event, which is that of the others.
        Raises `Rejected`; then nothing has changed.
        """
        client = client_in(origin.principal) if origin is not None and is_charged(command) else None
        if client is not None:
            self._require_allowance(client)
        now_ns = self.clock.wall_ns()
        events = decide(self.state, command, now_ns)
        if client is not None and events:
            self.allowance.charge(client, self.state.limits, self.clock.mono_ns() / 1e9)
        correlation = (origin and origin.correlation) or (after.correlation if after else self.new_id())
        principal = origin.principal if origin else after.principal if after else "system"
        cause = after.seq if after else None
        recorded = []
        for event in events:
            recorded.append(self._record(event, now_ns, cause, correlation, principal))
            cause = recorded[0].seq
        return Receipt(tuple(recorded), durable=False)

    def _require_allowance(self, client: str) -> None:
        """Raises `Rejected` when a client has asked too often."""
        now, limits = self.clock.mono_ns() / 1e9, self.state.limits
        wait_s = self.allowance.wait_s(client, limits, now)
        if wait_s > 0:
            self.allowance.refuse(client, now)
            text = f"{client} asks too often; it may ask again in {wait_s:.1f} s (limits.journaled_rate)"
            raise Rejected(Refusal.RATE_LIMITED, text, wait_s)

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
        before, self.state = self.state, evolve(self.state, recorded)
        if not isinstance(event, EventsLost):
            self._remember(event.stream, recorded)
        if recorded.stream not in self.state.versions:
            del self._latest[recorded.stream]
        if isinstance(event, ChildEvent):
            child = self.state.children.get(event.child) or before.children[event.child]
            of_sound = child.purpose == SOUND
            self._remember((sound_stream if of_sound else camera_stream)(event.camera), recorded)
        if isinstance(event, SlotEvent):
            self._remember(device_stream(event.device), recorded)
        if isinstance(event, _OF_DEMAND):
            self._remember(demand_stream(event.camera), recorded)
        if isinstance(event, LeaseEnded):
            self.ended[event.lease] = event.reason
            if len(self.ended) > ENDED:
                self.ended.popitem(last=False)
        self.tally.count(principal, correlation)
        self._journal.append_nowait(recorded, self.state)
        if self._changes:
            self._changes.unpark_all()
        if self.state.policy is not before.policy:
            self._policies.unpark_all()
        return recorded

    def _remember(self, stream: str, recorded: Recorded) -> None:
        self._latest.setdefault(stream, {})[type(recorded.event)] = recorded
