"""Questions about the past: one at a time, for clients in turn, in the journal's own thread."""

import re
from collections.abc import Callable

import msgspec
from werkzeug.exceptions import BadRequest

from supervisor.domain.ids import CameraId
from supervisor.ports.past import Past
from supervisor.ports.questions import At, parse

from . import json
from .client import client
from .json import Answer
from .queries import Query
from .routes import Web
from .searches import Searches

_LOST_PLUS = re.compile(r"(:\d{2}(?:\.\d+)?) (\d{2}:\d{2})$")
"""A `+` in a query that is not quoted is a space."""


class StretchQuery(Query, frozen=True, rename={"since": "from", "until": "to"}):
    since: str | None = None
    until: str | None = None
    camera: str | None = None


def questions() -> Searches:
    """The queue of questions about the past."""
    return Searches()


async def answer(web: Web, question: Callable[[Past], Answer]) -> msgspec.Raw:
    async with web.keep(questions).place(client()):
        return msgspec.Raw(await web.gateway.ask(lambda past: json.encode(question(past))))


def camera_of(query: StretchQuery) -> CameraId | None:
    """The camera in the query; None for all cameras."""
    return CameraId(query.camera) if query.camera else None


def time_of(name: str, value: str | None) -> At | None:
    """A time of the query, in UTC where it has no offset. Raises `BadRequest`."""
    if value is None:
        return None
    try:
        found = parse(_LOST_PLUS.sub(r"\1+\2", value.strip()))
    except ValueError:
        found = At(seq=0)
    if found.seq is not None:
        raise BadRequest(f"{name} must be a time like 2026-01-31T03:10:00.5Z, not {value[:40]!r}")
    return found
