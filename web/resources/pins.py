"""Pins: stretches of time whose events and footage are kept until somebody releases them."""

from datetime import datetime
from typing import Annotated

import msgspec
from quart import Response
from werkzeug.exceptions import Conflict

from supervisor.domain.access import shown
from supervisor.domain.ids import CameraId
from supervisor.domain.pin import MOST_CAMERAS, MOST_NOTE
from supervisor.domain.state import StretchPin
from supervisor.ports.pins import PinsPort

from .. import json
from ..access import principal
from ..bodies import Strict
from ..json import Answer, Time, iso
from ..routes import Right, Route, Web
from .session import asking

PinName = Annotated[str, msgspec.Meta(min_length=1, max_length=63)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class NewPin(Strict, frozen=True):
    pin: PinName
    from_: Moment = msgspec.field(name="from")
    to: Moment | None = None
    """By default now."""
    cameras: Annotated[tuple[PinName, ...], msgspec.Meta(min_length=1, max_length=MOST_CAMERAS)] | None = None
    """By default all of the scope."""
    note: Annotated[str, msgspec.Meta(max_length=MOST_NOTE)] = ""


class Pin(Answer, frozen=True):
    """A stretch of time that is kept."""

    pin: str
    """Its name."""
    from_: Time = msgspec.field(name="from")
    to: Time
    cameras: list[CameraId]
    """Those of the scope whose footage is kept. Events are kept of all."""
    bytes: int
    """The footage when it was pinned; 0 if it has cameras outside the scope."""
    note: str
    """The reason; empty if it has cameras outside the scope."""
    by: str
    """The principal that made it."""
    since: Time
    """When it was made."""


class Pins(Answer, frozen=True):
    pins: list[Pin]
    """The newest first."""


def pins_of(web: Web) -> PinsPort:
    """Raises `Conflict` over a journal without a daemon."""
    if web.gateway.pins is None:
        raise Conflict("a journal without a daemon cannot be changed: start the daemon of this journal to pin footage")
    return web.gateway.pins


async def list_pins(web: Web) -> Pins:
    return Pins(pins=[pin_of(each, each.bytes) for each in pins_of(web).seen(principal())])


async def make_pin(web: Web, body: NewPin) -> Response:
    cameras = tuple(map(CameraId, body.cameras or ()))
    to_ns = None if body.to is None else _ns(body.to)
    made = await pins_of(web).make(body.pin, _ns(body.from_), to_ns, cameras, body.note, asking())
    response = json.respond(pin_of(made.pin, made.bytes), 201)
    response.headers["Location"] = f"pins/{made.pin.pin}"  # relative to `/api/pins`: below any prefix of a proxy
    return response


async def release_pin(web: Web, pin: str) -> Response:
    await pins_of(web).release(pin, asking())
    return Response("", status=204)


def pin_of(known: StretchPin, size: int) -> Pin:
    return Pin(
        pin=known.pin,
        from_=iso(known.from_ns),
        to=iso(known.to_ns),
        cameras=list(known.cameras),
        bytes=size,
        note=known.note,
        by=shown(known.by),
        since=iso(known.made_ns),
    )


def _ns(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6) * 1000


ROUTES = (
    Route(
        method="GET",
        path="/api/pins",
        right=Right.REVIEW,
        handler=list_pins,
        summary="List the pins of own cameras.",
        answer=Pins,
        response="`pins`: a list of [pins](#pin), the newest first",
        errors=(409,),
    ),
    Route(
        method="POST",
        path="/api/pins",
        right=Right.REVIEW,
        handler=make_pin,
        summary="Pin a stretch of time: its events and its footage are kept until the pin is released.",
        body=NewPin,
        request="`pin`: its name. `from`, and `to` (by default now). A list of `cameras` (by default all of the "
        "scope). `note`: the reason",
        status=201,
        answer=Pin,
        response="the [pin](#pin); `bytes` is the footage that it keeps",
        errors=(403, 404, 409, 415, 422, 429, 503),
    ),
    Route(
        method="DELETE",
        path="/api/pins/{pin}",
        right=Right.REVIEW,
        handler=release_pin,
        summary="Release a pin: retention may then remove its stretch.",
        status=204,
        errors=(403, 404, 409, 503),
    ),
)
