"""Query parameters as typed values: each field of a `Query` is a parameter.

Rules of this file:
- A parameter that is unknown, is given twice or has a wrong value is refused by name (400). An answer without it would
  mislead.
- A query may opt out of the first (`forbid_unknown_fields=False`), where programs add parameters against caches.
- A number is decimal digits. `int()` and `float()` also take signs, spaces and underscores.
"""

import re
from functools import cache
from typing import Annotated, TypeVar

import attrs
import msgspec
from msgspec import inspect
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequest

MAX_SEQ = 2**62
MOST_VALUES = 64
"""How often a parameter may be given that may be given several times."""
SequenceNumber = Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQ)]
"""The number of an event, or 0 for the one before the first."""
_DECIMAL = re.compile(r"[0-9]{1,19}(?:\.[0-9]{0,19})?", re.ASCII)


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all queries. Every parameter is optional."""


Asked = TypeVar("Asked", bound=Query)


@attrs.frozen
class Parameter:
    """A parameter: its name in the query, its field, its type as msgspec describes it, and what it means."""

    name: str
    field: str
    type: inspect.Type
    meaning: str


@cache
def parameters(kind: type[Query]) -> tuple[Parameter, ...]:
    """The parameters of a query, in the order of its fields."""
    found = inspect.type_info(kind)
    assert isinstance(found, inspect.StructType)
    return tuple(Parameter(each.encode_name, each.name, *_inner(each.type)) for each in found.fields)


def _inner(kind: inspect.Type, meaning: str = "") -> tuple[inspect.Type, str]:
    """The type without None, and its description."""
    if isinstance(kind, inspect.Metadata):
        return _inner(kind.type, (kind.extra_json_schema or {}).get("description", meaning))
    if isinstance(kind, inspect.UnionType):
        (other,) = (each for each in kind.types if not isinstance(each, inspect.NoneType))
        return _inner(other, meaning)
    return kind, meaning


def parse_query(kind: type[Asked], args: MultiDict[str, str]) -> Asked:
    """The query as a value. Raises `BadRequest` that names the parameter."""
    known = parameters(kind)
    if kind.__struct_config__.forbid_unknown_fields:
        names = [each.name for each in known]
        for name in args:
            if name not in names:
                raise BadRequest(f"there is no parameter {name[:40]!r} here; known: {', '.join(names)}")
    for each in known:
        if len(args.getlist(each.name)) > (MOST_VALUES if _is_list(each) else 1):
            most = f"more than {MOST_VALUES} times" if _is_list(each) else "twice"
            raise BadRequest(f"the parameter {each.name} is given {most}")
    given = {
        each.field: tuple(args.getlist(each.name)) if _is_list(each) else _value(each, args[each.name])
        for each in known
        if each.name in args
    }
    return kind(**given)


def _is_list(parameter: Parameter) -> bool:
    """Whether it may be given several times: each time, it is one of the texts."""
    return isinstance(parameter.type, inspect.VarTupleType)


def _value(parameter: Parameter, text: str) -> object:
    match parameter.type:
        case inspect.IntType(ge=least, le=most):
            return number(parameter.name, text, least or 0, MAX_SEQ if most is None else most)
        case inspect.FloatType(ge=least, le=most):
            low, high = float(least or 0), float(most or 0)
            if not _DECIMAL.fullmatch(text) or not low <= float(text) <= high:
                raise BadRequest(f"{parameter.name} must be a number from {low:g} to {high:g}, not {text[:40]!r}")
            return float(text)
        case inspect.LiteralType(values=values):
            if text not in values:
                raise BadRequest(f"{parameter.name} must be {' or '.join(map(str, values))}, not {text[:40]!r}")
            return text
        case _:
            return text


def number(name: str, text: str, least: int, most: int) -> int:
    """A whole number. Raises `BadRequest` for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise BadRequest(f"{name} must be a whole number from {least} to {most}, not {text[:40]!r}")
    return int(text)
