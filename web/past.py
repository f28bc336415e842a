"""Questions about the past: one at a time, for clients in turn, in the journal's own thread."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime

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
_NANOSECONDS = re.compile(r"[0-9]{16,19}", re.ASCII)
MAX_NS = 2**62


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


def instant(name: str, value: str, now_ns: int) -> int:
    """A time of the query, in nanoseconds since 1970: a date with a time, `10m` for ten minutes ago, or nanoseconds.

    UTC where it has no offset. Raises `BadRequest`.
    """
    text = _LOST_PLUS.sub(r"\1+\2", value.strip())
    try:
        if match := _NANOSECONDS.fullmatch(text):
            return _bounded(int(match[0]))
        found = parse(text)
        if found.ago_ns is not None:
            return _bounded(max(0, now_ns - found.ago_ns))
        if not isinstance(found.day, date) or not found.clock:
            raise ValueError
        at = datetime.fromisoformat(f"{found.day}T{found.clock.partition('.')[0]}").replace(tzinfo=found.offset or UTC)
        return _bounded(int(at.timestamp()) * 10**9 + int(found.clock.partition(".")[2].ljust(9, "0")))
    except (ValueError, OverflowError):
        pass
    raise BadRequest(f"{name} must be a time like 2026-01-31T03:10:00.5Z, or nanoseconds, not {value[:40]!r}")


def _bounded(at_ns: int) -> int:
    """Raises `ValueError` for a time before 1970, or far ahead."""
    if not 0 <= at_ns < MAX_NS:
        raise ValueError
    return at_ns
