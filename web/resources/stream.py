"""`/ws/events`: new events of the journal, the current state, and leases."""

from typing import Literal

from ..access import principal
from ..cross_site import refuse_strangers
from ..queries import Query, SequenceNumber
from ..routes import WEBSOCKET, Right, Route, Web


class StreamQuery(Query, frozen=True, forbid_unknown_fields=False):
    after: SequenceNumber | None = None
    state: Literal["changes"] | None = None
    views: str = ""


async def stream_events(web: Web, query: StreamQuery) -> None:
    refuse_strangers(web.settings.allow_origins)
    views = None if query.state is None else query.views.split(",")
    await web.sockets.follow(web.gateway, query.after, views, reads=principal().may(Right.READ))


ROUTES = (
    Route(
        method=WEBSOCKET,
        path="/ws/events",
        right=Right.VIEW,
        handler=stream_events,
        summary="Follow the journal and the current state, and hold leases.",
        query=StreamQuery,
        request="`after`: go on behind that event. `state=changes`: changes instead of the whole state. `views`: "
        "`viewers`, `rooms`.",
        response="[messages](#wsevents)",
        errors=(403, 429, 503),
    ),
)
