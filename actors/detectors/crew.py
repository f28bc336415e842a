"""The actor of all detectors: it keeps those of the configuration running, and starts one again that has ended.

Rules of this file:
- A detector that has ended waits for a backoff. One that ends too often rests, as a camera that crashes.
- While it is down an alert says why. The alert is cleared when it has proved that it works: a program by running for
  `PROVED_S`, because a picture in its pipe proves nothing; a service by an answer; shared memory by an update.
- A change of its settings ends it and starts it with the new ones. Others go on.
"""

from collections.abc import Mapping
from functools import partial

import trio

from supervisor.base.supervision import run_supervised
from supervisor.config.config import Detector
from supervisor.domain import commands as c
from supervisor.domain.ids import CameraId
from supervisor.domain.restart import Restarts
from supervisor.domain.values import Fault, Reason
from supervisor.ports.statistics import DetectorStatistics

from ..camera.camera import CameraActor
from ..media.decoder.client import Decodes
from ..tools import Tools
from . import KINDS
from .pictures import PictureMaker, Pictures
from .tally import BACKOFF, QUARANTINED, RUNNING, WAITING, DetectorTally
from .work import Work

PROVED_S = 10.0
"""A program that has run for this long works, also if no camera has given it a picture."""
CHANGED = Reason("settings-changed", "its settings have changed, or it was removed from the configuration", Fault.NONE)


class DetectorCrew:
    """Runs the detectors of the configuration."""

    def __init__(
        self, cameras: Mapping[CameraId, CameraActor], snapshots: PictureMaker, decoder: Decodes, tools: Tools
    ) -> None:
        """`cameras`: those that run now."""
        self._cameras, self._snapshots, self._decoder, self._tools = cameras, snapshots, decoder, tools
        self._tallies: dict[str, DetectorTally] = {}

    def statistics(self) -> tuple[DetectorStatistics, ...]:
        """The figures of the detectors that run, in the order of the configuration."""
        order = {name: index for index, name in enumerate(self._tools.sources.detectors())}
        found = sorted(self._tallies.values(), key=lambda tally: order.get(tally.name, len(order)))
        return tuple(tally.statistics() for tally in found)

    async def run(self) -> None:
        """Keep the running detectors equal to the configuration.

        Cancellation: ends every detector. Cleanup: that of each kind; their alerts are cleared.
        """
        kernel, running = self._tools.kernel, dict[str, tuple[Detector, trio.CancelScope]]()
        async with trio.open_nursery() as nursery:
            while True:
                wanted = self._tools.sources.detectors()
                for name, (detector, scope) in running.items():
                    if wanted.get(name) != detector:
                        scope.cancel(reason=kernel.because(CHANGED, self._tools.sources.configured()))
                for name, detector in wanted.items():
                    if name not in running:
                        running[name] = (detector, trio.CancelScope())
                        nursery.start_soon(self._run_one, name, running, name=f"detector/{name}")
                await kernel.wait_change(kernel.state.seq)

    async def _run_one(self, name: str, running: dict[str, tuple[Detector, trio.CancelScope]]) -> None:
        detector, scope = running[name]
        tally = self._tallies[name] = DetectorTally(name, detector.kind)
        try:
            with scope:
                who = f"detector/{name}"
                work = partial(self._run, detector, tally)
                await run_supervised(who, work, partial(self._tools.wait_after_crash, who))
        finally:
            del self._tallies[name], running[name]
            self._tools.kernel.wake()

    async def _run(self, detector: Detector, tally: DetectorTally) -> None:
        """Run one detector again and again. The cause of each start is the end before, or the configuration."""
        kernel, alert = self._tools.kernel, f"detector/{detector.name}"

        def is_well() -> None:
            tally.state, tally.reason = RUNNING, ""
            kernel.emit(c.ClearAlert(alert))

        interval_s = 1 / detector.fps if detector.kind == "command" else detector.every_s
        pictures = Pictures(
            detector.cameras, interval_s, self._cameras, self._snapshots, self._decoder, tally, self._tools
        )
        work = Work(detector, pictures, tally, self._tools, is_well)
        with kernel.following(self._tools.sources.configured()):
            try:
                await self._repeat(work, alert)
            finally:
                kernel.emit(c.ClearAlert(alert))

    async def _repeat(self, work: Work, alert: str) -> None:
        kernel, tally, restarts = self._tools.kernel, work.tally, Restarts()
        while True:
            began = trio.current_time()
            tally.state = WAITING
            reason = await self._run_once(work)
            ran_s = trio.current_time() - began
            restarts = restarts.after(reason, ran_s, kernel.clock.mono_ns(), self._tools.jitter())
            tally.state, tally.reason = QUARANTINED if restarts.is_quarantined else BACKOFF, reason.text
            kernel.emit(c.RaiseAlert(alert, f"the detector {work.detector.name} does not work: {reason.text}"))
            await trio.sleep(restarts.delay_s)

    async def _run_once(self, work: Work) -> Reason:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._prove, work)
            reason = await KINDS[work.detector.kind](work)
            nursery.cancel_scope.cancel(reason="it has ended")
        return reason

    async def _prove(self, work: Work) -> None:
        """A program that runs for long enough works. A service proves it by an answer."""
        if work.detector.kind == "command":
            await trio.sleep(PROVED_S)
            work.is_well()
