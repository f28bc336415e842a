"""The rendition of one camera: its hub, those who need it, and the cost of its transcoder."""

from collections.abc import Callable

import attrs
import trio

from supervisor.base.clock import Clock
from supervisor.domain.values import Reason
from supervisor.ports.statistics import RenditionStatistics

from ..process.process import cpu_s
from .hub import Hub
from .listeners import Listeners

MEASURED_S = 0.9
"""The CPU share is measured over at least this time."""


@attrs.define
class CpuMeter:
    """The CPU time of one transcoder after the other."""

    total_s: float = 0.0
    """Of all of them."""
    share: float = 0.0
    """Of one processor, over about a second."""
    _pid: int = 0
    _seen: tuple[float, float] = (0.0, 0.0)
    """When its time was read last, and that time."""

    def read(self, pid: int | None) -> None:
        """Read the time of the process that runs now, if there is one. Takes about 30 µs."""
        now = trio.current_time()
        used = cpu_s(pid) if pid is not None else None
        if pid is None or used is None:
            self._pid, self.share = 0, 0.0
            return
        if pid != self._pid:
            self._pid, self._seen, self.share = pid, (now, used), 0.0
            self.total_s += used
            return
        at, before = self._seen
        if now - at >= MEASURED_S:
            self.total_s += used - before
            self.share = round((used - before) / (now - at), 3)
            self._seen = now, used


class Rendition:
    """A second stream of a camera, which consumers share. The video transcoder fills its hub while `needs` has any.

    A consumer joins `needs`, subscribes to `hub`, and leaves `needs` at its end.
    """

    def __init__(self, own: Hub, clock: Clock) -> None:
        self.hub = Hub(clock, own)
        self.needs = Listeners()
        self.failure: Reason | None = None
        """Why there is no transcoder at present, although it is needed."""
        self.changed: Callable[[], object] = lambda: None
        """Called after each change of `failure`."""
        self.meter = CpuMeter()
        self.skipped = 0
        """Access units that the transcoder left out, because it was too slow."""

    def fail(self, failure: Reason | None) -> None:
        """Set `failure`; None when the transcoder works."""
        if failure != self.failure:
            self.failure = failure
            self.changed()

    def statistics(self, pid: int | None) -> RenditionStatistics | None:
        """Return its measurements; None without a transcoder, whose process is `pid`."""
        self.meter.read(pid)
        if pid is None:
            return None
        measured, picture = self.hub.statistics(), self.hub.picture
        return RenditionStatistics(
            cpu=self.meter.share,
            fps=measured.fps,
            bitrate=measured.bitrate,
            width=picture.width if picture else None,
            height=picture.height if picture else None,
            skipped=self.skipped,
        )
