"""Failures, and the causes of an event."""

import msgspec
from msgspec.structs import asdict
from werkzeug.exceptions import BadRequest

from supervisor.domain.core import Severity
from supervisor.domain.ids import CameraId
from supervisor.ports import past as port
from supervisor.ports.past import Past

from ..json import Answer, Time, iso
from ..past import answer
from ..queries import Query, SequenceNumber
from ..routes import Right, Route, Web
from .events import Event, event


class Failure(Answer, frozen=True):
    event: Event | None
    """A warning or an error."""


class Step(Answer, frozen=True):
    """An event as one step of a chain of causes."""

    seq: int
    wall_ns: int
    """Its time in nanoseconds since the epoch."""
    type: str
    stream: str
    camera: CameraId | None
    cause: int | None
    correlation: str
    principal: str
    severity: Severity
    text: str
    after_s: float
    """Seconds since the step before."""
    stderr: tuple[str, ...]
    """The last lines that a child process wrote, where this is its end."""
    time: Time


class Why(Answer, frozen=True):
    """The chain of causes of an event."""

    seq: int
    cut: int | None
    """The cause of the first step, if the journal no longer contains it."""
    steps: list[Step]
    """The first cause first."""


class FailuresQuery(Query, frozen=True):
    after: SequenceNumber | None = None
    before: SequenceNumber | None = None


async def find_failure(web: Web, query: FailuresQuery) -> msgspec.Raw:
    """The next warning or error `after` an event, or the last one `before` it; null without one."""
    if (query.after is None) is (query.before is None):
        raise BadRequest("give either after=SEQ or before=SEQ")

    def find(past: Past) -> Failure:
        found = past.trouble(query.after, query.before)
        return Failure(event=event(found) if found else None)

    return await answer(web, find)


async def explain(web: Web, seq: int) -> msgspec.Raw:
    """The chain of causes of an event, the first one first, with what children last wrote."""
    return await answer(web, lambda past: why(past.why(seq)))


def why(found: port.Why) -> Why:
    steps = [Step(**asdict(step), time=iso(step.wall_ns, "microseconds")) for step in found.steps]
    return Why(seq=found.seq, cut=found.cut, steps=steps)


ROUTES = (
    Route(
        method="GET",
        path="/api/failures",
        right=Right.READ,
        handler=find_failure,
        summary="Find the next or the last warning or error.",
        query=FailuresQuery,
        answer=Failure,
        request="`after` or `before` (a sequence number), one of them",
        response="`event`: the [event](#event); null if there is no such event",
        errors=(400,),
    ),
    Route(
        method="GET",
        path="/api/why/{seq:int}",
        right=Right.READ,
        handler=explain,
        answer=Why,
        summary="Explain an event by its causes.",
        response="the [chain of causes](#why), with the last lines that child processes wrote",
        errors=(404,),
    ),
)
