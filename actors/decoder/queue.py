"""The jobs that wait for the decoder: snapshots first, then looks for motion within their share of a core.

Rules of this file:
- Bounded: `MOST_WAITING` snapshots, one look for each camera.
- The CPU time of a look, and of the thumbnail after it, is a debt of its camera. `MOTION_SHARE` of a core pays the
  debts, shared equally by the cameras that have one. A camera is looked at when it has none. So all cameras together
  take no more of a core than one does, and a camera whose key frames cost much delays itself, not the others.
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

SETTLED_S = 1e-9
"""A debt below is a rounding error."""


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


class Debts:
    """CPU time that each camera's looks have cost and that is not paid yet. Pure; times are those of one clock.

    In any time t all looks cost `MOTION_SHARE` * t at the most, and one look of each camera.
    """

    def __init__(self, share: float = MOTION_SHARE) -> None:
        self._share = share
        self._owed: dict[CameraId, float] = {}
        """Seconds of CPU time; without those that owe nothing."""
        self._at = -math.inf

    def add(self, camera: CameraId, cpu_s: float, now: float) -> None:
        self._settle(now)
        if cpu_s > 0:
            self._owed[camera] = self._owed.get(camera, 0.0) + cpu_s

    def owed(self, camera: CameraId, now: float) -> float:
        """Seconds of CPU time."""
        self._settle(now)
        return self._owed.get(camera, 0.0)

    def paid_at(self, owed: float, now: float) -> float:
        """When a camera that owes so much now will owe nothing, if nothing is added."""
        self._settle(now)
        return now + sum(min(owed, other) for other in self._owed.values()) / self._share

    def _settle(self, now: float) -> None:
        """Pay what the time until `now` allows: an equal part of each debt, and no more than it is."""
        budget, self._at = (now - self._at) * self._share, now
        if not self._owed or budget <= 0:
            return
        paid = 0.0
        for left, owed in zip(range(len(self._owed), 0, -1), sorted(self._owed.values()), strict=True):
            step = min(owed - paid, budget / left)
            paid, budget = paid + step, budget - step * left
        self._owed = {camera: owed - paid for camera, owed in self._owed.items() if owed - paid > SETTLED_S}


class Backlog:
    """Not a task: the callers put jobs in, the one who runs the child takes them out."""

    def __init__(self) -> None:
        self._snapshots: OrderedDict[Job, None] = OrderedDict()
        self._looks: OrderedDict[Job, None] = OrderedDict()
        self._debts = Debts()
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

    def charge(self, camera: CameraId, cpu_s: float) -> None:
        """A look at `camera`, or its thumbnail, has cost that much."""
        self._debts.add(camera, cpu_s, trio.current_time())

    async def wait_ready(self) -> None:
        """Wait until a job may be taken."""
        while (ready_at := self._ready_at()) > trio.current_time():
            with trio.move_on_at(ready_at):
                await self._lot.park()

    async def take(self) -> Job:
        """The next job, as soon as it may be taken. Cancellation: none is lost."""
        await self.wait_ready()
        job = self._next()
        assert job is not None, "it was waited for"
        self.discard(job)
        return job

    def first_camera(self) -> CameraId | None:
        """That of the job which is taken next; none when none may be."""
        job = self._next()
        return job.camera if job else None

    def _next(self) -> Job | None:
        if self._snapshots:
            return next(iter(self._snapshots))
        now = trio.current_time()
        return next((job for job in self._looks if not self._debts.owed(job.camera, now)), None)

    def _ready_at(self) -> float:
        """When `_next` gives a job, unless others come before."""
        now = trio.current_time()
        if self._snapshots:
            return now
        if not self._looks:
            return math.inf
        return self._debts.paid_at(min(self._debts.owed(job.camera, now) for job in self._looks), now)

    def fail_all(self, error: Undecodable) -> None:
        """Nothing can be decoded for now."""
        for waiting in (self._snapshots, self._looks):
            while waiting:
                waiting.popitem(last=False)[0].finish(None, error)
