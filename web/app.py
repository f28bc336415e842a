"""The web application: routes, errors, and who may ask. One for each daemon.

The headers that every answer carries are added below the application (`web/security_headers.py`).
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
from supervisor.gateway import Gates

from . import api, dashboard, detections, leases, past, pictures, problems, signaling, whep
from .client import SCOPE, Proxies, client, identify
from .cross_site import require_own_site
from .hosts import require_ours
from .pictures import OPENED
from .searches import Searches
from .sockets import Sockets
from .turns import MOST_WAITING, meter_of, own_meter
from .unfinished import Answering, Unfinished, has_body

MAX_BODY = 256 * 1024
"""Bytes of a request's body; an SDP offer takes about 10 KiB."""
BODY_TIMEOUT_S = 10

BAD_HOST = "the Host of the request is not a name that a host can have"
TOO_BUSY = "many of your requests wait already; ask fewer at a time"
HASTY = "nothing may be sent to a WebSocket before it is open"

CORS = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type, If-Match, Authorization, Banken-Lease",
    "Access-Control-Expose-Headers": "Location, ETag, Link, Retry-After, Accept-Patch, Content-Location",
}
"""For pages of the origins that the configuration lists (Fetch standard)."""


@attrs.frozen
class WebSettings:
    allow_origins: tuple[str, ...] = ()
    """Other origins whose pages may call us; none by default."""
    ice_servers: tuple[str, ...] = ()
    detector_token: str = attrs.field(default="", repr=False)
    """The token that detectors must show; empty: none may report."""
    proxies: Proxies = attrs.field(factory=Proxies)
    """Whose word counts for who asks."""
    exposed: str = ""
    """The address at which others than this machine may reach us; every page warns of it. Empty for loopback."""


Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class _App(QuartTrio):
    """Quart's application, but a `Host` that no name can be is the client's fault: Quart looks at it before it has a
    request that its error handlers could answer. All that a request has opened is closed with it."""

    proxies = Proxies()
    unfinished: Unfinished

    def sync_to_async(self, func: Callable[Arguments, Result]) -> Callable[Arguments, Awaitable[Result]]:
        """Calls it here, since making an error's document is short: Quart would start a thread for it, which the
        system may refuse just when there is an error to report."""

        async def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            return func(*args, **kwargs)

        return call

    async def asgi_app(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
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
        async with AsyncExitStack() as scope[OPENED]:  # type: ignore[literal-required]
            await super().asgi_app(scope, receive, send)

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


def create_app(gateway: Gates, settings: WebSettings, sockets: Sockets) -> QuartTrio:
    """The application over `gateway`. `sockets` knows the open WebSockets, so that they can be drained."""
    app = _App("banken", static_folder=None)
    app.unfinished = Unfinished()
    app.proxies, sockets.exposed = settings.proxies, settings.exposed
    app.url_map.merge_slashes = False  # no redirect: it would name the root of the host, and not a proxy's prefix
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY, BODY_TIMEOUT=BODY_TIMEOUT_S)
    for kind, answer in problems.KINDS:
        app.register_error_handler(kind, answer)
    app.register_error_handler(LocalProtocolError, lambda error: problems.problem(400, HASTY))
    searches = Searches()
    for routes in (
        api.routes(gateway, searches),
        past.routes(gateway),
        whep.routes(gateway, settings.ice_servers),
        pictures.routes(gateway, settings.allow_origins),
        leases.routes(gateway),
        detections.routes(gateway, settings.detector_token, searches),
        sockets.routes(gateway, settings.allow_origins),
        signaling.routes(gateway, sockets, settings.allow_origins, settings.ice_servers),
        dashboard.routes(),
    ):
        app.register_blueprint(routes)

    @app.before_request
    async def answer_to_own_names() -> None:
        client()
        require_ours(request.scope, settings.allow_origins)
        require_own_site(request, settings.allow_origins)

    @app.before_websocket
    async def connect_by_own_names() -> None:
        client()
        require_ours(websocket.scope, settings.allow_origins)
        require_own_site(websocket, settings.allow_origins)

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
