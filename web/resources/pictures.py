"""Snapshots and MJPEG streams, for clients without WebRTC. They come from the key frames that cameras send anyway."""

from collections.abc import AsyncGenerator
from contextlib import nullcontext
from typing import Annotated

import msgspec
from quart import Response, request

from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import CameraId
from supervisor.ports.viewing import Jpeg

from ..client import client
from ..concurrency import ConcurrencyLimit
from ..cross_site import opens_no_camera
from ..json import iso
from ..queries import Query
from ..routes import OPENED, Media, Right, Route, Web

BOUNDARY = "banken-picture"
MAX_AGE_S = 86400.0
MOST, MOST_OF_CLIENT = 128, 32
"""Maximum number of snapshots that may open a camera and are waited for: by all clients, and by one.

A page with many cameras asks at once for all snapshots that exist. They are not limited: the decoder makes one of each
camera at a time, and has a bound for all.
"""
TOO_MANY = "pictures are waited for already; ask again when some have come"


class SnapshotQuery(Query, frozen=True, forbid_unknown_fields=False):
    max_age: Annotated[float, msgspec.Meta(ge=0, le=MAX_AGE_S)] | None = None
    cached: str | None = None


def opening_limit() -> ConcurrencyLimit:
    return ConcurrencyLimit(MOST, MOST_OF_CLIENT, TOO_MANY)


async def show_snapshot(web: Web, camera: str, query: SnapshotQuery) -> Response:
    """`max_age`: seconds; an older snapshot is not good enough, and the camera is asked for a new one.

    `cached`: no camera is asked or opened; without a good enough snapshot the answer is 204, no content: a page asks
    for all of its cameras, and one that was never opened is no error.
    A link on another site, a prefetch, or HEAD gets the newest snapshot that exists, however old.
    """
    if opens_no_camera(web.settings.allow_origins):
        return await _take(web, camera, None, open_it=False)
    if query.cached is None:
        return await _take(web, camera, query.max_age, open_it=True)
    try:
        return await _take(web, camera, query.max_age, open_it=False)
    except Rejected as error:
        if error.refusal is not Refusal.UNKNOWN or not web.gateway.has_camera(CameraId(camera)):
            raise
        return Response(b"", status=204, headers={"Cache-Control": "no-store"})


async def stream_snapshots(web: Web, camera: str) -> Response:
    """Each key frame as it arrives, at most two a second. The client counts as a viewer, under the same caps.

    A link on another site, a prefetch, or HEAD gets one snapshot that exists.
    """
    if opens_no_camera(web.settings.allow_origins):
        return await _take(web, camera, None, open_it=False)
    row = web.gateway.watch_pictures(CameraId(camera), client())
    request.scope[OPENED].push_async_callback(row.aclose)  # type: ignore[literal-required]
    first = await anext(row)  # a refusal is answered with its status, before any byte
    response = Response(_parts(first, row), content_type=f"multipart/x-mixed-replace; boundary={BOUNDARY}")
    response.headers["Cache-Control"] = "no-store"
    response.timeout = None
    return response


async def _take(web: Web, camera: str, max_age_s: float | None, *, open_it: bool) -> Response:
    """Raises `TooManyRequests` (429) if a camera may be opened for it and the limit is reached."""
    with web.keep(opening_limit).hold(client()) if open_it else nullcontext():
        return _single(await web.gateway.take_picture(CameraId(camera), client(), max_age_s, open_it=open_it))


def _single(jpeg: Jpeg) -> Response:
    headers = {
        "Cache-Control": "no-store",
        "Age": str(int(jpeg.age_s)),
        "X-Picture-Age": f"{jpeg.age_s:.3f}",
        "X-Picture-Time": iso(jpeg.taken_ns),
    }
    return Response(jpeg.data, content_type="image/jpeg", headers=headers)


async def _parts(first: Jpeg, rest: AsyncGenerator[Jpeg, None]) -> AsyncGenerator[bytes, None]:
    yield _part(first)
    async for jpeg in rest:
        yield _part(jpeg)


def _part(jpeg: Jpeg) -> bytes:
    head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg.data)}\r\n\r\n"
    return head.encode() + jpeg.data + b"\r\n"


ROUTES = (
    Route(
        method="GET",
        path="/cameras/{camera}/snapshot.jpg",
        right=Right.WATCH,
        handler=show_snapshot,
        summary="Show the newest snapshot of a camera, which is opened for it if necessary.",
        query=SnapshotQuery,
        request="`max_age`: seconds, 0 to 86400. `cached`: ask no camera.",
        answer=Media("image/jpeg"),
        response="a JPEG of the newest key frame, with `Age`, `X-Picture-Age` (s) and `X-Picture-Time`",
        also={204: "with `cached`, and no such snapshot"},
        errors=(404, 409, 503),
        takes_visits=True,
    ),
    Route(
        method="GET",
        path="/cameras/{camera}/stream.mjpeg",
        right=Right.WATCH,
        handler=stream_snapshots,
        summary="Watch a camera as an MJPEG stream.",
        answer=Media("multipart/x-mixed-replace"),
        response="an MJPEG stream (`multipart/x-mixed-replace`): each key frame, at most two a second. "
        "It counts as a viewer.",
        errors=(404, 409, 503),
        takes_visits=True,
    ),
)
