"""The fake process: the reaction of a child process to signals, and its output.

Rules of this file:
- A child produces its frames when they are read, not in a separate task, so that a simulated hour is cheap.
- It has ended when its script has ended; for the process count it exists until it is reaped.
"""

import errno
import random
import signal
from collections.abc import Sequence
from functools import cache

import attrs
import trio

from supervisor.domain.ids import CameraId
from tests.kit.media import flv, video_tag
from tests.kit.world import FakeProcess

PICTURE_EVERY_S = 1.9
"""Seconds between frames, a little less than the reported silence; every frame is a key frame.

All cameras send at the same moments: the simulation is to show the herd, and one pass of the loop serves all.
"""
_KEY_FRAME = b"\x17\x01\x00\x00\x00" + b"\x00\x00\x00\x05\x65\x88\x84\x00\x10"


@cache
def _head() -> bytes:
    return b"".join(list(flv(count=1))[:2])


class Output(trio.abc.ReceiveStream):
    """The standard output of a child process. It flows or pauses until it is closed."""

    def __init__(self) -> None:
        self._head = _head()
        self._flows, self._closed = False, False
        self._due = 0.0
        self._changes = trio.lowlevel.ParkingLot()

    def flow(self) -> None:
        if not self._flows:
            self._flows, self._due = True, max(self._due, trio.current_time())
            self._changes.unpark_all()

    def stop(self) -> None:
        self._flows = False
        self._changes.unpark_all()

    def close(self) -> None:
        self._closed = True
        self._changes.unpark_all()

    def _is_due(self, now: float) -> bool:
        return self._flows and self._due <= now

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        while not self._closed:
            if not self._flows:
                await self._changes.park()
                continue
            with trio.move_on_at(self._due):
                await self._changes.park()
            now = trio.current_time()
            if self._is_due(now):
                picture, self._head = self._head + video_tag(int(now * 1000), _KEY_FRAME), b""
                self._due = int(now / PICTURE_EVERY_S + 1.5) * PICTURE_EVERY_S  # robust against rounding errors
                return picture
        await trio.lowlevel.checkpoint()
        return b""

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


@attrs.frozen
class Manners:
    """Seconds until a child obeys each signal; a missing signal is ignored."""

    obeys: dict[signal.Signals, float]
    refusal: OSError | None = None
    """The error with which its start fails, if any."""
    lines: int = 0
    """Amount of initial output on standard error."""


POLITE = Manners({signal.SIGTERM: 0.05, signal.SIGKILL: 0.0})
IGNORES_TERM = Manners({signal.SIGKILL: 0.0})


def draw_manners(chance: random.Random) -> Manners:
    """Most children handle signals; some ignore SIGTERM, and some hang so that even SIGKILL is delayed for a while."""
    drawn = chance.random()
    if drawn < 0.01:
        return Manners({}, refusal=OSError(errno.EAGAIN, "Resource temporarily unavailable"))
    if drawn < 0.05:
        return Manners({signal.SIGKILL: chance.uniform(3, 180)})
    if drawn < 0.15:
        return IGNORES_TERM
    if drawn < 0.20:
        return attrs.evolve(POLITE, lines=chance.randrange(100, 1000))
    return Manners({signal.SIGTERM: chance.uniform(0, 2.2), signal.SIGKILL: chance.uniform(0, 0.1)})


class Child(FakeProcess):
    """A child process of one camera, with its signal behavior."""

    def __init__(
        self, pid: int, arguments: Sequence[str], stdin: bytes | None, camera: CameraId, mark: str, manners: Manners
    ):
        super().__init__(pid, arguments, stdin)
        self.camera, self.mark, self.manners = camera, mark, manners
        self.pictures = Output()
        self.output = self.stdout = self.pictures  # type: ignore[assignment]
        self.connected = False
        """Whether the camera has accepted it."""

    def signal_group(self, number: signal.Signals) -> None:
        self.signals.append(number)
        if number in self.manners.obeys:
            self.end_by(number, self.manners.obeys[number])

    def end_by(self, number: signal.Signals, after_s: float = 0.0) -> None:
        deadline = trio.current_time() + after_s
        if deadline < self._scope.deadline:
            self._ended_by, self._scope.deadline = -number, deadline

    async def flood(self) -> None:
        for number in range(0, self.manners.lines, 50):
            await self.errors.send_all(b"".join(b"[h264] error %d\n" % (number + line) for line in range(50)))
