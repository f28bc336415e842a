"""The router: it registers the rows of the tables of `web/resources/` with the application."""

from collections.abc import Awaitable, Callable, Collection
from functools import partial, wraps
from importlib import import_module

import msgspec
from quart import Quart, Response, request, websocket
from werkzeug.exceptions import Forbidden

from supervisor.ports.asking import asking

from . import json, resources
from .access import (
    CHANGED,
    REVOKED,
    SAFE,
    asked,
    before_users,
    principal,
    require,
    require_unchanged,
    until_revoked,
    why_denied,
)
from .bodies import Strict, read
from .client import client
from .control import is_control
from .cross_site import takes_visits
from .queries import parse_query
from .routes import Proof, Resource, Right, Route, Web, rule_of

CONTROL_ONLY = "this is given to the owner of the machine alone, over the control socket"


def load(without: Collection[str] = ()) -> tuple[Resource, ...]:
    """Import the modules of `RESOURCES`, except for those named, and return their tables."""
    found = []
    for name in (name for name in resources.RESOURCES if name not in without):
        module = import_module(f"{resources.__name__}.{name}")
        title = (module.__doc__ or "").partition("\n")[0].rstrip(".")
        found.append(Resource(name, title, module.ROUTES, getattr(module, "prepare", None)))
    return tuple(found)


def register(app: Quart, web: Web, found: Collection[Resource]) -> None:
    """Add every route to the application."""
    web.resources = found
    for resource in found:
        if resource.prepare is not None:
            resource.prepare(web)
    routes = [route for resource in found for route in resource.routes]
    answers_options = {route.path for route in routes if route.method == "OPTIONS"}
    for route in routes:
        rule, endpoint = rule_of(route.path), f"{route.method} {route.path}"
        if route.is_websocket:
            app.add_websocket(rule, endpoint, _make_socket(web, route))
            continue
        automatic = False if route.path in answers_options else None
        app.add_url_rule(
            rule, endpoint, _make_view(web, route), methods=[route.method], provide_automatic_options=automatic
        )


def _make_view(web: Web, route: Route) -> Callable[..., Awaitable[Response]]:
    @wraps(route.handler)
    async def view(**values: object) -> Response:
        with asking(admit(web, route)):
            answered = await answer(values)
        if route.right is not Right.NONE and route.method in SAFE:
            require_unchanged(web.daemon)
        return answered

    async def answer(values: dict[str, object]) -> Response:
        if route.query is not None:
            values["query"] = parse_query(route.query, request.args)
        if route.admit is not None:
            route.admit(web, **values)
        if isinstance(route.body, type) and issubclass(route.body, Strict):
            values["body"] = await _read_body(route.body)
        found = await route.handler(web, **values)
        if isinstance(found, Response):
            return found
        return json.respond(found, route.status)

    found = before_users(view) if route.before_users else view
    return takes_visits(found) if route.takes_visits else found


def _make_socket(web: Web, route: Route) -> Callable[..., Awaitable[None]]:
    @wraps(route.handler)
    async def view(**values: object) -> None:
        if route.query is not None:
            values["query"] = parse_query(route.query, websocket.args)
        with asking(admit(web, route)):
            async with until_revoked(web.gateway) as scope:
                await route.handler(web, **values)
            if scope.cancelled_caught:
                await websocket.close(REVOKED, CHANGED)

    return view


def admit(web: Web, route: Route) -> str:
    """The name of the principal of the request. Raises as `require`; a detector may show another proof instead."""
    if route.proof is not Proof.DETECTOR:
        try:
            require(route.right, partial(why_denied, asked(), web.gateway, web.settings))
        except Forbidden:
            web.daemon.note_refused(principal().name, client(), route.right.value)
            raise
    if route.proof is Proof.CONTROL and not is_control(asked().scope):
        raise Forbidden(CONTROL_ONLY)
    return principal().name


async def _read_body(kind: type[Strict]) -> Strict:
    """The body as a value; one that need not have any field may be missing. Raises as `read`."""
    is_missing = not request.mimetype and not request.content_length
    if is_missing and not any(field.required for field in msgspec.structs.fields(kind)):
        return kind()
    return await read(kind)
