"""The phases of cameras, child processes and peers. The events declare the transitions, in `steps` and `begins`.

Rules of this file:
- `steps[phase]` is the phase after the event. An event cannot happen in a phase that is not in its `steps`.
- `decide` checks `allows` before it accepts a command. `evolve` calls `step` and crashes on any other pair.
- A phase without transitions is final: the entity leaves the state.
- The diagrams in `ops/docs/` and the all-pairs tests are made from `table`.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TypeVar

from .core import Event
from .errors import IllegalTransition


class CameraPhase(StrEnum):
    IDLE = "idle"
    QUEUED = "queued"
    CONNECTING = "connecting"
    LIVE = "live"
    STALLED = "stalled"
    WAITING = "waiting"
    FAILED = "failed"
    QUARANTINED = "quarantined"
    REMOVED = "removed"


STREAMING = frozenset({CameraPhase.CONNECTING, CameraPhase.LIVE, CameraPhase.STALLED})
"""Phases in which a camera's source runs."""
LOST = frozenset({CameraPhase.WAITING, CameraPhase.FAILED, CameraPhase.QUARANTINED})
"""Phases in which a camera waits before the next attempt."""
OPENABLE = LOST | {CameraPhase.IDLE, CameraPhase.QUEUED}
"""Phases in which an attempt may begin."""


class ChildPhase(StrEnum):
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    UNKILLABLE = "unkillable"
    ENDED = "ended"


class PeerPhase(StrEnum):
    NEGOTIATING = "negotiating"
    CONNECTED = "connected"
    SILENT = "silent"
    CLOSING = "closing"
    CLOSED = "closed"


class RecordingPhase(StrEnum):
    RECORDING = "recording"
    INTERRUPTED = "interrupted"
    STOPPED = "stopped"


EventType = type[Event]
Phase = TypeVar("Phase", bound=StrEnum)
Table = Mapping[Phase, Mapping[EventType, Phase]]


def table(phases: type[Phase], events: Iterable[EventType]) -> Table[Phase]:
    """For each phase, the events that may happen in it, with the phase after each."""
    events = tuple(events)
    return {phase: {kind: kind.steps[phase] for kind in events if phase in kind.steps} for phase in phases}


def leads(*before: Phase, to: Phase | None = None) -> Mapping[Phase, Phase]:
    """The `steps` of an event that may happen in each phase of `before`, and leads to `to`, or keeps the phase."""
    return {phase: to or phase for phase in before}


def allows(phase: StrEnum, event: EventType) -> bool:
    """Whether `event` may happen to an entity in `phase`."""
    return phase in event.steps


def step(phase: Phase, event: EventType) -> Phase:
    """The phase after `event`. Raises `IllegalTransition` if the event cannot happen in `phase`."""
    try:
        after: Phase = event.steps[phase]
    except KeyError:
        raise IllegalTransition(f"{event.__name__} cannot happen to something {phase.value}") from None
    return after
