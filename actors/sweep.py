"""The sweep: finds processes with our mark that nobody of ours looks after, ends them, and says so.

Rules of this file:
- A process is ours by the mark in its environment: node, run, camera and child. Another daemon's are left alone.
- It is a stray when it is of an earlier run, or when the child it belongs to has ended: a grandchild that ran away.
- A child that has ended is over: whatever bears its mark later is told under a fresh id.
- Until a stray is gone its camera starts no other, and its device's connection counts as taken.
"""

from collections import defaultdict
from collections.abc import Callable, Collection

import trio

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.anomalies import anomalies
from supervisor.domain.ids import SYSTEM, CameraId, ChildId, camera_stream, child_stream
from supervisor.domain.lifecycle import ChildPhase
from supervisor.domain.values import Fault, Reason
from supervisor.kernel import ACTOR

from .child import LADDER, PATIENCE_S
from .process_table import Marked
from .tools import Tools

EVERY_S = 60.0
FIND_S = 5.0
"""Looking into a process that hangs in the kernel may hang as well."""

BLIND = "sweep"
"""The alert that stands while the table of processes cannot be read."""

LEFT = Reason("stray", "nobody of ours looked after it", Fault.NONE)


class Sweep:
    """Made once; remembers which of the known children are strays."""

    def __init__(self, tools: Tools, running: Callable[[], Collection[CameraId]]) -> None:
        self._tools = tools
        self._running = running
        self._strays: set[ChildId] = set()
        self._blind = ""
        """Why the table of processes could not be read last time; empty when it was read, or is only slow."""

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
        self._report_blindness()
        if found is None:
            return
        gone = self._strays - found.keys()
        async with trio.open_nursery() as nursery:
            for child, processes in found.items():
                known = (child in before or child in kernel.state.children) and child not in self._strays
                if known and processes[0].run == kernel.run:
                    continue
                stray = child if child in kernel.state.children else self._report_found(processes[0])
                self._strays.add(stray)
                nursery.start_soon(self._end, stray, processes)
        for child in sorted(gone):
            self._report_end(child)

    async def _end(self, child: ChildId, processes: list[Marked]) -> None:
        """The ladder, for every process of a stray child."""
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
        kernel.emit(found, origin=kernel.fault())
        return child

    def _report_end(self, child: ChildId) -> None:
        self._strays.discard(child)
        if child in self._tools.kernel.state.children:
            self._report(child, c.ReportChildEnded(child, None, None, LEFT))

    def _report(self, child: ChildId, command: c.Command) -> None:
        """Say something of a stray; of a child of an earlier run, what we know in this one is that it has begun."""
        kernel = self._tools.kernel
        after = kernel.latest(child_stream(child)) or kernel.latest(SYSTEM, of=e.RunStarted)
        kernel.emit(command, after=after, origin=ACTOR)

    def _report_blindness(self) -> None:
        kernel = self._tools.kernel
        if self._blind:
            text = f"orphaned processes cannot be looked for, next attempt in {EVERY_S:g} s: {self._blind}"
            kernel.emit(c.RaiseAlert(BLIND, text), origin=kernel.fault())
        else:
            kernel.emit(c.ClearAlert(BLIND), after=kernel.latest(f"alert/{BLIND}"))

    async def _find(self) -> dict[ChildId, list[Marked]] | None:
        """What carries our mark, by child; none when it could not be found out in time.

        By the child's id in the journal, while it has not ended; else by that in the mark.
        """
        kernel = self._tools.kernel
        with trio.move_on_after(FIND_S):
            found: dict[ChildId, list[Marked]] = defaultdict(list)
            try:
                processes = await self._tools.processes.find(kernel.node)
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
        """What does not fit together is said once, and taken back when it does again."""
        kernel = self._tools.kernel
        wrong = anomalies(kernel.state, self._running(), self._strays)
        commands: list[c.RaiseAlert | c.ClearAlert] = [c.RaiseAlert(alert, text) for alert, text in wrong.items()]
        for alert in sorted(kernel.state.alerts):
            kind, _, camera = alert.partition("/")
            gone = kind in ("go2rtc", "decoder") and camera not in kernel.state.cameras
            if gone or (kind == "children" and alert not in wrong):
                commands.append(c.ClearAlert(alert))
        for command in commands:
            stream = camera_stream(CameraId(command.alert.partition("/")[2]))
            kernel.emit(command, after=kernel.latest(stream) or kernel.latest(SYSTEM), origin=ACTOR)
