"""Requests that pages of other sites cause in the browser of somebody who may see the cameras.

A browser says in `Sec-Fetch-*` (W3C Fetch Metadata) which page a request comes from. Pages cannot change these headers.
They are sent to secure origins and to loopback; plain HTTP to another host has `Origin` alone, and that on CORS
requests only. Requests without any of them (scripts, other programs) are served.

Rules of this file:
- A request is our own when each `Sec-Fetch-Site` is `same-origin`, or `none` (a typed or bookmarked address).
  `same-site` is foreign: another port of this host is another program.
- Without `Sec-Fetch-Site`, each `Origin` has to be that of the `Host`.
- A foreign request is refused with 403, with two exceptions: a listed `Origin`; and a GET navigation, for which the
  route decides: a page is shown, a picture comes from the cache, all else is refused.
- A navigation in a frame, an embedding or a prefetch is not a visit: nobody sees an address of ours, so it is refused.
- A request made before anybody asked for it (`Sec-Purpose`, the preview of a link) opens no camera and may only GET,
  wherever it comes from.
- Without `Sec-Fetch-Site`, a `Referer` of another origin opens no camera. Our own pages send theirs to us.
"""

import re
from collections.abc import Callable, Collection
from typing import TypeVar

from quart import Request, Websocket, current_app, request
from werkzeug.exceptions import Forbidden

from .hosts import may_connect

OURS = {"same-origin", "none"}
SPECULATIVE = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
"""Headers in which browsers name a prefetch, a prerender or a preview."""
_PREVIEWS = re.compile(
    r"""facebookexternalhit|facebot|twitterbot|whatsapp/|telegrambot|slackbot|slack-imgproxy|discordbot|linkedinbot
    |skypeuripreview|bingpreview|googleimageproxy|yahoomailproxy|applebot|redditbot|pinterestbot|mattermost-bot
    |mastodon/|synapse|iframely|embedly|vkshare|snap\ url\ preview|googlebot|bingbot""",
    re.IGNORECASE | re.VERBOSE,
)
"""Programs that fetch a link because somebody sent it, by their `User-Agent`; not what scripts are called."""
_REFERRER = re.compile(r"(https?://[^/?#]++)(?:[/?#].*+)?", re.DOTALL)

Route = TypeVar("Route", bound=Callable[..., object])
_MARK = "banken_takes_visits"


def takes_visits(route: Route) -> Route:
    """Marks a route that a link on another site may lead to. It must open no camera for `is_foreign` requests."""
    setattr(route, _MARK, True)
    return route


def is_foreign(asked: Request | Websocket) -> bool:
    """Whether a page of another site, or of another origin of this host, has caused this request."""
    sites = asked.headers.getlist("Sec-Fetch-Site")
    if sites:
        return any(site.strip().lower() not in OURS for site in sites)
    return not may_connect(asked.scope, asked.headers.getlist("Origin"), ())


def is_speculative(asked: Request | Websocket) -> bool:
    """Whether a browser, or a program that shows previews of links, fetches it before anybody has asked for it."""
    is_preview = _PREVIEWS.search(asked.headers.get("User-Agent", "")) is not None
    return is_preview or any(name in asked.headers for name in SPECULATIVE)


def opens_no_camera(allow_origins: Collection[str]) -> bool:
    """Whether the current request may be answered from the cache only.

    That is a visit or an image of another site, a prefetch or a preview, or one for the head alone: nobody looks at it.
    """
    if request.method == "HEAD" or is_speculative(request) or _is_referred(request, allow_origins):
        return True
    return is_foreign(request) and not is_listed(request, allow_origins)


def _is_referred(asked: Request, allow_origins: Collection[str]) -> bool:
    """Whether a page of an origin that is neither ours nor listed has the address of this request in it.

    Without `Sec-Fetch-Site` that is all a browser says. A page may hide it, and then its request is as a script's.
    """
    if "Sec-Fetch-Site" in asked.headers:
        return False
    found = [_REFERRER.fullmatch(value) for value in asked.headers.getlist("Referer") if value]
    return not may_connect(asked.scope, (match[1] if match else "" for match in found), allow_origins)


def is_listed(asked: Request | Websocket, allow_origins: Collection[str]) -> bool:
    """Whether it names one origin or more, and all of these are listed."""
    origins = asked.headers.getlist("Origin")
    return bool(origins) and all(origin in allow_origins for origin in origins)


def require_own_site(asked: Request | Websocket, allow_origins: Collection[str]) -> None:
    """Raises `Forbidden` (403) for a foreign request that is neither from a listed origin nor a visit.

    And for any that nobody has asked for yet and that does more than GET.
    """
    if is_speculative(asked) and (isinstance(asked, Websocket) or asked.method not in ("GET", "HEAD")):
        raise Forbidden("a prefetch may not do this: nobody has asked for it yet")
    if not is_foreign(asked) or is_listed(asked, allow_origins):
        return
    if isinstance(asked, Request) and _is_visit(asked):
        return
    raise Forbidden("pages of other sites may not do this; web.allow_origins can list an origin that may")


def _is_visit(asked: Request) -> bool:
    """Somebody follows a link of another site, in a window of its own, to a route that takes visits."""
    return (
        asked.method in ("GET", "HEAD")
        and asked.headers.get("Sec-Fetch-Mode", "").lower() == "navigate"
        and asked.headers.get("Sec-Fetch-Dest", "document").lower() == "document"
        and not is_speculative(asked)
        and _takes_visits(asked)
    )


def _takes_visits(asked: Request) -> bool:
    return getattr(current_app.view_functions.get(asked.endpoint or ""), _MARK, False)
