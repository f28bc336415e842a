"""Protection against requests that pages of other sites cause in the browser of an authorized person.

A browser names the page behind a request in `Sec-Fetch-*` (W3C Fetch Metadata). Pages cannot change these headers.
They are sent to secure origins and to loopback; plain HTTP to another host carries only `Origin`, and only on CORS
requests. Requests without any of these headers (scripts, other programs) are served.

Rules of this file:
- A request is our own if each `Sec-Fetch-Site` is `same-origin`, or `none` (a typed or bookmarked address).
  `same-site` is foreign: another port of this host is another program.
- Without `Sec-Fetch-Site`, each `Origin` must match the `Host`.
- A foreign request is refused with 403, with two exceptions: a listed `Origin`; and a GET navigation, for which the
  route decides: a page is shown, a snapshot comes from the cache, everything else is refused.
- A navigation in a frame, an embedding or a prefetch is not a visit: the user does not see our address, so it is
  refused. With `web.frame_ancestors` one in a frame is a visit: it changes nothing, and the browser shows its answer
  only in pages of these origins.
- A speculative request (`Sec-Purpose`, the preview of a link) opens no camera and must be a GET, whatever its origin.
- Without `Sec-Fetch-Site`, a request with a `Referer` of another origin opens no camera. Our own pages send their
  `Referer` to us.
"""

import re
from collections.abc import Callable, Collection
from typing import TypeVar

from quart import Request, Websocket, current_app, request, websocket
from werkzeug.exceptions import Forbidden

from .control import is_control
from .hosts import may_connect

OURS = {"same-origin", "none"}
TOP = frozenset({"document"})
IN_FRAME = TOP | {"iframe", "frame"}
SPECULATIVE = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
"""Headers in which browsers name a prefetch, a prerender or a preview."""
_PREVIEWS = re.compile(
    r"""facebookexternalhit|facebot|twitterbot|whatsapp/|telegrambot|slackbot|slack-imgproxy|discordbot|linkedinbot
    |skypeuripreview|bingpreview|googleimageproxy|yahoomailproxy|applebot|redditbot|pinterestbot|mattermost-bot
    |mastodon/|synapse|iframely|embedly|vkshare|snap\ url\ preview|googlebot|bingbot""",
    re.IGNORECASE | re.VERBOSE,
)
"""`User-Agent`s of programs that fetch a link to show its preview; the names of scripting clients are not listed."""
_REFERRER = re.compile(r"(https?://[^/?#]++)(?:[/?#].*+)?", re.DOTALL)

Route = TypeVar("Route", bound=Callable[..., object])
_MARK = "banken_takes_visits"


def takes_visits(route: Route) -> Route:
    """Mark a route that links on other sites may lead to. It must not open a camera for `is_foreign` requests."""
    setattr(route, _MARK, True)
    return route


def is_foreign(asked: Request | Websocket) -> bool:
    """Whether a page of another site, or of another origin on this host, has caused the request."""
    if is_control(asked.scope):
        return False
    sites = asked.headers.getlist("Sec-Fetch-Site")
    if sites:
        return any(site.strip().lower() not in OURS for site in sites)
    return not may_connect(asked.scope, asked.headers.getlist("Origin"), ())


def is_speculative(asked: Request | Websocket) -> bool:
    """Whether a browser, or a program that shows link previews, sent the request before a user asked for it."""
    is_preview = _PREVIEWS.search(asked.headers.get("User-Agent", "")) is not None
    return is_preview or any(name in asked.headers for name in SPECULATIVE)


def opens_no_camera(allow_origins: Collection[str]) -> bool:
    """Whether the current request must be answered from the cache.

    This holds for a visit or an image of another site, a prefetch, a preview, and HEAD: no viewer is behind them.
    """
    if request.method == "HEAD" or is_speculative(request) or _is_referred(request, allow_origins):
        return True
    return is_foreign(request) and not is_listed(request, allow_origins)


def _is_referred(asked: Request, allow_origins: Collection[str]) -> bool:
    """Whether the `Referer` names an origin that is neither ours nor listed.

    Without `Sec-Fetch-Site` this is all that a browser discloses. A page may suppress it; then its request cannot be
    distinguished from that of a script.
    """
    if "Sec-Fetch-Site" in asked.headers:
        return False
    found = [_REFERRER.fullmatch(value) for value in asked.headers.getlist("Referer") if value]
    return not may_connect(asked.scope, (match[1] if match else "" for match in found), allow_origins)


def is_listed(asked: Request | Websocket, allow_origins: Collection[str]) -> bool:
    """Whether the request names at least one origin, and all of them are listed."""
    origins = asked.headers.getlist("Origin")
    return bool(origins) and all(origin in allow_origins for origin in origins)


def require_own_site(
    asked: Request | Websocket, allow_origins: Collection[str], frame_ancestors: Collection[str] = ()
) -> None:
    """Raises `Forbidden` (403) for a foreign request that is neither from a listed origin nor a visit.

    Also raises it for a speculative request with a method other than GET.
    """
    if is_speculative(asked) and (isinstance(asked, Websocket) or asked.method not in ("GET", "HEAD")):
        raise Forbidden("a prefetch may not do this: nobody has asked for it yet")
    if not is_foreign(asked) or is_listed(asked, allow_origins):
        return
    if isinstance(asked, Request) and _is_visit(asked, IN_FRAME if frame_ancestors else TOP):
        return
    raise Forbidden("pages of other sites may not do this; web.allow_origins can list an origin that may")


def refuse_strangers(allow_origins: Collection[str]) -> None:
    """Raises `Forbidden` for a page of a foreign origin; a browser always sends the origin."""
    origins = websocket.headers.getlist("Origin")
    if not may_connect(websocket.scope, origins, allow_origins):
        raise Forbidden(f"pages of {origins[0][:100]} may not connect; web.allow_origins can list them")


def _is_visit(asked: Request, shown_in: Collection[str]) -> bool:
    """Whether a user follows a link of another site to a route that takes visits, and sees the answer there."""
    return (
        asked.method in ("GET", "HEAD")
        and asked.headers.get("Sec-Fetch-Mode", "").lower() == "navigate"
        and asked.headers.get("Sec-Fetch-Dest", "document").lower() in shown_in
        and not is_speculative(asked)
        and _takes_visits(asked)
    )


def _takes_visits(asked: Request) -> bool:
    return getattr(current_app.view_functions.get(asked.endpoint or ""), _MARK, False)
