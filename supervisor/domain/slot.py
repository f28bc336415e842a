"""Connection slots: the connections that a device serves.

Rules of this file:
- A camera has at most one slot. All its uses share that connection.
- No camera takes a slot beyond the device's limit. The queue is ordered by importance of the use, then by time.
- A slot is released when the camera's last child with a connection has been reaped, and never before.
"""

from msgspec.structs import replace

from .camera import CameraEvent, has_slot, move_camera
from .common import Arms, Changes, Decisions, Events, require_camera, require_not_private, require_running
from .core import CLOSES_SOURCE, FIRST, LOSSES, OPENS_SOURCE, SOON, Command, Event, Recorded, Severity
from .errors import Refusal, Rejected
from .ids import CameraId, DeviceId, camera_stream
from .lifecycle import OPENABLE, STREAMING, CameraPhase, ChildPhase, leads
from .state import ORPHAN, TRANSCODERS, USES, Child, Slot, State
from .values import Reason


class TakeSlot(Command, frozen=True):
    """Request the camera's one connection slot at its device. If no slot is free, the camera is queued."""

    camera: CameraId

    sender = "camera actor"


class FreeSlot(Command, frozen=True):
    """Release the slot, or leave the queue. Without effect while a child has a connection: its end frees the slot."""

    camera: CameraId
    reason: Reason

    sender = "camera actor"


class SlotEvent(Event, frozen=True):
    """Base of events of a connection slot at a device."""

    camera: CameraId
    """Its name in the configuration."""
    device: DeviceId
    """The device that the slot belongs to."""

    @property
    def stream(self) -> str:
        return camera_stream(self.camera)


class CameraQueued(CameraEvent, frozen=True):
    """All connection slots of the device are taken. The camera waits for one, in the order of the queue."""

    device: DeviceId
    """The device that the slots belong to."""
    use: str
    """Why it is needed: `live`, `mjpeg`, `snapshot` or `patrol`."""
    reason: Reason
    """Code `queued`; the text names the holders of the slots."""

    steps = leads(*OPENABLE, to=CameraPhase.QUEUED)
    severity = Severity.NOTICE
    emitters = ("TakeSlot",)
    causes = (
        *OPENS_SOURCE,
        "SlotFreed",
        "ChildEnded",
    )
    cause_note = "as for `CameraConnecting` without a device; `SlotFreed` when it lost its slot with its connection"
    when = "it is needed and no slot is free; once for each wait"

    def sentence(self) -> str:
        return f"{self.camera} {self.reason.text}"

    def timeline_mark(self) -> str:
        return "queued"


class SlotTaken(SlotEvent, frozen=True):
    """The camera has a slot and may open its one connection to the device."""

    use: str
    """Why it is needed: `live`, `mjpeg`, `snapshot` or `patrol`. The use of an orphan counts as `live`."""

    severity = Severity.INFO
    emitters = ("TakeSlot", "ReportChildFound")
    causes = (
        *OPENS_SOURCE,
        "CameraQueued",
        "SlotFreed",
        "ChildEnded",
        "ChildFound",
    )
    cause_note = (
        "as for `CameraQueued`. After a wait: the `SlotFreed` or `ConfigurationApplied` that made a slot free, or "
        "`CameraQueued` itself when a learned limit expired; correlation and principal are those of `CameraQueued`. "
        "`ChildFound` for an orphan"
    )
    when = "before each attempt, as soon as a slot is free; a device without a limit always has one"

    def sentence(self) -> str:
        return f"{self.camera} takes a connection slot on {self.device} ({self.use})"


class SlotFreed(SlotEvent, frozen=True):
    """The camera released its slot, or left the queue. No process of it can have a connection any more."""

    reason: Reason
    """That of the loss or of the child's end; or `unused`, `settings-changed`, `privacy`, `removed`, `stopped`,
    `crashed`, `refused`, `abandoned`."""
    held: bool = True
    """Whether it held the slot, or was only queued for one."""

    severity = Severity.INFO
    emitters = ("FreeSlot", "ReportChildEnded", "StartRun")
    causes = ("ChildEnded", "ChildUnkillable", "CameraQueued", *CLOSES_SOURCE, *LOSSES)
    cause_note = (
        "`CameraWaiting` or `CameraFailed` after a loss; `ChildEnded` at the end of the demand or after a crash; for "
        "an unused slot the event that ended the demand"
    )
    when = "after the camera's last child has been reaped, never before"
    stored = f"{SOON}; {FIRST} at a start"

    def sentence(self) -> str:
        how = "releases its" if self.held else "no longer waits for a"
        return f"{self.camera} {how} connection slot on {self.device}: {self.reason.text}"


def take_slot(state: State, command: TakeSlot, now_ns: int) -> Events:
    camera = require_camera(state, command.camera)
    require_running(state)
    require_not_private(state, command.camera)
    device, slot = camera.settings.device, state.slots.get(command.camera)
    if device is None or has_slot(state, camera):
        return ()
    if slot is not None and slot.held:
        raise Rejected(Refusal.CONFLICT, f"{command.camera} still has its connection slot on {slot.device}")
    use = state.uses_of([camera.settings]).get(command.camera, USES[-1])
    holders, budget = state.slots_of(device, held=True), state.budget(device, now_ns)
    if budget is None or len(holders) + _ahead(state, command.camera, device, use) < budget:
        return (SlotTaken(command.camera, device, use),)
    if slot is not None:
        return ()
    return (CameraQueued(command.camera, device, use, state.why_queued(device, now_ns)),)


def _ahead(state: State, camera: CameraId, device: DeviceId, use: str) -> int:
    """The number of queued cameras before `camera`. A camera that is not queued yet comes after those of equal use."""
    waiting = [slot.camera for slot in state.slots_of(device, held=False)]
    if camera in waiting:
        return waiting.index(camera)
    uses = state.uses_of(state.settings_of(waiting))
    return sum(USES.index(uses.get(name, USES[-1])) <= USES.index(use) for name in waiting)


def free_slot(state: State, command: FreeSlot, now_ns: int) -> Events:
    slot = state.slots.get(command.camera)
    if slot is None or (slot.held and state.connections_of(command.camera)):
        return ()
    return (SlotFreed(command.camera, slot.device, command.reason, slot.held),)


def free_after_last_child(state: State, child: Child, reason: Reason) -> Events:
    """Release the slot of a camera at the end of a child that no actor supervises any more.

    Otherwise the child's actor releases the slot itself, after it has closed all resources of the connection.
    """
    slot, camera = state.slots.get(child.camera), state.cameras.get(child.camera)
    supervised = child.run == state.run and child.purpose != ORPHAN and child.phase is not ChildPhase.UNKILLABLE
    if slot is None or not slot.held or supervised or child.purpose in TRANSCODERS:
        return ()
    if len(state.connections_of(child.camera)) > 1:
        return ()
    if camera is not None and camera.phase in STREAMING:
        return ()
    return (SlotFreed(child.camera, slot.device, reason),)


def slot_of_orphan(state: State, name: CameraId) -> Events:
    """An orphan may have a connection to its camera's device, so it takes a slot, even beyond the limit."""
    camera, slot = state.cameras.get(name), state.slots.get(name)
    if camera is None or camera.settings.device is None or (slot is not None and slot.held):
        return ()
    return (SlotTaken(name, camera.settings.device, USES[0]),)


def _camera_queued(state: State, event: CameraQueued, at: Recorded) -> Changes:
    queued = replace(state.cameras[event.camera], reason=event.reason, retry_at_ns=None, retried=False)
    return _slot(state, event, at, held=False) | move_camera(state, event, at, queued)


def _slot(state: State, event: CameraQueued | SlotTaken, at: Recorded, *, held: bool) -> Changes:
    slot = Slot(event.camera, event.device, event.use, held, since_ns=at.wall_ns)
    return {"slots": state.slots.insert(event.camera, slot)}


DECISIONS: Decisions = {
    TakeSlot: take_slot,
    FreeSlot: free_slot,
}


ARMS: Arms = {
    CameraQueued: _camera_queued,
    SlotTaken: lambda s, v, at: _slot(s, v, at, held=True),
    SlotFreed: lambda s, v, at: {"slots": s.slots.remove(v.camera)},
}
