"""The description of all routes, for programs."""

from quart import Response

from supervisor.base.background_import import short_switch_interval
from supervisor.base.threads import run_in_thread

from ..json import encode
from ..openapi import document
from ..routes import Media, Right, Route, Web

JSON = "application/json"


class Encoded:
    """The document of one application, once it has been asked for."""

    data: bytes | None = None


async def show_openapi(web: Web) -> Response:
    kept = web.keep(Encoded)
    if kept.data is None:
        with short_switch_interval():  # it takes a tenth of a second, once
            kept.data = await run_in_thread(lambda: encode(document(web.resources)), limiter=web.rendering)
    return Response(kept.data, content_type=JSON, headers={"Cache-Control": "no-store"})


ROUTES = (
    Route(
        method="GET",
        path="/api/openapi.json",
        right=Right.NONE,
        handler=show_openapi,
        summary="Describe all routes.",
        answer=Media(JSON),
        response="an OpenAPI document (3.1.0); `x-right` is the right that an operation needs",
    ),
)
