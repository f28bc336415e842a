"""The API: what is, as JSON; and the few things that an operator may do."""

import os
from collections.abc import Mapping
from functools import partial

import trio
from quart import Blueprint, Response, request
from werkzeug.exceptions import BadRequest

from supervisor.domain import commands as c
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.events import EVENTS
from supervisor.domain.ids import CameraId, PeerId
from supervisor.domain.values import Fault, Reason
from supervisor.gateway import Gates
from supervisor.journal.reader import NEVER, Query
from supervisor.kernel import Origin
from supervisor.threads import run_in_thread

from . import json, metrics
from .client import client
from .made import in_turns
from .searches import Searches, why_costly

MAX_PAGE, PAGE = 1000, 100
EVENT_TYPES = {event.__name__ for event in EVENTS}


def routes(gateway: Gates, searches: Searches) -> Blueprint:
    api = Blueprint("api", __name__)
    rendering = trio.CapacityLimiter(2)
    """Long answers are made in threads: the loop has pictures to pass on."""

    @api.get("/api/cameras")
    async def list_cameras() -> Response:
        return json.respond({"cameras": await in_turns(json.cameras(gateway.snapshot()))})

    @api.get("/api/cameras/<name>")
    async def show_camera(name: str) -> Response:
        snapshot = gateway.snapshot()
        known = snapshot.state.cameras.get(CameraId(name))
        if known is None:
            raise Rejected(Refusal.UNKNOWN, f"there is no camera {name!r}")
        return json.respond(json.camera_now(known, snapshot, json.viewer_counts(snapshot.state)))

    @api.get("/api/peers")
    async def list_peers() -> Response:
        """`uses` are those who have a camera open without WebRTC, MJPEG viewers among them."""
        snapshot = gateway.snapshot(peers=True)
        return json.respond({"peers": json.peers(snapshot), "uses": json.uses(snapshot.state)})

    @api.delete("/api/peers/<peer>")
    async def kick_peer(peer: str) -> Response:
        """The operator's; the viewer is told the reason."""
        kicked = Reason("kicked", "an operator ended this connection", Fault.NONE)
        await gateway.submit(c.ClosePeer(PeerId(peer), kicked), Origin(f"client:{client()}"))
        return Response(b"", status=204)

    @api.get("/api/devices")
    async def list_devices() -> Response:
        return json.respond({"devices": json.devices(gateway.snapshot(cameras=False))})

    @api.get("/api/processes")
    async def list_processes() -> Response:
        return json.respond({"processes": json.processes(gateway.snapshot(cameras=False), os.getpid())})

    @api.get("/api/events")
    async def list_events() -> Response:
        """`after` leads on from the last one seen, `before` back from the first; with neither, the newest are given.

        The oldest of them comes first, or with `order=newest` the newest.
        """
        query, given = wanted(request.args), number(request.args, "after", None, 0, 2**62)
        limit, order = number(request.args, "limit", PAGE, 1, MAX_PAGE), request.args.get("order", "oldest")
        if order not in ("oldest", "newest"):
            raise BadRequest(f"order must be oldest or newest, not {order[:40]!r}")
        async with searches.place(client()):
            page = await gateway.read(query, limit or PAGE, newest=given is None)
        camera = query.camera
        if not page and camera is not None and camera not in gateway.state.cameras:
            raise Rejected(Refusal.UNKNOWN, f"there is, and was, no camera {camera!r}")
        seen = page[-1].seq if page else min(query.after, gateway.last_seq)
        if order == "newest":
            page.reverse()
        body = {"events": await run_in_thread(partial(json.events, page), limiter=rendering)}
        return json.respond({**body, "next": seen, "last": gateway.last_seq})

    @api.get("/healthz")
    async def alive() -> Response:
        return json.respond({"alive": True})

    @api.get("/readyz")
    async def ready() -> Response:
        state = gateway.state
        if state.run is None or state.stopping:
            raise Rejected(Refusal.UNAVAILABLE, "banken is stopping" if state.stopping else "banken is starting", 1.0)
        return json.respond({"ready": True})

    @api.get("/api/health")
    async def health() -> Response:
        return json.respond(json.health(gateway.snapshot(cameras=False).health))

    @api.get("/metrics")
    async def expose_metrics() -> Response:
        asked = (gateway.snapshot(peers=True), metrics.measure_process())
        text = await run_in_thread(partial(metrics.expose, *asked), limiter=rendering)
        return Response(text, content_type=metrics.CONTENT_TYPE)

    return api


def number(args: Mapping[str, str], name: str, default: int | None, least: int, most: int) -> int | None:
    """A whole number from the query. Raises `BadRequest` for anything else."""
    value = args.get(name)
    if value is None:
        return default
    if not (value.isascii() and value.isdigit() and len(value) < 20 and least <= int(value) <= most):
        raise BadRequest(f"{name} must be a whole number from {least} to {most}, not {value[:40]!r}")
    return int(value)


def wanted(args: Mapping[str, str]) -> Query:
    """Which events are asked for. Raises `BadRequest`."""
    camera, types = filters(args)
    stream, correlation, principal = (args.get(name) for name in ("stream", "correlation", "principal"))
    require_cheap("stream", stream)
    return Query(
        after=number(args, "after", None, 0, 2**62) or 0,
        before=number(args, "before", None, 1, 2**62) or NEVER,
        camera=camera,
        types=types,
        stream=stream or None,
        correlation=correlation or None,
        principal=principal or None,
    )


def filters(args: Mapping[str, str]) -> tuple[CameraId | None, tuple[str, ...]]:
    """The camera and the types of events that the query asks for. Raises `BadRequest`."""
    camera, kind = args.get("camera"), args.get("type")
    require_cheap("type", kind)
    if kind is not None and "*" not in kind and kind not in EVENT_TYPES:
        raise BadRequest(f"there is no type of event {kind[:40]!r}; a pattern like Camera* is welcome")
    return (CameraId(camera) if camera else None), ((kind,) if kind else ())


def require_cheap(name: str, pattern: str | None) -> None:
    """Raises `BadRequest` for a pattern that may take long to match."""
    if pattern is not None and (why := why_costly(pattern)) is not None:
        raise BadRequest(f"{name}: {why}")
