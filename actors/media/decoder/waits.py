"""The backoff of the decoder: for a camera whose key frame ended it, or for all cameras. Pure.

Rules of this file:
- After a key frame that ends the child, its camera waits, and the wait doubles. Other cameras continue at once.
- After a child that does not start, all cameras wait, and the wait doubles.
"""

import math

import attrs

from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId
from supervisor.domain.restart import BASE_S, backoff_s

from .queue import Undecodable

FORGET_S = 600.0
"""Seconds without a request after its wait, after which a camera is forgotten."""


@attrs.frozen
class _Wait:
    failures: int
    until: float
    raised: Recorded | None = None
    """The event that raised the alert."""


class Waits:
    def __init__(self) -> None:
        self._cameras: dict[CameraId, _Wait] = {}
        self._start = _Wait(0, -math.inf)
        self._start_reason = ""

    def check(self, camera: CameraId, now: float) -> None:
        """Raises `Undecodable` while `camera`, or every camera, has to wait."""
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
        """A key frame of `camera` ended the child. `raised` is the alert's event, or None if it was raised before."""
        known = self._cameras.get(camera)
        failures = known.failures + 1 if known else 1
        kept = raised or (known.raised if known else None)
        self._cameras[camera] = _Wait(failures, now + _wait_s(failures, jitter), kept)

    def clear_failures(self, camera: CameraId) -> tuple[bool, Recorded | None]:
        """Return whether the camera had failed, and the event that raised its alert."""
        wait = self._cameras.pop(camera, None)
        return wait is not None, wait.raised if wait else None

    def forgotten(self, now: float) -> list[CameraId]:
        """Return the cameras whose wait ended `FORGET_S` ago."""
        return [camera for camera, wait in self._cameras.items() if wait.until + FORGET_S <= now]

    def next_forgotten(self) -> float:
        """Return when `forgotten` will next return a camera."""
        return min((wait.until + FORGET_S for wait in self._cameras.values()), default=math.inf)


def _wait_s(failures: int, jitter: float) -> float:
    return BASE_S + backoff_s(failures, jitter)
