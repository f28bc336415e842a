"""Write the tables of `ops/docs/api.md` from those of routes: `python3 ops/reference.py`. A test compares.

Rules of this file:
- `<!-- routes: NAME … -->` is followed by the routes of these resources; `<!-- routes: * -->` by those of all others.
- `<!-- objects -->` is followed by the structs of answers that have a docstring, in the order of their first use.
- `<!-- messages -->` is followed by the messages of `/ws/events`: those of banken, their fields, and those of clients.
- The text up to `<!-- end -->` is generated. Everything else is written by hand.
"""

import re
from collections.abc import Collection
from pathlib import Path

import bootstrap
from console import write

if __name__ == "__main__":
    bootstrap.enter()

from msgspec import inspect as types

from web import openapi, router
from web.current_state import Standing
from web.messages import SENT, TAKEN
from web.routes import Media, Resource, Route, public_path

PAGE = Path(__file__).parent / "docs" / "api.md"
HEAD = "| method | path | right | request | response | errors |\n|---|---|---|---|---|---|"
MARKED = re.compile(r"<!-- (routes: [\w *]+|objects|messages) -->\n.*?<!-- end -->", re.DOTALL)


def page(text: str) -> str:
    """The page with its tables as they should be."""
    found = router.load()
    named = {name for marker in re.findall(r"<!-- routes: ([\w ]+) -->", text) for name in marker.split()}

    def filled(match: re.Match[str]) -> str:
        if match[1] == "objects":
            return f"<!-- objects -->\n\n{objects(found)}\n\n<!-- end -->"
        if match[1] == "messages":
            return f"<!-- messages -->\n\n{messages()}\n\n<!-- end -->"
        names = match[1].removeprefix("routes: ").split()
        chosen = [each for each in found if (each.name in names if names != ["*"] else each.name not in named)]
        lines = [row(route) for resource in chosen for route in resource.routes]
        return "\n".join([f"<!-- {match[1]} -->\n", HEAD, *lines, "\n<!-- end -->"])

    return MARKED.sub(filled, text)


def row(route: Route) -> str:
    right = f"`{route.right}`" + (f", {route.proof}" if route.proof else "")
    request, kind = route.request, route.body
    if isinstance(kind, Media):
        request = f"`{kind.type}`: {request}"
    answers = openapi.answers(route)
    response = ". ".join(f"{status}: {text}" for status, text in answers.items())
    if list(answers) == [200] or route.is_websocket:
        response = route.response
    errors = ", ".join(map(str, route.errors))
    cells = [f"`{route.method}`", f"`{public_path(route.path)}`", right, request, response, errors]
    return f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


def objects(found: Collection[Resource]) -> str:
    kinds = [route.answer for each in found for route in each.routes if openapi.is_json(route.answer)]
    return "\n\n".join(described(kind) for kind in openapi.structs(kinds) if "__doc__" in vars(kind) and kind.__doc__)


def messages() -> str:
    """The messages of `/ws/events`. A whole state has the fields of the object `State`, which are not repeated."""
    sent = ["| from banken | when | fields |\n|---|---|---|"]
    owners: dict[type, list[str]] = {}
    for kind in SENT:
        own = [each.encode_name for each in openapi.fields(kind) if each.encode_name != "type"]
        sent.append(f"| `{tag_of(kind)}` | {' '.join((kind.__doc__ or '').split())} | {listed(own)} |")
        owner = next(base for base in kind.__mro__ if vars(base).get("__annotations__"))
        owners.setdefault(owner, []).append(tag_of(kind))
    parts = ["| message | field | type | meaning |\n|---|---|---|---|"]
    for owner, names in owners.items():
        if owner is not Standing:
            parts += [f"| {listed(names)} {line}" for line in rows(owner)]
    taken = ["| from a client | fields | as |\n|---|---|---|"]
    for name, message in TAKEN.items():
        known = openapi.fields(message.fields)
        needed = ["id", *(each.encode_name for each in known if each.required)]
        more = [each.encode_name for each in known if not each.required]
        words = listed(needed) + (f"; optional {listed(more)}" if more else "")
        taken.append(f"| `{name}` | {words} | {message.purpose} |")
    return "\n\n".join("\n".join(table) for table in (sent, parts, taken)).replace("|  |", "| |")


def listed(names: Collection[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def tag_of(kind: type) -> str:
    """The value of `type` in a message."""
    found = types.type_info(kind)
    assert isinstance(found, types.StructType)
    named = [each.type.values[0] for each in found.fields if isinstance(each.type, types.LiteralType)]
    return str(found.tag or named[0])


def described(kind: type) -> str:
    purpose = (kind.__doc__ or "").partition("\n")[0]
    lines = [f"### {kind.__name__}\n", f"{purpose}\n", "| field | type | meaning |\n|---|---|---|", *rows(kind)]
    return "\n".join(lines).replace("|  |", "| |")


def rows(kind: type) -> list[str]:
    """A row for each field: its name, its type and its meaning."""
    docs = openapi.docs(kind)
    return [
        f"| `{each.encode_name}` | {spelled(each.type)} | {docs.get(each.name, meaning(each.type))} |"
        for each in openapi.fields(kind)
    ]


def meaning(kind: types.Type) -> str:
    """The description of a type; empty without one."""
    return str((kind.extra_json_schema or {}).get("description", "")) if isinstance(kind, types.Metadata) else ""


def spelled(kind: types.Type) -> str:
    """A type in words."""
    match kind:
        case types.Metadata(type=inner, extra_json_schema=more):
            return "time" if (more or {}).get("format") == "date-time" else spelled(inner)
        case types.UnionType(types=inners):
            return " or ".join(spelled(each) for each in inners if not isinstance(each, types.CustomType))
        case types.ListType(item_type=inner) | types.VarTupleType(item_type=inner):
            return f"list of {spelled(inner)}"
        case types.StructType(cls=cls) | types.DataclassType(cls=cls):
            return f"[{cls.__name__}](#{cls.__name__.lower()})" if cls.__doc__ else "object"
        case types.EnumType(cls=cls):
            return ", ".join(f"`{each.value}`" for each in cls)
        case types.LiteralType(values=values):
            return ", ".join(f"`{each}`" for each in values)
        case types.StrType():
            return "text"
        case types.IntType() | types.FloatType():
            return "number"
        case types.BoolType():
            return "boolean"
        case types.NoneType():
            return "null"
        case _:
            return "object"


if __name__ == "__main__":
    write(PAGE, page(PAGE.read_text()))
