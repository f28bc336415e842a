"""Replay of a real incident: child processes that cannot be killed hold both connection slots of a device. Nobody can
watch one of its cameras.

03:10 a network share hangs for `camera-12`: its child process cannot be killed. 06:07 the same happens on the device
`tapo-19`: first `camera-19-door`, then `camera-19-yard` hold a slot each. 07:51 people want to watch `camera-19`. 08:30
the share returns, and all hanging processes end.

With a folder for recordings, a camera at the door is recorded all day; it does not answer from 03:10 to 03:14, and at
14:02 somebody is there.
"""

import random
import signal
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import trio
from msgspec.structs import replace

from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId, DeviceId
from supervisor.domain.values import Mode, Patrol, RecordMode
from supervisor.ports.decisions import Origin
from tests.kit.domain import settings

from .cameras import FOR_EVER, Camera, Device, hangs, refuses, works
from .chance import Chance, run_seeded
from .children import POLITE, Manners
from .footage import Film, Painter
from .viewers import LEFT, OFFER, refusals
from .world import World, open_world

MIDNIGHT_NS = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp()) * 10**9
HOUR = 3600.0
MINUTE = 60.0
FIRST, MORE, NOBODY = 3 * HOUR + 10 * MINUTE, 6 * HOUR + 7 * MINUTE, 7 * HOUR + 51 * MINUTE
MENDED, END = 8.5 * HOUR, 9 * HOUR
DOOR, YARD, WANTED = CameraId("camera-19-door"), CameraId("camera-19-yard"), CameraId("camera-19")
ENTRANCE = CameraId("entrance")
VISIT, FILMED = 14 * HOUR + 2 * MINUTE, 14 * HOUR + 12 * MINUTE


def the_incident(recordings: Path | None = None) -> list[Recorded]:
    """Return the journal of that morning, with its times; until after 14:02, if `recordings` are made."""
    rows = run_seeded(19, partial(_live, recordings=recordings))
    shift_ns = MIDNIGHT_NS - (rows[0].wall_ns - rows[0].mono_ns)
    return [replace(row, wall_ns=row.wall_ns + shift_ns) for row in rows]


def _camera(chance: Chance, name: CameraId, device: Device | None, mode: Mode, stuck_at: float = FOR_EVER) -> Camera:
    box = device.name if device else None
    known = settings(name, f"rtsp://192.0.2.19/{name}", device=box, mode=mode, group="round")
    life = ((stuck_at, works), (MENDED - stuck_at, hangs), (FOR_EVER, works))

    def manners(chance: random.Random) -> Manners:
        now = trio.current_time()
        if not stuck_at <= now + 1 or now >= MENDED:
            return POLITE
        return Manners({signal.SIGKILL: MENDED - now})

    return Camera(known, life, chance.stream(name), device, manners)


async def _live(chance: Chance, recordings: Path | None) -> list[Recorded]:
    box = Device(DeviceId("tapo-19"), capacity=2, budget=2)
    cameras = [
        _camera(chance, CameraId("camera-12"), None, Mode.PATROL, FIRST),
        _camera(chance, CameraId("camera-07"), None, Mode.ALWAYS),
        _camera(chance, DOOR, box, Mode.PATROL, MORE),
        _camera(chance, YARD, box, Mode.PATROL, MORE + 15 * MINUTE),
        _camera(chance, WANTED, box, Mode.ON_DEMAND),
    ]
    if recordings is not None:
        known = replace(settings(ENTRANCE, "rtsp://192.0.2.21/main"), record=RecordMode.ALWAYS)
        life = ((FIRST + 1, works), (4 * MINUTE, refuses), (FOR_EVER, works))
        cameras.append(Camera(known, life, chance.stream(ENTRANCE), manners=lambda chance: POLITE))
    async with open_world(chance, cameras, patrol=Patrol(every_s=600, patience_s=20)) as world:
        world.connections.steady = True
        async with trio.open_nursery() as nursery:
            if recordings is not None:
                painter = Painter([(VISIT - 20, VISIT + 40)])
                nursery.start_soon(Film(world, ENTRANCE, recordings, painter, MIDNIGHT_NS).run)
            for number, at_s in enumerate((5 * HOUR, NOBODY, NOBODY + 30, NOBODY + 70, MENDED + 10 * MINUTE)):
                await trio.sleep_until(at_s)
                await _look(world, f"192.0.2.{50 + number}")
            await trio.sleep_until(END if recordings is None else FILMED)
            nursery.cancel_scope.cancel(reason="the end of the recordings")
    return world.rows()


async def _look(world: World, client: str) -> None:
    """A person opens the page, watches the camera (or the reason why it shows nothing) for a while, and leaves."""
    from supervisor.domain import commands as c

    async with refusals():
        opened = await world.gateway.negotiate(WANTED, OFFER, client)
        await trio.sleep(20)
        await world.gateway.submit(c.ClosePeer(opened.peer, LEFT), Origin(f"client:{client}"))
