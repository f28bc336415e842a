"""The messages of `/ws/events`. `ops/reference.py` writes their tables in `ops/docs/api.md` from these classes.

Rules of this file:
- `SENT` lists the messages of banken. The docstring of a class says when it is sent.
- `TAKEN` lists those of a client: the fields of each beside `type` and `id`, and the function that answers it. Status
  and body of the answer are those of the route with the same purpose.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any

import attrs
import msgspec
from msgspec import UNSET, UnsetType
from werkzeug.exceptions import BadRequest

from supervisor.domain.ids import LeaseId
from supervisor.ports.gateway import GatewayPort
from supervisor.ports.viewing import Key

from . import json
from .bodies import Strict, parse, understand
from .current_state import Standing
from .json import Answer, Time
from .problems import FAULTS, document
from .resources.events import Event
from .resources.leases import Grant, Lease, Name, Renewal, Text, grant, held_lease

MAX_MESSAGE = 4096
"""Maximum number of characters in a message of a client: its type is unknown before it is parsed."""

Entities = dict[str, json.Json]


class Hello(Answer, frozen=True, tag="hello"):
    """First."""

    version: str
    """The release of banken."""
    node: str | None
    run: str | None
    """Another one than before: the daemon was restarted."""
    now: Time
    first: int
    """The oldest event of the journal."""
    began: Time | None
    """The time of that event; null if the journal is empty or cannot be read."""
    last: int
    """The newest event."""
    exposed: str | None
    """The address at which other machines reach banken; null if none does."""
    replay: Time | None
    """In a replay, the instant that is shown as now."""


class NewEvents(Answer, frozen=True, tag="events"):
    """At first the newest 200, or those behind `after`; then each as soon as it is durable. None is left out."""

    events: list[Event]
    """The oldest first."""


class WholeState(Standing, frozen=True):
    """Without `state=changes`: at first, and each second."""


class Parts(Answer, frozen=True):
    """Entities by id, in parts."""

    now: Time
    summary: Entities | UnsetType = UNSET
    """Under `daemon`: its verdict, the suggestions, the refused configuration, and the numbers of viewers and rooms."""
    cameras: Entities | UnsetType = UNSET
    """With `place`, the position in the configuration, and `heard`, the time of the last frame in milliseconds."""
    health: Entities | UnsetType = UNSET
    leases: Entities | UnsetType = UNSET
    """For the view `viewers`."""
    peers: Entities | UnsetType = UNSET
    """For the view `viewers`."""
    rooms: Entities | UnsetType = UNSET
    """For the view `rooms`."""


class State(Parts, frozen=True, tag="state"):
    """With `state=changes`: at first, and for a view when it is shown."""


class Changes(Parts, frozen=True, tag="changes"):
    """With `state=changes`: each second, and soon after an event.

    It has the fields that have changed, and null for an entity that is gone.
    """


class Reply(Answer, frozen=True, tag="reply"):
    """To each message of the client."""

    id: int | None
    """That of the message; null if it has none."""
    status: int
    """As the route of the same purpose would answer."""
    body: object
    """As that route would answer; a problem document for an error; null without a body."""


SENT: tuple[type[Answer], ...] = (Hello, NewEvents, WholeState, State, Changes, Reply)
"""The messages of banken, in the order in which they can first come."""


class RenewalOf(Renewal, frozen=True, kw_only=True):
    lease: Name
    secret: Text


class Release(Strict, frozen=True):
    lease: Name
    secret: Text


class Show(Strict, frozen=True):
    views: Annotated[tuple[Name, ...], msgspec.Meta(max_length=16)]


@attrs.frozen
class Caller:
    """The client of a message."""

    gateway: GatewayPort
    address: str
    show: Callable[[Sequence[str]], None]
    """Changes its views. Raises `BadRequest`."""


@attrs.frozen
class Taken:
    """A message of a client: its fields, the function that answers it, and the status of a success."""

    fields: type[Strict]
    act: Callable[[Caller, Any], Awaitable[Lease | None]]
    status: int
    purpose: str
    """The route of the same purpose, or the effect, in Markdown."""


async def _grant(caller: Caller, wish: Grant) -> Lease:
    return await grant(caller.gateway, wish, caller.address)


async def _renew(caller: Caller, renewal: RenewalOf) -> Lease:
    key = Key(LeaseId(renewal.lease), renewal.secret)
    return held_lease(await caller.gateway.renew(key, renewal.idle_s, caller.address))


async def _release(caller: Caller, release: Release) -> None:
    await caller.gateway.release(Key(LeaseId(release.lease), release.secret), caller.address)


async def _show(caller: Caller, show: Show) -> None:
    caller.show(show.views)


TAKEN: Mapping[str, Taken] = {
    "lease.grant": Taken(Grant, _grant, 201, "`POST /api/leases`"),
    "lease.renew": Taken(RenewalOf, _renew, 200, "`PUT /api/leases/{lease}`"),
    "lease.release": Taken(Release, _release, 204, "`DELETE /api/leases/{lease}`"),
    "state.show": Taken(Show, _show, 204, "shows other views, and gets their lists at once; needs `state=changes`"),
}
*_MORE, _LAST = TAKEN
UNKNOWN = f"type must be {', '.join(_MORE)} or {_LAST} - at `$.type`"


async def answer(caller: Caller, data: bytes | str) -> Reply:
    """Return the answer to the message `data`."""
    number: int | None = None
    try:
        if len(data) > MAX_MESSAGE:
            raise BadRequest(f"a message has at most {MAX_MESSAGE} characters")
        message = parse(data)
        if not isinstance(message, dict):
            raise BadRequest("a message must be an object with a type")
        kind, named = message.pop("type", None), message.pop("id", None)
        if type(named) is not int:
            raise BadRequest("a message needs an id, a whole number, which its reply repeats - at `$.id`")
        number = named
        taken = TAKEN.get(kind) if isinstance(kind, str) else None
        if taken is None:
            raise BadRequest(UNKNOWN)
        body: object = await taken.act(caller, understand(message, taken.fields))
        return Reply(id=number, status=taken.status, body=body)
    except FAULTS as error:
        problem = document(error)
        return Reply(
            id=number, status=problem.status_code, body=msgspec.json.decode(await problem.get_data(as_text=False))
        )
