"""The behavior of a camera over time: a sequence of moods, each with its end; and devices with several cameras."""

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
    """A device. `capacity` is its real number of connection slots; `budget` the configured number, if any."""

    name: DeviceId
    capacity: int
    budget: int | None = None
    sessions: set[object] = attrs.field(factory=set)
    """Connected child processes, and RTSP sessions that were neither torn down nor timed out."""

    def forget(self, before: float) -> None:
        """Discard the sessions that were last used before that time; a connection counts as permanent use."""
        self.sessions = {held for held in self.sessions if getattr(held, "used", before) >= before}


Mood = Callable[["Camera", Child], Awaitable[int]]
"""The treatment of a child process, new or connected already; returns the child's exit code."""


@attrs.define(eq=False)
class Camera:
    """`life` is a sequence of (seconds, mood); the last mood stays."""

    settings: CameraSettings
    life: Sequence[tuple[float, Mood]]
    chance: random.Random
    device: Device | None = None
    manners: Callable[[random.Random], Manners] = draw_manners
    kind: str = "ffmpeg"
    """`rtsp` for a camera that the daemon reads itself; otherwise a child process reads it."""
    _ends: list[float] = attrs.field(init=False)
    _began: float = attrs.field(init=False, default=0.0)

    def __attrs_post_init__(self) -> None:
        self._ends = list(accumulate(seconds for seconds, _ in self.life))

    @property
    def name(self) -> CameraId:
        return self.settings.camera

    def mood(self) -> tuple[Mood, float]:
        """Return the current mood, and when it ends."""
        now = trio.current_time()
        for (_, mood), end in zip(self.life, self._ends, strict=True):
            if now < end:
                return mood, end
        return self.life[-1][1], FOR_EVER

    def answers(self) -> bool:
        """Whether the address accepts TCP connections."""
        return self.mood()[0] not in (refuses, is_gone)

    async def play(self, child: Child) -> int:
        """Run the script of a child process: connect, and follow the camera's moods until one of them ends it."""
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
    """A power cut with the address still active: connections are reset, new ones are refused."""
    await child.say("Connection reset by peer" if child.connected else "tcp://192.0.2.1:554 failed: Connection refused")
    return 1


async def is_gone(camera: Camera, child: Child) -> int:
    """A network failure: silence, and connecting times out."""
    hush(child)
    await trio.sleep(10 if child.connected else 3)
    await child.say("Connection to tcp://192.0.2.1:554 failed: No route to host")
    return 1


async def hangs(camera: Camera, child: Child) -> int:
    """It accepts connections and sends nothing."""
    hush(child)
    await trio.sleep_forever()
    return 0


async def wants_another_password(camera: Camera, child: Child) -> int:
    """Checked when connecting; existing connections stay open."""
    if child.connected:
        return await works(camera, child)
    await child.say("[rtsp @ 0x1] method DESCRIBE failed: 401 Unauthorized")
    return 1


async def serves_for_a_while(camera: Camera, child: Child) -> bool:
    """Connect and receive frames for some seconds; returns whether the camera accepted the child."""
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
    """It sends frames for some seconds, and then nothing."""
    return await hangs(camera, child) if await serves_for_a_while(camera, child) else 1


async def stutters(camera: Camera, child: Child) -> int:
    """Pauses that come close to the stall timeout."""
    if not await lets_in(camera, child):
        return 1
    while True:
        child.pictures.flow()
        await trio.sleep(camera.chance.uniform(1, 60))
        hush(child)
        await trio.sleep(camera.chance.uniform(2, 6.5))


async def is_full(camera: Camera, child: Child) -> int:
    """Other clients hold all its connection slots."""
    return await works(camera, child) if child.connected else await is_refused_as_full(child)


async def crashes(camera: Camera, child: Child) -> int:
    """It sends data that crashes ffmpeg."""
    await trio.sleep(camera.chance.uniform(0, 5))
    return -11


async def lets_in(camera: Camera, child: Child) -> bool:
    """Hold a connection slot of the device, if one is free."""
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
    """Alternate minutes of normal operation and minutes of a fault, for `seconds`."""
    life: list[tuple[float, Mood]] = []
    while sum(length for length, _ in life) < seconds:
        if chance.random() < 0.8 or life:
            life.append((chance.expovariate(1 / 1800), works))
        life.append((chance.expovariate(1 / 120), chance.choice(FAULTS)))
    return [*life, (FOR_EVER, works)]
