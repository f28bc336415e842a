"""Which events somebody with a scope may know, and what of them. Pure.

Rules of this file:
- An event is hidden unless a table here names its type. So a type that is added later is hidden until somebody decides.
- An event of a camera is shown if the camera is visible now. Those of a removed camera are hidden.
- Names of other cameras are removed from the texts and fields of an event that is shown.
"""

from collections.abc import Collection
from typing import Any

from msgspec.structs import replace

from . import events as e
from .core import Event, Severity
from .ids import CameraId
from .scoped import alert_is_shown, redacted, redacted_reason
from .values import CameraSettings, Reason

OF_CAMERA: frozenset[type[Event]] = frozenset({
    e.CameraAdded, e.CameraChanged, e.CameraRemoved, e.CameraConnecting, e.CameraLive, e.CameraStalled, e.CameraIdle,
    e.CameraWaiting, e.CameraFailed, e.CameraCrashed, e.CameraQuarantined, e.CameraRetried, e.CameraQueued,
    e.OddityMet, e.ClipTaken, e.PrivacyBegan, e.PrivacyEnded, e.SlotTaken, e.SlotFreed, e.DeviceFull,
    e.ChildStarting, e.ChildStarted, e.ChildStopping, e.ChildUnkillable, e.ChildEnded, e.ChildFound, e.ChildAbandoned,
    e.UseBegan, e.UseEnded, e.LeaseGranted, e.LeaseEnded, e.LeaseRefused,
    e.PeerOpened, e.PeerConnected, e.PeerSilent, e.PeerHeard, e.PeerStreamChanged, e.PeerClosing, e.PeerClosed,
    e.DetectionMade, e.SuggestionMade, e.SuggestionExtended, e.PicturesSent, e.AccessRefused,
    e.RecordingStarted, e.RecordingInterrupted, e.RecordingResumed, e.RecordingStopped, e.RecordingSealed,
    e.RecordingRepaired, e.RecordingsExpired, e.RecordingRequested, e.RecordingRequestEnded,
})  # fmt: skip
"""Shown with their `camera`."""
OF_NO_CAMERA: frozenset[type[Event]] = frozenset({
    e.RunStarted, e.RunAbandoned, e.RunStopping, e.RunEnded, e.RoomOpened, e.RoomJoined, e.RoomLeft, e.RoomClosed,
})  # fmt: skip
"""Shown to everybody: they name no camera."""
OF_ALERT: frozenset[type[Event]] = frozenset({e.AlertRaised, e.AlertCleared})
"""Shown if their alert concerns a visible camera."""
NAMES = {kind.__name__: kind for kind in OF_CAMERA | OF_NO_CAMERA | OF_ALERT}
"""The types that may be shown, by name."""
TEXTS = ("reason", "why", "text")
"""The fields with a text of banken."""


class Hidden(Event, frozen=True):
    """Stands for an event outside a scope, where one is needed. It is in no journal."""

    severity = Severity.INFO
    emitters = ()
    when = "never"

    @property
    def stream(self) -> str:
        return ""

    def sentence(self) -> str:
        return "an event outside your scope"


def is_shown(event: Event, visible: Collection[str]) -> bool:
    camera = getattr(event, "camera", None)
    return _is_shown(type(event), camera, getattr(event, "alert", ""), visible)


def step_is_shown(type_name: str, camera: str | None, stream: str, visible: Collection[str]) -> bool:
    """As `is_shown`, for an event of which only its type, its camera and its stream are known."""
    kind = NAMES.get(type_name)
    return kind is not None and _is_shown(kind, camera, stream.partition("/")[2], visible)


def _is_shown(kind: type[Event], camera: str | None, alert: str, visible: Collection[str]) -> bool:
    if kind in OF_CAMERA:
        return camera in visible
    return kind in OF_NO_CAMERA or (kind in OF_ALERT and alert_is_shown(alert, visible))


def shown(recorded: e.Recorded, visible: Collection[CameraId]) -> e.Recorded | None:
    """The event as somebody may see it who may know of the cameras `visible`; None if it is hidden."""
    if not is_shown(recorded.event, visible):
        return None
    event = _redacted(recorded.event, visible)
    return recorded if event is recorded.event else replace(recorded, event=event)


def shown_or_hidden(recorded: e.Recorded, visible: Collection[CameraId]) -> e.Recorded:
    """As `shown`, with another event in its place if it is hidden. Its number and its time stay."""
    found = shown(recorded, visible)
    if found is not None:
        return found
    return replace(recorded, event=Hidden(), stream="", stream_version=0, cause=None, correlation="", principal="")


def _redacted(event: Event, visible: Collection[CameraId]) -> Event:
    changed: dict[str, Any] = {}
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if isinstance(value, Reason):
            other: object = redacted_reason(value, visible)
        elif isinstance(value, CameraSettings):
            other = _settings(value, visible)
        elif name in TEXTS and isinstance(value, str):
            other = redacted(value, visible)
        else:
            continue
        if other != value:
            changed[name] = other
    return replace(event, **changed) if changed else event


def _settings(settings: CameraSettings, visible: Collection[CameraId]) -> CameraSettings:
    if settings.substream is None or settings.substream in visible:
        return settings
    return replace(settings, substream=None)
