"""Input of detectors, built in or external: limited in rate, the picture is kept, and the domain decides.

Rules of this file:
- An accepted detection is journaled. One above the rate is rejected, with the time to wait, and changes nothing.
- A camera whose detector floods takes nothing from the rate of other cameras.
"""

import trio
from msgspec.structs import replace

from ..domain import commands as c
from ..domain.bucket import Bucket
from ..domain.detection import known
from ..domain.errors import Refusal, Rejected
from ..domain.events import DetectionMade
from ..domain.ids import CameraId, DetectionId, LeaseId
from ..ports.decisions import ACTOR, Origin
from ..ports.gateway import DetectionResult
from ..runtime.kernel import Kernel
from .thumbnails import Thumbnails

PER_CAMERA_S, PER_CAMERA_BURST = 2.0, 10.0
IN_ALL_S, IN_ALL_BURST = 20.0, 60.0


class Detections:
    """Made once, in the loop."""

    def __init__(self, kernel: Kernel) -> None:
        self.thumbnails = Thumbnails()
        self._kernel = kernel
        self._buckets: dict[CameraId, Bucket] = {}
        self._all: Bucket | None = None

    def report(self, seen: c.ReportDetection, jpeg: bytes = b"", origin: Origin | None = ACTOR) -> DetectionResult:
        """Decide about a detection; its ids are filled in. Without `origin` it follows from the carried cause.

        Raises `Rejected`.
        """
        kernel = self._kernel
        before = known(kernel.state, seen.key)
        if before is not None:
            return DetectionResult(before.detection, before.suggested, before.why, None)
        tokens = self._require_turn(seen.camera)
        detection = DetectionId(kernel.new_id())
        lease = LeaseId(kernel.new_id())
        command = replace(seen, detection=detection, lease=lease, pictured=bool(jpeg))
        events = kernel.emit(command, origin=origin).events
        for bucket in tokens:
            bucket.take(trio.current_time())
        made = events[0].event
        assert isinstance(made, DetectionMade)
        if jpeg:
            self.thumbnails.keep(seen.camera, detection, jpeg)
        return DetectionResult(detection, made.suggested, made.why, events[-1])

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
                raise Rejected(Refusal.CAP_REACHED, f"too many detections {whose} in a short time", wait_s)
        return its, self._all
