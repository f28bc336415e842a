"""Alerts: conditions that need the attention of a person."""

from .common import Arms, Decisions, Events
from .core import ANY, OUTSIDE, Command, Event, Severity
from .state import Alert, State


class RaiseAlert(Command, frozen=True):
    """Raise an alert. A raised alert stays until it is cleared; raising it again has no effect."""

    alert: str
    text: str

    sender = "see [alerts](#alerts)"


class ClearAlert(Command, frozen=True):
    alert: str

    sender = "see [alerts](#alerts)"


class AlertEvent(Event, frozen=True):
    alert: str
    """A stable name, like `children/gate`."""

    @property
    def stream(self) -> str:
        return f"alert/{self.alert.partition('/')[0]}"


class AlertRaised(AlertEvent, frozen=True):
    """A condition needs the attention of a person, because banken does not act on it."""

    text: str
    """One sentence for people; may name pids and cameras."""

    severity = Severity.ERROR
    emitters = ("RaiseAlert", "ReportPatrol")
    causes = (OUTSIDE, ANY)
    cause_note = (
        "`stderr/`: the `ChildStarted`; `b-frames/` and `go2rtc/`: the last event of the camera's connection; "
        "`children/`: the newest event of the camera's stream, or of `system`; `patrol/`: `PatrolEnded`; `sound/`: the "
        "`ChildEnded` of the audio; `daemon/`: that of the program; `archive/`: its `ArchiveFailed` or "
        "`ArchiveRecovered`; "
        "`MONITOR-critical`: the `AlertRaised` of the warning that it replaces; none for "
        "`crash/` and the first alert of a monitor"
    )
    when = "once for each name; an alert that is already raised is not raised again, even with another text"
    action = "read the text and [the table of alerts](#alerts). Health is degraded until the alert is cleared"

    def sentence(self) -> str:
        return f"alert: {self.text}"

    def timeline_mark(self) -> str:
        return "alert"


class AlertCleared(AlertEvent, frozen=True):
    """The condition of an alert is over, or cannot be known because the run that raised the alert is over."""

    severity = Severity.INFO
    emitters = ("ClearAlert", "ReportPatrol", "StartRun")
    causes = (ANY,)
    cause_note = (
        "as for `AlertRaised`; `patrol/` also the `ConfigurationApplied` or `RunStopping` that ended the patrol; "
        "`crash/` and monitors: the `AlertRaised`"
    )
    when = "as soon as it is noticed; only for a raised alert"

    def sentence(self) -> str:
        return f"alert cleared: {self.alert}"


def raise_alert(state: State, command: RaiseAlert, now_ns: int) -> Events:
    return () if command.alert in state.alerts else (AlertRaised(command.alert, command.text),)


def clear_alert(state: State, command: ClearAlert, now_ns: int) -> Events:
    return (AlertCleared(command.alert),) if command.alert in state.alerts else ()


DECISIONS: Decisions = {
    RaiseAlert: raise_alert,
    ClearAlert: clear_alert,
}


ARMS: Arms = {
    AlertRaised: lambda s, v, at: {"alerts": s.alerts.insert(v.alert, Alert(v.text, at.wall_ns))},
    AlertCleared: lambda s, v, at: {"alerts": s.alerts.remove(v.alert)},
}
