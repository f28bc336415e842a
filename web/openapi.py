"""The OpenAPI document (version 3.1.0) of the routes, made from their tables.

Rules of this file:
- Nothing is stated here that a table, or the struct of an answer, does not say.
- A field's docstring is the description of its property.
- `x-right` is the right that an operation needs. A WebSocket is a GET that is answered with 101 (`x-websocket`).
"""

import ast
import sys
from collections.abc import Collection, Iterator
from functools import cache
from http import HTTPStatus
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import msgspec
from msgspec import inspect as types

from supervisor import __version__

from .json import Answer, Json
from .queries import Query
from .routes import Media, Proof, Resource, Route, public_path, variables

REF = "#/components/schemas/{name}"
SECURITY: dict[Proof, list[dict[str, list[str]]]] = {
    Proof.DETECTOR: [{"bearer": []}],
    Proof.HOLDER: [{"lease": []}, {"bearer": []}],
}
"""For each proof that is a separate header, the schemes that show it. The login of an owner is a proof."""
SCHEMES: Json = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "The token of a detector, or the secret of a lease."},
    "lease": {"type": "apiKey", "in": "header", "name": "Banken-Lease", "description": "`ID.SECRET` of a lease."},
}


class Problem(Answer, frozen=True):
    """An error (RFC 9457). Some types have further members."""

    type: str
    """A stable name; `about:blank` where the status says it all."""
    title: str
    """The phrase of the status."""
    status: int
    detail: str
    """The cause, and how to correct the request."""


def document(found: Collection[Resource]) -> Json:
    """The document of these resources. Its server is relative to `/api/openapi.json`: below any prefix of a proxy."""
    routes = [route for resource in found for route in resource.routes]
    kinds = [Problem, *(each for route in routes for each in (route.answer, route.body) if is_json(each))]
    refs, components = msgspec.json.schema_components(kinds, ref_template=REF)
    schema_of = dict(zip(map(repr, kinds), refs, strict=True))
    paths: dict[str, Json] = {}
    for resource in found:
        for route in resource.routes:
            method = "get" if route.is_websocket else route.method.lower()
            paths.setdefault(public_path(route.path), {})[method] = _operation(route, resource.name, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {"title": "banken", "version": __version__, "summary": "Keeps cameras watchable day and night."},
        "servers": [{"url": ".."}],
        "tags": [{"name": resource.name, "description": resource.title} for resource in found],
        "paths": paths,
        "components": {"schemas": _described(components, kinds), "securitySchemes": SCHEMES},
    }


def is_json(kind: object) -> bool:
    """Whether this is the type of a JSON value, and neither `Media` nor missing."""
    return kind is not None and not isinstance(kind, Media)


def _operation(route: Route, tag: str, schema_of: dict[str, Json]) -> Json:
    problem = {"application/problem+json": {"schema": schema_of[repr(Problem)]}}
    made: Json = {
        "operationId": route.handler.__name__,
        "tags": [tag],
        "summary": route.summary,
        "x-right": route.right,
        "responses": {
            **{str(status): _answer(route, status, text, schema_of) for status, text in answers(route).items()},
            **{str(code): {"description": HTTPStatus(code).phrase, "content": problem} for code in route.errors},
            "default": {"description": "An error that any route may answer with.", "content": problem},
        },
    }
    if route.request:
        made["description"] = route.request
    if parameters := [*_path_parameters(route), *_query_parameters(route.query)]:
        made["parameters"] = parameters
    if route.body is not None:
        made["requestBody"] = _body(route.body, schema_of)
    if route.proof in SECURITY:
        made["security"] = SECURITY[route.proof]
    if route.is_websocket:
        made["x-websocket"] = True
    return made


def answers(route: Route) -> dict[int, str]:
    """The answers of a route that are no errors: their statuses and texts."""
    status = HTTPStatus.SWITCHING_PROTOCOLS if route.is_websocket else route.status
    return {int(status): route.response, **route.also}


def _answer(route: Route, status: int, text: str, schema_of: dict[str, Json]) -> Json:
    made: Json = {"description": text}
    if route.answer is None or status == HTTPStatus.NO_CONTENT:
        return made
    return made | {"content": _content(route.answer, schema_of)}


def _content(kind: Any, schema_of: dict[str, Json]) -> Json:
    if isinstance(kind, Media):
        return {kind.type.partition(";")[0]: {}}
    return {"application/json": {"schema": schema_of[repr(kind)]}}


def _body(kind: Any, schema_of: dict[str, Json]) -> Json:
    required = isinstance(kind, Media) or any(field.required for field in msgspec.structs.fields(kind))
    return {"required": required, "content": _content(kind, schema_of)}


def _path_parameters(route: Route) -> Iterator[Json]:
    for name, kind in variables(route.path):
        schema = {"type": "integer", "minimum": 0} if kind == "int" else {"type": "string"}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(kind: type[Query] | None) -> Iterator[Json]:
    if kind is None:
        return
    _, components = msgspec.json.schema_components([kind], ref_template=REF)
    for name, schema in components[kind.__name__]["properties"].items():
        found: Json = next((each for each in schema.pop("anyOf", ()) if each != {"type": "null"}), {})
        made: Json = {key: value for key, value in (schema | found).items() if (key, value) != ("default", None)}
        described = {"description": made.pop("description")} if "description" in made else {}
        yield {"name": name, "in": "query", **described, "schema": made}


def _described(components: Json, kinds: Collection[Any]) -> Json:
    """The schemas, with a description for each field that has a docstring."""
    for kind in structs(kinds):
        schema = components.get(kind.__name__, {})
        names = {field.name: field.encode_name for field in fields(kind)}
        for name, text in docs(kind).items():
            if (named := schema.get("properties", {}).get(names.get(name))) is not None:
                named["description"] = text
    return dict(sorted(components.items()))


def fields(kind: type) -> tuple[types.Field, ...]:
    """The fields of a struct or an attrs class."""
    found = types.type_info(kind)
    assert isinstance(found, types.StructType | types.DataclassType)
    return found.fields


def structs(kinds: Collection[Any]) -> list[type]:
    """The structs and attrs classes of these types and of their fields, in the order of their first use."""
    found: dict[type, None] = {}

    def visit(kind: types.Type) -> None:
        match kind:
            case types.Metadata(type=inner):
                visit(inner)
            case types.UnionType(types=inners):
                for each in inners:
                    visit(each)
            case types.TupleType(item_types=inners):
                for each in inners:
                    visit(each)
            case types.ListType(item_type=inner) | types.VarTupleType(item_type=inner):
                visit(inner)
            case types.StructType(cls=cls, fields=inners) | types.DataclassType(cls=cls, fields=inners):
                if cls not in found:
                    found[cls] = None
                    for field in inners:
                        visit(field.type)
            case _:
                pass

    for each in types.multi_type_info(kinds):
        visit(each)
    return list(found)


@cache
def docs(kind: type) -> dict[str, str]:
    """The docstrings of the fields of a class and its bases: the text below each."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if not issubclass(base, msgspec.Struct) and not attrs.has(base):
            continue
        body = _classes(base.__module__).get(base.__name__, [])
        for field, text in pairwise(body):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                    found[name] = " ".join(words.split())
                case _:
                    pass
    return found


@cache
def _classes(module: str) -> dict[str, list[ast.stmt]]:
    """The bodies of the classes of a module; none of one that is not written in Python."""
    path = sys.modules[module].__file__ or ""
    if not path.endswith(".py"):
        return {}
    tree = ast.parse(Path(path).read_text())
    return {each.name: each.body for each in tree.body if isinstance(each, ast.ClassDef)}
