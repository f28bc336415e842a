"""The API of the past: how things stood at a moment, what went wrong next, and why something happened.

Everything here is read, folded and made into JSON in the journal's own thread, one question at a time, of clients
in turn. The modules that answer are imported before the first question is: a daemon starts without them.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from quart import Blueprint, Response, request
from werkzeug.exceptions import BadRequest

from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import CameraId
from supervisor.gateway import Gates
from supervisor.journal.reader import Reader
from supervisor.late import Late

from . import json
from .api import number
from .client import client
from .searches import Searches

if TYPE_CHECKING:
    from supervisor.analysis.timeline import Timeline

ANSWERS = Late(["supervisor.past", "supervisor.analysis.causes", "supervisor.analysis.timeline"])
"""Each module that a function below imports, so that its `import` finds it there."""
TOP = 2**62
LAST_NS = 3600 * 10**9
MAX_EVENTS = 20_000
"""In the stretch of a timeline: what is folded in about a second."""


def routes(gateway: Gates) -> Blueprint:
    past, questions = Blueprint("past", __name__), Searches()

    async def answer(question: Callable[[Reader], json.Json]) -> Response:
        await ANSWERS.load()
        async with questions.place(client()):
            return json.respond(msgspec.Raw(await gateway.ask(lambda reader: json.encode(question(reader)))))

    @past.get("/api/state")
    async def show_state() -> Response:
        """`at`: a time, or `seq`: the number of an event; with neither, the last event's."""
        seq, wall_ns = number(request.args, "seq", None, 1, TOP), moment(request.args, "at")
        if seq is not None and wall_ns is not None:
            raise BadRequest("at or seq, not both")

        def show(reader: Reader) -> json.Json:
            from supervisor.past import look_back

            return json.moment(look_back(reader, seq, wall_ns))

        return await answer(show)

    @past.get("/api/failures")
    async def find_failure() -> Response:
        """The next warning or error `after` an event, or the last one `before` it; null if there is none."""
        after, before = (number(request.args, name, None, 0, TOP) for name in ("after", "before"))
        if (after is None) is (before is None):
            raise BadRequest("after=SEQ or before=SEQ, one of them")

        def find(reader: Reader) -> json.Json:
            from supervisor.past import find_trouble

            found = find_trouble(reader, after, before)
            return {"event": json.event(found) if found else None}

        return await answer(find)

    @past.get("/api/why/<int:seq>")
    async def explain(seq: int) -> Response:
        """The chain of causes of an event, the first one first, with what children last wrote."""

        def explain(reader: Reader) -> json.Json:
            from supervisor.analysis.causes import why

            found = why(reader, seq) if seq < TOP else None
            if found is None:
                raise Rejected(Refusal.UNKNOWN, f"the journal holds no event {seq}")
            return json.why(found)

        return await answer(explain)

    @past.get("/api/timeline")
    async def show_timeline() -> Response:
        """States of cameras `from` a time `to` another; without them, the last hour. `camera`: of this one only."""
        since_ns, until_ns = moment(request.args, "from", begins=True), moment(request.args, "to")
        if since_ns is not None and until_ns is not None and since_ns >= until_ns:
            raise BadRequest("from must be before to")
        camera = request.args.get("camera")
        cameras = [CameraId(camera)] if camera else None
        return await answer(lambda reader: json.timeline(draw(reader, since_ns, until_ns, cameras)))

    return past


def draw(reader: Reader, since_ns: int | None, until_ns: int | None, cameras: list[CameraId] | None) -> "Timeline":
    """The timeline of a stretch that is not too long to be drawn. Raises `BadRequest` for one that is."""
    from supervisor.analysis.timeline import timeline
    from supervisor.past import look_back

    end_ns = look_back(reader).event.wall_ns if until_ns is None else until_ns
    begin_ns = max(0, end_ns - LAST_NS) if since_ns is None else since_ns
    count = reader.seq_at(end_ns) - reader.seq_at(begin_ns - 1)
    if count > MAX_EVENTS:
        raise BadRequest(f"{count} events are in this stretch, and {MAX_EVENTS} can be drawn: choose a shorter one")
    return timeline(reader, begin_ns, end_ns, cameras)


def moment(args: Mapping[str, str], name: str, *, begins: bool = False) -> int | None:
    """A time from the query, in nanoseconds since the epoch. Raises `BadRequest`.

    Written with three or six decimals it is the end of its last milli- or microsecond, so that it takes in all that
    was decided in that; with `begins` its beginning.
    """
    value = args.get(name)
    if value is None:
        return None
    try:
        parsed = datetime.fromisoformat(value.strip().replace(" ", "+"))
        aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        micros = round((aware - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)
    except (ValueError, OverflowError):
        raise BadRequest(f"{name} must be a time like 2026-01-31T03:10:00.5Z, not {value[:40]!r}") from None
    decimals = re.search(r"\.(\d+)", value)
    unit_ns = 10 ** (9 - min(9, len(decimals[1]))) if decimals and not begins else 1
    return min(max(0, micros * 1000 + unit_ns - 1), TOP)
