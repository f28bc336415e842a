"""The gaps in recordings since the start of the daemon, by camera and reason. Pure.

A gap is counted when it has ended, with the time between the video before and behind it. So the sum never falls, as a
gap that is still open could when its exact end is known.
"""

from collections.abc import Mapping

from .events import Recorded, RecordingResumed
from .ids import CameraId
from .state import State


class GapTally:
    """Its size is bounded: a camera has one sum for each reason code of recordings."""

    def __init__(self) -> None:
        self._seconds: dict[CameraId, dict[str, float]] = {}

    def see(self, before: State, recorded: Recorded) -> None:
        """Take in an event; `before` is the state before it."""
        event = recorded.event
        if isinstance(event, RecordingResumed):
            known = before.recordings.get(event.camera)
            code = known.reason.code if known is not None and known.reason is not None else "unknown"
            found = self._seconds.setdefault(event.camera, {})
            found[code] = found.get(code, 0.0) + event.gap_s

    def seconds(self) -> Mapping[CameraId, Mapping[str, float]]:
        """For each camera that had one, the seconds of its gaps by reason code."""
        return {camera: dict(found) for camera, found in self._seconds.items()}
