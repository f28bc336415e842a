"""The web application: routes, error documents and access checks. There is one instance per daemon.

The security headers of every answer are added below the application (`web/security_headers.py`).
"""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import ParamSpec, TypeVar, cast

import attrs
from h11 import LocalProtocolError
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope
from quart import Request, Response, Websocket, request, websocket
from quart_trio import QuartTrio
from werkzeug.exceptions import BadHost, RequestTimeout, TooManyRequests

from supervisor.domain.clients import network_of
from supervisor.ports.gateway import GatewayPort

from . import access, problems, router
from .client import SCOPE, Proxies, client, identify
from .control import CONTROL
from .cross_site import require_own_site
from .downloads import CutOff
from .hosts import require_ours
from .loop_scheduler import MOST_WAITING, meter_of, own_meter
from .parts import left_out, require_on
from .proxy_access import ProxyAccess
from .routes import OPENED, Web
from .security_headers import POLICY, policy_for
from .sockets import Sockets
from .unfinished import Answering, Unfinished, has_body

MAX_BODY = 256 * 1024
"""Maximum size of a request body in bytes; an SDP offer takes about 10 KiB."""
BODY_TIMEOUT_S = 10

BAD_HOST = "the Host of the request is not a name that a host can have"
TOO_BUSY = "many of your requests wait already; ask fewer at a time"
SENT_BEFORE_OPEN = "nothing may be sent to a WebSocket before it is open"

CORS = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, If-Match, Authorization, Banken-Lease, Banken-Peer",
    "Access-Control-Expose-Headers": "Location, ETag, Link, Retry-After, Accept-Patch, Content-Location",
}
"""CORS headers for pages of the origins in `web.allow_origins` (Fetch standard)."""


@attrs.frozen(kw_only=True)
class WebSettings:
    allow_origins: tuple[str, ...] = ()
    """Other origins whose pages may call this server; none by default."""
    frame_ancestors: tuple[str, ...] = ()
    """Origins whose pages may show ours in a frame; none by default."""
    ice_servers: tuple[str, ...] = ()
    detector_token: str = attrs.field(default="", repr=False)
    """The token that detectors must send; empty: no detector may report."""
    proxies: Proxies = attrs.field(factory=Proxies)
    """The trusted proxies, whose headers name the client."""
    proxy_access: ProxyAccess = attrs.field(factory=ProxyAccess)
    """The roles of those whom a trusted proxy has let in."""
    setup_url: str = ""
    """The URL of the page as another machine reaches it; empty if the server listens on loopback.

    Beyond loopback nobody is trusted without a login, and the first user is made by a setup link."""
    local_only: bool = False
    """Without accounts, whether only clients of this machine have rights."""
    exposed: str = ""
    """The address at which other machines can reach the server; every page warns of it. Empty for loopback."""
    off: frozenset[str] = frozenset()
    """The parts that are off, of `parts.PARTS`."""


Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class _App(QuartTrio):
    """Quart's application, with 400 for an invalid `Host`: Quart checks it before it has a request that its error
    handlers could answer. Everything that a request has opened is closed when the request ends."""

    proxies = Proxies()
    unfinished: Unfinished

    def sync_to_async(self, func: Callable[Arguments, Result]) -> Callable[Arguments, Awaitable[Result]]:
        """Call `func` on the event loop, since rendering an error document is short.

        Quart would start a thread for it, which the system may refuse just when there is an error to report.
        """

        async def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            return func(*args, **kwargs)

        return call

    async def asgi_app(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        scope[CONTROL] = scope["state"].get(CONTROL, False)  # type: ignore[literal-required]
        scope[SCOPE] = found = identify(scope, self.proxies)  # type: ignore[literal-required]
        if isinstance(found, str):
            meter_of(scope).client = network_of(found)
        if not isinstance(found, str) or not has_body(scope):
            await self._answer(scope, receive, send)
            return
        answering = Answering(send)
        try:
            with self.unfinished.count(found, receive) as receive_on:
                await self._answer(scope, receive_on, answering)
        except (TooManyRequests, RequestTimeout) as error:
            await answering.refuse(error)

    async def _answer(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        try:
            async with AsyncExitStack() as scope[OPENED]:  # type: ignore[literal-required]
                await super().asgi_app(scope, receive, send)
        except* CutOff:
            pass

    async def handle_request(self, request: Request) -> Response:
        meter = own_meter(request.scope)
        if meter.turns.waiting(meter.client) >= MOST_WAITING:
            return problems.problem(429, TOO_BUSY, retry_after_s=1 + meter.turns.wait_s(meter.client))
        await meter.take()
        try:
            return cast(Response, await meter.measure(super().handle_request(request)))
        except BadHost:
            return problems.problem(400, BAD_HOST)
        finally:
            meter.settle()

    async def handle_websocket(self, websocket: Websocket) -> Response | None:
        meter = own_meter(websocket.scope)
        await meter.take()
        try:
            return cast(Response | None, await meter.measure(super().handle_websocket(websocket)))
        except BadHost:
            return problems.problem(400, BAD_HOST)


def create_app(gateway: GatewayPort, settings: WebSettings, sockets: Sockets) -> QuartTrio:
    """Return the application over `gateway`. `sockets` tracks the open WebSockets, so that they can be drained."""
    app = _App("banken", static_folder=None)
    app.unfinished = Unfinished()
    app.proxies, sockets.exposed = settings.proxies, settings.exposed
    app.url_map.merge_slashes = False  # no redirect: it would name the root of the host, not the prefix of a proxy
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY, BODY_TIMEOUT=BODY_TIMEOUT_S)
    for kind, answer in problems.KINDS:
        app.register_error_handler(kind, answer)
    app.register_error_handler(LocalProtocolError, lambda error: problems.problem(400, SENT_BEFORE_OPEN))
    router.register(app, Web(gateway, settings, sockets), router.load(left_out(settings.off)))

    @app.before_request
    async def answer_to_own_names() -> None:
        client()
        require_ours(request.scope, settings.allow_origins)
        require_on(request.path, settings.off)
        require_own_site(request, settings.allow_origins, settings.frame_ancestors)
        request.scope[access.SCOPE] = access.identify(request, gateway, settings)  # type: ignore[literal-required]
        access.require_users(request, gateway, settings)

    @app.before_websocket
    async def connect_by_own_names() -> None:
        client()
        require_ours(websocket.scope, settings.allow_origins)
        require_on(websocket.path, settings.off)
        require_own_site(websocket, settings.allow_origins)
        websocket.scope[access.SCOPE] = access.identify(websocket, gateway, settings)  # type: ignore[literal-required]
        access.require_users(websocket, gateway, settings)

    if settings.frame_ancestors:
        policy = policy_for(settings.frame_ancestors)
        app.config.update(SESSION_COOKIE_SAMESITE="None", SESSION_COOKIE_PARTITIONED=True)

        @app.after_request
        async def allow_frames(response: Response) -> Response:
            response.headers[POLICY] = policy
            return response

    @app.after_request
    async def allow_listed_origins(response: Response) -> Response:
        origin = request.headers.get("Origin")
        if settings.allow_origins:
            response.vary.add("Origin")
        if origin in settings.allow_origins:
            response.headers["Access-Control-Allow-Origin"] = origin
            for name, value in CORS.items():
                response.headers[name] = value
        return response

    return app
