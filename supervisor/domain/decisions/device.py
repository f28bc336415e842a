"""Decisions about the places among a device's connections.

Rules of this file:
- A camera has at most one place, whatever it is opened for; all its uses share that connection.
- Nobody holds a place beyond the budget. Turns are by importance of the use, then by time.
- A place is given back when the camera's last child with a connection has been reaped, and never before.
"""

from .. import commands as c
from .. import events as e
from ..errors import Refusal, Rejected
from ..ids import CameraId, DeviceId
from ..lifecycle import STREAMING, ChildPhase
from ..state import SOUND, STRAY, USES, Camera, Child, State
from ..values import Reason
from .common import Events, require_camera, require_running

FULL = "full"
"""The code of the reason with which a device refuses one connection too many."""
LEARNED_FOR_S = 600.0


def take_slot(state: State, command: c.TakeSlot, now_ns: int) -> Events:
    camera = require_camera(state, command.camera)
    require_running(state)
    device, slot = camera.settings.device, state.slots.get(command.camera)
    if device is None or has_place(state, camera):
        return ()
    if slot is not None and slot.held:
        raise Rejected(Refusal.CONFLICT, f"{command.camera} still has its place at {slot.device}")
    use = state.uses_of([camera.settings]).get(command.camera, USES[-1])
    holders, budget = state.slots_of(device, held=True), state.budget(device, now_ns)
    if budget is None or len(holders) + _ahead(state, command.camera, device, use) < budget:
        return (e.SlotTaken(command.camera, device, use),)
    if slot is not None:
        return ()
    return (e.CameraQueued(command.camera, device, use, state.why_queued(device, now_ns)),)


def has_place(state: State, camera: Camera) -> bool:
    """Whether the camera may connect: it has a place at its device, or its source is none."""
    device, slot = camera.settings.device, state.slots.get(camera.settings.camera)
    return device is None or (slot is not None and slot.held and slot.device == device)


def _ahead(state: State, camera: CameraId, device: DeviceId, use: str) -> int:
    """How many wait whose turn comes before that of `camera`; who is not in the queue yet comes after his equals."""
    waiting = [slot.camera for slot in state.slots_of(device, held=False)]
    if camera in waiting:
        return waiting.index(camera)
    uses = state.uses_of(state.settings_of(waiting))
    return sum(USES.index(uses.get(name, USES[-1])) <= USES.index(use) for name in waiting)


def free_slot(state: State, command: c.FreeSlot, now_ns: int) -> Events:
    slot = state.slots.get(command.camera)
    if slot is None or (slot.held and state.connections_of(command.camera)):
        return ()
    return (e.SlotFreed(command.camera, slot.device, command.reason, slot.held),)


def free_after_last_child(state: State, child: Child, reason: Reason) -> Events:
    """What the end of a child that no actor looks after any more means for its camera's place.

    A child's own actor gives the place back itself, when it has put away all that belongs to the connection.
    """
    slot, camera = state.slots.get(child.camera), state.cameras.get(child.camera)
    looked_after = child.run == state.run and child.purpose != STRAY and child.phase is not ChildPhase.UNKILLABLE
    if slot is None or not slot.held or looked_after or child.purpose == SOUND:
        return ()
    if len(state.connections_of(child.camera)) > 1:
        return ()
    if camera is not None and camera.phase in STREAMING:
        return ()
    return (e.SlotFreed(child.camera, slot.device, reason),)


def place_of_stray(state: State, name: CameraId) -> Events:
    """A stray may have a connection to its camera's device, which then counts as taken, within the budget or not."""
    camera, slot = state.cameras.get(name), state.slots.get(name)
    if camera is None or camera.settings.device is None or (slot is not None and slot.held):
        return ()
    return (e.SlotTaken(name, camera.settings.device, USES[0]),)


def learn_budget(state: State, command: c.ReportLoss, now_ns: int) -> Events:
    """A device that is full says how many of our connections it bears: those that there are without this one."""
    slot = state.slots.get(command.camera)
    if command.reason.code != FULL or slot is None:
        return ()
    others = len(state.slots_of(slot.device, held=True)) - 1
    budget = state.budget(slot.device, now_ns)
    if others < 1 or (budget is not None and budget <= others):
        return ()
    return (e.DeviceFull(slot.device, command.camera, connections=others, for_s=LEARNED_FOR_S),)
