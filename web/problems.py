"""Problem documents (RFC 9457): every error of the web layer states the cause and the correction."""

import math
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from quart import Response, has_websocket_context, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import WebsocketMismatch

from supervisor.base.threads import is_refusal
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.values import plain
from supervisor.ports.errors import JournalDamaged, JournalError
from supervisor.ports.past import TooLong
from supervisor.ports.viewing import LeaseOver, NoCommonCodec, OfferError

from .access import NoUsers
from .json import encode
from .parts import PartOff

WORDS = {
    400: "the request cannot be read",
    404: "there is nothing at this path; /api/openapi.json lists the paths",
    408: "the body of the request did not arrive in time",
    413: "the body of the request is too large",
}
"""Texts for errors of Quart and Werkzeug, whose own texts are written for the person at a browser."""


def problem(
    status: int, detail: str, *, kind: str = "about:blank", retry_after_s: float | None = None, **more: object
) -> Response:
    """Return a problem document.

    `kind` is its type, a stable name; the title is the phrase of the status. `more` are additional members.
    """
    phrase = HTTPStatus(status).phrase
    body = {"type": kind, "title": phrase, "status": status, "detail": detail, **more}
    response = Response(encode(body), status=status, content_type="application/problem+json")
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(math.ceil(retry_after_s))
    return response


def from_rejected(error: Rejected) -> Response:
    """Return the document of a refusal; `confirm` is the value of `?confirm=` that permits the request, if any."""
    kind = f"urn:banken:problem:{error.refusal.value}"
    more = {"confirm": error.refusal.value} if error.refusal is Refusal.LOCKOUT else {}
    return problem(error.status, error.reason, kind=kind, retry_after_s=error.retry_after_s, **more)


def from_offer_error(error: OfferError) -> Response:
    return problem(error.status, error.reason, kind="urn:banken:problem:bad-offer")


def from_codec(error: NoCommonCodec) -> Response:
    """Return 406 with a link to the MJPEG stream of the same camera, which every browser shows."""
    mjpeg = f"../cameras/{error.camera}/stream.mjpeg"  # relative to `/whep/CAMERA`: below any prefix of a proxy
    kind = "urn:banken:problem:unsupported-codec"
    response = problem(406, f"{error.reason}; see {mjpeg}", kind=kind, codec=error.codec or None, alternate=mjpeg)
    response.headers["Link"] = f'<{mjpeg}>; rel="alternate"; type="multipart/x-mixed-replace"'
    return response


def from_http(error: HTTPException) -> Response:
    """Return the document of an error of Quart: an unknown path, a method that is not allowed, a body too large."""
    code, detail = error.code or 500, error.description or ""
    if detail == type(error).description:
        detail = WORDS.get(code, detail)
    if isinstance(error, MethodNotAllowed):
        detail = f"this path takes {', '.join(sorted(error.valid_methods or ()))}"
    response = problem(code, detail)
    for name, value in error.get_headers():
        if name.lower() in ("allow", "retry-after"):
            response.headers[name] = value
    if error.code == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def from_mismatch(error: WebsocketMismatch) -> Response:
    """Return 426 for a plain request where a WebSocket is, and 400 for the reverse."""
    if has_websocket_context():
        return problem(400, "there is no WebSocket at this path; send a plain request")
    response = problem(426, "there is a WebSocket at this path; open a WebSocket")
    response.headers["Upgrade"], response.headers["Connection"] = "websocket", "Upgrade"
    return response


def from_no_users(error: NoUsers) -> Response:
    """Return 401: as plain text for a person at a browser, who cannot be shown a page yet."""
    text = error.description or ""
    if not has_websocket_context() and "text/html" in request.headers.get("Accept", ""):
        return Response(f"{text}\n", 401, content_type="text/plain; charset=utf-8")
    return problem(401, text, kind="urn:banken:problem:no-users")


def from_part_off(error: PartOff) -> Response:
    return problem(404, error.description or "", kind="urn:banken:problem:part-off")


def from_lease_over(error: LeaseOver) -> Response:
    """Return 404 with `reason`: how the lease ended, for machines and for people; null if that is unknown."""
    return problem(404, str(error), kind="urn:banken:problem:unknown", reason=plain(error.why))


def from_os_error(error: OSError) -> Response:
    """Return 503 if the system is short of a resource. Raises any other error again: it is a bug."""
    if not is_refusal(error):
        raise error
    return from_refusal(f"the system refuses it: {error.strerror}")


def from_journal_error(error: JournalError) -> Response:
    """Return 503. An unreachable journal may return soon, so `Retry-After` is set; damage is permanent."""
    again_s = None if isinstance(error, JournalDamaged) else 1.0
    return problem(503, str(error), kind="urn:banken:problem:unavailable", retry_after_s=again_s)


def from_refusal(what: str) -> Response:
    """Return 503 with `Retry-After`: the system is short of a resource, perhaps only for a moment."""
    return problem(503, what, kind="urn:banken:problem:unavailable", retry_after_s=1.0)


KINDS: tuple[tuple[type[Exception], Callable[[Any], Response]], ...] = (
    (Rejected, from_rejected),
    (LeaseOver, from_lease_over),
    (OfferError, from_offer_error),
    (NoCommonCodec, from_codec),
    (TooLong, lambda error: problem(400, str(error))),
    (PartOff, from_part_off),
    (NoUsers, from_no_users),
    (WebsocketMismatch, from_mismatch),
    (HTTPException, from_http),
    (OSError, from_os_error),
    (MemoryError, lambda _: from_refusal("the system refuses more memory")),
    (JournalError, from_journal_error),
)
"""Expected errors, each with the function for its document; any other error is a bug."""


FAULTS = tuple(kind for kind, _ in KINDS)


def document(error: Exception) -> Response:
    """Return the document of an error whose type is in `FAULTS`."""
    return next(make(error) for kind, make in KINDS if isinstance(error, kind))
