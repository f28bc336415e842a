"""Bodies of requests as typed values: an unknown field, a wrong type or a missing one is refused by name (400)."""

from typing import TypeVar

import msgspec
from quart import request
from werkzeug.exceptions import BadRequest, Unauthorized, UnsupportedMediaType

Body = TypeVar("Body")
JSON = "application/json"
FAULTS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all bodies."""


async def read(kind: type[Body]) -> Body:
    """The request's body. Raises `BadRequest` that names what is wrong, and `UnsupportedMediaType`."""
    if request.mimetype != JSON:  # a form of another site could send other types without asking first
        raise UnsupportedMediaType(f"the body must be {JSON}, not {request.mimetype or 'of no stated type'}")
    data = await request.get_data(cache=False, as_text=False, parse_form_data=False)
    try:
        return msgspec.json.decode(data, type=kind)  # ends at the first value of another type, whatever follows
    except msgspec.ValidationError as error:
        raise BadRequest(str(error)) from None
    except FAULTS as error:
        raise not_json(error) from None


def parse(data: bytes | str) -> object:
    """JSON of any form, which is short. Raises `BadRequest`."""
    try:
        return msgspec.json.decode(data)
    except FAULTS as error:
        raise not_json(error) from None


def not_json(error: Exception) -> BadRequest:
    return BadRequest(f"this is not JSON: {error}")


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
