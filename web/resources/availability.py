"""Availability of cameras over a stretch of time."""

import msgspec

from supervisor.base.threads import run_in_thread
from supervisor.domain.availability import Availability, CameraAvailability
from supervisor.domain.ids import CameraId
from supervisor.ports.past import no_such_camera

from .. import json
from ..client import client
from ..json import Answer, Time, iso
from ..past import StretchQuery, answer, camera_of, questions, time_of
from ..routes import Right, Route, Web


class Figures(Answer, frozen=True, rename={"since": "from", "until": "to"}):
    """The availability of cameras over a stretch of time."""

    since: Time
    """Where the covered part of the stretch begins."""
    until: Time
    """Where it ends."""
    ran_s: float
    """How long a daemon ran and was not asked to stop."""
    cameras: tuple[CameraAvailability, ...]


async def show_availability(web: Web, query: StretchQuery) -> msgspec.Raw:
    """The availability of the cameras `from` a time `to` another; `camera`: this one only.

    With neither time, since this run of the daemon began; in a replay, from the first event of the journal to
    its end, or to the instant that is shown. Without `from`, in the hour before.
    """
    since, until, camera = time_of("from", query.since), time_of("to", query.until), camera_of(query)
    if since is None and until is None:
        async with web.keep(questions).place(client()):
            found = await web.gateway.availability(None if camera is None else {camera})
            made = await run_in_thread(lambda: json.encode(figures(found, camera)), limiter=web.rendering)
        return msgspec.Raw(made)

    return await answer(web, lambda past: availability(past.availability(since, until, camera)))


def figures(found: Availability, camera: CameraId | None) -> Figures:
    """Raises `Rejected` for a camera that was asked for and is not there."""
    if camera is not None and not found.cameras:
        raise no_such_camera(camera)
    return availability(found)


def availability(found: Availability) -> Figures:
    since, until = iso(found.since_ns, "microseconds"), iso(found.until_ns, "microseconds")
    return Figures(since=since, until=until, ran_s=found.ran_s, cameras=found.cameras)


ROUTES = (
    Route(
        method="GET",
        path="/api/availability",
        right=Right.READ,
        handler=show_availability,
        answer=Figures,
        summary="Show how well the cameras did.",
        query=StretchQuery,
        request="`from`, `to` (times), `camera`; without times, since this run began",
        response="the [figures](#figures), which [availability.md](availability.md) explains",
        errors=(400, 404, 422),
    ),
)
