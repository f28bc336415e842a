"""Health: whether the daemon runs, is ready, and finds anything wrong."""

from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.health import Health as Found
from supervisor.domain.health import Verdict

from ..json import Answer
from ..routes import Right, Route, Web


class Alive(Answer, frozen=True):
    alive: bool


class Ready(Answer, frozen=True):
    ready: bool


class PartHealth(Answer, frozen=True):
    """The verdict on one part of the daemon."""

    part: str
    verdict: Verdict
    reason: str


class Health(Answer, frozen=True):
    """The verdict on the daemon."""

    verdict: Verdict
    """The worst of its parts; a lost camera degrades the whole, but is not critical."""
    parts: list[PartHealth]
    """The journal, cameras, archives with a fault, unkillable child processes, monitors, alerts, and a refused
    configuration.

    Monitors watch memory, disk, loop, journal, connections, processes and others.
    """


async def alive(web: Web) -> Alive:
    return Alive(alive=True)


async def ready(web: Web) -> Ready:
    state = web.gateway.state
    if state.run is None or state.stopping:
        raise Rejected(Refusal.UNAVAILABLE, "banken is stopping" if state.stopping else "banken is starting", 1.0)
    fault = web.gateway.snapshot(cameras=False).journal.fault
    if fault is not None:
        raise Rejected(Refusal.UNAVAILABLE, f"the journal cannot write: {fault}", 5.0)
    return Ready(ready=True)


async def show_health(web: Web) -> Health:
    return health(web.gateway.snapshot(cameras=False).health)


def health(found: Found) -> Health:
    parts = [PartHealth(part=each.part, verdict=each.verdict, reason=each.reason) for each in found.parts]
    return Health(verdict=found.verdict, parts=parts)


ROUTES = (
    Route(
        method="GET",
        path="/healthz",
        right=Right.NONE,
        handler=alive,
        before_users=True,
        summary="Whether the daemon answers.",
        answer=Alive,
        response="`alive`: true",
    ),
    Route(
        method="GET",
        path="/readyz",
        right=Right.NONE,
        handler=ready,
        before_users=True,
        summary="Whether the daemon is ready; 503 while it starts or stops, or its journal cannot write.",
        answer=Ready,
        response="`ready`: true",
        errors=(503,),
    ),
    Route(
        method="GET",
        path="/api/health",
        right=Right.HEALTH,
        handler=show_health,
        summary="The verdict on the daemon and on each of its parts.",
        answer=Health,
        response="the [verdict](#health)",
    ),
)
