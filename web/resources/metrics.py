"""Metrics for Prometheus."""

from functools import partial

from quart import Response

from supervisor.base.threads import run_in_thread
from supervisor.ports.errors import JournalError
from supervisor.ports.past import TooLong

from .. import metrics
from ..routes import Media, Right, Route, Web


async def expose_metrics(web: Web) -> Response:
    try:
        found = await web.gateway.availability()
    except (JournalError, TooLong):
        found = None  # of a journal in a replay that is damaged or too long: everything else is known
    rooms = web.gateway.archive_rooms()
    asked = (web.gateway.snapshot(peers=True), metrics.measure_process(), found, rooms)
    text = await run_in_thread(partial(metrics.expose, *asked), limiter=web.rendering)
    return Response(text, content_type=metrics.CONTENT_TYPE)


ROUTES = (
    Route(
        method="GET",
        path="/metrics",
        right=Right.MEASURE,
        handler=expose_metrics,
        summary="All metrics; the help line of each explains it.",
        answer=Media(metrics.CONTENT_TYPE),
        response="Prometheus's text format 0.0.4",
    ),
)
