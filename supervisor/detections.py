"""The way in for detectors, ours and others': so many a second, the picture kept, and the domain decides.

Rules of this file:
- What is taken is journaled; what is too much is refused, with the time to wait, and changes nothing.
- A camera whose detector has run wild takes no other camera's turn.
"""

import attrs
import trio
from msgspec.structs import replace

from .domain import commands as c
from .domain.bucket import Bucket
from .domain.decisions.detection import known
from .domain.errors import Refusal, Rejected
from .domain.events import DetectionMade, Recorded
from .domain.ids import CameraId, DetectionId, LeaseId
from .kernel import Kernel, Origin
from .thumbnails import Thumbnails

PER_CAMERA_S, PER_CAMERA_BURST = 2.0, 10.0
IN_ALL_S, IN_ALL_BURST = 20.0, 60.0


@attrs.frozen
class Judged:
    """What came of a detection."""

    detection: DetectionId
    suggested: bool
    why: str
    last: Recorded | None
    """The last event that it led to; none when it was told before."""


class Detections:
    """Made once, in the loop."""

    def __init__(self, kernel: Kernel) -> None:
        self.thumbnails = Thumbnails()
        self._kernel = kernel
        self._buckets: dict[CameraId, Bucket] = {}
        self._all: Bucket | None = None

    def report(self, seen: c.ReportDetection, jpeg: bytes = b"") -> Judged:
        """Decide about a detection; its ids are filled in. Raises `Rejected`."""
        kernel = self._kernel
        before = known(kernel.state, seen.key)
        if before is not None:
            return Judged(before.detection, before.suggested, before.why, None)
        tokens = self._require_turn(seen.camera)
        detection = DetectionId(kernel.new_id())
        command = replace(seen, detection=detection, lease=LeaseId(kernel.new_id()))
        events = kernel.emit(command, origin=Origin("actor" if seen.by == "motion" else f"client:{seen.by}")).events
        for bucket in tokens:
            bucket.take(trio.current_time())
        made = events[0].event
        assert isinstance(made, DetectionMade)
        if jpeg:
            self.thumbnails.keep(seen.camera, detection, jpeg)
        return Judged(detection, made.suggested, made.why, events[-1])

    def _require_turn(self, camera: CameraId) -> tuple[Bucket, ...]:
        """Raises `Rejected` when there are too many detections, of this camera or in all."""
        cameras = self._kernel.state.cameras
        if camera not in cameras:
            return ()  # deciding says so
        for gone in self._buckets.keys() - cameras.keys():
            del self._buckets[gone]
            self.thumbnails.forget(gone)
        now = trio.current_time()
        if self._all is None:
            self._all = Bucket(IN_ALL_S, IN_ALL_BURST, now)
        its = self._buckets.setdefault(camera, Bucket(PER_CAMERA_S, PER_CAMERA_BURST, now))
        for whose, bucket in ((f"of {camera}", its), ("in all", self._all)):
            wait_s = bucket.ready_in(now)
            if wait_s > 0:
                raise Rejected(Refusal.CAP_REACHED, f"too many detections {whose} in so short a time", wait_s)
        return its, self._all
