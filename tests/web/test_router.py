"""The tables of routes: each row is registered as it stands, and every route names its right."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import get_args, get_type_hints

import pytest
from msgspec import Raw
from quart import Response

import reference
from tests.kit.http import request
from tests.kit.site import open_site
from web import resources, router
from web.resources import RESOURCES
from web.routes import Right, Route, Web, variables

TOY = '''"""Toys: a resource of a test."""

from typing import Literal

import msgspec

from web.bodies import Strict
from web.queries import Query
from web.routes import Right, Route


class TestToy(msgspec.Struct, frozen=True):
    """A toy."""

    name: str
    wheels: int
    colour: str


class TestToyQuery(Query, frozen=True):
    colour: Literal["red", "blue"] = "red"


class TestWheels(Strict, frozen=True):
    wheels: int = 4


async def build_test_toy(web, name, query, body):
    return TestToy(name, body.wheels, query.colour)


ROUTES = (
    Route(
        method="POST",
        path="/api/test-toys/{name}",
        right=Right.OPERATE,
        handler=build_test_toy,
        summary="Build a toy.",
        query=TestToyQuery,
        body=TestWheels,
        status=201,
        answer=TestToy,
        request="`colour` and `wheels`",
        response="the [toy](#testtoy)",
    ),
)
'''


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A resource `test_toys`: one new file, and one line in one table."""
    (tmp_path / "test_toys.py").write_text(TOY)
    monkeypatch.setattr(resources, "__path__", [*resources.__path__, str(tmp_path)])
    monkeypatch.setattr(resources, "RESOURCES", (*RESOURCES, "test_toys"))
    yield
    sys.modules.pop("web.resources.test_toys", None)


def all_routes() -> list[Route]:
    return [route for resource in router.load() for route in resource.routes]


@pytest.mark.parametrize("route", all_routes(), ids=lambda route: f"{route.method} {route.path}")
def test_every_route_names_its_right_and_its_purpose(route: Route) -> None:
    """A route without a right would be open to everybody once rights are enforced."""
    assert isinstance(route.right, Right)
    assert route.summary.endswith(".")
    assert not [text for text in (route.summary, route.request, route.response) if "|" in text]


@pytest.mark.parametrize("route", all_routes(), ids=lambda route: f"{route.method} {route.path}")
def test_handler_takes_and_returns_the_types_of_its_row(route: Route) -> None:
    """The table would otherwise describe another request or answer than the handler knows."""
    hints = get_type_hints(route.handler)
    returned, web = hints.pop("return"), hints.pop("web")
    wanted: dict[str, type] = {name: int if kind == "int" else str for name, kind in variables(route.path)}
    if route.query is not None:
        wanted["query"] = route.query
    if isinstance(route.body, type):
        wanted["body"] = route.body
    assert (web, hints) == (Web, wanted)
    values = set(get_args(returned) or (returned,)) - {Response, Raw}
    if route.is_websocket:
        assert values == {NoneType}
    elif values:  # what is encoded elsewhere is checked by `test_openapi.py`
        assert values == set(get_args(route.answer) or (route.answer,))


def test_every_module_of_resources_is_in_the_table() -> None:
    """A module that is not in `RESOURCES` has routes that nobody can ask for."""
    modules = {path.stem for path in Path(resources.__file__ or "").parent.glob("*.py")} - {"__init__"}
    assert modules == set(RESOURCES)
    assert len(RESOURCES) == len(modules)


@pytest.mark.usefixtures("toys")
async def test_new_resource_is_one_file_and_one_line() -> None:
    """It is routed, its query and body are checked, its answer is encoded; OpenAPI and the reference describe it."""
    async with open_site() as site:
        json = {"Content-Type": "application/json"}
        built = await request(site.port, "POST", "/api/test-toys/car?colour=blue", '{"wheels":3}', json)
        assert (built.status, built.body) == (201, b'{"name":"car","wheels":3,"colour":"blue"}')
        assert built.headers["Cache-Control"] == "no-store"
        bare = await request(site.port, "POST", "/api/test-toys/car")
        assert bare.json == {"name": "car", "wheels": 4, "colour": "red"}
        refused = await request(site.port, "POST", "/api/test-toys/car?colour=green")
        assert (refused.status, refused.json["detail"]) == (400, "colour must be blue or red, not 'green'")
        assert (await site.get("/api/test-toys/car")).status == 405
        described = (await site.get("/api/openapi.json")).json
        operation = described["paths"]["/api/test-toys/{name}"]["post"]
        assert (operation["summary"], operation["x-right"]) == ("Build a toy.", "operate")
        assert described["components"]["schemas"]["TestToy"]["required"] == ["name", "wheels", "colour"]
    page = reference.page(reference.PAGE.read_text())
    assert (
        "| `POST` | `/api/test-toys/{name}` | `operate` | `colour` and `wheels` | 201: the [toy](#testtoy) | |\n"
        in page
    )
    assert "### TestToy\n\nA toy.\n\n| field | type | meaning |\n" in page


def test_no_handler_asks_whether_there_is_a_daemon() -> None:
    """Past and present answer through one interface (`ReadPort`); only the page knows which of them it sees."""
    web = Path(router.__file__).parent
    asking = {path.name for path in web.rglob("*.py") if re.search(r"\bgateway\.replay\b", path.read_text())}
    assert asking == {"sockets.py"}
