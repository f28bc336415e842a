"""The principal of a request: who asks, and what it may do.

Rules of this file:
- Everything is denied that a row of a route's table does not allow (`Right`): 401 without a login, else 403.
- A browser shows its session by a cookie, a program its token by `Authorization: Bearer`. A WebSocket of a program
  may send the token as the sub-protocol `bearer.TOKEN`, since browsers cannot set headers there.
- A request that changes something and shows a cookie must come from our own page: its `Origin` or `Sec-Fetch-Site`
  says so. A request without both is refused; programs use tokens.
- A request over the control socket has all rights, whatever it shows: the kernel has named the owner of the machine.
- Until there is a user, clients of this machine have all rights. But a server beyond loopback then answers them, as
  all others without a name, on routes with `Route.before_users` only.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import trio
from quart import Request, Response, Websocket, current_app, has_websocket_context, request, websocket
from werkzeug.exceptions import Forbidden, Unauthorized

from supervisor.domain.access import Principal
from supervisor.domain.clients import LOCAL, PREFIX, is_loopback
from supervisor.domain.rights import ALL, EVERYTHING, SHARE, Right
from supervisor.ports.gateway import GatewayPort

from .client import client, is_forwarded
from .control import is_control
from .hosts import bare

if TYPE_CHECKING:
    from .app import WebSettings

SECURE_COOKIE, COOKIE = "__Host-banken", "banken"
"""The cookie over TLS, which no other host of the domain can set; and the one over plain HTTP on loopback."""
MOST_COOKIES = 4
"""Cookies of this name that are looked at. Browsers keep one of a frame beside that of the page itself."""
SUBPROTOCOL = "bearer."
SCOPE = "banken.principal"
"""The key of the ASGI scope that holds the principal."""
REVOKED = 4403
"""The code that closes the WebSocket of a client whose rights were taken away."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
LOG_IN = "log in first"
CHANGED = "your rights have changed: log in again"
THROUGH_PROXY = (
    "this banken has no users, and access.proxy gives no role to this request: set access.proxy.roles, "
    "or make a user on the page of the machine itself"
)
BEYOND = "this banken has no users yet, so it serves its own machine only: open its page there, and make a user"
REPLAY = "a replay serves its own machine only, at an address of it and through no proxy: ssh -L can reach it"
FIRST_RUN = (
    "this banken has no users yet; on its own machine, banken setup-link prints a link that makes the first one, and "
    "banken user add makes it at once"
)
Route = TypeVar("Route", bound=Callable[..., object])
_MARK = "banken_before_users"


class NoUsers(Unauthorized):
    """There has never been a user, and the server can be reached by other machines."""


def is_secure(asked: Request | Websocket) -> bool:
    """Whether the client's connection is encrypted: up to us, or up to a trusted proxy that says so."""
    return asked.scope["scheme"] in ("https", "wss")


def identify(asked: Request | Websocket, gateway: GatewayPort, settings: "WebSettings") -> Principal:
    """The principal of a request. Raises `Forbidden` for a change that shows a cookie from elsewhere."""
    if is_control(asked.scope):
        return Principal(LOCAL, EVERYTHING, ALL)
    accounts, nobody = gateway.accounts, Principal(f"{PREFIX}{client()}")
    local = attrs.evolve(nobody, rights=EVERYTHING, scope=ALL)
    if accounts is None:
        return nobody if settings.local_only and not is_local(asked) else local
    for text in _tokens(asked):
        if (found := accounts.by_token(text)) is not None:
            return found
    for secret in shown_sessions(asked):
        if (found := accounts.by_session(secret) or _visitor(gateway, secret)) is not None:
            _require_own_page(asked)
            return found
    if settings.proxies.trusts(_peer(asked)):
        return settings.proxy_access.principal(asked.scope, client()) or nobody
    if gateway.state.trust_ended or accounts.damage or not is_local(asked):
        return nobody
    return local


def _visitor(gateway: GatewayPort, secret: str) -> Principal | None:
    return None if gateway.shares is None else gateway.shares.by_visit(secret)


def is_local(asked: Request | Websocket) -> bool:
    """Whether a client of this machine asks, at an address of this machine, with nobody in between."""
    host = asked.headers.get("Host", "")
    return is_loopback(_peer(asked)) and is_loopback(bare(host)) and not is_forwarded(asked.scope)


def before_users(route: Route) -> Route:
    """Mark a route that is served before the first user, also beyond loopback."""
    setattr(route, _MARK, True)
    return route


def require_users(asked: Request | Websocket, gateway: GatewayPort, settings: "WebSettings") -> None:
    """Raises `NoUsers` for a client without a name, before the first user of a server beyond loopback."""
    accounts = gateway.accounts
    if not settings.setup_url or accounts is None or accounts.damage or gateway.state.trust_ended:
        return
    view = current_app.view_functions.get(asked.endpoint or "")
    if principal().name.startswith(PREFIX) and not getattr(view, _MARK, False):
        raise NoUsers(FIRST_RUN)


def why_denied(asked: Request | Websocket, gateway: GatewayPort, settings: "WebSettings") -> str:
    """Advice for a client without rights."""
    accounts = gateway.accounts
    if settings.local_only:
        return REPLAY
    if accounts is not None and accounts.damage:
        return "nobody can log in: the access file cannot be read; the log and the health of banken say why"
    if gateway.state.trust_ended:
        return LOG_IN
    if settings.proxies.trusts(_peer(asked)) or is_forwarded(asked.scope):
        return THROUGH_PROXY
    return BEYOND


def _peer(asked: Request | Websocket) -> str:
    peer = asked.scope.get("client")
    return str(peer[0]) if peer else ""


def _tokens(asked: Request | Websocket) -> list[str]:
    """The tokens that a request shows. An `Authorization` may hold another secret: that of a lease, for instance."""
    scheme, _, shown = asked.headers.get("Authorization", "").partition(" ")
    found = [shown.strip()] if scheme.lower() == "bearer" else []
    if isinstance(asked, Websocket):
        offered = asked.requested_subprotocols
        found += [each.removeprefix(SUBPROTOCOL) for each in offered if each.startswith(SUBPROTOCOL)]
    return found


def _require_own_page(asked: Request | Websocket) -> None:
    """`require_own_site` has refused foreign pages that say so; here also those that say nothing are refused."""
    if isinstance(asked, Request) and asked.method in SAFE:
        return
    if "Origin" not in asked.headers and asked.headers.get("Sec-Fetch-Site") not in ("same-origin", "none"):
        raise Forbidden("a change with a cookie needs the header Origin or Sec-Fetch-Site; programs use a token")


def asked() -> Request | Websocket:
    """The current request or WebSocket."""
    found: Any = websocket if has_websocket_context() else request
    return found  # type: ignore[no-any-return]


def principal() -> Principal:
    """The principal of the current request or WebSocket."""
    found: Principal = asked().scope[SCOPE]  # type: ignore[literal-required]
    return found


def require(right: Right, why: Callable[[], str] = lambda: LOG_IN) -> None:
    """Raises `Unauthorized` for a client that has not logged in, and `Forbidden` for one without the right.

    `why` says what a client without a login can do. Only who has all cameras in the scope administers: configuration
    and users name cameras.
    """
    asks = principal()
    if asks.may(right) and (asks.scope.everything or right is not Right.ADMINISTER):
        return
    if asks.name.startswith(PREFIX):
        raise Unauthorized(why())
    raise Forbidden(f"this needs the right {right.value}, which {asks.name.partition('/')[0]} does not have")


def require_unchanged(gateway: GatewayPort) -> None:
    """Raises `Forbidden` if the principal has lost a right since the request began: its answer may have waited."""
    accounts = gateway.accounts
    if accounts is not None and principal().name != LOCAL and accounts.has_fewer_rights(principal()):
        raise Forbidden(CHANGED)


@asynccontextmanager
async def until_revoked(gateway: GatewayPort) -> AsyncIterator[trio.CancelScope]:
    """End the block when the principal loses a right. Its scope then has `cancelled_caught`."""
    asks, accounts = principal(), gateway.accounts
    with trio.CancelScope() as scope:
        if accounts is None or asks.name == LOCAL:
            yield scope
            return

        async def watch() -> None:
            await accounts.wait_fewer_rights(asks)
            scope.cancel(reason="its rights were taken away")

        stays = gateway.shares.staying(asks.name) if gateway.shares and asks.name.startswith(SHARE) else nullcontext()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            with stays:
                yield scope
            nursery.cancel_scope.cancel(reason="it has ended")


def set_session(response: Response, secret: str, asked: Request, seconds: int) -> None:
    """Give the session to the browser: no script reads it, and no other site sends it.

    Over TLS a page of `web.frame_ancestors` may have ours in a frame. The cookie of the frame is partitioned: it is
    sent in pages of that site only (CHIPS). It does not replace one without a partition, which is forgotten.
    """
    secure = is_secure(asked)
    framed = secure and current_app.config["SESSION_COOKIE_PARTITIONED"]
    if secure:
        _set_cookie(response, "", 0, secure=True, framed=not framed)
    _set_cookie(response, secret, seconds, secure=secure, framed=framed)


def shown_sessions(asked: Request | Websocket) -> list[str]:
    """The secrets that the browser shows, also that of a visit."""
    shown = asked.cookies.getlist(SECURE_COOKIE if is_secure(asked) else COOKIE)[:MOST_COOKIES]
    return [secret for secret in shown if secret]


def forget_session(response: Response, asked: Request) -> None:
    for framed in (True, False) if is_secure(asked) else (False,):
        _set_cookie(response, "", 0, secure=is_secure(asked), framed=framed)


def _set_cookie(response: Response, secret: str, seconds: int, *, secure: bool, framed: bool) -> None:
    name, same_site = SECURE_COOKIE if secure else COOKIE, "None" if framed else "Lax"
    response.set_cookie(
        name, secret, max_age=seconds, secure=secure, httponly=True, samesite=same_site, partitioned=framed
    )
