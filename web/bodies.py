"""Bodies of requests as typed values. An unknown, missing or doubled field and a wrong type are refused by name (400).

No body has an object inside of its object.
"""

import re
from typing import TypeVar

import msgspec
from quart import request
from werkzeug.exceptions import BadRequest, Unauthorized, UnsupportedMediaType

from supervisor.domain.json_fields import doubled_field

Body = TypeVar("Body")
JSON = "application/json"
_HALF = re.compile(
    rb"(?:[^\\]++|\\[^u]|\\u(?![dD][89a-fA-F])|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})*+"
    rb"(?P<escape>\\u[dD][89a-fA-F][0-9a-fA-F]{2})",
    re.DOTALL,
)
"""JSON up to the first escape that is one half of a surrogate pair, without the other half."""
FAULTS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all bodies."""


async def read(kind: type[Body]) -> Body:
    """The request's body. Raises `BadRequest` that names what is wrong, and `UnsupportedMediaType`."""
    if request.mimetype != JSON:  # a form of another site could send other types without asking first
        raise UnsupportedMediaType(f"the body must be {JSON}, not {request.mimetype or 'of no stated type'}")
    data = await request.get_data(cache=False, as_text=False, parse_form_data=False)
    try:
        found = msgspec.json.decode(data, type=kind)  # ends at the first value of another type, whatever follows
    except msgspec.ValidationError as error:
        raise BadRequest(str(error)) from None
    except FAULTS as error:
        raise not_json(data, error) from None
    require_single(data)
    return found


def parse(data: bytes | str) -> object:
    """JSON of any form, which is short. Raises `BadRequest`."""
    try:
        found: object = msgspec.json.decode(data)
    except FAULTS as error:
        raise not_json(data, error) from None
    require_single(data)
    return found


def require_single(data: bytes | str) -> None:
    """Raises `BadRequest` for a field that is given twice."""
    name = doubled_field(data)
    if name is not None:
        raise BadRequest(f"the field {name[:40]!r} is given twice")


def not_json(data: bytes | str, error: Exception) -> BadRequest:
    """The refusal of `data`. For msgspec, half of a surrogate pair is truncated input."""
    half = _HALF.match(data if isinstance(data, bytes) else data.encode(errors="replace"))
    why = error if half is None else f"{half['escape'].decode()} is half of a surrogate pair, without the other half"
    return BadRequest(f"this is not JSON: {why}")


def understand(value: object, kind: type[Body]) -> Body:
    """`value` as a body of this kind. Raises `BadRequest`."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise BadRequest(str(error)) from None


def bearer() -> str:
    """The secret that the request shows. Raises `Unauthorized`."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthorized("this needs Authorization: Bearer SECRET")
    return secret.strip()
