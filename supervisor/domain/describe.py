"""What an event says to a person: one sentence and how much it matters. Used by the page and the command line."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from . import events as e
from .values import Fault


class Severity(StrEnum):
    INFO = "info"
    NOTICE = "notice"
    WARNING = "warning"
    ERROR = "error"


def describe(event: e.Event) -> tuple[Severity, str]:
    """The severity of `event` and a sentence about it, without its time."""
    severity, sentence = _SENTENCES[type(event)]
    return severity, sentence(event)


def seconds(value: float) -> str:
    """A duration as people say it: `0.3 s`, `12 s`, `4 min`, `2 h 10 min`."""
    if value < 10:
        return f"{value:.1f} s"
    if value < 120:
        return f"{value:.0f} s"
    minutes = round(value / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def _whose(event: e.ChildEvent) -> str:
    return event.camera or "all cameras"


def _child_end(event: e.ChildEnded) -> str:
    if event.reason.fault is Fault.NONE:
        how = "ended as asked"
    elif event.signal is not None:
        how = f"was ended by {event.signal}"
    elif event.exit_code is None:
        how = "did not start"
    else:
        how = f"exited with {event.exit_code}"
    return f"child {event.child} of {_whose(event)} {how} after {seconds(event.ran_s)}: {event.reason.text}"


def _requests_refused(event: e.RequestsRefused) -> str:
    named = [f"{each.requests} of {each.client}" for each in event.clients]
    named += [f"{event.others} of others"] if event.others else []
    return f"requests refused within {seconds(event.over_s)}, over limits.journaled_rate: {', '.join(named)}"


def _old_end(event: e.ChainBegan) -> str:
    return f"ended with event {event.last}, digest {event.digest[:16]}" if event.digest else "could not be read"


_SENTENCES: dict[type[e.Event], tuple[Severity, Callable[[Any], str]]] = {
    e.RunStarted: (Severity.NOTICE, lambda v: f"banken {v.release} started, pid {v.pid}"),
    e.RunAbandoned: (Severity.WARNING, lambda v: f"the run before was cut off: {v.reason.text}"),
    e.RunStopping: (Severity.NOTICE, lambda v: f"stopping: {v.reason.text}"),
    e.RunEnded: (Severity.NOTICE, lambda v: "banken ended in good order"),
    e.ConfigurationApplied: (
        Severity.INFO,
        lambda v: f"configuration from {v.origin} applied: {v.cameras} camera{'' if v.cameras == 1 else 's'}",
    ),
    e.EventsLost: (
        Severity.ERROR,
        lambda v: f"{v.count} event{'' if v.count == 1 else 's'} ({v.first} to {v.last}) could not be stored",
    ),
    e.ChainBegan: (Severity.ERROR, lambda v: f"new journal chain; the old one {_old_end(v)}: {v.why}"),
    e.JournalFileSetAside: (Severity.ERROR, lambda v: f"journal file {v.file} set aside as {v.aside}: {v.why}"),
    e.SegmentsRemoved: (
        Severity.NOTICE,
        lambda v: (
            f"retention removes {len(v.segments)} segment{'' if len(v.segments) == 1 else 's'}, "
            f"events {v.first} to {v.last}, {v.bytes / 1024**2:.1f} MiB: {v.why}"
        ),
    ),
    e.JournalFailed: (
        Severity.ERROR,
        lambda v: (
            f"journal: {v.why}"
            if v.lasted_s == 0
            else f"the journal could not write for {seconds(v.lasted_s)}: {v.why}"
        ),
    ),
    e.AlertRaised: (Severity.ERROR, lambda v: f"look at this: {v.text}"),
    e.AlertCleared: (Severity.INFO, lambda v: f"{v.alert} is as it should be again"),
    e.RequestsRefused: (Severity.NOTICE, _requests_refused),
    e.CameraAdded: (Severity.INFO, lambda v: f"{v.camera} added: {v.settings.source.url}"),
    e.CameraChanged: (Severity.INFO, lambda v: f"{v.camera} has new settings: {v.settings.source.url}"),
    e.CameraRemoved: (Severity.INFO, lambda v: f"{v.camera} removed"),
    e.CameraConnecting: (
        Severity.INFO,
        lambda v: f"{v.camera} is connecting" + (f", attempt {v.attempt}" if v.attempt > 1 else ""),
    ),
    e.CameraLive: (
        Severity.NOTICE,
        lambda v: f"{v.camera} is live: {v.picture.codec} {v.picture.width}x{v.picture.height}",
    ),
    e.CameraStalled: (Severity.NOTICE, lambda v: f"{v.camera} is silent: {v.reason.text}"),
    e.CameraWaiting: (
        Severity.WARNING,
        lambda v: f"{v.camera} lost: {v.reason.text}; next attempt in {seconds(v.delay_s)}",
    ),
    e.CameraFailed: (
        Severity.ERROR,
        lambda v: f"{v.camera} failed: {v.reason.text}; looked at again in {seconds(v.delay_s)}",
    ),
    e.CameraCrashed: (
        Severity.ERROR,
        lambda v: f"{v.camera} crashed: {v.reason.text}; started anew in {seconds(v.delay_s)}",
    ),
    e.CameraQuarantined: (
        Severity.ERROR,
        lambda v: f"{v.camera} crashed too often: {v.reason.text}; left alone for {seconds(v.delay_s)}",
    ),
    e.CameraIdle: (Severity.INFO, lambda v: f"{v.camera} rests: {v.reason.text}"),
    e.CameraQueued: (Severity.NOTICE, lambda v: f"{v.camera} {v.reason.text}"),
    e.SlotTaken: (Severity.INFO, lambda v: f"{v.camera} takes a connection to {v.device} ({v.use})"),
    e.SlotFreed: (
        Severity.INFO,
        lambda v: (
            f"{v.camera} {'gives back its' if v.held else 'waits no longer for a'} connection to {v.device}: "
            f"{v.reason.text}"
        ),
    ),
    e.DeviceFull: (
        Severity.WARNING,
        lambda v: (
            f"{v.device} refused {v.camera} as one too many: at most {v.connections} for the next {seconds(v.for_s)}"
        ),
    ),
    e.UseBegan: (Severity.INFO, lambda v: f"{v.camera} is wanted for {v.kind.value} by {v.client}"),
    e.UseEnded: (Severity.INFO, lambda v: f"{v.camera} is no longer wanted: {v.reason.text}"),
    e.PatrolEnded: (
        Severity.INFO,
        lambda v: (
            f"patrol of {v.group}: {v.pictures} picture{'' if v.pictures == 1 else 's'} in {seconds(v.took_s)}"
            + (f", none of {', '.join(v.missed)}" if v.missed else "")
            + (f", {v.skipped} rounds skipped" if v.skipped else "")
        ),
    ),
    e.ChildStarting: (Severity.INFO, lambda v: f"starting a child for {_whose(v)} ({v.purpose})"),
    e.ChildStarted: (Severity.INFO, lambda v: f"child {v.child} of {_whose(v)} runs as pid {v.pid}"),
    e.ChildStopping: (Severity.INFO, lambda v: f"sent {v.signal} to child {v.child} of {_whose(v)}: {v.reason.text}"),
    e.ChildUnkillable: (
        Severity.ERROR,
        lambda v: f"child {v.child} of {_whose(v)}, pid {v.pid}, does not die of SIGKILL",
    ),
    e.ChildEnded: (Severity.INFO, _child_end),
    e.ChildFound: (Severity.ERROR, lambda v: f"found pid {v.pid} of {_whose(v)}, which nobody of ours looks after"),
    e.ChildAbandoned: (Severity.WARNING, lambda v: f"child {v.child} of {_whose(v)} {v.reason.text}"),
    e.LeaseGranted: (
        Severity.INFO,
        lambda v: f"{v.camera} is lent to {v.client} ({v.kind.value})" + (f": {v.purpose}" if v.purpose else ""),
    ),
    e.LeaseEnded: (
        Severity.INFO,
        lambda v: (
            f"{v.camera} is no longer lent to {v.client} ({v.kind.value}) after {seconds(v.lasted_s)}: {v.reason.text}"
        ),
    ),
    e.LeaseRefused: (
        Severity.NOTICE,
        lambda v: (
            f"{v.camera} is not lent to {v.client} ({v.kind.value}): {v.reason.text}"
            + (f"; {v.unsaid} more were refused before" if v.unsaid else "")
        ),
    ),
    e.DetectionMade: (
        Severity.INFO,
        lambda v: f"{v.label} seen by {v.by} at {v.camera}, score {v.score:.2f}: {v.why}",
    ),
    e.SuggestionMade: (Severity.NOTICE, lambda v: f"all pages show {v.camera}: {v.label}, score {v.score:.2f}"),
    e.PeerOpened: (Severity.INFO, lambda v: f"viewer {v.peer} of {v.camera} from {v.client}"),
    e.PeerConnected: (Severity.INFO, lambda v: f"viewer {v.peer} of {v.camera} connected after {seconds(v.after_s)}"),
    e.PeerSilent: (Severity.WARNING, lambda v: f"viewer {v.peer} of {v.camera} silent for {seconds(v.silence_s)}"),
    e.PeerHeard: (Severity.INFO, lambda v: f"viewer {v.peer} of {v.camera} heard again after {seconds(v.silence_s)}"),
    e.PeerClosing: (Severity.INFO, lambda v: f"viewer {v.peer} of {v.camera} is to end: {v.reason.text}"),
    e.PeerClosed: (
        Severity.INFO,
        lambda v: f"viewer {v.peer} of {v.camera} gone after {seconds(v.lasted_s)}: {v.reason.text}",
    ),
    e.RoomOpened: (Severity.INFO, lambda v: f"room {v.room} opened by {v.participant} from {v.client}"),
    e.RoomJoined: (Severity.INFO, lambda v: f"{v.participant} from {v.client} joined room {v.room}"),
    e.RoomLeft: (
        Severity.INFO,
        lambda v: f"{v.participant} left room {v.room} after {seconds(v.lasted_s)}: {v.reason.text}",
    ),
    e.RoomClosed: (Severity.INFO, lambda v: f"room {v.room} closed after {seconds(v.lasted_s)}: {v.reason.text}"),
}

TROUBLES = tuple(
    kind.__name__ for kind, (severity, _) in _SENTENCES.items() if severity in (Severity.WARNING, Severity.ERROR)
)
"""The types of the events that are warnings or errors."""
