"""Aliases: short paths for what other routes do, as programs for servers with a single camera use them.

Rules of this file:
- An alias has the right of its route, and does nothing else.
- Without `camera` it means the only camera; if there are several, it is refused.
"""

from typing import Annotated, Literal

import msgspec
from quart import Response, request
from werkzeug.exceptions import BadRequest

from supervisor.domain.ids import CameraId
from supervisor.ports.viewing import OfferError

from .. import json
from ..bodies import Strict
from ..client import client
from ..json import Answer
from ..queries import Query
from ..routes import Right, Route, Web
from .health import Health, show_health
from .recordings import CameraRecording, CameraRecordings, list_recordings, start, stop_recording
from .whep import MAX_SDP


class AliasOffer(Strict, frozen=True):
    sdp: str
    type: Literal["offer"] = "offer"
    camera: Annotated[str, msgspec.Meta(max_length=64)] | None = None


class AliasAnswer(Answer, frozen=True):
    sdp: str
    type: Literal["answer"]
    session: str
    """The path of the WHEP session: a DELETE there closes it."""


class OneCamera(Query, frozen=True):
    camera: str | None = None


class StartQuery(Query, frozen=True):
    camera: str | None = None
    lasts: str | None = msgspec.field(default=None, name="for")


async def offer_alias(web: Web, body: AliasOffer) -> Response:
    if len(body.sdp) > MAX_SDP:
        raise OfferError(413, f"an SDP offer of {len(body.sdp)} characters; at most {MAX_SDP} are allowed")
    opened = await web.gateway.negotiate(CameraId(_camera(web, body.camera)), body.sdp, client())
    session = f"whep/{opened.camera}/{opened.peer}.{opened.secret}"
    response = json.respond(AliasAnswer(sdp=opened.answer, type="answer", session=session), 201)
    response.headers["Location"] = session
    return response


async def start_alias(web: Web, query: StartQuery) -> CameraRecording:
    await _require_no_body()
    return await start(web, _camera(web, query.camera), query.lasts)


async def status_alias(web: Web) -> CameraRecordings:
    return await list_recordings(web)


async def health_alias(web: Web) -> Health:
    return await show_health(web)


async def stop_alias(web: Web, query: OneCamera) -> CameraRecording:
    await _require_no_body()
    return await stop_recording(web, _camera(web, query.camera))


async def _require_no_body() -> None:
    """A camera that is named in a body would not be the one that is meant. Raises `BadRequest`."""
    if await request.get_data():
        raise BadRequest("this takes no body: name the camera in the query, like ?camera=gate")


def _camera(web: Web, name: str | None) -> str:
    """The camera that is meant. Raises `BadRequest` if it is not named, and there is not exactly one."""
    if name is not None:
        return name
    known = [*web.gateway.state.cameras]
    if len(known) != 1:
        raise BadRequest(f"name the camera: there are {len(known)}" if known else "there is no camera")
    return known[0]


ROUTES = (
    Route(
        method="POST",
        path="/offer",
        right=Right.WATCH,
        handler=offer_alias,
        summary="Alias: open a WHEP session, with JSON.",
        body=AliasOffer,
        request="`sdp`: an SDP offer, at most 64 KiB; `type`: `offer`; `camera`, if there are several",
        status=201,
        answer=AliasAnswer,
        response="`sdp`, `type`: `answer`; `session`, also in `Location`",
        errors=(404, 409, 413, 415),
    ),
    Route(
        method="POST",
        path="/start",
        right=Right.OPERATE,
        handler=start_alias,
        summary="Alias of `POST /api/recordings`.",
        query=StartQuery,
        request="`camera`, if there are several; `for`",
        answer=CameraRecording,
        response="its [recording](#camerarecording)",
        errors=(404, 409, 429),
    ),
    Route(
        method="POST",
        path="/stop",
        right=Right.OPERATE,
        handler=stop_alias,
        summary="Alias of `DELETE /api/recordings/{camera}`.",
        query=OneCamera,
        request="`camera`, if there are several",
        answer=CameraRecording,
        response="its [recording](#camerarecording)",
        errors=(404, 409),
    ),
    Route(
        method="GET",
        path="/status",
        right=Right.INSPECT,
        handler=status_alias,
        summary="Alias of `GET /api/recordings`.",
        answer=CameraRecordings,
        response="`recordings`: a list of [recordings](#camerarecording)",
    ),
    Route(
        method="GET",
        path="/health",
        right=Right.HEALTH,
        handler=health_alias,
        summary="Alias of `GET /api/health`.",
        answer=Health,
        response="the [verdict](#health)",
    ),
)
