"""Patrols: cycles over the cameras of a group."""

from .alert import ClearAlert, RaiseAlert, clear_alert, raise_alert
from .common import Arms, Decisions, Events
from .core import Command, Event, Severity
from .ids import CameraId, patrol_alert, patrol_stream
from .state import State
from .values import renamed
from .words import plural, seconds


class ReportPatrol(Command, frozen=True):
    group: str
    snapshots: int
    missed: tuple[CameraId, ...]
    took_s: float
    skipped: int

    sender = "patrol"


class PatrolEnded(Event, frozen=True):
    """A patrol cycle over the cameras of a group ended."""

    group: str
    """As in the configuration, or the subnet of the address; may be empty."""
    snapshots: int
    """The number of cameras with a snapshot."""
    missed: tuple[CameraId, ...]
    """The cameras without a snapshot. Their own events contain the reasons."""
    took_s: float
    """Time since the cycle was due."""
    skipped: int
    """Patrol cycles that were due in this time and did not begin."""

    version = 2
    renames = renamed(pictures="snapshots")
    severity = Severity.INFO
    emitters = ("ReportPatrol",)
    when = "at the end of each cycle; the alert `patrol/GROUP` is raised or cleared directly after it"

    @property
    def stream(self) -> str:
        return patrol_stream(self.group)

    def sentence(self) -> str:
        return (
            f"patrol of {self.group}: {plural(self.snapshots, 'snapshot')} in {seconds(self.took_s)}"
            + (f", missed: {', '.join(self.missed)}" if self.missed else "")
            + (f", {plural(self.skipped, 'cycle')} skipped" if self.skipped else "")
        )


def report_patrol(state: State, command: ReportPatrol, now_ns: int) -> Events:
    """Record a patrol cycle, and the alert of its group. A cycle that the daemon's stop cuts short is ignored."""
    if state.stopping:
        return ()
    ended = PatrolEnded(command.group, command.snapshots, command.missed, command.took_s, command.skipped)
    alert = patrol_alert(command.group)
    if not command.missed:
        return (ended, *clear_alert(state, ClearAlert(alert), now_ns))
    text = f"the patrol of {command.group} gets no snapshot of {', '.join(command.missed)}"
    return (ended, *raise_alert(state, RaiseAlert(alert, text), now_ns))


DECISIONS: Decisions = {
    ReportPatrol: report_patrol,
}


ARMS: Arms = {
    PatrolEnded: lambda s, v, at: {},
}
