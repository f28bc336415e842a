"""Types and helpers that the entities share."""

from collections.abc import Callable, Mapping
from typing import Any

from .core import Command, Event, Recorded
from .errors import Refusal, Rejected
from .ids import CameraId
from .lifecycle import CameraPhase
from .state import Camera, State
from .values import Fault, Reason

Events = tuple[Event, ...]
Decisions = Mapping[type[Command], Callable[[State, Any, int], Events]]
"""For each command, the function from state, command and wall time in ns to the events. It may raise `Rejected`."""
Changes = dict[str, Any]
"""Fields of the state with their new values."""
Arms = Mapping[type[Event], Callable[[State, Any, Recorded], Changes]]
"""For each event, the function from the state before it, the event and its record to the changes."""

STOPPING = Reason("stopping", "banken is stopping", Fault.NONE)

RETRY_WHEN_FULL_S = 5.0
"""Capacity becomes free when viewers leave, so an earlier retry rarely helps."""


def later_ns(at: Recorded, delay_s: float) -> int:
    return at.wall_ns + int(delay_s * 1e9)


def elapsed_s(from_ns: int, to_ns: int) -> float:
    return round((to_ns - from_ns) / 1e9, 3)


def require_running(state: State, retry_after_s: float | None = None) -> None:
    """Raise `Rejected` if the daemon is stopping, so that nothing new may begin."""
    if state.stopping:
        raise Rejected(Refusal.UNAVAILABLE, STOPPING.text, retry_after_s)


def require_camera(state: State, name: CameraId) -> Camera:
    """The camera. Raises `Rejected` if it does not exist."""
    camera = state.cameras.get(name)
    if camera is None:
        raise Rejected(Refusal.UNKNOWN, f"there is no camera {name!r}")
    return camera


def require_not_private(state: State, name: CameraId) -> None:
    """Raise `Rejected` if the camera is private."""
    switched = state.private(name)
    if switched is not None:
        raise Rejected(Refusal.PRIVATE, f"{name} is private: {switched.reason.text}")


def require_usable(state: State, name: CameraId, now_ns: int) -> Camera:
    """The camera. Raises `Rejected` if it does not exist, is private, has failed or is quarantined."""
    camera = require_camera(state, name)
    require_not_private(state, name)
    if camera.phase in (CameraPhase.FAILED, CameraPhase.QUARANTINED):
        why = camera.reason.text if camera.reason else camera.phase.value
        wait_s = max(1.0, elapsed_s(now_ns, camera.retry_at_ns or now_ns))
        raise Rejected(Refusal.UNAVAILABLE, f"{name} is {camera.phase.value}: {why}", wait_s)
    return camera
