"""What a camera does over its life: a row of moods, each with its end; and the boxes that serve several cameras."""

import random
from collections.abc import Awaitable, Callable, Sequence
from itertools import accumulate

import attrs
import trio

from supervisor.domain.ids import CameraId, DeviceId
from supervisor.domain.values import CameraSettings

from .children import Child, Manners, draw_manners

FOR_EVER = float("inf")


@attrs.define
class Device:
    """A box. `capacity` is what it serves; `budget` what the configuration says of that, if anything."""

    name: DeviceId
    capacity: int
    budget: int | None = None
    sessions: set[object] = attrs.field(factory=set)
    """Children that are connected, and RTSP sessions that were neither torn down nor forgotten."""

    def forget(self, before: float) -> None:
        """Forget the sessions that were last used before that time; what is connected is used all the time."""
        self.sessions = {held for held in self.sessions if getattr(held, "used", before) >= before}


Mood = Callable[["Camera", Child], Awaitable[int]]
"""How a camera treats a child, new or connected already; returns the child's exit code."""


@attrs.define(eq=False)
class Camera:
    """`life` is a row of (seconds, mood); the last mood stays."""

    settings: CameraSettings
    life: Sequence[tuple[float, Mood]]
    chance: random.Random
    device: Device | None = None
    manners: Callable[[random.Random], Manners] = draw_manners
    kind: str = "ffmpeg"
    """`rtsp` for a camera that we read ourselves; else a child does."""
    _ends: list[float] = attrs.field(init=False)
    _began: float = attrs.field(init=False, default=0.0)

    def __attrs_post_init__(self) -> None:
        self._ends = list(accumulate(seconds for seconds, _ in self.life))

    @property
    def name(self) -> CameraId:
        return self.settings.camera

    def mood(self) -> tuple[Mood, float]:
        """Its mood now, and when that ends."""
        now = trio.current_time()
        for (_, mood), end in zip(self.life, self._ends, strict=True):
            if now < end:
                return mood, end
        return self.life[-1][1], FOR_EVER

    def answers(self) -> bool:
        """Whether somebody takes TCP connections there."""
        return self.mood()[0] not in (refuses, is_gone)

    async def play(self, child: Child) -> int:
        """The part of a child: connect, and bear the camera's moods until one of them ends it."""
        await child.flood()
        await trio.sleep(self.chance.uniform(0.05, 0.8))
        try:
            while True:
                mood, until = self.mood()
                with trio.move_on_at(until):
                    return await mood(self, child)
        finally:
            if self.device is not None:
                self.device.sessions.discard(child)


async def works(camera: Camera, child: Child) -> int:
    if not await lets_in(camera, child):
        return 1
    child.pictures.flow()
    await trio.sleep_forever()
    return 0


async def refuses(camera: Camera, child: Child) -> int:
    """The power is cut, the address stays: who was connected is reset, who comes is refused."""
    await child.say("Connection reset by peer" if child.connected else "tcp://192.0.2.1:554 failed: Connection refused")
    return 1


async def is_gone(camera: Camera, child: Child) -> int:
    """The network is cut: silence, and no way to connect."""
    hush(child)
    await trio.sleep(10 if child.connected else 3)
    await child.say("Connection to tcp://192.0.2.1:554 failed: No route to host")
    return 1


async def hangs(camera: Camera, child: Child) -> int:
    """It takes connections and says nothing more."""
    hush(child)
    await trio.sleep_forever()
    return 0


async def wants_another_password(camera: Camera, child: Child) -> int:
    """Asked for when connecting; who is connected stays so."""
    if child.connected:
        return await works(camera, child)
    await child.say("[rtsp @ 0x1] method DESCRIBE failed: 401 Unauthorized")
    return 1


async def serves_for_a_while(camera: Camera, child: Child) -> bool:
    """Whether it was let in; then it has had pictures for some seconds."""
    if not await lets_in(camera, child):
        return False
    child.pictures.flow()
    await trio.sleep(camera.chance.uniform(1, 90))
    return True


async def drops(camera: Camera, child: Child) -> int:
    """Every connection ends after some seconds."""
    if await serves_for_a_while(camera, child):
        await child.say("End of file")
        return 0
    return 1


async def stalls(camera: Camera, child: Child) -> int:
    """It sends pictures for some seconds, and then none."""
    return await hangs(camera, child) if await serves_for_a_while(camera, child) else 1


async def stutters(camera: Camera, child: Child) -> int:
    """Silences that come close to the end of patience."""
    if not await lets_in(camera, child):
        return 1
    while True:
        child.pictures.flow()
        await trio.sleep(camera.chance.uniform(1, 60))
        hush(child)
        await trio.sleep(camera.chance.uniform(2, 6.5))


async def is_full(camera: Camera, child: Child) -> int:
    """Somebody else has all its places."""
    return await works(camera, child) if child.connected else await is_refused_as_full(child)


async def crashes(camera: Camera, child: Child) -> int:
    """It sends what ffmpeg does not survive."""
    await trio.sleep(camera.chance.uniform(0, 5))
    return -11


async def lets_in(camera: Camera, child: Child) -> bool:
    """A place among the device's connections, or none."""
    device = camera.device
    if device is not None and not child.connected:
        if len(device.sessions) >= device.capacity:
            await is_refused_as_full(child)
            return False
        device.sessions.add(child)
    child.connected = True
    return True


async def is_refused_as_full(child: Child) -> int:
    await child.say("[rtsp @ 0x1] method SETUP failed: 453 Not Enough Bandwidth")
    return 1


def hush(child: Child) -> None:
    child.pictures.stop()


FAULTS = (
    refuses, refuses, is_gone, hangs, hangs, wants_another_password, drops, stalls, stutters, is_full, crashes,
)  # fmt: skip


def draw_life(chance: random.Random, seconds: float) -> list[tuple[float, Mood]]:
    """Some minutes of work, some minutes of a fault, and so on; as many of both as `seconds` have room for."""
    life: list[tuple[float, Mood]] = []
    while sum(length for length, _ in life) < seconds:
        if chance.random() < 0.8 or life:
            life.append((chance.expovariate(1 / 1800), works))
        life.append((chance.expovariate(1 / 120), chance.choice(FAULTS)))
    return [*life, (FOR_EVER, works)]
