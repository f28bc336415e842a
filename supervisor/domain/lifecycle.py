"""The life cycles of cameras, children and peers, as tables.

Rules of this file:
- `TABLE[phase][event type]` is the phase after it; what is not in the table cannot happen.
- `decide` asks `allows` before it says yes; `evolve` goes through `step` and crashes on anything else.
- A phase without a way out is an end: the entity leaves the state.
- The diagrams in `ops/docs/` and the all-pairs tests are made from these tables.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from . import events as e
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
"""In these a camera's source runs."""
LOST = frozenset({CameraPhase.WAITING, CameraPhase.FAILED, CameraPhase.QUARANTINED})
"""In these it waits before the next attempt."""


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


EventType = type[e.Event]
Phase = TypeVar("Phase", bound=StrEnum)
Table = Mapping[Phase, Mapping[EventType, Phase]]

_CAMERA_ALWAYS: dict[EventType, CameraPhase] = {
    e.CameraIdle: CameraPhase.IDLE,
    e.CameraCrashed: CameraPhase.WAITING,
    e.CameraQuarantined: CameraPhase.QUARANTINED,
    e.CameraRemoved: CameraPhase.REMOVED,
}
_CAMERA_LOST: dict[EventType, CameraPhase] = {
    e.CameraWaiting: CameraPhase.WAITING,
    e.CameraFailed: CameraPhase.FAILED,
}
_CAMERA_TRIED: dict[EventType, CameraPhase] = {
    e.CameraQueued: CameraPhase.QUEUED,
    e.CameraConnecting: CameraPhase.CONNECTING,
}

CAMERA: Table[CameraPhase] = {
    CameraPhase.IDLE: {**_CAMERA_TRIED, **_CAMERA_ALWAYS, e.CameraChanged: CameraPhase.IDLE},
    CameraPhase.QUEUED: {**_CAMERA_TRIED, **_CAMERA_ALWAYS, e.CameraChanged: CameraPhase.QUEUED},
    CameraPhase.CONNECTING: {
        e.CameraLive: CameraPhase.LIVE,
        e.CameraChanged: CameraPhase.CONNECTING,
        **_CAMERA_LOST,
        **_CAMERA_ALWAYS,
    },
    CameraPhase.LIVE: {
        e.CameraLive: CameraPhase.LIVE,  # with another picture
        e.CameraStalled: CameraPhase.STALLED,
        e.CameraChanged: CameraPhase.LIVE,
        **_CAMERA_LOST,
        **_CAMERA_ALWAYS,
    },
    CameraPhase.STALLED: {
        e.CameraLive: CameraPhase.LIVE,
        e.CameraChanged: CameraPhase.STALLED,
        **_CAMERA_LOST,
        **_CAMERA_ALWAYS,
    },
    CameraPhase.WAITING: {**_CAMERA_TRIED, **_CAMERA_ALWAYS, e.CameraChanged: CameraPhase.WAITING},
    CameraPhase.FAILED: {**_CAMERA_TRIED, **_CAMERA_ALWAYS, e.CameraChanged: CameraPhase.FAILED},
    CameraPhase.QUARANTINED: {**_CAMERA_TRIED, **_CAMERA_ALWAYS, e.CameraChanged: CameraPhase.QUARANTINED},
    CameraPhase.REMOVED: {},
}

CHILD: Table[ChildPhase] = {
    ChildPhase.STARTING: {
        e.ChildStarted: ChildPhase.RUNNING,
        e.ChildEnded: ChildPhase.ENDED,
        e.ChildAbandoned: ChildPhase.ENDED,
    },
    ChildPhase.RUNNING: {
        e.ChildStopping: ChildPhase.STOPPING,
        e.ChildEnded: ChildPhase.ENDED,
        e.ChildAbandoned: ChildPhase.ENDED,
    },
    ChildPhase.STOPPING: {
        e.ChildStopping: ChildPhase.STOPPING,
        e.ChildUnkillable: ChildPhase.UNKILLABLE,
        e.ChildEnded: ChildPhase.ENDED,
        e.ChildAbandoned: ChildPhase.ENDED,
    },
    ChildPhase.UNKILLABLE: {
        e.ChildEnded: ChildPhase.ENDED,
        e.ChildAbandoned: ChildPhase.ENDED,
    },
    ChildPhase.ENDED: {},
}

PEER: Table[PeerPhase] = {
    PeerPhase.NEGOTIATING: {
        e.PeerConnected: PeerPhase.CONNECTED,
        e.PeerClosing: PeerPhase.CLOSING,
        e.PeerClosed: PeerPhase.CLOSED,
    },
    PeerPhase.CONNECTED: {
        e.PeerSilent: PeerPhase.SILENT,
        e.PeerClosing: PeerPhase.CLOSING,
        e.PeerClosed: PeerPhase.CLOSED,
    },
    PeerPhase.SILENT: {
        e.PeerHeard: PeerPhase.CONNECTED,
        e.PeerClosing: PeerPhase.CLOSING,
        e.PeerClosed: PeerPhase.CLOSED,
    },
    PeerPhase.CLOSING: {
        e.PeerClosed: PeerPhase.CLOSED,
    },
    PeerPhase.CLOSED: {},
}


def allows(table: Table[Phase], phase: Phase, event: EventType) -> bool:
    """Whether `event` may happen to something in `phase`."""
    return event in table[phase]


def step(table: Table[Phase], phase: Phase, event: EventType) -> Phase:
    """The phase after `event`; raises `IllegalTransition` where the table has none."""
    try:
        return table[phase][event]
    except KeyError:
        raise IllegalTransition(f"{event.__name__} cannot happen to something {phase.value}") from None
