"""Shares: links with which others watch some cameras for a while."""

from io import BytesIO
from typing import Annotated
from urllib.parse import urljoin, urlsplit

import msgspec
from quart import Request, Response, request
from werkzeug.exceptions import Conflict

from supervisor.base.threads import ThreadRefused, run_in_thread
from supervisor.domain.access import shown
from supervisor.domain.clients import PREFIX
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import CameraId, ShareId
from supervisor.domain.rights import SHARE, Right, Scope
from supervisor.domain.share import LONGEST_S, MOST_LABEL, MOST_NAMES, MOST_VIEWERS, visits_of
from supervisor.domain.state import Share as KnownShare
from supervisor.domain.state import State
from supervisor.ports.shares import SharesPort

from .. import json
from ..access import principal, set_session, shown_sessions
from ..bodies import Strict
from ..client import client
from ..json import Answer, Time, iso
from ..routes import Route, Web
from .session import CameraScope, asking

Names = Annotated[tuple[Annotated[str, msgspec.Meta(max_length=63)], ...], msgspec.Meta(max_length=MOST_NAMES)]
LEAST_S = 60.0


class NewShare(Strict, frozen=True):
    for_s: Annotated[float, msgspec.Meta(ge=LEAST_S, le=LONGEST_S)]
    viewers: Annotated[int, msgspec.Meta(ge=1, le=MOST_VIEWERS)]
    cameras: Names = ()
    groups: Names = ()
    label: Annotated[str, msgspec.Meta(max_length=MOST_LABEL)] = ""
    page: Annotated[str, msgspec.Meta(max_length=500)] = ""
    """The address of the page, for the link; by default, as the request has it."""


class Link(Strict, frozen=True):
    secret: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Share(Answer, frozen=True):
    """A link with which others may watch."""

    share: ShareId
    label: str
    """A name that its maker gave it."""
    scope: CameraScope
    since: Time
    until: Time
    """When it ends."""
    viewers: int
    """How many may have it open at the same time."""
    present: int
    """How many have it open now."""
    by: str
    """The principal that made it."""
    own: bool
    """Whether this principal made it."""


class Shares(Answer, frozen=True):
    shares: list[Share]
    """The newest first."""


class MadeShare(Answer, frozen=True):
    share: ShareId
    until: Time
    secret: str
    """It is behind the `#` of the link. It is not shown again."""
    link: str
    qr: str
    """The link as a QR code, in SVG; empty if the system had no thread to draw it."""


class Visit(Answer, frozen=True):
    share: ShareId
    until: Time
    """When the share ends."""


def shares_of(web: Web) -> SharesPort:
    """Raises `Conflict` over a journal without a daemon."""
    if web.gateway.shares is None:
        raise Conflict("a journal without a daemon has no shares")
    return web.gateway.shares


async def list_shares(web: Web) -> Shares:
    """List one's own shares; an admin gets all."""
    state, is_admin = web.daemon.state, principal().administers()
    found = [share(state, each) for each in state.shares.values() if is_admin or _is_own(each)]
    return Shares(shares=sorted(found, key=lambda each: (each.since, each.share), reverse=True))


async def make_share(web: Web, body: NewShare) -> Response:
    page = _page(body.page, request)
    scope = Scope(cameras=tuple(map(CameraId, dict.fromkeys(body.cameras))), groups=tuple(dict.fromkeys(body.groups)))
    made = await shares_of(web).make(scope, body.for_s, body.viewers, body.label, asking())
    link = f"{urljoin(page, 's')}#{made.secret}"
    try:
        qr = await run_in_thread(lambda: _qr(link), limiter=web.rendering)
    except ThreadRefused:  # the share is made, and the link is its only proof
        qr = ""
    known = made.share
    answer = MadeShare(share=known.share, until=iso(known.until_ns), secret=made.secret, link=link, qr=qr)
    response = json.respond(answer, 201)
    response.headers["Location"] = f"shares/{known.share}"  # relative to `/api/shares`: below any prefix of a proxy
    response.headers["Cache-Control"] = "no-store"
    return response


async def end_share(web: Web, share: str) -> Response:
    """Revoke a share of one's own; an admin may revoke any."""
    await shares_of(web).end(ShareId(share), asking())
    return Response("", status=204)


async def enter(web: Web, body: Link) -> Response:
    """Open a link: the browser gets a session that is no user's, and ends with the share."""
    name = principal().name
    if not name.startswith((PREFIX, SHARE)):
        raise Conflict(f"you have access as {shown(name)} already: log out first, or open the link in a private window")
    agent = request.headers.get("User-Agent", "")
    shares = shares_of(web)
    here = next((each for each in shown_sessions(request) if shares.by_visit(each) is not None), "")
    entered = await shares.enter(body.secret, client(), agent, here)
    known = entered.share
    response = json.respond(Visit(share=known.share, until=iso(known.until_ns)))
    set_session(response, entered.secret, request, max(1, (known.until_ns - web.daemon.snapshot().now_ns) // 10**9))
    return response


def share(state: State, known: KnownShare) -> Share:
    return Share(
        share=known.share,
        label=known.label,
        scope=CameraScope.of(known.scope),
        since=iso(known.since_ns),
        until=iso(known.until_ns),
        viewers=known.viewers,
        present=len(visits_of(state, known.share)),
        by=known.by,
        own=_is_own(known),
    )


def _is_own(known: KnownShare) -> bool:
    return known.by == shown(principal().name)


def _page(given: str, asked: Request) -> str:
    """The address of the page for a link. Raises `Rejected` for anything else."""
    page = given or asked.headers.get("Origin") or f"{asked.scheme}://{asked.headers.get('Host', '')}/"
    try:
        parts = urlsplit(page)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or not page.isprintable():
        raise Rejected(Refusal.INVALID, f"{page[:60]!r} is not the address of a page: https://cameras.example/")
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def _qr(text: str) -> str:
    """The text as an image; black on white, whatever the page has. Takes 12 ms."""
    import segno

    image = BytesIO()
    segno.make(text, error="m", micro=False).save(image, kind="svg", xmldecl=False, scale=4, border=4, light="#fff")
    return image.getvalue().decode()


ROUTES = (
    Route(
        method="GET",
        path="/api/shares",
        right=Right.INSPECT,
        handler=list_shares,
        summary="List one's own shares; for an admin, all.",
        answer=Shares,
        response="`shares`: a list of [shares](#share), the newest first",
    ),
    Route(
        method="POST",
        path="/api/shares",
        right=Right.SHARE,
        handler=make_share,
        summary="Make a share: a link with which others watch some of one's own cameras for a while.",
        body=NewShare,
        request="`for_s`: the seconds until it ends, at most 90 days. `viewers`: how many may have it open at the same "
        "time. Lists of `cameras` and `groups`. `label`. `page`: the address of the page, if another one than this",
        status=201,
        answer=MadeShare,
        response="the [link](#madeshare), which is not shown again",
        errors=(403, 404, 409, 415, 422, 429, 503),
    ),
    Route(
        method="DELETE",
        path="/api/shares/{share}",
        right=Right.INSPECT,
        handler=end_share,
        summary="Revoke a share of one's own, or for an admin any; its viewers end within a second.",
        status=204,
        errors=(404, 409, 503),
    ),
    Route(
        method="POST",
        path="/api/session/share",
        right=Right.NONE,
        handler=enter,
        summary="Open the link of a share.",
        body=Link,
        request="`secret`, which the link has behind its `#`",
        answer=Visit,
        response="the [visit](#visit), with a cookie that holds its secret",
        errors=(403, 409, 415, 429, 503),
    ),
)
