"""Recordings: which cameras are recorded now; a person starts and stops those that the settings leave to people."""

import re
from typing import Annotated

import msgspec
from werkzeug.exceptions import BadRequest

from supervisor.domain import commands as c
from supervisor.domain.access import shown
from supervisor.domain.clients import PREFIX
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import CameraId
from supervisor.domain.lifecycle import RecordingPhase
from supervisor.domain.rights import USER
from supervisor.domain.state import State
from supervisor.domain.values import RecordMode
from supervisor.ports.asking import origin_of
from supervisor.ports.decisions import Origin

from ..bodies import Strict
from ..client import client
from ..json import Answer, Reason, Time, iso
from ..routes import Right, Route, Web

Name = Annotated[str, msgspec.Meta(max_length=64)]
LONGEST_S = 30 * 86_400.0
_SPAN = re.compile(r"(\d{1,7}(?:\.\d{1,3})?)(s|m|h|d)?", re.ASCII)
_UNITS_S = {None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


class RecordingStart(Strict, frozen=True):
    camera: Name
    lasts: Annotated[str, msgspec.Meta(max_length=16)] | float | None = msgspec.field(default=None, name="for")
    """A time like `10m`, or seconds, up to 30 days. Without it, until a person stops it."""


class CameraRecording(Answer, frozen=True):
    """The recording of a camera as it is now."""

    camera: CameraId
    mode: RecordMode
    """Its `record:` in the configuration."""
    state: RecordingPhase
    """`recording`; `interrupted` while nothing is recorded although it should be; or `stopped`."""
    began: Time | None
    """When the recording was started; null while it is stopped."""
    since: Time | None
    """When it entered its state; null while it is stopped."""
    reason: Reason | None
    """Why it is interrupted."""
    requested: bool
    """Whether a person wants it."""
    until: Time | None
    """When that ends; null if only a person ends it."""


class CameraRecordings(Answer, frozen=True):
    recordings: list[CameraRecording]
    """All cameras, in the order of the configuration."""


async def list_recordings(web: Web) -> CameraRecordings:
    state = web.gateway.snapshot(cameras=False).state
    return CameraRecordings(recordings=[recording(state, known.settings.camera) for known in state.in_order()])


async def start_recording(web: Web, body: RecordingStart) -> CameraRecording:
    """Start the recording of a camera, or prolong it. Raises `Rejected`."""
    return await start(web, body.camera, body.lasts)


async def stop_recording(web: Web, camera: str) -> CameraRecording:
    """Stop what a person started. Raises `Rejected`, also for a camera that is always recorded."""
    origin = origin_of(client())
    await web.gateway.submit(c.WithdrawRecording(CameraId(camera), _by(origin)), origin)
    return _recording_of(web, camera)


async def start(web: Web, camera: str, lasts: str | float | None) -> CameraRecording:
    origin, lasts_s = origin_of(client()), None if lasts is None else _seconds(lasts)
    await web.gateway.submit(c.RequestRecording(CameraId(camera), lasts_s, _by(origin)), origin)
    return _recording_of(web, camera)


def recording(state: State, camera: CameraId) -> CameraRecording:
    """The recording of a camera that exists."""
    known, request = state.recordings.get(camera), state.recording_requests.get(camera)
    return CameraRecording(
        camera=camera,
        mode=state.cameras[camera].settings.record,
        state=RecordingPhase.STOPPED if known is None else known.phase,
        began=None if known is None else iso(known.began_ns),
        since=None if known is None else iso(known.since_ns),
        reason=None if known is None else Reason.of(known.reason),
        requested=request is not None,
        until=None if request is None or request.until_ns is None else iso(request.until_ns),
    )


def _recording_of(web: Web, camera: str) -> CameraRecording:
    state = web.gateway.snapshot(cameras=False).state
    if camera not in state.cameras:  # removed meanwhile
        raise Rejected(Refusal.UNKNOWN, f"there is no camera {camera!r}")
    return recording(state, CameraId(camera))


def _by(origin: Origin) -> str:
    """The person for the journal's sentence: the name of a user, or an address."""
    return shown(origin.principal).removeprefix(PREFIX).removeprefix(USER)


def _seconds(text: str | float) -> float:
    """A time in seconds. Raises `BadRequest`."""
    found = _SPAN.fullmatch(str(text))
    value = float(found[1]) * _UNITS_S[found[2]] if found else 0.0
    if not 1.0 <= value <= LONGEST_S:
        raise BadRequest(f"for must be a time from 1s to 30d, like 10m, not {str(text)[:40]!r}")
    return value


ROUTES = (
    Route(
        method="GET",
        path="/api/recordings",
        right=Right.INSPECT,
        handler=list_recordings,
        summary="Which cameras are recorded now.",
        answer=CameraRecordings,
        response="`recordings`: a list of [recordings](#camerarecording), one for each camera",
    ),
    Route(
        method="POST",
        path="/api/recordings",
        right=Right.OPERATE,
        handler=start_recording,
        summary="Start the recording of a camera with `record: demand` or `record: events`, or prolong it.",
        body=RecordingStart,
        request="`camera`; `for`: a time like `10m`, or seconds, up to 30 days. Without `for`, until somebody stops it",
        answer=CameraRecording,
        response="its [recording](#camerarecording). It begins when the camera is live",
        errors=(404, 409, 415, 429),
    ),
    Route(
        method="DELETE",
        path="/api/recordings/{camera}",
        right=Right.OPERATE,
        handler=stop_recording,
        summary="Stop a recording that a person started. One that the settings want cannot be stopped (409).",
        answer=CameraRecording,
        response="its [recording](#camerarecording)",
        errors=(404, 409),
    ),
)
