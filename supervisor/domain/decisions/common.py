"""What decisions have in common."""

from .. import events as e
from ..errors import Refusal, Rejected
from ..ids import CameraId
from ..lifecycle import CameraPhase
from ..state import Camera, State
from ..values import Fault, Reason

Events = tuple[e.Event, ...]

STOPPING = Reason("stopping", "banken is stopping", Fault.NONE)


def elapsed_s(from_ns: int, to_ns: int) -> float:
    return round((to_ns - from_ns) / 1e9, 3)


def require_running(state: State, retry_after_s: float | None = None) -> None:
    """Raises `Rejected` when nothing new may begin."""
    if state.stopping:
        raise Rejected(Refusal.UNAVAILABLE, STOPPING.text, retry_after_s)


def require_camera(state: State, name: CameraId) -> Camera:
    """Raises `Rejected` when there is no such camera."""
    camera = state.cameras.get(name)
    if camera is None:
        raise Rejected(Refusal.UNKNOWN, f"there is no camera {name!r}")
    return camera


def require_usable(state: State, name: CameraId, now_ns: int) -> Camera:
    """Raises `Rejected` when there is no such camera, or none that will show anything soon."""
    camera = require_camera(state, name)
    if camera.phase in (CameraPhase.FAILED, CameraPhase.QUARANTINED):
        why = camera.reason.text if camera.reason else camera.phase.value
        wait_s = max(1.0, elapsed_s(now_ns, camera.retry_at_ns or now_ns))
        raise Rejected(Refusal.UNAVAILABLE, f"{name} is {camera.phase.value}: {why}", wait_s)
    return camera
