"""Connections to cameras: opened, live, silent, and closed on purpose."""

from msgspec.structs import replace

from ..common import Arms, Changes, Decisions, Events, require_camera, require_not_private, require_running
from ..core import CLOSES_SOURCE, FIRST, LOSSES, OPENS_SOURCE, SOON, Command, Recorded, Severity
from ..errors import Refusal, Rejected
from ..ids import CameraId
from ..lifecycle import OPENABLE, STREAMING, CameraPhase, allows, leads
from ..state import State
from ..values import Picture, Reason, name_of
from .common import CONFIGURED, CameraEvent, has_slot, is_live, move_camera


class ConnectCamera(Command, frozen=True):
    camera: CameraId

    sender = "camera actor"


class ReportLive(Command, frozen=True):
    camera: CameraId
    picture: Picture
    transport: str = ""

    sender = "camera actor"


class ReportStall(Command, frozen=True):
    camera: CameraId
    silence_s: float

    sender = "camera actor"


class RestCamera(Command, frozen=True):
    """The source was closed on purpose."""

    camera: CameraId
    reason: Reason

    sender = "camera actor"


class CameraConnecting(CameraEvent, frozen=True):
    """An attempt to open the source begins."""

    attempt: int
    """Counts from 1 since the camera was last healthy (live for 60 s) or was closed while it was live."""

    steps = leads(*OPENABLE, to=CameraPhase.CONNECTING)
    severity = Severity.INFO
    emitters = ("ConnectCamera",)
    causes = (
        "SlotTaken",
        *OPENS_SOURCE,
        "ChildEnded",
    )
    cause_note = (
        "with a device `SlotTaken`; without one, for an idle camera the newest `PeerOpened` or `UseBegan`, for any "
        "other the event that began or ended its wait"
    )
    when = "the camera is needed, has its slot if it has a device, and is within the limit of starts (4 a second)"

    def sentence(self) -> str:
        return f"{self.camera} is connecting" + (f", attempt {self.attempt}" if self.attempt > 1 else "")

    def timeline_mark(self) -> str:
        return "restart" if self.attempt > 1 else ""


class CameraLive(CameraEvent, frozen=True):
    """The first key frame of a connection arrived, the first with another size, B-frames, or data after a stall."""

    picture: Picture
    """Codec, frame size, audio, and whether there are B-frames."""
    transport: str = ""
    """How RTP arrives: `tcp`, `udp`, `http` or `multicast`. Empty for other sources, and in older journals."""

    steps = leads(*STREAMING, to=CameraPhase.LIVE)
    severity = Severity.NOTICE
    emitters = ("ReportLive",)
    causes = ("ChildStarted", "CameraConnecting", "CameraStalled", "CameraLive")
    cause_note = (
        "`ChildStarted`, without a child `CameraConnecting`; `CameraStalled` after a stall; `CameraLive` for another "
        "size, or as soon as B-frames are recognized"
    )
    when = "at once; an unchanged format is not reported again"

    def sentence(self) -> str:
        over = f" over {self.transport}" if self.transport else ""
        b_frames = ", with B-frames" if self.picture.b_frames else ""
        picture = f"{name_of(self.picture.codec)} {self.picture.width}x{self.picture.height}"
        return f"{self.camera} is live: {picture}{over}{b_frames}"


class CameraStalled(CameraEvent, frozen=True):
    """No data has arrived for a while. The source may recover by itself; otherwise it is restarted."""

    reason: Reason
    """Code `silent`; the text names the duration."""

    steps = leads(CameraPhase.LIVE, to=CameraPhase.STALLED)
    severity = Severity.NOTICE
    emitters = ("ReportStall",)
    causes = ("CameraLive",)
    when = (
        "after three usual intervals between frames, at least 2 s, and at least 1 s before the limit of "
        "`timeouts.stall`, which ends the connection with the code `stalled`"
    )

    def sentence(self) -> str:
        return f"{self.camera} is silent: {self.reason.text}"

    def timeline_mark(self) -> str:
        return "stall"


class CameraIdle(CameraEvent, frozen=True):
    """The camera's source was closed on purpose, and no process of it runs."""

    reason: Reason
    """Code `unused`, `settings-changed`, `privacy`, `stopped` or `abandoned`."""
    attempts: int = 0
    """Failures that still count: the end of the demand does not heal a camera that fails."""
    live_until_ns: int = 0
    """When the camera was last live, if this event ended that."""

    steps = leads(*CONFIGURED, to=CameraPhase.IDLE)
    severity = Severity.INFO
    emitters = ("RestCamera", "StartRun")
    causes = ("SlotFreed", "ChildEnded", "ChildUnkillable", *CLOSES_SOURCE, *LOSSES)
    cause_note = (
        "the last event of its end, `SlotFreed` or `ChildEnded`; without a device and a child, the event that ended "
        "the demand"
    )
    when = (
        "an on-demand or patrolled camera is no longer needed (`unused`), new settings mean another source "
        "(`settings-changed`), it became private (`privacy`), banken stops (`stopped`), a run left it open "
        "(`abandoned`)"
    )
    stored = f"{SOON}; {FIRST} at a start"

    def sentence(self) -> str:
        return f"{self.camera} is idle: {self.reason.text}"


def connect_camera(state: State, command: ConnectCamera, now_ns: int) -> Events:
    camera = require_camera(state, command.camera)
    require_running(state)
    require_not_private(state, command.camera)
    if not has_slot(state, camera):
        raise Rejected(Refusal.CONFLICT, f"{command.camera} has no connection slot on {camera.settings.device}")
    if not allows(camera.phase, CameraConnecting):
        raise Rejected(Refusal.CONFLICT, f"{command.camera} is {camera.phase.value} already")
    return (CameraConnecting(camera=command.camera, attempt=camera.attempts + 1),)


def report_live(state: State, command: ReportLive, now_ns: int) -> Events:
    camera = state.cameras.get(command.camera)
    if camera is None or not allows(camera.phase, CameraLive) or state.private(command.camera) is not None:
        return ()
    if camera.phase is CameraPhase.LIVE and camera.picture == command.picture:
        return ()
    return (CameraLive(command.camera, command.picture, command.transport),)


def report_stall(state: State, command: ReportStall, now_ns: int) -> Events:
    camera = state.cameras.get(command.camera)
    if camera is None or not allows(camera.phase, CameraStalled):
        return ()
    return (CameraStalled(command.camera, Reason("silent", f"nothing has come for {command.silence_s:.1f} s")),)


def rest_camera(state: State, command: RestCamera, now_ns: int) -> Events:
    camera = state.cameras.get(command.camera)
    if camera is None or camera.phase is CameraPhase.IDLE:
        return ()
    attempts, live_until_ns = (0, now_ns) if is_live(camera) else (camera.attempts, 0)
    return (CameraIdle(command.camera, command.reason, attempts, live_until_ns),)


# Access to a member of an `Enum` takes 0.15 us, a tenth of an event's time in `fold`.
_SHOWN, _QUEUED = (CameraPhase.LIVE, CameraPhase.STALLED), CameraPhase.QUEUED


def _camera_connecting(state: State, event: CameraConnecting, at: Recorded) -> Changes:
    before = state.cameras[event.camera]
    reason = None if before.phase is _QUEUED else before.reason
    return move_camera(state, event, at, replace(before, reason=reason, retry_at_ns=None, retried=False))


def _camera_live(state: State, event: CameraLive, at: Recorded) -> Changes:
    before = state.cameras[event.camera]
    live_since_ns = before.live_since_ns if before.phase in _SHOWN else at.wall_ns
    well = replace(before, reason=None, failed="", failures=0, probe_s=0.0, live_until_ns=0)
    shown = replace(well, picture=event.picture, transport=event.transport, live_since_ns=live_since_ns)
    return move_camera(state, event, at, shown)


def _camera_stalled(state: State, event: CameraStalled, at: Recorded) -> Changes:
    return move_camera(state, event, at, replace(state.cameras[event.camera], reason=event.reason))


def _camera_idle(state: State, event: CameraIdle, at: Recorded) -> Changes:
    before = state.cameras[event.camera]
    until_ns = event.live_until_ns or before.live_until_ns
    rested = replace(before, reason=event.reason, retry_at_ns=None, retried=False, attempts=event.attempts)
    return move_camera(state, event, at, replace(rested, live_until_ns=until_ns))


DECISIONS: Decisions = {
    ConnectCamera: connect_camera,
    ReportLive: report_live,
    ReportStall: report_stall,
    RestCamera: rest_camera,
}


ARMS: Arms = {
    CameraConnecting: _camera_connecting,
    CameraLive: _camera_live,
    CameraStalled: _camera_stalled,
    CameraIdle: _camera_idle,
}
