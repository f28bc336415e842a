"""The waits before the decoder is tried again: of a camera whose key frame ended it, or of all. Pure.

Rules of this file:
- A key frame that ends the child costs its own camera a wait that doubles; other cameras go on at once.
- A child that does not start costs everybody a wait that doubles.
"""

import math

import attrs

from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId
from supervisor.domain.restart import BASE_S, backoff_s

from .queue import Undecodable

FORGET_S = 600.0
"""A camera that was not asked for a picture for so long after its wait is forgotten."""


@attrs.frozen
class _Wait:
    failures: int
    until: float
    raised: Recorded | None = None
    """The alert that says so."""


class Waits:
    def __init__(self) -> None:
        self._cameras: dict[CameraId, _Wait] = {}
        self._start = _Wait(0, -math.inf)
        self._start_reason = ""

    def check(self, camera: CameraId, now: float) -> None:
        """Raises `Undecodable` while `camera`, or everybody, has to wait."""
        if now < self._start.until:
            raise self.of_start(now)
        wait = self._cameras.get(camera)
        if wait is not None and now < wait.until:
            left = wait.until - now
            raise Undecodable(f"its last key frame ended the decoder; the next is tried in {left:.0f} s", left)

    def of_start(self, now: float) -> Undecodable:
        left = max(0.0, self._start.until - now)
        return Undecodable(f"the decoder cannot be started: {self._start_reason}; tried again in {left:.0f} s", left)

    def fail_start(self, reason: str, now: float, jitter: float) -> None:
        failures = self._start.failures + 1
        self._start, self._start_reason = _Wait(failures, now + _wait_s(failures, jitter)), reason

    def started(self) -> None:
        self._start = _Wait(0, -math.inf)

    def blame(self, camera: CameraId, now: float, jitter: float, raised: Recorded | None) -> None:
        """A key frame of `camera` ended the child; `raised` is the alert, unless it stands already."""
        known = self._cameras.get(camera)
        failures = known.failures + 1 if known else 1
        kept = raised or (known.raised if known else None)
        self._cameras[camera] = _Wait(failures, now + _wait_s(failures, jitter), kept)

    def forgive(self, camera: CameraId) -> tuple[bool, Recorded | None]:
        """Whether it had failed, and the alert that said so."""
        wait = self._cameras.pop(camera, None)
        return wait is not None, wait.raised if wait else None

    def forgotten(self, now: float) -> list[CameraId]:
        """Those whose wait ended `FORGET_S` ago."""
        return [camera for camera, wait in self._cameras.items() if wait.until + FORGET_S <= now]

    def next_forgotten(self) -> float:
        """When there will be one."""
        return min((wait.until + FORGET_S for wait in self._cameras.values()), default=math.inf)


def _wait_s(failures: int, jitter: float) -> float:
    return BASE_S + backoff_s(failures, jitter)
