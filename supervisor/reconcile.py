"""Reconciling: what `plan(state)` says should run is started, what it no longer says is stopped, and nothing else."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

import trio

from .domain import commands as c
from .domain.events import CameraCrashed, CameraQuarantined, CameraRemoved, ConfigurationApplied, RunStopping
from .domain.ids import SYSTEM, CameraId, PeerId, camera_stream
from .domain.plan import plan
from .domain.restart import QUARANTINE_BASE_S
from .domain.values import CameraSettings, Fault, Reason
from .kernel import Because, Kernel
from .supervision import run_supervised

REMOVED = Reason("removed", "it is no longer in the configuration", Fault.NONE)
STOPPED = Reason("stopped", "banken stops", Fault.NONE)
AT_ONCE = 4
"""Cameras that begin in one turn of the loop, which each of them takes for 0.7 ms."""


class Crew(Protocol):
    """The actors, as reconciling sees them."""

    async def run_camera(self, settings: CameraSettings) -> None:
        """Run a camera until it is cancelled."""
        ...

    def reconfigure(self, settings: CameraSettings) -> None:
        """Give a running camera new settings; its viewers stay. Does nothing when it has them already."""
        ...

    def want(self, uses: Mapping[CameraId, str]) -> None:
        """Say what each camera is to be open for from now on; one that is not in `uses` may rest.

        It counts as well for a camera that is run later.
        """
        ...

    async def run_patrol(self, group: str) -> None:
        """Visit the cameras of a group, again and again, until it is cancelled."""
        ...

    def stop_peer(self, peer: PeerId, reason: Reason) -> None:
        """Begin the end of a peer. Does nothing when it is ending already."""
        ...


async def run_reconcile(kernel: Kernel, crew: Crew, jitter: Callable[[], float]) -> None:
    """Keep what runs equal to the plan; return once the daemon is stopping and nothing runs any more.

    Of a thousand new cameras, `AT_ONCE` begin; then others have the loop, and the plan is made again.

    Cancellation: ends every camera and patrol. Cleanup: theirs; none has been left when this returns.
    """
    running: dict[CameraId, trio.CancelScope] = {}
    patrols: dict[str, trio.CancelScope] = {}

    async def run_camera(settings: CameraSettings) -> None:
        try:
            with running[settings.camera]:
                await run_supervised(
                    f"camera/{settings.camera}",
                    partial(crew.run_camera, settings),
                    partial(wait_after_crash, kernel, settings.camera, jitter),
                )
        finally:
            del running[settings.camera]
            kernel.wake()

    async def run_patrol(group: str) -> None:
        try:
            with patrols[group]:
                name = f"patrol/{group}"
                await run_supervised(name, partial(crew.run_patrol, group), partial(wait_after_crash_of, kernel, name))
        finally:
            kernel.emit(c.ClearAlert(f"patrol/{group}"), after=kernel.latest(SYSTEM))
            del patrols[group]
            kernel.wake()

    async with trio.open_nursery() as nursery:
        while running or patrols or not kernel.state.stopping:
            state = kernel.state
            wanted = plan(state)
            for name in running.keys() - wanted.cameras.keys():
                running[name].cancel(reason=_no_longer(kernel, camera_stream(name)))
            crew.want(wanted.uses)
            new: list[CameraSettings] = []
            for name, settings in wanted.cameras.items():
                if name in running:
                    crew.reconfigure(settings)
                else:
                    new.append(settings)
            for settings in new[:AT_ONCE]:
                running[settings.camera] = trio.CancelScope()
                nursery.start_soon(run_camera, settings, name=f"camera/{settings.camera}")
            for group in patrols.keys() - wanted.patrols:
                patrols[group].cancel(reason=_no_longer(kernel, SYSTEM))
            for group in sorted(wanted.patrols - patrols.keys()):
                patrols[group] = trio.CancelScope()
                nursery.start_soon(run_patrol, group, name=f"patrol/{group}")
            for peer, reason in wanted.leaving.items():
                crew.stop_peer(peer, reason)
            if len(new) > AT_ONCE:
                await trio.lowlevel.checkpoint()
            else:
                await kernel.wait_change(state.seq)


def _no_longer(kernel: Kernel, stream: str) -> Because:
    """Why something is no longer in the plan; what else ends it than a stop stands in `stream`."""
    stopping = kernel.latest(SYSTEM, of=RunStopping)
    if stopping is not None:
        return kernel.because(STOPPED, stopping)
    return kernel.because(REMOVED, kernel.latest(stream, of=CameraRemoved | ConfigurationApplied))


async def wait_after_crash_of(kernel: Kernel, name: str, error: str) -> None:
    """Wait before something that is no camera's is run anew after a crash; as long as that, it is an alert."""
    alert = f"crash/{name}"
    text = f"{name} crashed and rests for {QUARANTINE_BASE_S:g} s: {error}"
    raised = kernel.emit(c.RaiseAlert(alert, text), origin=kernel.fault()).last
    try:
        await trio.sleep(QUARANTINE_BASE_S)
    finally:
        kernel.emit(c.ClearAlert(alert), after=raised)


async def wait_after_crash(kernel: Kernel, camera: CameraId, jitter: Callable[[], float], error: str) -> None:
    """Journal that something of `camera` crashed, and wait as the state then says."""
    command = c.ReportCrash(camera=camera, error=error, jitter=jitter())
    after = kernel.latest(camera_stream(camera)) or kernel.latest(SYSTEM)
    recorded = kernel.emit(command, after=after, origin=kernel.fault()).last
    if recorded is not None:
        assert isinstance(recorded.event, CameraCrashed | CameraQuarantined)
        await trio.sleep(recorded.event.delay_s)
