"""The fake RTSP connection: the answers and data of a camera depend on its current mood.

Rules of this file:
- A wire has no separate task: a camera sends when it is read, so that a simulated hour is cheap.
- A session holds its connection slot until TEARDOWN, or until its timeout: an abandoned session counts.
- Abandoning a session at a camera that could receive a TEARDOWN ends the simulation as a violation.
"""

import errno
from collections.abc import Callable, Mapping
from functools import cache

import attrs
import trio

from tests.kit.packets import framed, packet
from tests.kit.rtp import Codec, describe

from .cameras import (
    Camera,
    Device,
    Mood,
    crashes,
    drops,
    hangs,
    is_full,
    is_gone,
    refuses,
    stalls,
    stutters,
    wants_another_password,
    works,
)
from .children import PICTURE_EVERY_S

SESSION_S = 60.0
"""Seconds without use after which a device discards a session."""
_KEY_FRAME = b"\x65\x88\x84\x00\x10"


@attrs.frozen
class Reception:
    """The treatment of a connection by a camera in a mood."""

    refuses: Mapping[str, str] = attrs.field(factory=dict)
    """Status by method."""
    silent: bool = False
    """It neither receives nor sends."""
    lasts: tuple[float, float] | None = None
    """Bounds of the seconds with frames; then `then` applies."""
    then: str = "goes on"
    """Or: `silent`, `end`, `noise`, `again`."""


MOODS: dict[Mood, Reception] = {
    works: Reception(),
    refuses: Reception(lasts=(0, 0), then="end"),
    is_gone: Reception(silent=True),
    hangs: Reception(silent=True),
    wants_another_password: Reception({"DESCRIBE": "401 Unauthorized"}),
    drops: Reception(lasts=(1, 90), then="end"),
    stalls: Reception(lasts=(1, 90), then="silent"),
    stutters: Reception(lasts=(1, 60), then="again"),
    is_full: Reception({"SETUP": "453 Not Enough Bandwidth"}),
    crashes: Reception(lasts=(0, 5), then="noise"),
}


@cache
def description() -> str:
    return describe(Codec.H264, 64, 64, 10)


@cache
def noise() -> bytes:
    return bytes(100_000)


class Wire(trio.abc.Stream):
    """One connection to `camera`. `accuse` is called with a description of a violation."""

    def __init__(self, camera: Camera, accuse: Callable[[str], None]) -> None:
        self.camera, self.closed = camera, False
        self._accuse = accuse
        self._cut = self._plays = self._left = False
        self._answers: list[bytes] = []
        self._session: Session | None = None
        self._mood: Mood | None = None
        self._turns_at = self._due = 0.0
        self._silent_until = 0.0
        self._changes = trio.lowlevel.ParkingLot()
        self._sequence = 0

    async def connect(self) -> None:
        """Open the connection. Raises `OSError` if the camera is unreachable."""
        await trio.sleep(self.camera.chance.uniform(0.05, 0.4))
        mood, _ = self.camera.mood()
        if mood is refuses:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        if mood is is_gone:
            await trio.sleep(3)
            raise OSError(errno.EHOSTUNREACH, "No route to host")

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        if self._cut:
            raise trio.BrokenResourceError
        data = bytes(data)
        while data:
            if data[:1] == b"$":  # a receiver report
                data = data[4 + int.from_bytes(data[2:4]) :]
            else:
                request, _, data = data.partition(b"\r\n\r\n")
                self._hear(request.decode())
        self._changes.unpark_all()

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        while not self.closed:
            reception, until = self._reception()
            now = trio.current_time()
            if self._answers:
                await trio.lowlevel.checkpoint()
                return self._answers.pop(0)
            if reception.then == "end" and now >= self._turns_at:
                self._end()
                await trio.lowlevel.checkpoint()
                return b""
            if reception.then == "noise" and now >= self._turns_at and self._plays:
                await trio.lowlevel.checkpoint()
                return noise()
            flows = self._plays and not self._is_silent(reception, now)
            if flows and self._due <= now:
                await trio.lowlevel.checkpoint()
                return self._picture(now)
            wakes = [until, *(at for at in (self._turns_at, self._silent_until) if at > now)]
            with trio.move_on_at(min([*wakes, self._due] if flows else wakes)):
                await self._changes.park()
        raise trio.ClosedResourceError

    async def aclose(self) -> None:
        if not self.closed:
            if self._session and not self._left and not self._is_silent(self._reception()[0], trio.current_time()):
                self._accuse(f"{self.camera.name} is left without a TEARDOWN")
            self.closed = True
        await trio.lowlevel.checkpoint()

    def _reception(self) -> tuple[Reception, float]:
        """Return the current treatment, and until when it applies."""
        mood, until = self.camera.mood()
        reception, now = MOODS[mood], trio.current_time()
        if mood is not self._mood:
            self._mood = mood
            self._turns_at = self._silent_until = 0.0
            if reception.lasts is not None:
                self._turns_at = now + self.camera.chance.uniform(*reception.lasts)
        elif reception.then == "again" and now >= max(self._turns_at, self._silent_until):
            draw = self.camera.chance
            self._silent_until = now + draw.uniform(2, 6.5)
            self._turns_at = self._silent_until + draw.uniform(1, 60)
        return reception, until

    def _is_silent(self, reception: Reception, now: float) -> bool:
        return reception.silent or now < self._silent_until or (reception.then == "silent" and now >= self._turns_at)

    def _picture(self, now: float) -> bytes:
        self._due = int(now / PICTURE_EVERY_S + 1.5) * PICTURE_EVERY_S
        self._sequence += 1
        return framed(packet(_KEY_FRAME, self._sequence, int(now * 90_000), marker=True))

    def _hear(self, request: str) -> None:
        reception, now = self._reception()[0], trio.current_time()
        method, number = request.split()[0], request.partition("CSeq: ")[2].split("\r\n")[0]
        if self._session is not None:
            self._session.used = now
        if method == "TEARDOWN":
            self._left = True
        if reception.silent or (reception.then == "silent" and now >= self._turns_at):
            return
        status, more, body = self._decide(method, reception, now)
        lines = (f"RTSP/1.0 {status}", f"CSeq: {number}", *more, f"Content-Length: {len(body)}", "", body)
        self._answers.append("\r\n".join(lines).encode())

    def _decide(self, method: str, reception: Reception, now: float) -> tuple[str, tuple[str, ...], str]:
        if method in reception.refuses and not self._plays:
            return reception.refuses[method], (), ""
        if method == "DESCRIBE":
            return "200 OK", (), description()
        if method == "SETUP":
            self._session = Session(self.camera.device, now)
            if not self._session.is_let_in(now):
                self._session = None
                return "453 Not Enough Bandwidth", (), ""
            return "200 OK", (f"Session: 1;timeout={SESSION_S:g}",), ""
        if method == "TEARDOWN":
            self._end()
        if method == "PLAY":
            self._plays, self._due = True, max(self._due, now)
        return "200 OK", (), ""

    def _end(self) -> None:
        """The camera has discarded the session."""
        self._cut, self._plays = True, False
        if self._session is not None:
            self._session.end()
            self._session = None


@attrs.define(eq=False)
class Session:
    """Hold a connection slot, if the camera belongs to a device."""

    device: Device | None
    used: float

    def is_let_in(self, now: float) -> bool:
        if self.device is None:
            return True
        self.device.forget(now - SESSION_S)
        if len(self.device.sessions) >= self.device.capacity:
            return False
        self.device.sessions.add(self)
        return True

    def end(self) -> None:
        if self.device is not None:
            self.device.sessions.discard(self)
