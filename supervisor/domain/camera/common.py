"""The base of all events of a camera, and how they move it to its next phase."""

from msgspec.structs import replace

from ..common import Changes
from ..core import Event, Recorded
from ..ids import CameraId, camera_stream
from ..lifecycle import CameraPhase, step
from ..restart import HEALTHY_AFTER_S
from ..state import Camera, State

CONFIGURED = tuple(phase for phase in CameraPhase if phase is not CameraPhase.REMOVED)
"""The phases of a camera that the configuration names."""


class CameraEvent(Event, frozen=True):
    camera: CameraId
    """Its name in the configuration."""

    @property
    def stream(self) -> str:
        return camera_stream(self.camera)


def is_live(camera: Camera) -> bool:
    """Whether its source is open and has shown a picture; it may be silent for a while."""
    return camera.phase in (CameraPhase.LIVE, CameraPhase.STALLED)


def was_healthy(camera: Camera, now_ns: int) -> bool:
    """Whether the camera has been live for `HEALTHY_AFTER_S`, which resets its failures. Short stalls do not matter."""
    return is_live(camera) and now_ns - camera.live_since_ns >= HEALTHY_AFTER_S * 1e9


def has_slot(state: State, camera: Camera) -> bool:
    """Whether the camera may connect: it holds a slot at its device, or has no device."""
    device, slot = camera.settings.device, state.slots.get(camera.settings.camera)
    return device is None or (slot is not None and slot.held and slot.device == device)


_REMOVED = CameraPhase.REMOVED  # access to a member of an `Enum` takes 0.15 us, a tenth of an event's time in `fold`


def move_camera(state: State, event: CameraEvent, at: Recorded, changed: Camera | None = None) -> Changes:
    """The camera, unchanged or `changed`, in its next phase; removed at a final phase."""
    before = changed or state.cameras[event.camera]
    phase = step(before.phase, type(event))
    if phase is _REMOVED:
        return {"cameras": state.cameras.remove(event.camera)}
    since_ns = before.since_ns if phase is before.phase else at.wall_ns
    return {"cameras": state.cameras.insert(event.camera, replace(before, phase=phase, since_ns=since_ns))}
