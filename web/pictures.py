"""Pictures for clients without WebRTC: one JPEG, or an endless row of them. Made from what the camera sends anyway."""

from collections.abc import AsyncGenerator, Collection
from contextlib import nullcontext

from quart import Blueprint, Response, request
from werkzeug.exceptions import BadRequest

from supervisor.domain.ids import CameraId
from supervisor.gateway import Gates, Jpeg

from .client import client
from .cross_site import opens_no_camera, takes_visits
from .json import iso
from .places import Places

BOUNDARY = "banken-picture"
MAX_AGE_S = 86400.0
MOST, MOST_OF_CLIENT = 128, 32
"""Single pictures for which a camera may be opened, and which are waited for: by all clients, and by one.

A page with many cameras asks for all pictures that there are at once. They take no place: the decoder has one of each
camera at a time, and a bound for all.
"""
TOO_MANY = "pictures are waited for already; ask again when some have come"
OPENED = "banken.opened"
"""In a request's scope: the exit stack of what lives as long as the request, whether its answer is begun or not."""


def routes(gateway: Gates, allow_origins: Collection[str]) -> Blueprint:
    pictures, places = Blueprint("pictures", __name__), Places(MOST, MOST_OF_CLIENT, TOO_MANY)

    async def take(camera: str, max_age_s: float | None, *, open_it: bool) -> Response:
        """Raises `TooManyRequests` (429) when a camera may be opened for it and there is no place."""
        with places.hold(client()) if open_it else nullcontext():
            return _single(await gateway.take_picture(CameraId(camera), client(), max_age_s, open_it=open_it))

    @pictures.get("/cameras/<camera>/snapshot.jpg")
    @takes_visits
    async def show_picture(camera: str) -> Response:
        """`max_age`: seconds; an older picture is not good enough, and the camera is asked for a new one.

        `cached`: no camera is asked or opened; without a picture that is good enough the answer is 404.
        A link on another site, a prefetch, or HEAD gets the picture that there is, however old.
        """
        if opens_no_camera(allow_origins):
            return await show_cached(camera)
        return await take(camera, _max_age(), open_it="cached" not in request.args)

    @pictures.get("/cameras/<camera>/stream.mjpeg")
    @takes_visits
    async def stream_pictures(camera: str) -> Response:
        """Each key frame as it comes, twice a second at the most. The viewer counts as one, under the same caps.

        A link on another site, a prefetch, or HEAD gets one picture that there is.
        """
        if opens_no_camera(allow_origins):
            return await show_cached(camera)
        row = gateway.watch_pictures(CameraId(camera), client())
        request.scope[OPENED].push_async_callback(row.aclose)  # type: ignore[literal-required]
        first = await anext(row)  # what keeps the camera from being watched is said with a status, before any byte
        response = Response(_parts(first, row), content_type=f"multipart/x-mixed-replace; boundary={BOUNDARY}")
        response.headers["Cache-Control"] = "no-store"
        response.timeout = None
        return response

    async def show_cached(camera: str) -> Response:
        return await take(camera, None, open_it=False)

    return pictures


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


def _max_age() -> float | None:
    """Seconds from the query. Raises `BadRequest` for what is no such number."""
    value = request.args.get("max_age")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_AGE_S:
        raise BadRequest(f"max_age must be seconds from 0 to {MAX_AGE_S:g}, not {value[:40]!r}")
    return seconds
