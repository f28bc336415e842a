"""Crashes of cameras: unexpected exceptions in their actors, and the quarantine after many."""

from msgspec.structs import replace

from ..common import Arms, Changes, Decisions, Events
from ..core import ANY, Command, Recorded, Severity
from ..ids import CameraId
from ..lifecycle import CameraPhase, leads
from ..restart import CRASHES, backoff_s, quarantine_s, recent_crashes
from ..state import State
from ..values import Fault, Reason
from ..words import seconds
from .common import CONFIGURED, CameraEvent, was_healthy
from .loss import camera_lost


class ReportCrash(Command, frozen=True):
    """The camera's actor crashed with an unexpected exception."""

    camera: CameraId
    error: str
    jitter: float

    sender = "supervision of the camera actor"


class CameraCrashed(CameraEvent, frozen=True):
    """The camera's actor crashed with an unexpected exception. It restarts after `delay_s`."""

    reason: Reason
    """Code `crashed`; the text names the exception and its place in the code."""
    delay_s: float
    """Time until the restart: drawn from 0 to 1 s."""
    recent_ns: tuple[int, ...]
    """Times of the crashes in the last 30 s, including this one. The sixth leads to quarantine."""

    steps = leads(*CONFIGURED, to=CameraPhase.WAITING)
    severity = Severity.ERROR
    emitters = ("ReportCrash",)
    causes = (ANY,)
    cause_note = (
        "the newest event of the camera's stream, or of `system` if it has none in this run; the correlation is new"
    )
    when = "after all resources of the camera's source are released"
    action = "report the line, with the trace in the log: it is a bug. The camera restarts by itself"

    def sentence(self) -> str:
        return f"{self.camera} crashed: {self.reason.text}; restarting in {seconds(self.delay_s)}"

    def timeline_mark(self) -> str:
        return "crash"


class CameraQuarantined(CameraEvent, frozen=True):
    """The camera's actor crashed six times in 30 s. It is quarantined for `delay_s`, then probed."""

    reason: Reason
    """Code `crashed`; the text names the last exception."""
    delay_s: float
    """300 s, doubled with each consecutive quarantine, at most 3600 s."""
    times: int
    """Consecutive quarantines, including this one."""

    steps = leads(*CONFIGURED, to=CameraPhase.QUARANTINED)
    severity = Severity.ERROR
    emitters = ("ReportCrash",)
    causes = (ANY,)
    cause_note = "as for `CameraCrashed`: usually the previous `CameraCrashed`"
    when = "instead of the sixth `CameraCrashed`"
    action = "report it, with the trace in the log; changed settings of the camera end the quarantine early"

    def sentence(self) -> str:
        return f"{self.camera} is quarantined for {seconds(self.delay_s)} after repeated crashes: {self.reason.text}"

    def timeline_mark(self) -> str:
        return "quarantine"


def report_crash(state: State, command: ReportCrash, now_ns: int) -> Events:
    camera = state.cameras.get(command.camera)
    if camera is None:
        return ()
    reason = Reason("crashed", command.error, Fault.CRASH)
    crashes = recent_crashes(camera.crashes_ns, now_ns)
    if len(crashes) > CRASHES:
        times = 1 if was_healthy(camera, now_ns) else camera.quarantines + 1
        return (CameraQuarantined(command.camera, reason, delay_s=quarantine_s(times), times=times),)
    delay_s = round(backoff_s(1, command.jitter), 3)  # increasing waits would exceed the window in which crashes count
    return (CameraCrashed(command.camera, reason, delay_s=delay_s, recent_ns=crashes),)


def _camera_crashed(state: State, event: CameraCrashed, at: Recorded) -> Changes:
    after = replace(state.cameras[event.camera], reason=event.reason, crashes_ns=event.recent_ns)
    return camera_lost(state, event, at, event.delay_s, after)


def _camera_quarantined(state: State, event: CameraQuarantined, at: Recorded) -> Changes:
    after = replace(state.cameras[event.camera], reason=event.reason, crashes_ns=(), quarantines=event.times)
    return camera_lost(state, event, at, event.delay_s, after)


DECISIONS: Decisions = {
    ReportCrash: report_crash,
}


ARMS: Arms = {
    CameraCrashed: _camera_crashed,
    CameraQuarantined: _camera_quarantined,
}
