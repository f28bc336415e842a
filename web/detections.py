"""Detections: what detectors report, who show the token; and what was reported, for anybody who looks."""

import base64
import binascii
import hmac
from datetime import datetime
from typing import Annotated, Any

import msgspec
from quart import Blueprint, Response, request
from werkzeug.exceptions import BadRequest, Forbidden, NotFound, RequestEntityTooLarge, UnprocessableEntity

from supervisor.domain import commands as c
from supervisor.domain.ids import CameraId, DetectionId, LeaseId
from supervisor.gateway import Gates
from supervisor.journal.reader import Query

from . import json
from .api import PAGE, number
from .bodies import Strict, bearer, read
from .client import client
from .searches import Searches

MAX_IMAGE = 128 * 1024
LOOKED_AT = 1000
"""Detections among which those of one label are looked for."""
JPEG_BEGIN, JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
FULL = 1.001
"""The sum of two shares that make a whole, as far as they are rounded."""


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
        """Raises `ValueError`, which msgspec passes on as a fault of the body."""
        if self.box is not None and (self.box[0] + self.box[2] > FULL or self.box[1] + self.box[3] > FULL):
            raise ValueError("the box [x, y, width, height] reaches beyond the picture - at `$.box`")


def routes(gateway: Gates, token: str, searches: Searches) -> Blueprint:
    detections = Blueprint("detections", __name__)

    @detections.post("/api/detections")
    async def report_detection() -> Response:
        """202 for a new one, 200 and the same answer for one that was told before by its `key`."""
        _require_token(token)
        seen = await read(Seen)
        judged = await gateway.detect(_command(seen), _image(seen.image))
        body = {"detection": judged.detection, "suggested": judged.suggested, "why": judged.why}
        return json.respond(body, 200 if judged.last is None else 202)

    @detections.get("/api/detections")
    async def list_detections() -> Response:
        """The newest first; of one `camera` or `label`, if that is asked for."""
        camera, label = request.args.get("camera"), request.args.get("label")
        limit = number(request.args, "limit", PAGE, 1, PAGE) or PAGE
        query = Query(types=("DetectionMade",), camera=CameraId(camera) if camera else None)
        async with searches.place(client()):
            found: list[Any] = await gateway.read(query, LOOKED_AT if label else limit, newest=True)
        chosen = [row for row in reversed(found) if label is None or row.event.label == label][:limit]
        shown = [json.detection(row, gateway.has_thumbnail(row.event.detection)) for row in chosen]
        return json.respond({"detections": shown})

    @detections.get("/api/detections/<detection>/image.jpg")
    async def show_image(detection: str) -> Response:
        jpeg = gateway.thumbnail(DetectionId(detection))
        if jpeg is None:
            raise NotFound("there is no picture of this detection, or not any more")
        return Response(jpeg, content_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600, immutable"})

    return detections


def _require_token(token: str) -> None:
    """Raises `Unauthorized` and `Forbidden`."""
    shown = bearer()
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
    """Raises `RequestEntityTooLarge`, and `UnprocessableEntity` for what is no JPEG."""
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
