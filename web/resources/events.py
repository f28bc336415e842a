"""Events: the journal, page by page."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal

import msgspec
from werkzeug.exceptions import BadRequest

from supervisor.base.threads import run_in_thread
from supervisor.domain.catalogue import EVENTS
from supervisor.domain.core import Severity
from supervisor.domain.describe import describe
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.events import LeaseGranted, PeerOpened, Recorded
from supervisor.domain.ids import CameraId
from supervisor.domain.values import plain
from supervisor.ports.questions import NEVER
from supervisor.ports.questions import Query as Search

from .. import json
from ..client import client
from ..json import Answer, Time, iso
from ..queries import MAX_SEQ, Query, SequenceNumber
from ..routes import Right, Route, Web
from ..searches import why_costly

MAX_PAGE, PAGE = 1000, 100
EVENT_TYPES = {event.__name__ for event in EVENTS}


class Event(Answer, frozen=True):
    """An event of the journal: [events.md](events.md)."""

    seq: int
    """Its sequence number."""
    time: Time
    node: str
    run: str
    stream: str
    stream_version: int
    """Its number in its stream."""
    type: str
    version: int
    """The version of its type."""
    cause: int | None
    """The event that it follows from."""
    correlation: str
    """The same for all that follows from one input."""
    principal: str
    """The author of that input."""
    severity: Severity
    text: str
    """A sentence for people."""
    body: json.Json
    """The fields of its type."""


class Events(Answer, frozen=True):
    events: list[Event]
    next: int
    """The number to go on from, as `after`."""
    last: int
    """The last durable event."""


class EventsQuery(Query, frozen=True):
    after: SequenceNumber | None = None
    before: Annotated[int, msgspec.Meta(ge=1, le=MAX_SEQ)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_PAGE)] = PAGE
    order: Literal["oldest", "newest"] = "oldest"
    camera: str | None = None
    type: str | None = None
    stream: str | None = None
    correlation: str | None = None
    principal: str | None = None


async def list_events(web: Web, query: EventsQuery) -> Events:
    """`after` leads on from the last one seen, `before` back from the first; with neither, the newest are given.

    The oldest of them comes first, or with `order=newest` the newest.
    """
    gateway, wanted = web.gateway, search(query)
    async with web.searches.place(client()):
        page = await gateway.read(wanted, query.limit, newest=query.after is None)
    camera = wanted.camera
    if not page and camera is not None and camera not in gateway.state.cameras:
        raise Rejected(Refusal.UNKNOWN, f"there is no such camera, now or earlier: {camera!r}")
    seen = page[-1].seq if page else min(wanted.after, gateway.last_seq)
    if query.order == "newest":
        page.reverse()
    shown = await run_in_thread(partial(events, page), limiter=web.rendering)
    return Events(events=shown, next=seen, last=gateway.last_seq)


def search(query: EventsQuery) -> Search:
    """Which events are asked for. Raises `BadRequest`."""
    require_cheap("type", query.type)
    if query.type is not None and "*" not in query.type and query.type not in EVENT_TYPES:
        raise BadRequest(f"there is no type of event {query.type[:40]!r}; a pattern like Camera* is accepted")
    require_cheap("stream", query.stream)
    return Search(
        after=query.after or 0,
        before=query.before or NEVER,
        camera=CameraId(query.camera) if query.camera else None,
        types=(query.type,) if query.type else (),
        stream=query.stream or None,
        correlation=query.correlation or None,
        principal=query.principal or None,
    )


def require_cheap(name: str, pattern: str | None) -> None:
    """Raises `BadRequest` for a pattern that may take long to match."""
    if pattern is not None and (why := why_costly(pattern)) is not None:
        raise BadRequest(f"{name}: {why}")


def event(recorded: Recorded) -> Event:
    severity, text = describe(recorded.event)
    body = plain(recorded.event)
    if isinstance(recorded.event, PeerOpened | LeaseGranted):
        del body["owner"]
    return Event(
        seq=recorded.seq,
        time=iso(recorded.wall_ns, "microseconds"),
        node=recorded.node,
        run=recorded.run,
        stream=recorded.stream,
        stream_version=recorded.stream_version,
        type=recorded.type,
        version=recorded.event.version,
        cause=recorded.cause,
        correlation=recorded.correlation,
        principal=recorded.principal,
        severity=severity,
        text=text,
        body=body,
    )


def events(batch: Sequence[Recorded]) -> list[Event]:
    return [event(recorded) for recorded in batch]


ROUTES = (
    Route(
        method="GET",
        path="/api/events",
        right=Right.READ,
        handler=list_events,
        summary="Read the journal.",
        query=EventsQuery,
        request="`after`, `before` (sequence numbers), `limit` (1 to 1000, default 100), `order` (`oldest` or "
        "`newest`), `camera`, `type`, `stream`, `correlation`, `principal`",
        answer=Events,
        response="`events`: a list of [events](#event); `next`: where to go on; `last`: the last durable event",
        errors=(400, 404, 503),
    ),
)
