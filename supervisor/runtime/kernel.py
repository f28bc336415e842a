"""The kernel: decides one command at a time, queues its events for the journal, and folds them into the state.

Rules of this file:
- There is no `await` between reading the state and changing it. Therefore limits are atomic.
- Only the kernel changes the state.
- Only a caller that needs durability waits for the commit.
- A task carries the cause of its commands: `following` sets it for a block, `carry` advances it for all of its tasks.
  An actor starts without one (`base/context.py`), so it never continues the cause of the request that started it.
"""

import os
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import UnionType
from typing import Protocol

import trio

from ..base.clock import Clock
from ..domain import commands as c
from ..domain.access import authorize
from ..domain.allowance import Allowance, is_charged
from ..domain.availability import Ledger
from ..domain.clients import client_in
from ..domain.decide import decide
from ..domain.errors import Refusal, Rejected
from ..domain.events import (
    CameraRetried,
    ChildEvent,
    DetectionMade,
    Event,
    EventsLost,
    LeaseEnded,
    LeaseEvent,
    PeerClosed,
    PeerOpened,
    Recorded,
    SessionEnded,
    SessionOpened,
    SlotEvent,
    UseEvent,
)
from ..domain.evolve import evolve
from ..domain.gap_tally import GapTally
from ..domain.ids import CameraId, LeaseId, NodeId, RunId, camera_stream, demand_stream, device_stream
from ..domain.rights import PEOPLE
from ..domain.scoped import NOBODY
from ..domain.state import TRANSCODERS, State
from ..domain.tally import Tally
from ..domain.traces import Traces
from ..domain.values import Policy, Reason
from ..ports.decisions import CancelReason, Origin, Receipt

_CARRIED: ContextVar[list[Recorded | None] | None] = ContextVar("_CARRIED", default=None)
"""The cause that the current task carries, in a list that all tasks of a block share."""

_NO_CAUSE = EventsLost | SessionOpened | SessionEnded
"""Events that nobody looks up as a cause: a gap in the journal, and logins, of which there may be a thousand."""
_OF_DEMAND = (LeaseEvent, PeerOpened, PeerClosed, UseEvent)

DETECTIONS = 64
"""Detections of each camera that are kept in memory."""
ENDED = 1000
"""Ended leases whose reasons are kept in memory."""


def new_id() -> str:
    """A new id: 64 bits in hex, the first 41 of them the time in units of about a millisecond, the rest random.

    Ids that grow with time are neighbours in the journal's indexes, so a commit changes few pages.
    """
    return f"{time.time_ns() >> 20 << 23 | random_bits() & 0x7FFFFF:016x}"


_drawn: list[int] = []
"""Unused random numbers of 32 bits. Taking one from the end is atomic, in any thread."""
os.register_at_fork(after_in_child=_drawn.clear)


def random_bits() -> int:
    """32 bits from the system's generator. It is called for a kilobyte at a time, because a call costs 0.9 us.

    No two threads get the same bits, and no child of a fork gets the bits of its parent.
    """
    try:
        return _drawn.pop()
    except IndexError:
        fresh = memoryview(os.urandom(1024)).cast("I").tolist()
        _drawn.extend(fresh[1:])
        return fresh[0]


class Stores(Protocol):
    """The journal's writer, as the kernel uses it."""

    def append_nowait(self, recorded: Recorded, state: State) -> None: ...

    async def wait_committed(self, seq: int) -> bool:
        """Wait until event `seq` is durable, or cannot become durable for now. Returns whether it is."""
        ...


class Kernel:
    """Holds the state. `ids` makes correlation ids; a simulation passes a seeded function."""

    def __init__(
        self, state: State, journal: Stores, clock: Clock, node: NodeId, run: RunId, ids: Callable[[], str] = new_id
    ) -> None:
        self.state = state
        self.clock = clock
        self.node = node
        self.run = run
        self._journal = journal
        self.new_id = ids
        """Makes an id that is unique in this journal."""
        self.allowance = Allowance()
        """The token buckets of clients, and the count of rejected requests."""
        self.tally = Tally()
        """Counts which clients' requests the events follow from."""
        self.traces = Traces()
        """Pictures and refusals that are not journaled yet."""
        self.availability = Ledger(state)
        """The availability of the cameras in this run."""
        self.gaps = GapTally()
        """The gaps of recordings in this run."""
        self.ended: OrderedDict[LeaseId, Reason] = OrderedDict()
        """The reasons of the last `ENDED` leases that ended in this run."""
        self._latest: dict[str, dict[type[Event], Recorded]] = {}
        self._detections: dict[CameraId, deque[Recorded]] = {}
        self._changes, self._policies, self._retries, self._access = (trio.lowlevel.ParkingLot() for _ in range(4))

    async def wait_change(self, seq: int) -> None:
        """Wait until there is a state after event `seq`, durable or not; or until a call of `wake`."""
        if self.state.seq > seq:
            await trio.lowlevel.checkpoint()
        else:
            await self._changes.park()

    async def wait_policy(self, policy: Policy) -> None:
        """Wait until the policy differs from `policy`. Other events do not wake the caller: each camera has one."""
        await trio.lowlevel.checkpoint()
        while self.state.policy == policy:
            await self._policies.park()

    async def wait_access(self, changes: int) -> None:
        """Wait until users, sessions, tokens or shares have changed.

        `changes` is the `access_changes` that the caller knows.
        Neither other events nor logins wake the caller: each open WebSocket has one, and a login takes no right away.
        """
        await trio.lowlevel.checkpoint()
        while self.state.access_changes == changes:
            await self._access.park()

    async def wait_retry(self, camera: CameraId, seq: int) -> Recorded:
        """Wait for a request, after event `seq`, to probe `camera` now. Returns it; no other event wakes the caller."""
        await trio.lowlevel.checkpoint()
        while (asked := self.latest(camera_stream(camera), of=CameraRetried)) is None or asked.seq <= seq:
            await self._retries.park()
        return asked

    def wake(self) -> None:
        """Wake all tasks that wait for a change."""
        self._changes.unpark_all()

    def fault(self) -> Origin:
        """The origin of a fault that an actor reports. It has a new correlation for everything that follows."""
        return Origin("actor", self.new_id())

    def because(self, reason: Reason, event: Recorded | None) -> CancelReason:
        """The reason to cancel a scope with, so that cancelled tasks can name `event` as cause: see `why_cancelled`."""
        because = CancelReason(reason.text)
        because.reason, because.event, because.said_at = reason, event, self.state.seq
        return because

    @contextmanager
    def following(self, event: Recorded | None) -> Iterator[None]:
        """Carry `event` as the cause of the commands inside the block, also in the tasks that the block starts.

        A command that names a cause or an origin does not use it. It ends with the block. The block must not contain a
        `yield`: the caller of a generator would carry the cause, too.
        """
        before = _CARRIED.set([event])
        try:
            yield
        finally:
            _CARRIED.reset(before)

    def carry(self, event: Recorded | None) -> None:
        """Carry `event` from now on, in all tasks of the innermost `following` block of this task.

        Does nothing outside of a block, or without an event: the earlier cause remains.
        """
        block = _CARRIED.get()
        if event is not None and block is not None:
            block[0] = event

    def carried(self) -> Recorded | None:
        """The cause that the current task carries."""
        block = _CARRIED.get()
        return block[0] if block else None

    def advance(self, command: c.Command, origin: Origin | None = None) -> Recorded | None:
        """Emit `command` with the carried cause, and carry its last event on. Returns that event; raises as `emit`."""
        last = self.emit(command, after=self.carried(), origin=origin).last
        self.carry(last)
        return last

    def latest(self, *streams: str, of: type[Event] | UnionType = Event) -> Recorded | None:
        """The newest event of this run in any of `streams` and of these types, for a cause that nobody carries.

        Events also count for related streams: those of a child for its camera, except for one of its audio; those of a
        slot for its device; those of leases, peers and uses for the camera's `demand_stream`. Streams that have ended
        are removed. A gap in the journal is not a cause.
        """
        known = [recorded for stream in streams for recorded in self._latest.get(stream, {}).values()]
        found = [recorded for recorded in known if isinstance(recorded.event, of)]
        return max(found, key=lambda recorded: recorded.seq, default=None)

    def detections(self, camera: CameraId, after: int) -> Sequence[Recorded]:
        """The detections of this run at a camera after event `after`, the oldest first; at most `DETECTIONS`."""
        return [made for made in self._detections.get(camera, ()) if made.seq > after]

    def emit(self, command: c.Command, *, after: Recorded | None = None, origin: Origin | None = None) -> Receipt:
        """Decide now and store soon: for facts whose loss in the last moment before a crash does no harm.

        `after` is the event that led to this command: the cause of the first event, which is the cause of the others.
        A command without `after` and `origin` has the cause that the task carries (`following`).
        A command with an `origin` needs its principal's right, in this step.
        Raises `Rejected`; then nothing has changed.
        """
        if after is None and origin is None:
            after = self.carried()
        client = client_in(origin.principal) if origin is not None and is_charged(command) else None
        if client is not None:
            self.require_allowance(client)
        now_ns = self.clock.wall_ns()
        if origin is not None:
            try:
                authorize(self.state, origin.principal, command, now_ns)
            except Rejected:
                self._note_refused(origin.principal, command)
                raise
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

    def _note_refused(self, principal: str, command: c.Command) -> None:
        """Count a refusal of somebody who has logged in; of others, every request without a login is refused."""
        if principal.startswith(PEOPLE):
            right, camera = command.needs(), command.on(self.state)
            if camera == NOBODY:  # the web has counted the name that was asked for
                return
            what = "camera" if camera is not None and right is not None else str(right)
            self.traces.refused(principal, str(getattr(command, "client", "")), what, camera)

    def charge(self, client: str) -> None:
        """Charge a client for a request before its outcome is known. Raises what `require_allowance` raises."""
        self.require_allowance(client)
        self.allowance.charge(client, self.state.limits, self.clock.mono_ns() / 1e9)

    def require_allowance(self, client: str) -> None:
        """Raise `Rejected` if a client has sent too many requests."""
        now, limits = self.clock.mono_ns() / 1e9, self.state.limits
        wait_s = self.allowance.wait_s(client, limits, now)
        if wait_s > 0:
            self.allowance.refuse(client, now)
            text = f"{client} asks too often; it may ask again in {wait_s:.1f} s (limits.journaled_rate)"
            raise Rejected(Refusal.RATE_LIMITED, text, wait_s)

    async def submit(
        self, command: c.Command, *, after: Recorded | None = None, origin: Origin | None = None
    ) -> Receipt:
        """Decide now, and wait until the outcome is durable. Raises what `emit` raises.

        If the journal cannot write, the receipt is not durable: the outcome is valid, but a crash may lose it.
        """
        return await self.wait_durable(self.emit(command, after=after, origin=origin))

    async def wait_durable(self, receipt: Receipt) -> Receipt:
        """Wait until the events of a receipt are durable, or cannot become durable for now."""
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
        self.availability.see(before, recorded, self.state)
        self.gaps.see(before, recorded)
        if not isinstance(event, _NO_CAUSE):
            self._remember(event.stream, recorded)
        if recorded.stream not in self.state.versions:
            self._latest.pop(recorded.stream, None)
        if isinstance(event, ChildEvent):
            child = self.state.children.get(event.child) or before.children[event.child]
            if child.purpose not in TRANSCODERS:
                self._remember(camera_stream(event.camera), recorded)
        if isinstance(event, SlotEvent):
            self._remember(device_stream(event.device), recorded)
        if isinstance(event, DetectionMade):
            self._detections.setdefault(event.camera, deque(maxlen=DETECTIONS)).append(recorded)
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
        if isinstance(event, CameraRetried):
            self._retries.unpark_all()
        if self.state.access_changes != before.access_changes and not isinstance(event, SessionOpened):
            self._access.unpark_all()
        return recorded

    def _remember(self, stream: str, recorded: Recorded) -> None:
        self._latest.setdefault(stream, {})[type(recorded.event)] = recorded
