"""Uses: short needs of banken itself for an open camera."""

from .common import RETRY_WHEN_FULL_S, Arms, Changes, Decisions, Events, require_running, require_usable
from .core import FIRST, LOSSES, SOON, Command, Event, Recorded, Severity
from .ids import CameraId, UseId, use_stream
from .rights import Right
from .state import State, Use
from .values import Reason, UseKind


class BeginUse(Command, frozen=True):
    """Open the camera briefly, for banken itself."""

    use: UseId
    camera: CameraId
    kind: UseKind
    client: str

    sender = "snapshots, patrol"
    right = Right.WATCH


class EndUse(Command, frozen=True):
    use: UseId
    reason: Reason

    sender = "snapshots, patrol"


class UseEvent(Event, frozen=True):
    use: UseId
    """As in `/api/peers`."""
    camera: CameraId
    """Its name in the configuration."""

    @property
    def stream(self) -> str:
        return use_stream(self.use)


class UseBegan(UseEvent, frozen=True):
    """Banken itself needs the camera open briefly."""

    kind: UseKind
    """`snapshot` or `patrol`; `mjpeg` only in older journals."""
    client: str
    """Address of the client, without its port; `patrol` for a patrol."""

    severity = Severity.INFO
    emitters = ("BeginUse",)
    when = "before the camera is opened for it; not for a camera that is always open"

    def sentence(self) -> str:
        return f"{self.camera} is wanted for {self.kind.value} by {self.client}"


class UseEnded(UseEvent, frozen=True):
    """A use is over. Without another use, the camera is closed."""

    reason: Reason
    """Code `done`, `gone`, `privacy` or `abandoned`."""

    ends_stream = True
    severity = Severity.INFO
    emitters = ("EndUse", "SetPrivacy", "StartRun")
    causes = ("UseBegan", "CameraRemoved", "RunStopping", "ConfigurationApplied", "PrivacyBegan", *LOSSES)
    cause_note = "its `UseBegan`, or the event that made a snapshot impossible"
    when = (
        "the snapshot was taken or the camera is gone (`done`); the client left, its patience ended or the camera was "
        "lost (`gone`); the camera became private (`privacy`); an earlier run left it open (`abandoned`)"
    )
    stored = f"{SOON}; {FIRST} at a start"

    def sentence(self) -> str:
        return f"{self.camera} is no longer wanted: {self.reason.text}"


def begin_use(state: State, command: BeginUse, now_ns: int) -> Events:
    require_running(state, retry_after_s=RETRY_WHEN_FULL_S)
    require_usable(state, command.camera, now_ns)
    return (UseBegan(command.use, command.camera, command.kind, command.client),)


def end_use(state: State, command: EndUse, now_ns: int) -> Events:
    known = state.uses.get(command.use)
    return (UseEnded(known.use, known.camera, command.reason),) if known else ()


def _use_began(state: State, event: UseBegan, at: Recorded) -> Changes:
    use = Use(event.use, event.camera, event.kind, event.client, since_ns=at.wall_ns)
    return {"uses": state.uses.insert(event.use, use)}


DECISIONS: Decisions = {
    BeginUse: begin_use,
    EndUse: end_use,
}


ARMS: Arms = {
    UseBegan: _use_began,
    UseEnded: lambda s, v, at: {"uses": s.uses.remove(v.use)},
}
