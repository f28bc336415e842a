"""Oddities of cameras: deviations from the standards, and how they are handled."""

from msgspec.structs import replace

from ..common import Arms, Changes, Decisions, Events
from ..core import Command, Recorded, Severity
from ..ids import CameraId
from ..lifecycle import leads
from ..state import State
from .common import CONFIGURED, CameraEvent, move_camera


class ReportOddity(Command, frozen=True):
    """The camera deviates from the standards: the name of the deviation, the deviation, and how it is handled."""

    camera: CameraId
    oddity: str
    does: str
    handled: str

    sender = "camera actor"


class OddityMet(CameraEvent, frozen=True):
    """The camera deviates from the standards in a way that it has not shown in this run of the daemon."""

    oddity: str
    """The name of the deviation, as in [cameras.md](cameras.md#oddities)."""
    does: str
    """The deviation, for people."""
    handled: str
    """How banken handles it, for people."""

    steps = leads(*CONFIGURED)
    severity = Severity.INFO
    emitters = ("ReportOddity",)
    causes = ("CameraConnecting", "ChildStarted", "CameraLive", "CameraStalled", "ChildEnded")
    cause_note = "the last event of the connection"
    when = "once for each camera and oddity in a run; within about 2 s, or at the end of a connection without a picture"

    def sentence(self) -> str:
        return f"{self.camera} deviates ({self.oddity}): {self.does}; {self.handled}"


def report_oddity(state: State, command: ReportOddity, now_ns: int) -> Events:
    camera = state.cameras.get(command.camera)
    if camera is None or command.oddity in camera.oddities:
        return ()
    return (OddityMet(command.camera, command.oddity, command.does, command.handled),)


def _oddity_met(state: State, event: OddityMet, at: Recorded) -> Changes:
    before = state.cameras[event.camera]
    return move_camera(state, event, at, replace(before, oddities=(*before.oddities, event.oddity)))


DECISIONS: Decisions = {
    ReportOddity: report_oddity,
}


ARMS: Arms = {
    OddityMet: _oddity_met,
}
