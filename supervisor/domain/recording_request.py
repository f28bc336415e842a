"""Requests to record: a person starts and stops the recording of a camera with `record: demand` or `record: events`.

Rules of this file:
- A camera has at most one request. A second one prolongs it, and never shortens it.
- A request holds until its time is up or a person ends it, also after a restart of the daemon.
- The camera is open while it is requested, as for a viewer.
- A camera with `record: always` is stopped by its settings only, and one with `record: off` is never recorded.
"""

from collections.abc import Mapping

from .common import (
    RETRY_WHEN_FULL_S,
    Arms,
    Changes,
    Decisions,
    Events,
    later_ns,
    require_camera,
    require_not_private,
    require_running,
)
from .core import FIRST, OUTSIDE, SOON, Command, Event, Recorded, Severity
from .errors import Refusal, Rejected
from .ids import CameraId, camera_stream
from .lifecycle import RecordingPhase
from .rights import Right
from .state import RecordingRequest, State
from .values import CameraSettings, Fault, Reason, RecordMode
from .words import seconds

REQUESTABLE = (RecordMode.DEMAND, RecordMode.EVENTS)
"""The modes in which a person starts and stops."""
TIME_IS_OVER = Reason("over", "its time is over", Fault.NONE)
REMOVED = Reason("removed", "removed from the configuration", Fault.NONE)
NOT_REQUESTABLE = Reason("off", "the settings of the camera do not allow it any more", Fault.NONE)


class RequestRecording(Command, frozen=True):
    """Record a camera from now on."""

    camera: CameraId
    lasts_s: float | None = None
    """None: until a person ends it."""
    by: str = ""
    """The name or the address of the one who asks."""

    sender = "gateway"
    right = Right.OPERATE


class WithdrawRecording(Command, frozen=True):
    """End what `RequestRecording` began."""

    camera: CameraId
    by: str = ""
    """The name or the address of the one who asks."""

    sender = "gateway"
    right = Right.OPERATE


class EndRecordingRequest(Command, frozen=True):
    """The time of a request is up."""

    camera: CameraId

    sender = "recording requests service"


class RecordingRequestEvent(Event, frozen=True):
    camera: CameraId
    """Its name in the configuration."""

    @property
    def stream(self) -> str:
        return camera_stream(self.camera)


class RecordingRequested(RecordingRequestEvent, frozen=True):
    """A person wants the camera to be recorded, or to be recorded for longer."""

    by: str
    """The name or the address of the person."""
    lasts_s: float | None = None
    """From now on; None until a person ends it."""

    severity = Severity.NOTICE
    emitters = ("RequestRecording",)
    when = "an operator starts the recording, or prolongs it; not for a request that would end earlier than the last"
    stored = FIRST

    def sentence(self) -> str:
        lasts = "" if self.lasts_s is None else f" for {seconds(self.lasts_s)}"
        return f"recording of {self.camera} requested by {self.by}{lasts}"


class RecordingRequestEnded(RecordingRequestEvent, frozen=True):
    """Nobody wants the camera to be recorded any more. Detections may still start its recording."""

    reason: Reason
    """Code `stopped`, `over`, `off` or `removed`."""

    severity = Severity.NOTICE
    emitters = ("WithdrawRecording", "EndRecordingRequest", "Configure")
    causes = (OUTSIDE, "ConfigurationApplied")
    cause_note = "none for a person and for the time, whose correlation is that of the request; else the settings"
    when = "an operator stops the recording, its time is up, or the settings do not allow it any more"
    stored = f"{FIRST} for a client, else {SOON}"

    def sentence(self) -> str:
        return f"recording of {self.camera} is no longer requested: {self.reason.text}"


def wanted_recording(state: State, camera: CameraId) -> RecordMode | None:
    """Why a camera is recorded, whatever was detected: `always` or `demand`; None if nothing wants it."""
    known = state.cameras.get(camera)
    if known is None:
        return None
    if known.settings.record is RecordMode.ALWAYS:
        return RecordMode.ALWAYS
    is_requested = known.settings.record in REQUESTABLE and camera in state.recording_requests
    return RecordMode.DEMAND if is_requested else None


def request_recording(state: State, command: RequestRecording, now_ns: int) -> Events:
    require_running(state, retry_after_s=RETRY_WHEN_FULL_S)
    mode = require_camera(state, command.camera).settings.record
    if mode is RecordMode.OFF:
        text = f"{command.camera} is never recorded; set `record: demand` for it in the configuration"
        raise Rejected(Refusal.CONFLICT, text)
    require_not_private(state, command.camera)
    known = state.recording_requests.get(command.camera)
    until_ns = None if command.lasts_s is None else now_ns + int(command.lasts_s * 1e9)
    is_longer = known is None or (known.until_ns is not None and (until_ns is None or until_ns > known.until_ns))
    if mode is RecordMode.ALWAYS or not is_longer:
        return ()
    return (RecordingRequested(command.camera, command.by, command.lasts_s),)


def withdraw_recording(state: State, command: WithdrawRecording, now_ns: int) -> Events:
    mode = require_camera(state, command.camera).settings.record
    if mode is RecordMode.ALWAYS:
        text = f"{command.camera} is always recorded; set `record: demand` for it in the configuration to stop it here"
        raise Rejected(Refusal.CONFLICT, text)
    if command.camera not in state.recording_requests:
        recording = state.recordings.get(command.camera)
        if mode is RecordMode.EVENTS and recording is not None and recording.phase is RecordingPhase.RECORDING:
            text = f"{command.camera} is recorded because of a detection, and stops by itself after the last one"
            raise Rejected(Refusal.CONFLICT, text)
        return ()
    return (RecordingRequestEnded(command.camera, Reason("stopped", f"stopped by {command.by}", Fault.NONE)),)


def end_recording_request(state: State, command: EndRecordingRequest, now_ns: int) -> Events:
    is_known = command.camera in state.recording_requests
    return (RecordingRequestEnded(command.camera, TIME_IS_OVER),) if is_known else ()


def end_requests(state: State, wanted: Mapping[CameraId, CameraSettings]) -> Events:
    """The ends of the requests that a configuration does not allow any more."""
    events = []
    for camera in sorted(state.recording_requests):
        settings = wanted.get(camera)
        if settings is None or settings.record not in REQUESTABLE:
            events.append(RecordingRequestEnded(camera, REMOVED if settings is None else NOT_REQUESTABLE))
    return tuple(events)


def _recording_requested(state: State, event: RecordingRequested, at: Recorded) -> Changes:
    known = state.recording_requests.get(event.camera)
    until_ns = None if event.lasts_s is None else later_ns(at, event.lasts_s)
    since_ns = at.wall_ns if known is None else known.since_ns
    request = RecordingRequest(event.camera, since_ns, until_ns, at.correlation)
    return {"recording_requests": state.recording_requests.insert(event.camera, request)}


DECISIONS: Decisions = {
    RequestRecording: request_recording,
    WithdrawRecording: withdraw_recording,
    EndRecordingRequest: end_recording_request,
}


ARMS: Arms = {
    RecordingRequested: _recording_requested,
    RecordingRequestEnded: lambda s, v, at: {"recording_requests": s.recording_requests.remove(v.camera)},
}
