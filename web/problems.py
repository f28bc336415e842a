"""Every error that leaves the web layer is a problem document (RFC 9457): what is wrong, and what would be right."""

import math
from http import HTTPStatus

from quart import Response
from werkzeug.exceptions import HTTPException

from supervisor.domain.errors import Rejected
from supervisor.gateway import NoCommonCodec, OfferError

from .json import encode


def problem(
    status: int, detail: str, *, kind: str = "about:blank", retry_after_s: float | None = None, **more: str
) -> Response:
    """A problem document. `kind` is its type, a stable name; the title is the status's phrase. `more` stands beside."""
    phrase = HTTPStatus(status).phrase
    body = {"type": kind, "title": phrase, "status": status, "detail": detail, **more}
    response = Response(encode(body), status=status, content_type="application/problem+json")
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(math.ceil(retry_after_s))
    return response


def from_rejected(error: Rejected) -> Response:
    return problem(
        error.status, error.reason, kind=f"urn:banken:problem:{error.refusal.value}", retry_after_s=error.retry_after_s
    )


def from_offer_error(error: OfferError) -> Response:
    return problem(error.status, error.reason, kind="urn:banken:problem:bad-offer")


def from_codec(error: NoCommonCodec) -> Response:
    """With a link to the same pictures one by one, which every browser shows."""
    stills = f"/cameras/{error.camera}/stream.mjpeg"
    kind = "urn:banken:problem:unsupported-codec"
    response = problem(406, f"{error.reason}; see {stills}", kind=kind, codec=error.codec, alternate=stills)
    response.headers["Link"] = f'<{stills}>; rel="alternate"; type="multipart/x-mixed-replace"'
    return response


def from_http(error: HTTPException) -> Response:
    """What Quart itself refuses: an unknown path, a method that is not allowed, a body that is too large."""
    response = problem(error.code or 500, error.description or "")
    for name, value in error.get_headers():
        if name.lower() in ("allow", "retry-after"):
            response.headers[name] = value
    return response
