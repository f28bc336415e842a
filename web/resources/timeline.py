"""The timeline: the states of cameras over a stretch of time."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec.structs import asdict

from supervisor.domain.core import Severity
from supervisor.domain.ids import CameraId
from supervisor.ports import past as port
from supervisor.ports.past import Kind

from ..json import Answer, Time, iso
from ..past import StretchQuery, answer, camera_of, time_of
from ..routes import Right, Route, Web

Milliseconds = Annotated[float, msgspec.Meta(description="Milliseconds since the epoch.")]
"""Times of a timeline are numbers as well, for its drawing; those in `_ns` are nanoseconds since the epoch."""


class Span(Answer, frozen=True):
    """A stretch of time in one phase."""

    state: str
    begin_ns: int
    end_ns: int
    seq: int | None
    """The event that began it; null if the journal does not contain it any more."""
    text: str
    begin: Milliseconds
    end: Milliseconds
    begin_time: Time
    end_time: Time


class Lane(Answer, frozen=True):
    """The life of a camera, a child process or a viewer."""

    kind: Kind
    name: str
    camera: CameraId
    spans: list[Span]
    below: list[Span]
    """For a camera: the trouble of its child processes and viewers."""


class Mark(Answer, frozen=True):
    """An event that stands out."""

    seq: int
    wall_ns: int
    camera: CameraId | None
    kind: str
    severity: Severity
    text: str
    at: Milliseconds
    time: Time


class Gap(Answer, frozen=True):
    """A stretch of time of which the journal knows nothing."""

    kind: Literal["lost", "down"]
    """Events were lost, or no daemon ran."""
    begin_ns: int
    end_ns: int
    text: str
    begin: Milliseconds
    end: Milliseconds
    begin_time: Time
    end_time: Time


class Timeline(Answer, frozen=True, rename={"since": "from", "until": "to"}):
    """The states of cameras over a stretch of time."""

    since: Milliseconds
    """Where the covered part of the stretch begins."""
    until: Milliseconds
    """Where it ends."""
    from_time: Time
    to_time: Time
    lanes: list[Lane]
    """Cameras first, then child processes and viewers."""
    marks: list[Mark]
    gaps: list[Gap]


async def show_timeline(web: Web, query: StretchQuery) -> msgspec.Raw:
    """States of cameras `from` a time `to` another; without them, the last hour. `camera`: of this one only."""
    since, until, camera = time_of("from", query.since), time_of("to", query.until), camera_of(query)

    return await answer(web, lambda past: timeline(past.timeline(since, until, camera)))


def timeline(drawn: port.Timeline) -> Timeline:
    return Timeline(
        since=drawn.since_ns / 1e6,
        until=drawn.until_ns / 1e6,
        from_time=iso(drawn.since_ns),
        to_time=iso(drawn.until_ns),
        lanes=[lane(each) for each in drawn.lanes],
        marks=[mark(each) for each in drawn.marks],
        gaps=[gap(each) for each in drawn.gaps],
    )


def lane(drawn: port.Lane) -> Lane:
    spans, below = [span(each) for each in drawn.spans], [span(each) for each in drawn.below]
    return Lane(kind=drawn.kind, name=drawn.name, camera=drawn.camera, spans=spans, below=below)


def span(part: port.Span) -> Span:
    return Span(**asdict(part), **ends(part))


def mark(drawn: port.Mark) -> Mark:
    return Mark(**asdict(drawn), at=drawn.wall_ns / 1e6, time=iso(drawn.wall_ns))


def gap(part: port.UnknownStretch) -> Gap:
    return Gap(**asdict(part), **ends(part))


def ends(part: port.Span | port.UnknownStretch) -> dict[str, Any]:
    """The fields for the ends of a part, as numbers and as times."""
    begin, end = part.begin_ns / 1e6, part.end_ns / 1e6
    return {"begin": begin, "end": end, "begin_time": iso(part.begin_ns), "end_time": iso(part.end_ns)}


ROUTES = (
    Route(
        method="GET",
        path="/api/timeline",
        right=Right.READ,
        handler=show_timeline,
        answer=Timeline,
        summary="Show the states of cameras over a stretch of time.",
        query=StretchQuery,
        request="`from`, `to` (times), `camera`; without `from`, the hour before `to`",
        response="the [timeline](#timeline)",
        errors=(400, 404, 422),
    ),
)
