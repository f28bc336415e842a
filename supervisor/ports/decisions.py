"""The vocabulary of decisions, and the interface of the kernel for actors."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import UnionType
from typing import Protocol

import attrs
import trio

from ..base.clock import Clock
from ..domain import commands as c
from ..domain.events import AlertRaised, Event, Recorded
from ..domain.ids import SYSTEM, CameraId, NodeId, RunId, camera_stream
from ..domain.state import State
from ..domain.traces import Traces
from ..domain.values import Policy, Reason


@attrs.frozen
class Origin:
    """The principal of a command, and the correlation of everything that follows.

    Without a correlation, the events get that of the event that they follow from.
    """

    principal: str
    correlation: str | None = None


ACTOR = Origin("actor")
"""The origin of an actor's reports that are not faults."""


class CancelReason(str):
    """The reason of a cancel scope: a reason's text, with the reason itself and the event that caused it."""

    reason: Reason
    event: Recorded | None
    said_at: int
    """Number of the last event before the cancellation. Newer events may follow from it."""

    def after(self, last: Recorded | None) -> Recorded | None:
        """The cause of the next step of the end: `last`, the cancelled task's last event, if it is such a newer one."""
        is_newer = last is not None and last.seq > self.said_at
        return last if is_newer or self.event is None else self.event


async def why_cancelled() -> CancelReason | None:
    """The reason with which the task is being cancelled.

    None if the task is not being cancelled, or if the canceller gave no `CancelReason`. The exception being handled may
    come from an earlier cancellation of an inner scope, so this does not use it.
    """
    try:
        await trio.lowlevel.checkpoint_if_cancelled()
    except trio.Cancelled as cancelled:
        return cancelled.reason if isinstance(cancelled.reason, CancelReason) else None
    return None


@attrs.frozen
class Receipt:
    """The outcome of a command. `durable` is true if all its events are acknowledged as durable."""

    events: tuple[Recorded, ...]
    durable: bool

    @property
    def last(self) -> Recorded | None:
        """The event that the next command should name as its cause."""
        return self.events[-1] if self.events else None


class Decider(Protocol):
    """The kernel, as actors use it: they read the state, report facts as commands, and wait for changes."""

    @property
    def state(self) -> State: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def node(self) -> NodeId: ...

    @property
    def run(self) -> RunId: ...

    @property
    def traces(self) -> Traces:
        """Counts pictures that are sent, for the audit."""
        ...

    def new_id(self) -> str:
        """Make an id that is unique in this journal."""
        ...

    def fault(self) -> Origin:
        """The origin of a fault that an actor reports. It has a new correlation for everything that follows."""
        ...

    def because(self, reason: Reason, event: Recorded | None) -> CancelReason:
        """The reason to cancel a scope with, so that cancelled tasks can name `event` as cause: see `why_cancelled`."""
        ...

    def following(self, event: Recorded | None) -> AbstractContextManager[None]:
        """Carry `event` as the cause of the commands inside the block, also in the tasks that the block starts."""
        ...

    def carry(self, event: Recorded | None) -> None:
        """Carry `event` from now on, in all tasks of the innermost `following` block of this task."""
        ...

    def carried(self) -> Recorded | None:
        """The cause that the current task carries."""
        ...

    def advance(self, command: c.Command, origin: Origin | None = None) -> Recorded | None:
        """Emit `command` with the carried cause, and carry its last event on. Returns that event; raises as `emit`."""
        ...

    def latest(self, *streams: str, of: type[Event] | UnionType = Event) -> Recorded | None:
        """The newest event of this run in any of `streams` and of these types, for a cause that nobody carries."""
        ...

    def detections(self, camera: CameraId, after: int) -> Sequence[Recorded]:
        """The detections of this run at a camera after event `after`, the oldest first; at most the newest 64."""
        ...

    def emit(self, command: c.Command, *, after: Recorded | None = None, origin: Origin | None = None) -> Receipt:
        """Decide now and store soon. Raises `Rejected`; then nothing has changed."""
        ...

    async def wait_durable(self, receipt: Receipt) -> Receipt:
        """Wait until the events of a receipt are durable, or cannot become durable for now."""
        ...

    async def wait_change(self, seq: int) -> None:
        """Wait until there is a state after event `seq`, durable or not; or until a call of `wake`."""
        ...

    async def wait_policy(self, policy: Policy) -> None:
        """Wait until the policy differs from `policy`."""
        ...

    async def wait_retry(self, camera: CameraId, seq: int) -> Recorded:
        """Wait for a request, after event `seq`, to probe `camera` now, and return it."""
        ...

    def wake(self) -> None:
        """Wake all tasks that wait for a change."""
        ...


def newest_of(kernel: Decider, camera: CameraId) -> Recorded | None:
    """The newest event of `camera`, or of the system: for an actor that starts or crashed, and so carries no cause.

    Also for a finding about the state: it compares states, and so knows what is wrong, and not since which event.
    """
    return kernel.latest(camera_stream(camera)) or kernel.latest(SYSTEM)


def raised(kernel: Decider, alert: str) -> Recorded | None:
    """The event that raised `alert` in this run. An alert may outlive the task that raised it, so it is looked up."""
    return kernel.latest(f"alert/{alert}", of=AlertRaised)
