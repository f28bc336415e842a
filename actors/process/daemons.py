"""The programs of the section `daemons`: supervised children without media, beside the cameras.

Rules of this file:
- They start before the cameras and end after them, because cameras may read their shared memory.
- A program that has ended is started again after a backoff, whatever its exit code. One that ends too often rests.
- While it is down an alert says why. The alert is cleared when it has run for `PROVED_S`.
- Shared memory that it made and left behind is removed: no program writes there, and it holds memory.
- It runs under the guardian, so that its descendants end with it. Its output is read and discarded, at most `PACE` of
  it; its last lines on stderr explain its end.
"""

from collections.abc import Mapping
from functools import partial

import attrs
import trio

from supervisor.base.supervision import run_supervised
from supervisor.config.config import Daemon
from supervisor.domain import commands as c
from supervisor.domain.errors import Rejected
from supervisor.domain.events import Recorded
from supervisor.domain.ids import NO_CAMERA
from supervisor.domain.restart import Restarts
from supervisor.domain.state import DAEMON
from supervisor.domain.values import Fault, Reason
from supervisor.ports.statistics import DaemonStatistics

from ..shared_memory import segment
from ..tools import Tools
from .child import ChildExit, ChildSpec, run_child

PROVED_S = 10.0
"""A program that has run for this long works."""
PACE = 64 * 1024, 0.01
"""Bytes of output that are read at a time, and the seconds between two reads: a program that floods waits."""
CHANGED = Reason("settings-changed", "its settings have changed, or it was removed from the configuration", Fault.NONE)
RUNNING, BACKOFF, QUARANTINED = "running", "backoff", "quarantined"


@attrs.define(eq=False)
class _Running:
    """One daemon of the configuration, and how it goes."""

    daemon: Daemon
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    state: str = RUNNING
    reason: str = ""
    starts: int = 0


class Daemons:
    """Runs the daemons of the configuration."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._running: dict[str, _Running] = {}

    def statistics(self) -> tuple[DaemonStatistics, ...]:
        """The daemons that are supervised, in the order of their first start."""
        return tuple(
            DaemonStatistics(
                name=name,
                provides=each.daemon.provides,
                is_there=bool(each.daemon.provides) and segment.is_there(each.daemon.provides),
                state=each.state,
                reason=each.reason,
                starts=each.starts,
            )
            for name, each in self._running.items()
        )

    async def run(self) -> None:
        """Keep the running daemons equal to the configuration.

        Cancellation: ends every daemon. Cleanup: that of `run_child`; their alerts are cleared.
        """
        kernel = self._tools.kernel
        async with trio.open_nursery() as nursery:
            while True:
                wanted = self._tools.sources.daemons()
                self._end_others(wanted)
                for name, daemon in wanted.items():
                    if name not in self._running:
                        self._running[name] = _Running(daemon)
                        nursery.start_soon(self._run_one, name, name=f"daemon/{name}")
                await kernel.wait_change(kernel.state.seq)

    def _end_others(self, wanted: Mapping[str, Daemon]) -> None:
        """End daemons that are no longer wanted, and those with new settings, which start again afterwards."""
        kernel = self._tools.kernel
        for name, each in self._running.items():
            if wanted.get(name) != each.daemon and not each.scope.cancel_called:
                each.scope.cancel(reason=kernel.because(CHANGED, self._configured()))

    async def _run_one(self, name: str) -> None:
        each, who = self._running[name], f"daemon/{name}"
        try:
            with each.scope:
                work = partial(self._run, each)
                await run_supervised(who, work, partial(self._tools.wait_after_crash, who))
        finally:
            del self._running[name]
            self._tools.kernel.wake()

    def _configured(self) -> Recorded | None:
        return self._tools.sources.configured()

    async def _run(self, each: _Running) -> None:
        """Run one daemon again and again. The cause of each start is the end before, or the configuration."""
        kernel, alert = self._tools.kernel, f"daemon/{each.daemon.name}"
        with kernel.following(self._configured()):
            try:
                await self._repeat(each, alert)
            finally:
                kernel.emit(c.ClearAlert(alert))

    async def _repeat(self, each: _Running, alert: str) -> None:
        kernel, restarts = self._tools.kernel, Restarts()
        while True:
            began = trio.current_time()
            reason = await self._run_once(each, alert)
            ran_s = trio.current_time() - began
            restarts = restarts.after(reason, ran_s, kernel.clock.mono_ns(), self._tools.jitter())
            each.state, each.reason = QUARANTINED if restarts.is_quarantined else BACKOFF, reason.text
            kernel.emit(c.RaiseAlert(alert, f"the daemon {each.daemon.name} does not run: {reason.text}"))
            await trio.sleep(restarts.delay_s)

    async def _run_once(self, each: _Running, alert: str) -> Reason:
        """Run the program once, until it ends. Returns why."""
        daemon = each.daemon
        before = segment.identity(daemon.provides) if daemon.provides else None
        each.state, each.starts = RUNNING, each.starts + 1
        spec = ChildSpec(
            NO_CAMERA, f"{DAEMON}/{daemon.name}", daemon.arguments, daemon.secrets, may_fork=True, env=daemon.env
        )
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._prove, each, alert)
                reason = await self._run_child(spec, daemon.name)
                nursery.cancel_scope.cancel(reason="it has ended")
        finally:
            if daemon.provides and segment.identity(daemon.provides) not in (None, before):
                segment.remove(daemon.provides)
        return reason

    async def _run_child(self, spec: ChildSpec, name: str) -> Reason:
        try:
            return await run_child(spec, _discard, partial(_explain, name), self._tools)
        except Rejected as refused:  # banken is stopping, or a child of an earlier process still lives
            return Reason("refused", str(refused))

    async def _prove(self, each: _Running, alert: str) -> None:
        await trio.sleep(PROVED_S)
        each.reason = ""
        self._tools.kernel.emit(c.ClearAlert(alert))


async def _discard(stream: trio.abc.ReceiveStream) -> None:
    """Read all output. A program that closes it goes on; `run_child` ends this when the program has ended."""
    size, pause_s = PACE
    while await stream.receive_some(size):  # noqa: ASYNC110 - it paces the program
        await trio.sleep(pause_s)
    await trio.sleep_forever()


def _explain(name: str, ending: ChildExit) -> Reason:
    """Return why a daemon ended. Its exit code changes nothing: it is wanted for as long as it is configured."""
    how = f"was ended by {ending.signal}" if ending.signal else f"exited with {ending.status}"
    last = f": {ending.stderr_tail[-1]}" if ending.stderr_tail else ""
    return Reason("ended", f"{name} {how}{last}")
