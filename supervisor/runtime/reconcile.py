"""Reconciling: starts the actors that `plan(state)` wants, and stops those that it no longer wants."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

import trio

from ..base.supervision import run_supervised
from ..domain import commands as c
from ..domain.events import CameraCrashed, CameraQuarantined, CameraRemoved, ConfigurationApplied, RunStopping
from ..domain.ids import SYSTEM, CameraId, PeerId, camera_stream, patrol_alert
from ..domain.plan import plan
from ..domain.restart import QUARANTINE_BASE_S
from ..domain.state import Privacy
from ..domain.values import CameraSettings, Fault, Reason
from ..ports.decisions import CancelReason, newest_of
from .kernel import Kernel

REMOVED = Reason("removed", "removed from the configuration", Fault.NONE)
STOPPED = Reason("stopped", "banken stops", Fault.NONE)
AT_ONCE = 4
"""The number of cameras that start in one pass of the event loop. Each start takes 0.7 ms."""


class CameraActors(Protocol):
    """The interface of the actors for reconciling."""

    async def run_camera(self, settings: CameraSettings) -> None:
        """Run a camera until it is cancelled."""
        ...

    def reconfigure(self, settings: CameraSettings) -> None:
        """Give a running camera new settings; its peers stay connected. Does nothing if the settings are the same."""
        ...

    def want(self, uses: Mapping[CameraId, str], private: Mapping[CameraId, Privacy]) -> None:
        """Set the use for which each camera is open from now on. A camera that is not in `uses` may close.

        Those in `private` are closed at once, and what was received of them is discarded. This also applies to cameras
        that start later.
        """
        ...

    async def run_patrol(self, group: str) -> None:
        """Run patrol cycles over the cameras of a group until it is cancelled."""
        ...

    def stop_peer(self, peer: PeerId, reason: Reason) -> None:
        """Begin to close a peer. Does nothing if it is closing already."""
        ...


async def run_reconcile(kernel: Kernel, crew: CameraActors, jitter: Callable[[], float]) -> None:
    """Keep the running actors equal to the plan. Return when the daemon is stopping and no actor runs.

    At most `AT_ONCE` new cameras start at a time; then other tasks run, and the plan is computed again.
    `jitter` returns a random number from 0 to 1, for the backoff after a crash.

    Cancellation: ends every camera and patrol. Cleanup: each actor's own; no actor is left when this returns.
    """
    running: dict[CameraId, trio.CancelScope] = {}
    patrols: dict[str, trio.CancelScope] = {}

    async def run_camera(settings: CameraSettings) -> None:
        try:
            with running[settings.camera]:
                await run_supervised(
                    f"camera/{settings.camera}",
                    partial(crew.run_camera, settings),
                    partial(wait_after_crash, kernel, jitter, settings.camera),
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
            kernel.emit(c.ClearAlert(patrol_alert(group)), after=_no_longer(kernel, SYSTEM).event)
            del patrols[group]
            kernel.wake()

    async with trio.open_nursery() as nursery:
        while running or patrols or not kernel.state.stopping:
            state = kernel.state
            wanted = plan(state)
            for name in running.keys() - wanted.cameras.keys():
                running[name].cancel(reason=_no_longer(kernel, camera_stream(name)))
            new: list[CameraSettings] = []
            for name, settings in wanted.cameras.items():
                if name in running:
                    crew.reconfigure(settings)
                else:
                    new.append(settings)
            crew.want(wanted.uses, wanted.private)
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


def _no_longer(kernel: Kernel, stream: str) -> CancelReason:
    """Why an actor is no longer in the plan. Unless the daemon stops, the newest removal in `stream` is the cause.

    It is looked up, because reconciling compares states and sees no events.
    """
    stopping = kernel.latest(SYSTEM, of=RunStopping)
    if stopping is not None:
        return kernel.because(STOPPED, stopping)
    return kernel.because(REMOVED, kernel.latest(stream, of=CameraRemoved | ConfigurationApplied))


async def wait_after_crash_of(kernel: Kernel, name: str, error: str) -> None:
    """Wait before the restart of an actor that belongs to no camera. An alert is raised for the duration of the wait.

    Cancellation: at any time. Cleanup: clears the alert.
    """
    alert = f"crash/{name}"
    text = f"{name} crashed and rests for {QUARANTINE_BASE_S:g} s: {error}"
    raised = kernel.emit(c.RaiseAlert(alert, text), origin=kernel.fault()).last
    try:
        await trio.sleep(QUARANTINE_BASE_S)
    finally:
        kernel.emit(c.ClearAlert(alert), after=raised)


async def wait_after_crash(kernel: Kernel, jitter: Callable[[], float], camera: CameraId, error: str) -> bool:
    """Journal that an actor of `camera` crashed, and wait for the backoff or quarantine that the state decides.

    A request for a probe ends the wait. Returns whether there was one.
    """
    command = c.ReportCrash(camera=camera, error=error, jitter=jitter())
    recorded = kernel.emit(command, after=newest_of(kernel, camera), origin=kernel.fault()).last
    if recorded is None:
        return False
    assert isinstance(recorded.event, CameraCrashed | CameraQuarantined)
    with trio.move_on_after(recorded.event.delay_s) as wait:
        await kernel.wait_retry(camera, recorded.seq)
    return not wait.cancelled_caught
