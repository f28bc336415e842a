"""The parts that every kind of detector works with."""

from collections.abc import Callable

import attrs

from supervisor.config.config import Detector
from supervisor.domain import commands as c
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import CameraId, DetectionId, LeaseId
from supervisor.ports.decisions import ACTOR, Origin

from ..tools import Tools
from .lines import CAMERA, MANY, TIME, Seen
from .pictures import DetectorPicture, Pictures
from .tally import DetectorTally


@attrs.frozen
class Work:
    """One detector at work."""

    detector: Detector
    pictures: Pictures
    tally: DetectorTally
    tools: Tools
    is_well: Callable[[], None]
    """To be called when it has proved that it works: its alert is cleared."""

    async def report(self, seen: Seen, picture: DetectorPicture | None, origin: Origin | None = ACTOR) -> str:
        """Report a detection, with the picture as its thumbnail. Returns why it was dropped; empty if it was not.

        Without `origin` it follows from the carried cause.
        """
        if not self.pictures.watches(seen.camera):
            return self._dropped(CAMERA)
        assert self.tools.detections is not None, "detectors need the part"
        thumbnail = b"" if picture is None else await self.pictures.thumbnail(picture)
        ids, camera, by = (DetectionId(""), LeaseId("")), CameraId(seen.camera), self.detector.name
        command = c.ReportDetection(*ids, camera, seen.at_ns, seen.label, seen.score, by, seen.box)
        try:
            self.tools.detections.report(command, thumbnail, origin)
        except Rejected as refused:
            return self._dropped(TIME if refused.refusal is Refusal.INVALID else MANY)
        self.tally.detections += 1
        return ""

    def _dropped(self, reason: str) -> str:
        self.tally.drop(reason)
        return reason
