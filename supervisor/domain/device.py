"""Devices: the connection limits that are learned from their refusals."""

from msgspec.structs import replace

from .common import Arms, Changes, Events, later_ns
from .core import Event, Recorded, Severity
from .ids import CameraId, DeviceId, device_stream
from .state import Learned, State, named
from .values import Reason
from .words import seconds


class DeviceFull(Event, frozen=True):
    """The device refused a connection because of its limit. For `for_s`, banken opens at most `connections`."""

    device: DeviceId
    """The device that refused."""
    camera: CameraId
    """The camera whose connection was refused."""
    connections: int
    """The number of our other connections to the device."""
    for_s: float
    """How long this limit applies: 600 s."""

    severity = Severity.WARNING
    emitters = ("ReportLoss",)
    causes = ("ChildEnded", "CameraConnecting")
    when = "a loss with the code `full` while other cameras have connections to the device, if the limit is new"
    action = (
        "if it repeats, an app or a recorder has connections to the device, or its `max_connections` is too high; "
        "give some of its cameras `mode: on_demand`"
    )

    @property
    def stream(self) -> str:
        return device_stream(self.device)

    def sentence(self) -> str:
        limit = f"its limit is {self.connections} for the next {seconds(self.for_s)}"
        return f"{self.device} refused a connection for {self.camera}: {limit}"

    def timeline_mark(self) -> str:
        return "full"


FULL = "full"
"""The code of the reason with which a device refuses a connection beyond its limit."""


LEARNED_FOR_S = 600.0


def learn_budget(state: State, camera: CameraId, reason: Reason, now_ns: int) -> Events:
    """Learn the limit of a device that refuses a connection: the number of our connections without this one."""
    slot = state.slots.get(camera)
    if reason.code != FULL or slot is None:
        return ()
    others = len(state.slots_of(slot.device, held=True)) - 1
    budget = state.budget(slot.device, now_ns)
    if others < 1 or (budget is not None and budget <= others):
        return ()
    return (DeviceFull(slot.device, camera, connections=others, for_s=LEARNED_FOR_S),)


def with_holders(state: State, camera: CameraId, reason: Reason) -> Reason:
    """The reason of a loss; if the device of `camera` is full, it names the cameras that have connections to it."""
    slot = state.slots.get(camera)
    if reason.code != FULL or slot is None:
        return reason
    others = [held for held in state.slots_of(slot.device, held=True) if held.camera != camera]
    ours = f"has those of {named(others)}" if others else "has no other one, so an app or a recorder may"
    return replace(reason, text=f"{reason.text}; of {slot.device}, banken {ours}")


def _device_full(state: State, event: DeviceFull, at: Recorded) -> Changes:
    learned = Learned(event.connections, until_ns=later_ns(at, event.for_s))
    return {"learned": state.learned.insert(event.device, learned)}


ARMS: Arms = {
    DeviceFull: _device_full,
}
