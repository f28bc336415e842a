"""Devices: their connection slots, and the cameras that hold or wait for one."""

from supervisor.domain.ids import CameraId, DeviceId
from supervisor.domain.state import Slot as Known
from supervisor.domain.state import State
from supervisor.ports.snapshot import Snapshot

from ..json import Answer, Time, iso
from ..routes import Right, Route, Web


class Slot(Answer, frozen=True):
    """A connection slot that a camera holds or waits for."""

    camera: CameraId
    use: str
    since: Time


class Device(Answer, frozen=True):
    """A device with a connection limit, a used slot or a waiting camera."""

    id: DeviceId
    max_connections: int | None
    """Null if neither the configuration nor the device defines a limit."""
    configured: int | None
    """The limit in the configuration."""
    holders: list[Slot]
    waiting: list[Slot]


class Devices(Answer, frozen=True):
    devices: list[Device]
    """In the order of their first cameras."""


async def list_devices(web: Web) -> Devices:
    return Devices(devices=devices(web.gateway.snapshot(cameras=False)))


def devices(snapshot: Snapshot) -> list[Device]:
    """Return all devices with a connection limit, a used slot or a waiting camera, ordered by their first cameras."""
    state = snapshot.state
    names = {slot.device for slot in state.slots.values()} | set(state.devices)
    of_cameras = (known.settings.device for known in state.in_order())
    ordered = list(dict.fromkeys(name for name in of_cameras if name in names))
    return [device(name, state, snapshot.now_ns) for name in (*ordered, *sorted(names.difference(ordered)))]


def device(name: DeviceId, state: State, now_ns: int) -> Device:
    """Return a device; `max_connections` is null if neither the configuration nor the device defines a limit."""
    configured, wanted = state.devices.get(name), state.uses_of_cameras()
    return Device(
        id=name,
        max_connections=state.budget(name, now_ns),
        configured=configured.max_connections if configured else None,
        holders=[place(slot, slot.use) for slot in state.slots_of(name, held=True)],
        waiting=[place(slot, wanted.get(slot.camera, slot.use)) for slot in state.slots_of(name, held=False)],
    )


def place(known: Known, use: str) -> Slot:
    return Slot(camera=known.camera, use=use, since=iso(known.since_ns))


ROUTES = (
    Route(
        method="GET",
        path="/api/devices",
        right=Right.INSPECT,
        handler=list_devices,
        summary="List the devices with a connection limit, a used slot or a waiting camera.",
        answer=Devices,
        response="`devices`: a list of [devices](#device), in the order of their first cameras",
    ),
)
