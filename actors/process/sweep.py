"""The sweep: finds orphaned processes that carry our mark, ends them, and reports them.

Rules of this file:
- The mark in the environment identifies our processes: node, run, camera and child. Processes of other daemons are
  ignored.
- A process is an orphan when it belongs to an earlier run, or when its child has ended: a descendant that escaped.
- A child that has ended stays ended: a process that carries its mark later is reported under a new id.
- Until an orphan is gone, its camera starts no other child, and its connection counts as a used slot of the device.
"""

from collections import defaultdict
from collections.abc import Callable, Collection

import trio

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.anomalies import anomalies
from supervisor.domain.ids import SYSTEM, CameraId, ChildId
from supervisor.domain.lifecycle import ChildPhase
from supervisor.domain.values import Fault, Reason
from supervisor.ports.decisions import ACTOR, newest_of, raised

from ..tools import Tools
from .child import LADDER, PATIENCE_S
from .process_table import Marked

EVERY_S = 60.0
FIND_S = 5.0
"""Time limit of the search: reading a process that hangs in the kernel may hang as well."""

BLIND = "sweep"
"""The alert that is raised while the process table cannot be read."""

LEFT = Reason("stray", "it was orphaned", Fault.NONE)


class Sweep:
    """Finds and ends orphans. Created once; keeps the known children that are orphans."""

    def __init__(self, tools: Tools, running: Callable[[], Collection[CameraId]]) -> None:
        self._tools = tools
        self._running = running
        self._strays: dict[ChildId, e.Recorded | None] = {}
        """The last event of each orphan; None for one of an earlier run."""
        self._blind = ""
        """Why the last read of the process table failed; empty when it succeeded or is only slow."""

    async def find_survivors(self) -> frozenset[ChildId]:
        """Return the children of earlier runs that are still alive. Called once, before this run begins."""
        found = await self._find() or {}
        self._strays = dict.fromkeys(found.keys() & self._tools.kernel.state.children.keys())
        return frozenset(self._strays)

    async def run(self) -> None:
        """Sweep at once, and then every minute.

        Cancellation: at any time; the next sweep finds an orphan that was not ended. Cleanup: holds nothing.
        """
        while True:
            await self.sweep()
            self._raise_alerts()
            await trio.sleep(EVERY_S)

    async def sweep(self) -> None:
        """End all orphans concurrently; takes little more than twice `PATIENCE_S`."""
        kernel = self._tools.kernel
        before = kernel.state.children
        found = await self._find()
        self._report_blindness()
        if found is None:
            return
        gone = self._strays.keys() - found.keys()
        async with trio.open_nursery() as nursery:
            for child, processes in found.items():
                known = (child in before or child in kernel.state.children) and child not in self._strays
                if known and processes[0].run == kernel.run:
                    continue
                stray = child if child in kernel.state.children else self._report_found(processes[0])
                self._strays.setdefault(stray)
                nursery.start_soon(self._end, stray, processes)
        for child in sorted(gone):
            self._report_end(child)

    async def _end(self, child: ChildId, processes: list[Marked]) -> None:
        """Climb the ladder for every process of an orphaned child."""
        kernel = self._tools.kernel
        if kernel.state.children[child].phase is ChildPhase.STARTING:
            first = processes[0]
            self._report(child, c.ReportChildStarted(child, first.pid, first.start_ticks))
        for step in LADDER:
            if kernel.state.children[child].phase is not ChildPhase.UNKILLABLE:
                self._report(child, c.ReportChildSignalled(child, step.name, LEFT))
            for process in processes:
                self._tools.processes.signal(process, step)
            with trio.move_on_after(PATIENCE_S):
                for process in processes:
                    await self._tools.processes.wait_end(process)
                self._report_end(child)
                return
        if kernel.state.children[child].phase is not ChildPhase.UNKILLABLE:
            self._report(child, c.ReportChildUnkillable(child))

    def _report_found(self, process: Marked) -> ChildId:
        kernel = self._tools.kernel
        child = ChildId(kernel.new_id())
        found = c.ReportChildFound(
            child, process.camera, process.pid, process.start_ticks, process.arguments, process.child
        )
        self._strays[child] = kernel.emit(found, origin=kernel.fault()).events[0]
        return child

    def _report_end(self, child: ChildId) -> None:
        if child in self._tools.kernel.state.children:
            self._report(child, c.ReportChildEnded(child, None, None, LEFT))
        self._strays.pop(child, None)

    def _report(self, child: ChildId, command: c.Command) -> None:
        """Report a step of an orphan. It follows from its last event; for one of an earlier run, from `_began`."""
        after = self._strays.get(child) or self._began()
        self._strays[child] = self._tools.kernel.emit(command, after=after, origin=ACTOR).last or after

    def _began(self) -> e.Recorded | None:
        """The start of this run, which found what an earlier run left. It is emitted between search and sweep."""
        return self._tools.kernel.latest(SYSTEM, of=e.RunStarted)

    def _report_blindness(self) -> None:
        kernel = self._tools.kernel
        if self._blind:
            text = f"orphaned processes cannot be looked for, next attempt in {EVERY_S:g} s: {self._blind}"
            kernel.emit(c.RaiseAlert(BLIND, text), origin=kernel.fault())
        else:
            kernel.emit(c.ClearAlert(BLIND), after=raised(kernel, BLIND))

    async def _find(self) -> dict[ChildId, list[Marked]] | None:
        """Return the processes that carry our mark, by child; None when the search failed or took too long.

        The key is the child's id in the journal while it has not ended; otherwise the id in the mark.
        """
        kernel = self._tools.kernel
        with trio.move_on_after(FIND_S):
            found: dict[ChildId, list[Marked]] = defaultdict(list)
            try:
                processes = await self._tools.processes.find(self._tools.owner)
            except OSError as error:
                self._blind = str(error.strerror)
                return None
            self._blind = ""
            known = {child.mark or child.child: child.child for child in kernel.state.children.values()}
            for process in processes:
                found[known.get(process.child, process.child)].append(process)
            return found
        return None

    def _raise_alerts(self) -> None:
        """Raise an alert for each anomaly once, and clear it when the anomaly is gone."""
        kernel = self._tools.kernel
        wrong = anomalies(kernel.state, self._running(), self._strays)
        commands: list[c.RaiseAlert | c.ClearAlert] = [c.RaiseAlert(alert, text) for alert, text in wrong.items()]
        for alert in sorted(kernel.state.alerts):
            kind, _, camera = alert.partition("/")
            gone = kind in ("go2rtc", "decoder") and camera not in kernel.state.cameras
            if gone or (kind == "children" and alert not in wrong):
                commands.append(c.ClearAlert(alert))
        for command in commands:
            camera = CameraId(command.alert.partition("/")[2])
            kernel.emit(command, after=newest_of(kernel, camera), origin=ACTOR)
