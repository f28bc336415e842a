"""Every error that leaves the web layer is a problem document (RFC 9457): what is wrong, and what would be right."""

import math
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from quart import Response
from werkzeug.exceptions import HTTPException

from supervisor.domain.errors import Rejected
from supervisor.domain.values import plain
from supervisor.gateway import NoCommonCodec, OfferError
from supervisor.journal.errors import JournalDamaged, JournalError
from supervisor.leases import LeaseOver
from supervisor.threads import is_refusal

from .json import encode


def problem(
    status: int, detail: str, *, kind: str = "about:blank", retry_after_s: float | None = None, **more: object
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
    """With a link to the MJPEG stream of the same camera, which every browser shows."""
    mjpeg = f"../cameras/{error.camera}/stream.mjpeg"  # relative to `/whep/CAMERA`: below any prefix of a proxy
    kind = "urn:banken:problem:unsupported-codec"
    response = problem(406, f"{error.reason}; see {mjpeg}", kind=kind, codec=error.codec, alternate=mjpeg)
    response.headers["Link"] = f'<{mjpeg}>; rel="alternate"; type="multipart/x-mixed-replace"'
    return response


def from_http(error: HTTPException) -> Response:
    """A refusal of Quart itself: an unknown path, a method that is not allowed, a body that is too large."""
    response = problem(error.code or 500, error.description or "")
    for name, value in error.get_headers():
        if name.lower() in ("allow", "retry-after"):
            response.headers[name] = value
    if error.code == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def from_lease_over(error: LeaseOver) -> Response:
    """`reason`: how it ended, for machines and for people; null where that is not remembered."""
    return problem(404, str(error), kind="urn:banken:problem:unknown", reason=plain(error.why))


def from_os_error(error: OSError) -> Response:
    """Raises it again when it is not that the system is short of something: then it is a bug."""
    if not is_refusal(error):
        raise error
    return from_refusal(f"the system refuses it: {error.strerror}")


def from_journal_error(error: JournalError) -> Response:
    """The service as such is well. A journal that is only out of reach may be back soon; damage does not pass."""
    again_s = None if isinstance(error, JournalDamaged) else 1.0
    return problem(503, str(error), kind="urn:banken:problem:unavailable", retry_after_s=again_s)


def from_refusal(what: str) -> Response:
    """The system is short of something; the next request may find it again."""
    return problem(503, what, kind="urn:banken:problem:unavailable", retry_after_s=1.0)


KINDS: tuple[tuple[type[Exception], Callable[[Any], Response]], ...] = (
    (Rejected, from_rejected),
    (LeaseOver, from_lease_over),
    (OfferError, from_offer_error),
    (NoCommonCodec, from_codec),
    (HTTPException, from_http),
    (OSError, from_os_error),
    (MemoryError, lambda _: from_refusal("the system refuses more memory")),
    (JournalError, from_journal_error),
)
"""Whose fault it is, and what its document is; everything else is a bug."""


FAULTS = tuple(kind for kind, _ in KINDS)


def document(error: Exception) -> Response:
    """Of one of the `FAULTS`."""
    return next(make(error) for kind, make in KINDS if isinstance(error, kind))
