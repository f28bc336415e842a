"""Losses of cameras: the end of a source that was not wanted, and the wait for the next attempt."""

import math

from msgspec.structs import replace

from ..common import Arms, Changes, Decisions, Events, later_ns
from ..core import Command, Recorded, Severity
from ..device import learn_budget, with_holders
from ..ids import CameraId
from ..lifecycle import STREAMING, CameraPhase, allows, leads
from ..restart import NO_SHARED_MEMORY, PASSWORD, RECENT_S, SHARED_MEMORY_S, backoff_s, probe_s
from ..state import Camera, State
from ..values import Fault, Reason
from ..words import seconds
from .common import CameraEvent, is_live, move_camera, was_healthy


class ReportLoss(Command, frozen=True):
    """The source ended. `jitter` is uniform in [0, 1) and spreads the next attempts."""

    camera: CameraId
    reason: Reason
    jitter: float

    sender = "camera actor"


_LOST_BY = (
    "ChildEnded",
    "ChildUnkillable",
    "CameraConnecting",
    "CameraStalled",
    "CameraLive",
    "DeviceFull",
)


class CameraWaiting(CameraEvent, frozen=True):
    """The source was lost, or could not be opened, by a temporary fault.

    The next attempt follows after `delay_s`, or as soon as an unreachable host answers again, or the missing shared
    memory exists.
    """

    reason: Reason
    """Why it was lost; fault class temporary."""
    attempts: int
    """Consecutive failures, including this one."""
    delay_s: float
    """Time until the next attempt: drawn from 0 to 1, 2, 4, ... 60 s, by `attempts`. For a fatal fault of a camera that
    was live in the last 120 s: 1, 2, 4, 8 and then 10 s. For missing shared memory: 30 s."""
    times: int = 0
    """Consecutive losses of the same fatal kind, including this one; 0 for any other loss."""
    live_until_ns: int = 0
    """When the camera was last live, if this loss ended that."""

    steps = leads(*STREAMING, to=CameraPhase.WAITING)
    severity = Severity.WARNING
    emitters = ("ReportLoss",)
    causes = _LOST_BY
    cause_note = (
        "`DeviceFull` if it was emitted with it; otherwise the last event of the connection. The correlation is new"
    )
    when = "after the connection is closed and its child is reaped"
    action = (
        "nothing for a single one. If it repeats, the reason names the place to look: network, camera, or (`full`) "
        "other clients' connections. `refused` means that an old child of the camera still exists"
    )

    def sentence(self) -> str:
        return f"{self.camera} is waiting: {self.reason.text}; next attempt in {seconds(self.delay_s)}"

    def timeline_mark(self) -> str:
        return "loss"


class CameraFailed(CameraEvent, frozen=True):
    """The source was lost by a fatal fault. A probe follows after `delay_s`."""

    reason: Reason
    """Why it was lost; fault class fatal."""
    delay_s: float
    """Time until the next probe: 10, 20, 40, ... 300; after a refused password 300, then 1800."""
    times: int = 0
    """Consecutive losses of this kind, including this one; 0 in older journals."""
    live_until_ns: int = 0
    """When the camera was last live, if this loss ended that."""

    steps = leads(*STREAMING, to=CameraPhase.FAILED)
    severity = Severity.ERROR
    emitters = ("ReportLoss",)
    causes = _LOST_BY
    cause_note = "as for `CameraWaiting`. The correlation is new"
    when = "instead of `CameraWaiting`, for a reason of fault class fatal"
    action = (
        "correct the cause that the reason names (password, path, codec, file, arguments) and reload: new settings "
        "are tried at once. Requests for its video get 503 until then"
    )

    def sentence(self) -> str:
        return f"{self.camera} failed: {self.reason.text}; next probe in {seconds(self.delay_s)}"

    def timeline_mark(self) -> str:
        return "failure"


def report_loss(state: State, command: ReportLoss, now_ns: int) -> Events:
    camera = state.cameras.get(command.camera)
    if camera is None or not allows(camera.phase, CameraWaiting):
        return ()
    attempts = 1 if was_healthy(camera, now_ns) else camera.attempts + 1
    live_until_ns = now_ns if is_live(camera) else 0
    if command.reason.fault is Fault.FATAL:
        return (_fatal_loss(camera, command.reason, now_ns, attempts, live_until_ns),)
    missing = command.reason.code == NO_SHARED_MEMORY
    delay_s = SHARED_MEMORY_S if missing else round(backoff_s(attempts, command.jitter), 3)
    reason = with_holders(state, command.camera, command.reason)
    waiting = CameraWaiting(command.camera, reason, attempts, delay_s, live_until_ns=live_until_ns)
    return (*learn_budget(state, command.camera, command.reason, now_ns), waiting)


def _fatal_loss(
    camera: Camera, reason: Reason, now_ns: int, attempts: int, live_until_ns: int
) -> CameraWaiting | CameraFailed:
    """The event of a fatal loss.

    A camera that was live recently is only waiting, because it, or the relay in front of it, is probably restarting.
    """
    name, last_ns = camera.settings.camera, live_until_ns or camera.live_until_ns
    since_live_s = (now_ns - last_ns) / 1e9 if last_ns else math.inf
    again = camera.failed == reason.code and not live_until_ns
    times = camera.failures + 1 if again else 1
    delay_s = probe_s(reason.code, camera.probe_s if again else 0.0, since_live_s)
    if since_live_s <= RECENT_S and reason.code != PASSWORD:
        passing = replace(reason, fault=Fault.TEMPORARY)
        return CameraWaiting(name, passing, attempts, delay_s, times, live_until_ns)
    return CameraFailed(name, reason, delay_s, times, live_until_ns)


def _camera_waiting(state: State, event: CameraWaiting, at: Recorded) -> Changes:
    return _camera_ended(state, event, at, replace(state.cameras[event.camera], attempts=event.attempts))


def _camera_failed(state: State, event: CameraFailed, at: Recorded) -> Changes:
    return _camera_ended(state, event, at, state.cameras[event.camera])


def _camera_ended(state: State, event: CameraWaiting | CameraFailed, at: Recorded, changed: Camera) -> Changes:
    if event.times:
        changed = replace(changed, failed=event.reason.code, failures=event.times, probe_s=event.delay_s)
    if event.live_until_ns:
        changed = replace(changed, live_until_ns=event.live_until_ns)
    return camera_lost(state, event, at, event.delay_s, replace(changed, reason=event.reason))


def camera_lost(state: State, event: CameraEvent, at: Recorded, delay_s: float, changed: Camera) -> Changes:
    """The camera, `changed`, which waits `delay_s` for its next attempt."""
    retry_at_ns = later_ns(at, delay_s)
    return move_camera(state, event, at, replace(changed, retry_at_ns=retry_at_ns, retried=False))


DECISIONS: Decisions = {
    ReportLoss: report_loss,
}


ARMS: Arms = {
    CameraWaiting: _camera_waiting,
    CameraFailed: _camera_failed,
}
