"""Routes as rows of tables: a module in `web/resources/` has one table, and names no route anywhere else.

Rules of this file:
- A row states all that is known of a route: method, path, right, request, answer. The router, `/api/openapi.json` and
  the tables in `ops/docs/api.md` are made from it.
- Every row names the right that its route needs. The router refuses a principal without it, before anything else.
- A handler is called with the `Web` of the application, the parts of the path, and `query` and `body` where the row has
  them. It returns the value of the answer, or a `Response` where the status or a header depends on the request.
"""

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar, cast

import attrs
import msgspec
import trio

from supervisor.domain.rights import Right as Right
from supervisor.ports.gateway import GatewayPort

from .access import principal
from .client import client
from .limited import limited
from .queries import Query
from .searches import Searches

if TYPE_CHECKING:
    from .app import WebSettings
    from .sockets import Sockets

State = TypeVar("State")
Handler = Callable[..., Awaitable[object]]
WEBSOCKET = "WS"
"""The method of a row that is a WebSocket."""
_VARIABLE = re.compile(r"\{(\w+)(?::(\w+))?\}")
OPENED = "banken.opened"
"""The key of the ASGI scope that holds the exit stack of everything that lives as long as the request."""


class Proof(StrEnum):
    """A secret that a client shows beside its right."""

    OWNER = "owner"
    """The login with which it has opened its WHEP session, or the secret that it got without a login."""
    HOLDER = "holder"
    """The secret of its lease: `Banken-Lease: ID.SECRET`, or `Authorization: Bearer SECRET`."""
    DETECTOR = "detector"
    """`Authorization: Bearer TOKEN`, with the token of `detections.token`."""
    CONTROL = "control"
    """The request comes over the control socket."""


@attrs.frozen
class Media:
    """A request or an answer that is not JSON."""

    type: str


@attrs.frozen(kw_only=True)
class Route:
    """One row. `path` has its variables in braces: `{camera}`; `{seq:int}` is a number, `{name:path}` may have slashes.

    The texts are Markdown, without a `|`.
    """

    method: str
    path: str
    right: Right
    handler: Handler
    summary: str
    """The purpose of the route, in one line."""
    proof: Proof | None = None
    admit: Callable[..., object] | None = None
    """Called as the handler is, before the body is read: raises what refuses the request."""
    query: type[Query] | None = None
    body: type[msgspec.Struct] | Media | None = None
    request: str = ""
    """The parameters or the body, in words."""
    status: int = 200
    answer: Any = None
    """The type of the answer's value, or `Media`; None for an answer without a body."""
    response: str = ""
    """The answer, in words."""
    also: Mapping[int, str] = MappingProxyType({})
    """Further answers that are no errors, by their status."""
    errors: tuple[int, ...] = ()
    """Errors that belong to this route; any route may answer with those of `ops/docs/api.md`."""
    takes_visits: bool = False
    """Whether a link on another site may lead there: then it opens no camera for such a visit."""
    before_users: bool = False
    """Whether it is served before the first user to clients of other machines, too."""

    @property
    def is_websocket(self) -> bool:
        return self.method == WEBSOCKET


class Web:
    """All that handlers are given: the daemon behind `gateway`, the settings, and the open WebSockets."""

    def __init__(self, gateway: GatewayPort, settings: "WebSettings", sockets: "Sockets") -> None:
        self.daemon, self.settings, self.sockets = gateway, settings, sockets
        """The daemon with all cameras, for what concerns no camera."""
        self.searches = Searches()
        """The queue of searches in the journal, for all resources that read it."""
        self.rendering = trio.CapacityLimiter(2)
        """For long answers, which are encoded in threads."""
        self.resources: Collection[Resource] = ()
        """The tables that the router registered."""
        self._kept: dict[Callable[[], object], object] = {}

    @property
    def gateway(self) -> GatewayPort:
        """The daemon as the principal of the current request may use it."""
        return limited(self.daemon, principal(), client())

    def keep(self, make: Callable[[], State]) -> State:
        """Return what `make` returned at its first call: a resource's own state, one for each application."""
        if make not in self._kept:
            self._kept[make] = make()
        return cast(State, self._kept[make])


@attrs.frozen
class Resource:
    """A module of `web/resources/`: its name, the first line of its docstring, and its table."""

    name: str
    title: str
    routes: tuple[Route, ...]
    prepare: Callable[[Web], object] | None
    """Called once for each application, before it answers."""


def rule_of(path: str) -> str:
    """The path as Werkzeug writes it: `/api/why/<int:seq>`."""
    return _VARIABLE.sub(lambda found: f"<{found[2]}:{found[1]}>" if found[2] else f"<{found[1]}>", path)


def public_path(path: str) -> str:
    """The path as documents write it: `/api/why/{seq}`."""
    return _VARIABLE.sub(r"{\1}", path)


def variables(path: str) -> list[tuple[str, str]]:
    """The variables of a path, each with its kind: `int`, `path`, or empty for text."""
    return _VARIABLE.findall(path)
