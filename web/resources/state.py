"""The state at an instant of the past."""

from datetime import UTC
from typing import Annotated

import msgspec
from msgspec.structs import replace
from werkzeug.exceptions import BadRequest

from supervisor.domain.events import Recorded
from supervisor.ports import past as port
from supervisor.ports.questions import At

from ..current_state import Standing, parts
from ..json import Answer, Time, iso
from ..past import answer, time_of
from ..queries import MAX_SEQ, Query
from ..routes import Right, Route, Web
from .cameras import cameras
from .devices import Device, devices
from .events import Event, event
from .processes import Process, processes

UNKNOWN = dict.fromkeys((
    "fps", "bitrate", "frames", "skipped", "truncated_gops", "cut_groups", "lost_packets", "discarded_frames",
    "broken_pictures",
))  # fmt: skip
"""Statistics of cameras, which the journal does not contain."""


class Bound(Answer, frozen=True):
    """The first or the last event of the journal."""

    seq: int
    time: Time


class Unknown(Answer, frozen=True, rename={"since": "from", "until": "to"}):
    """A stretch of which nothing is known."""

    since: Time
    until: Time
    text: str


class State(Standing, frozen=True):
    """The state at an instant."""

    processes: list[Process]
    devices: list[Device]
    seq: int
    """The event at that instant, or the last one before."""
    event: Event
    unknown: Unknown | None
    """The stretch in which no daemon ran, or in which the next one closed what a dead one left open."""
    first: Bound
    last: Bound


class StateQuery(Query, frozen=True):
    at: str | None = None
    seq: Annotated[int, msgspec.Meta(ge=1, le=MAX_SEQ)] | None = None


async def show_state(web: Web, query: StateQuery) -> msgspec.Raw:
    """`at`: a time, or `seq`: the number of an event; with neither, the last event's."""
    at = time_of("at", query.at)
    if query.seq is not None and at is not None:
        raise BadRequest("at or seq, not both")
    wanted = at if query.seq is None else At(seq=query.seq)

    return await answer(web, lambda past: moment(past.moment(wanted)))


def moment(then: port.Instant) -> State:
    snapshot = then.snapshot
    fields = dict(parts(snapshot, {})) | {"cameras": [replace(each, **UNKNOWN) for each in cameras(snapshot)]}
    return State(
        **fields,
        processes=processes(snapshot),
        devices=devices(snapshot),
        seq=then.event.seq,
        event=event(then.event),
        unknown=unknown(then.silence),
        first=bound(then.first),
        last=bound(then.last),
    )


def unknown(silence: port.Silence | None) -> Unknown | None:
    if silence is None:
        return None
    begin, end = (iso(each.wall_ns, "microseconds") for each in silence)
    return Unknown(since=begin, until=end, text=silence.words(UTC))


def bound(recorded: Recorded) -> Bound:
    return Bound(seq=recorded.seq, time=iso(recorded.wall_ns, "microseconds"))


ROUTES = (
    Route(
        method="GET",
        path="/api/state",
        right=Right.READ,
        handler=show_state,
        summary="Show the state at an instant.",
        query=StateQuery,
        answer=State,
        request="`at` (a time) or `seq` (a number); without them, the end of the journal",
        response="the [state](#state) then",
        errors=(400, 404, 422),
    ),
)
