"""The jobs that wait for the decoder: snapshots first, then looks for motion within their share of a core.

Rules of this file:
- Bounded: `MOST_WAITING` snapshots, one look for each camera.
- The CPU time of a look, and of the thumbnail after it, is a debt of its camera.
- `MOTION_SHARE` of a core pays the debts, in equal shares for the cameras that have one. Only a camera without a debt
  gets a look. So all cameras together use at most that share, and a camera with expensive key frames delays itself, not
  the others.
- A job whose caller has left is not taken.
"""

import math
from collections import OrderedDict

import attrs
import trio

from supervisor.domain.ids import CameraId

from .wire import JPEG, LOOK, DecoderAnswer, DecoderRequest

MOST_WAITING = 64
MOTION_SHARE = 0.015
"""Share of a core, for all cameras together. The daemon's own part of the work is not included."""

SETTLED_S = 1e-9
"""A smaller debt is a rounding error."""


class Undecodable(Exception):
    """A key frame cannot be decoded, and why. `retry_s`: seconds after which another attempt may succeed."""

    def __init__(self, reason: str, retry_s: float = 1.0) -> None:
        super().__init__(reason)
        self.retry_s = retry_s


@attrs.define(eq=False)
class Job:
    camera: CameraId
    request: DecoderRequest
    done: trio.Event = attrs.field(factory=trio.Event)
    answer: DecoderAnswer | None = None
    error: Undecodable | None = None

    def finish(self, answer: DecoderAnswer | None, error: Undecodable | None = None) -> None:
        self.answer, self.error = answer, error
        self.done.set()


class Debts:
    """Unpaid CPU time of each camera's looks. Pure; all times are from one clock.

    In any time t, all looks cost at most `MOTION_SHARE` * t, plus one look of each camera.
    """

    def __init__(self, share: float = MOTION_SHARE) -> None:
        self._share = share
        self._owed: dict[CameraId, float] = {}
        """Seconds of CPU time; cameras without a debt are absent."""
        self._at = -math.inf

    def add(self, camera: CameraId, cpu_s: float, now: float) -> None:
        self._settle(now)
        if cpu_s > 0:
            self._owed[camera] = self._owed.get(camera, 0.0) + cpu_s

    def owed(self, camera: CameraId, now: float) -> float:
        """Return the camera's debt in seconds of CPU time."""
        self._settle(now)
        return self._owed.get(camera, 0.0)

    def paid_at(self, owed: float, now: float) -> float:
        """Return when a camera with the debt `owed` is out of debt, if nothing is added."""
        self._settle(now)
        return now + sum(min(owed, other) for other in self._owed.values()) / self._share

    def _settle(self, now: float) -> None:
        """Pay the budget of the time until `now`: an equal amount to each debt, at most the debt itself."""
        budget, self._at = (now - self._at) * self._share, now
        if not self._owed or budget <= 0:
            return
        paid = 0.0
        for left, owed in zip(range(len(self._owed), 0, -1), sorted(self._owed.values()), strict=True):
            step = min(owed - paid, budget / left)
            paid, budget = paid + step, budget - step * left
        self._owed = {camera: owed - paid for camera, owed in self._owed.items() if owed - paid > SETTLED_S}


class Backlog:
    """Not a task: callers add jobs, and the task that runs the child takes them."""

    def __init__(self) -> None:
        self._snapshots: OrderedDict[Job, None] = OrderedDict()
        self._looks: OrderedDict[Job, None] = OrderedDict()
        self._debts = Debts()
        self._lot = trio.lowlevel.ParkingLot()

    def put(self, job: Job) -> None:
        """Add a job. Raises `Undecodable` when too many wait."""
        waiting = self._looks if job.request.kind == LOOK else self._snapshots
        if job.request.kind == JPEG and len(waiting) >= MOST_WAITING:
            raise Undecodable(f"{len(waiting)} pictures wait to be decoded already")
        waiting[job] = None
        self._lot.unpark_all()

    def put_back(self, job: Job) -> None:
        """Return a job that was taken but not started to the front of its queue."""
        waiting = self._looks if job.request.kind == LOOK else self._snapshots
        waiting[job] = None
        waiting.move_to_end(job, last=False)
        self._lot.unpark_all()

    def discard(self, job: Job) -> None:
        """Remove the job of a caller that has left. Does nothing if it was taken."""
        self._snapshots.pop(job, None)
        self._looks.pop(job, None)

    def charge(self, camera: CameraId, cpu_s: float) -> None:
        """Add the CPU time of a look at `camera`, or of its thumbnail, in seconds."""
        self._debts.add(camera, cpu_s, trio.current_time())

    async def wait_ready(self) -> None:
        """Wait until a job may be taken. Cancellation: at any time."""
        while (ready_at := self._ready_at()) > trio.current_time():
            with trio.move_on_at(ready_at):
                await self._lot.park()

    async def take(self) -> Job:
        """Return the next job, as soon as it may be taken. Cancellation: at any time; no job is lost."""
        await self.wait_ready()
        job = self._next()
        assert job is not None, "it was waited for"
        self.discard(job)
        return job

    def first_camera(self) -> CameraId | None:
        """Return the camera of the next job; None if no job may be taken."""
        job = self._next()
        return job.camera if job else None

    def _next(self) -> Job | None:
        if self._snapshots:
            return next(iter(self._snapshots))
        now = trio.current_time()
        return next((job for job in self._looks if not self._debts.owed(job.camera, now)), None)

    def _ready_at(self) -> float:
        """Return when `_next` will return a job, unless others arrive first."""
        now = trio.current_time()
        if self._snapshots:
            return now
        if not self._looks:
            return math.inf
        return self._debts.paid_at(min(self._debts.owed(job.camera, now) for job in self._looks), now)

    def fail_all(self, error: Undecodable) -> None:
        """Refuse all waiting jobs."""
        for waiting in (self._snapshots, self._looks):
            while waiting:
                waiting.popitem(last=False)[0].finish(None, error)
