"""What waits to be decoded: snapshots first, then looks for motion, these within their share of a core.

Rules of this file:
- Bounded: `MOST_WAITING` snapshots, one look for each camera.
- A look, or the thumbnail after it, that has cost c seconds of CPU time keeps all others back until c / `MOTION_SHARE`
  seconds after it began. So 16 cameras take no more of a core than one does; each is then looked at less often.
- A job that nobody waits for any more is not taken.
"""

import math
from collections import OrderedDict

import attrs
import trio

from supervisor.domain.ids import CameraId

from .wire import JPEG, LOOK, Answer, Request

MOST_WAITING = 64
MOTION_SHARE = 0.015
"""Of a core, for all cameras together. The daemon's own part of the work comes on top."""


class Undecodable(Exception):
    """A key frame of which there is no picture, and why. `retry_s`: when another attempt may go better."""

    def __init__(self, reason: str, retry_s: float = 1.0) -> None:
        super().__init__(reason)
        self.retry_s = retry_s


@attrs.define(eq=False)
class Job:
    camera: CameraId
    request: Request
    done: trio.Event = attrs.field(factory=trio.Event)
    answer: Answer | None = None
    error: Undecodable | None = None

    def finish(self, answer: Answer | None, error: Undecodable | None = None) -> None:
        self.answer, self.error = answer, error
        self.done.set()


class Backlog:
    """Not a task: the callers put jobs in, the one who runs the child takes them out."""

    def __init__(self) -> None:
        self._snapshots: OrderedDict[Job, None] = OrderedDict()
        self._looks: OrderedDict[Job, None] = OrderedDict()
        self._look_at = -math.inf
        """When motion has paid for its last look."""
        self._lot = trio.lowlevel.ParkingLot()

    def put(self, job: Job) -> None:
        """Raises `Undecodable` when too many wait."""
        waiting = self._looks if job.request.kind == LOOK else self._snapshots
        if job.request.kind == JPEG and len(waiting) >= MOST_WAITING:
            raise Undecodable(f"{len(waiting)} pictures wait to be decoded already")
        waiting[job] = None
        self._lot.unpark_all()

    def put_back(self, job: Job) -> None:
        """It was taken, and not begun: it is the first again."""
        waiting = self._looks if job.request.kind == LOOK else self._snapshots
        waiting[job] = None
        waiting.move_to_end(job, last=False)
        self._lot.unpark_all()

    def discard(self, job: Job) -> None:
        """Its caller has left. Does nothing when it was taken."""
        self._snapshots.pop(job, None)
        self._looks.pop(job, None)

    def pay(self, began: float, cpu_s: float) -> None:
        """A look that began at `began` has cost that much."""
        self._look_at = max(self._look_at, began) + cpu_s / MOTION_SHARE

    async def wait_any(self) -> None:
        """Wait until there is a job, whether it may be taken now or not."""
        while not self._snapshots and not self._looks:
            await self._lot.park()

    async def take(self) -> Job:
        """The next job, as soon as it may be taken. Cancellation: none is lost."""
        while True:
            if self._snapshots:
                return self._snapshots.popitem(last=False)[0]
            wait_until = self._look_at if self._looks else math.inf
            if wait_until <= trio.current_time():
                return self._looks.popitem(last=False)[0]
            with trio.move_on_at(wait_until):
                await self._lot.park()

    def first_camera(self) -> CameraId | None:
        """The camera that has waited longest, snapshots first."""
        return next((job.camera for job in (*self._snapshots, *self._looks)), None)

    def fail_all(self, error: Undecodable) -> None:
        """Nothing can be decoded for now."""
        for waiting in (self._snapshots, self._looks):
            while waiting:
                waiting.popitem(last=False)[0].finish(None, error)
