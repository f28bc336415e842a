"""Detections: reports from detectors that send the token, and a list of the reports for all clients."""

import base64
import binascii
import hmac
from datetime import datetime
from typing import Annotated, Any

import msgspec
from quart import Response
from werkzeug.exceptions import BadRequest, Forbidden, NotFound, RequestEntityTooLarge, UnprocessableEntity

from supervisor.domain import commands as c
from supervisor.domain.events import DetectionMade, Recorded
from supervisor.domain.ids import CameraId, DetectionId, LeaseId
from supervisor.domain.rights import TOKEN
from supervisor.ports.questions import Query as Search
from supervisor.ports.statistics import DetectorStatistics

from .. import json
from ..access import principal
from ..bodies import Strict, bearer
from ..client import client
from ..json import Answer, Share, Time, iso
from ..queries import Query
from ..routes import Media, Proof, Right, Route, Web

MAX_IMAGE = 128 * 1024
PAGE = 100
LOOKED_AT = 1000
"""Number of the newest detections that are searched for one label."""
JPEG = "image/jpeg"
JPEG_BEGIN, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"

FULL = 1.001
"""Maximum sum of an offset and a length, with a tolerance for rounding."""


class Seen(Strict, frozen=True):
    camera: Annotated[str, msgspec.Meta(max_length=64)]
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    label: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    score: Share
    box: tuple[Share, Share, Share, Share] | None = None
    image: str = ""
    """A JPEG in base64."""
    key: Annotated[str, msgspec.Meta(max_length=128)] = ""

    def __post_init__(self) -> None:
        """Raises `ValueError`, which msgspec reports as an error in the body."""
        if self.box is not None and (self.box[0] + self.box[2] > FULL or self.box[1] + self.box[3] > FULL):
            raise ValueError("the box [x, y, width, height] reaches beyond the picture - at `$.box`")


class Detection(Answer, frozen=True):
    """A detection that a detector reported."""

    detection: DetectionId
    camera: CameraId
    time: Time
    label: str
    score: Share
    box: tuple[float, ...] | None
    """`[x, y, width, height]`, as shares of the picture."""
    by: str
    suggested: bool
    """Whether all pages were asked to show the camera."""
    why: str
    """Why it was suggested, or not."""
    image: str | None
    """Relative to `/api/detections`, so that it works below any prefix of a proxy."""


class Detections(Answer, frozen=True):
    detections: list[Detection]
    """The newest first."""


class Judgement(Answer, frozen=True):
    """The answer to a report."""

    detection: DetectionId
    suggested: bool
    why: str


class Detector(Answer, frozen=True):
    """A detector of the configuration, with its figures since its start or the last change of its settings."""

    name: str
    kind: str
    """`command`, `url` or `shm`."""
    state: str
    """`starting`, `running`, `backoff` or `quarantined`."""
    reason: str
    """Why it does not work; empty while it does."""
    pictures: int
    """Pictures that it got."""
    detections: int
    """Detections that were taken."""
    dropped: dict[str, int]
    """Lines, answers and pictures that were not used, by reason."""
    latency_s: float | None
    """Seconds from its last picture to the detection or answer."""


class Detectors(Answer, frozen=True):
    detectors: list[Detector]
    """In the order of the configuration."""


class DetectionsQuery(Query, frozen=True):
    camera: str | None = None
    label: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=PAGE)] = PAGE


async def report_detection(web: Web, body: Seen) -> Response:
    """202 for a new detection; 200 and the same answer if one with this `key` was already reported."""
    gateway = web.gateway if principal().may(Right.REPORT) else web.daemon  # the token of the configuration
    judged = await gateway.detect(_command(body), _image(body.image))
    answer = Judgement(detection=judged.detection, suggested=judged.suggested, why=judged.why)
    return json.respond(answer, 200 if judged.last is None else 202)


async def list_detections(web: Web, query: DetectionsQuery) -> Detections:
    """List detections, the newest first, optionally of one `camera` or one `label`."""
    gateway, label, limit = web.gateway, query.label, query.limit
    search = Search(types=("DetectionMade",), camera=CameraId(query.camera) if query.camera else None)
    async with web.searches.place(client()):
        found: list[Any] = await gateway.read(search, LOOKED_AT if label else limit, newest=True)
    chosen = [row for row in reversed(found) if label is None or row.event.label == label][:limit]
    return Detections(detections=[detection(row, gateway.has_thumbnail(row.event.detection)) for row in chosen])


async def list_detectors(web: Web) -> Detectors:
    """List the detectors of the configuration."""
    return Detectors(detectors=[detector(each) for each in web.gateway.snapshot(cameras=False).detectors])


def detector(known: DetectorStatistics) -> Detector:
    return Detector(
        name=known.name,
        kind=known.kind,
        state=known.state,
        reason=known.reason,
        pictures=known.pictures,
        detections=known.detections,
        dropped=dict(known.dropped),
        latency_s=None if known.latency_s is None else round(known.latency_s, 3),
    )


async def show_image(web: Web, detection: str) -> Response:
    jpeg = web.gateway.thumbnail(DetectionId(detection))
    if jpeg is None:
        raise NotFound("this detection has no picture, or the picture was removed")
    return Response(jpeg, content_type=JPEG, headers={"Cache-Control": "private, max-age=3600, immutable"})


def _require_token(web: Web) -> None:
    """Raises `Unauthorized` and `Forbidden` without the token of the configuration, or one with the right `report`."""
    asks = principal()
    if asks.name.startswith(TOKEN) and asks.may(Right.REPORT):
        return
    shown, token = bearer(), web.settings.detector_token
    if not token:
        raise Forbidden("no detector may report: the configuration has no detections.token")
    if not hmac.compare_digest(shown.encode(), token.encode()):
        raise Forbidden("this is not the token of detections.token")


def _command(seen: Seen) -> c.ReportDetection:
    for name, text in (("label", seen.label), ("key", seen.key)):
        if not text.isprintable():
            raise BadRequest(f"{name} has characters that cannot be printed - at `$.{name}`")
    at_ns = round(seen.time.timestamp() * 1e6) * 1000
    where = (seen.label, seen.score, client(), seen.box or ())
    return c.ReportDetection(DetectionId(""), LeaseId(""), CameraId(seen.camera), at_ns, *where, seen.key)


def _image(text: str) -> bytes:
    """Decode the image. Raises `RequestEntityTooLarge`, and `UnprocessableEntity` if it is not a JPEG."""
    if len(text) > MAX_IMAGE * 4 / 3 + 4:
        raise RequestEntityTooLarge(f"an image of more than {MAX_IMAGE} bytes - at `$.image`")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise UnprocessableEntity("image is not base64 - at `$.image`") from None
    if len(data) > MAX_IMAGE:
        raise RequestEntityTooLarge(f"an image of more than {MAX_IMAGE} bytes - at `$.image`")
    if data and not (data.startswith(JPEG_BEGIN) and data.rstrip(b"\0").endswith(JPEG_END)):
        raise UnprocessableEntity("image is not a JPEG - at `$.image`")
    return data


def detection(recorded: Recorded, has_image: bool) -> Detection:
    """Return a detection; `image` is relative to `/api/detections`, so it works below any prefix of a proxy."""
    made = recorded.event
    assert isinstance(made, DetectionMade)
    return Detection(
        detection=made.detection,
        camera=made.camera,
        time=iso(made.at_ns),
        label=made.label,
        score=made.score,
        box=made.box or None,
        by=made.by,
        suggested=made.suggested,
        why=made.why,
        image=f"detections/{made.detection}/image.jpg" if has_image else None,
    )


ROUTES = (
    Route(
        method="POST",
        path="/api/detections",
        right=Right.REPORT,
        proof=Proof.DETECTOR,
        handler=report_detection,
        summary="Report a detection.",
        admit=_require_token,
        body=Seen,
        request="`camera`, `time` (with an offset), `label`, `score` (0 to 1); optional `box` (`[x, y, width, "
        "height]`, shares of the picture), `image` (a JPEG in base64, at most 128 KiB), `key`",
        status=202,
        answer=Judgement,
        response="the [judgement](#judgement)",
        also={200: "the same answer for a `key` that was reported before"},
        errors=(401, 403, 404, 413, 415, 422, 429),
    ),
    Route(
        method="GET",
        path="/api/detections",
        right=Right.READ,
        handler=list_detections,
        summary="List detections, the newest first.",
        query=DetectionsQuery,
        request="`camera`, `label`, `limit` (1 to 100)",
        answer=Detections,
        response="`detections`: a list of [detections](#detection)",
        errors=(400,),
    ),
    Route(
        method="GET",
        path="/api/detectors",
        right=Right.READ,
        handler=list_detectors,
        summary="List the detectors of the configuration with their state and figures.",
        answer=Detectors,
        response="`detectors`: a list of [detectors](#detector), in the order of the configuration",
    ),
    Route(
        method="GET",
        path="/api/detections/{detection}/image.jpg",
        right=Right.READ,
        handler=show_image,
        summary="Show the image of a detection.",
        answer=Media(JPEG),
        response="the JPEG, kept by browsers for an hour",
        errors=(404,),
    ),
)
