"""The sweep: finds processes with our mark that nobody of ours looks after, ends them, and says so.

Rules of this file:
- A process is ours by the mark in its environment: node, run, camera and child. Another daemon's are left alone.
- It is a stray when it is of an earlier run, or when the child it belongs to has ended: a grandchild that ran away.
- Until a stray is gone its camera starts no other, and its device's connection counts as taken.
"""

from collections import defaultdict
from collections.abc import Callable, Collection

import trio

from supervisor.domain import commands as c
from supervisor.domain.anomalies import anomalies
from supervisor.domain.ids import CameraId, ChildId, child_stream
from supervisor.domain.lifecycle import ChildPhase
from supervisor.domain.values import Fault, Reason

from .child import LADDER, PATIENCE_S
from .process_table import Marked
from .tools import Tools

EVERY_S = 60.0
FIND_S = 5.0
"""Looking into a process that hangs in the kernel may hang as well."""

LEFT = Reason("stray", "nobody of ours looked after it", Fault.NONE)


class Sweep:
    """Made once; remembers which of the known children are strays."""

    def __init__(self, tools: Tools, running: Callable[[], Collection[CameraId]]) -> None:
        self._tools = tools
        self._running = running
        self._strays: set[ChildId] = set()

    async def find_survivors(self) -> frozenset[ChildId]:
        """The children of earlier runs that are still alive. Called once, before this run begins."""
        found = await self._find() or {}
        self._strays = found.keys() & self._tools.kernel.state.children.keys()
        return frozenset(self._strays)

    async def run(self) -> None:
        """Sweep at once, and then every minute.

        Cancellation: at any time; a stray that was not ended is found again. Cleanup: nothing is held.
        """
        while True:
            await self.sweep()
            self._raise_alerts()
            await trio.sleep(EVERY_S)

    async def sweep(self) -> None:
        """End all strays, side by side; takes a little over twice `PATIENCE_S` at the most."""
        kernel = self._tools.kernel
        before = kernel.state.children
        found = await self._find()
        if found is None:
            return
        async with trio.open_nursery() as nursery:
            for child, processes in found.items():
                known = (child in before or child in kernel.state.children) and child not in self._strays
                if known and processes[0].run == kernel.run:
                    continue
                if child not in kernel.state.children:
                    first = processes[0]
                    kernel.emit(
                        c.ReportChildFound(child, first.camera, first.pid, first.start_ticks, first.arguments),
                        origin=kernel.fault(),
                    )
                self._strays.add(child)
                nursery.start_soon(self._end, child, processes)
        for child in sorted(self._strays - found.keys()):
            self._report_end(child)

    async def _end(self, child: ChildId, processes: list[Marked]) -> None:
        """The ladder, for every process of a stray child."""
        kernel, stream = self._tools.kernel, child_stream(child)
        if kernel.state.children[child].phase is ChildPhase.STARTING:
            first = processes[0]
            kernel.emit(c.ReportChildStarted(child, first.pid, first.start_ticks), after=kernel.latest(stream))
        for step in LADDER:
            if kernel.state.children[child].phase is not ChildPhase.UNKILLABLE:
                kernel.emit(c.ReportChildSignalled(child, step.name, LEFT), after=kernel.latest(stream))
            for process in processes:
                self._tools.processes.signal(process, step)
            with trio.move_on_after(PATIENCE_S):
                for process in processes:
                    await self._tools.processes.wait_end(process)
                self._report_end(child)
                return
        if kernel.state.children[child].phase is not ChildPhase.UNKILLABLE:
            kernel.emit(c.ReportChildUnkillable(child), after=kernel.latest(stream))

    def _report_end(self, child: ChildId) -> None:
        kernel = self._tools.kernel
        self._strays.discard(child)
        if child in kernel.state.children:
            report = c.ReportChildEnded(child, None, None, LEFT)
            kernel.emit(report, after=kernel.latest(child_stream(child)))

    async def _find(self) -> dict[ChildId, list[Marked]] | None:
        """What carries our mark, by child; none when it could not be found out in time."""
        with trio.move_on_after(FIND_S):
            found: dict[ChildId, list[Marked]] = defaultdict(list)
            for process in await self._tools.processes.find(self._tools.kernel.node):
                found[process.child].append(process)
            return found
        return None

    def _raise_alerts(self) -> None:
        """What does not fit together is said once, and taken back when it does again."""
        kernel = self._tools.kernel
        wrong = anomalies(kernel.state, self._running(), self._strays)
        for alert, text in wrong.items():
            kernel.emit(c.RaiseAlert(alert, text))
        for alert in sorted(kernel.state.alerts):
            kind, _, camera = alert.partition("/")
            gone = kind == "go2rtc" and camera not in kernel.state.cameras
            if gone or (kind == "children" and alert not in wrong):
                kernel.emit(c.ClearAlert(alert))
