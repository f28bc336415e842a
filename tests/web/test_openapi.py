"""The OpenAPI document is valid, complete, and true of the answers."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import validate

from supervisor.domain import commands as c
from supervisor.domain.ids import DeviceId
from supervisor.domain.values import DeviceSettings, Limits
from tests.kit.crowd import open_crowd
from tests.kit.domain import GATE, PICTURE, YARD, child, settings
from tests.kit.http import Answer, request
from tests.kit.site import open_site
from tests.web.test_past import open_past
from web import router
from web.json import encode
from web.openapi import Problem, docs, document, is_json
from web.resources.cameras import Camera
from web.resources.state import State
from web.routes import Route, public_path

ROUTES = [route for resource in router.load() for route in resource.routes]
ANSWERED = {route.path: route for route in ROUTES if route.method == "GET" and is_json(route.answer)}
"""Routes with a JSON answer, by path."""
PAST = {
    "/api/state": "/api/state?seq=5",
    "/api/failures": "/api/failures?after=0",
    "/api/why/{seq:int}": "/api/why/9",
    "/api/timeline": "/api/timeline",
    "/api/audit": "/api/audit",
    "/api/availability": "/api/availability",
    "/api/events": "/api/events?limit=1000",
}
"""Questions about a journal, by path."""


def described() -> Any:
    return json.loads(encode(document(router.load())))


def require_described(answer: Answer, route: Route) -> None:
    """The answer has the fields that the table names, and no others."""
    assert answer.status == 200, answer.text
    assert encode(msgspec.json.decode(answer.body, type=route.answer)) == answer.body, route.path


def test_document_is_valid() -> None:
    """A validator that knows nothing of banken accepts it."""
    validate(described())


def test_name_of_a_struct_is_unique_among_all_resources() -> None:
    """Two of one name would both be called after their modules, and clients that were made from the document break."""
    assert [name for name in described()["components"]["schemas"] if not name.isidentifier()] == []


def test_document_has_every_route_with_its_right() -> None:
    """Each row of the tables is an operation."""
    paths = described()["paths"]
    found = {(method, path): each["x-right"] for path, item in paths.items() for method, each in item.items()}
    assert found == {
        ("get" if route.is_websocket else route.method.lower(), public_path(route.path)): route.right.value
        for route in ROUTES
    }


def test_server_of_the_document_is_relative() -> None:
    """It leads to the root of banken below any prefix of a proxy."""
    assert described()["servers"] == [{"url": ".."}]


async def test_document_of_a_daemon_is_that_of_the_tables() -> None:
    """It is made once, and served as JSON."""
    async with open_site() as site:
        first, second = [await site.get("/api/openapi.json") for _ in range(2)]
        assert (first.status, first.headers["Content-Type"]) == (200, "application/json")
        assert first.json == described()
        assert second.body == first.body


@pytest.mark.parametrize("path", sorted(set(ANSWERED) - set(PAST)))
async def test_answer_has_the_fields_of_its_schema_and_no_others(path: str) -> None:
    """Over a site with a camera that is live, a device, a peer, a lease, a child process and a room."""
    async with open_site(GATE, YARD) as site:
        kernel = site.core.kernel
        kernel.emit(c.ConnectCamera(GATE))
        kernel.emit(c.ReportLive(GATE, PICTURE))
        kernel.emit(child())
        cameras = (settings(GATE, device="box"), settings(YARD, device="box"))
        kernel.emit(c.Configure("test", cameras, Limits(), devices=(DeviceSettings(DeviceId("box"), 2),)))
        await site.offer()
        require_described(await site.get(path.replace("{name}", "gate")), ANSWERED[path])


@pytest.mark.parametrize("path", PAST)
async def test_answer_about_the_past_has_the_fields_of_its_schema_and_no_others(path: str, tmp_path: Path) -> None:
    """Over a journal of a night."""
    async with open_past(tmp_path / "journal") as port:
        require_described(await request(port, "GET", PAST[path]), ANSWERED[path])


async def test_errors_are_problems() -> None:
    """Every error has the members of `Problem`."""
    async with open_site() as site:
        for path in ("/api/cameras/nobody", "/api/events?limit=x", "/nowhere"):
            answer = await site.get(path)
            assert msgspec.json.decode(answer.body, type=Problem).status == answer.status


def test_description_of_a_field_is_its_docstring() -> None:
    """That of a base is there as well, and those of libraries are not looked for."""
    assert docs(Camera)["fps"].startswith("Frames per second")
    assert docs(State)["refused"].startswith("The refused change")
    properties = described()["components"]["schemas"]["State"]["properties"]
    assert properties["unknown"]["description"].startswith("The stretch in which no daemon ran")


async def test_renamed_fields_have_the_same_value_under_both_names() -> None:
    """For one release, an answer has each renamed field under its old name, too."""
    both = {"truncated_gops": "truncated_gops", "discarded_frames": "broken_pictures"}
    both_sent = {"audio_packets": "sound_packets", "key_frames_only": "thin"}
    async with open_crowd(cameras=3, viewers=9) as site:
        cameras = (await site.get("/api/cameras")).json["cameras"]
        peers = (await site.get("/api/peers")).json["peers"]
    assert all(camera[new] == camera[old] for camera in cameras for new, old in both.items())
    assert all(peer["sent"][new] == peer["sent"][old] for peer in peers for new, old in both_sent.items())
