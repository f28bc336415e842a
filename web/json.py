"""JSON answers: values that msgspec encodes. Times are ISO 8601 in UTC; secrets and their hashes are never included."""

from functools import lru_cache
from typing import Annotated, Any, Self

import msgspec
from quart import Response

from supervisor.base import times
from supervisor.domain import values

encode = msgspec.json.Encoder().encode

Json = dict[str, Any]
Time = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
"""An instant in ISO 8601, in UTC."""
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
"""A part of a whole."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all answers, and of their parts."""


class Reason(Answer, frozen=True):
    """Why something is as it is."""

    code: str
    """For programs: [reason codes](events.md#reason-codes)."""
    text: str
    """For people."""
    fault: values.Fault

    @classmethod
    def of(cls, why: values.Reason | None) -> Self | None:
        return None if why is None else cls(code=why.code, text=why.text, fault=why.fault)


def respond(body: object, status: int = 200) -> Response:
    """Return `body` as a JSON response that must not be cached, since the state changes at any time."""
    return Response(encode(body), status=status, content_type="application/json", headers={"Cache-Control": "no-store"})


@lru_cache(maxsize=8192)
def iso(wall_ns: int, timespec: str = "milliseconds") -> str:
    """Format nanoseconds since the epoch as ISO 8601 in UTC."""
    return times.iso(wall_ns, timespec=timespec)
