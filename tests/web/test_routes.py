"""Each row of the tables of routes, asked wrongly: these tests are made from the router, so a new route is in them."""

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from tests.kit.domain import GATE
from tests.kit.http import Answer, request
from tests.kit.site import OFFER, Site, open_site
from tests.web.test_past import open_past
from web import router
from web.app import MAX_BODY, WebSettings
from web.bodies import JSON, Strict
from web.openapi import Problem
from web.routes import Media, Proof, Right, Route, variables

ROOT = Path(__file__).parents[1]
ROUTES = [route for resource in router.load() for route in resource.routes]
HTTP = [route for route in ROUTES if not route.is_websocket]
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
TOKEN = "a-token"
FOREIGN = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Origin": "https://evil.example"}
SECRETS = {
    None: {},
    Proof.OWNER: {},  # the secret is a part of the path
    Proof.HOLDER: {"Banken-Lease": "nobody.secret"},
    Proof.DETECTOR: {"Authorization": f"Bearer {TOKEN}"},
    Proof.CONTROL: {},
}


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


def filled(path: str, known: Mapping[str, str] | None = None) -> str:
    """The path with a value for each variable: that of `known`, or an id that nothing has."""
    for name, kind in variables(path):
        value = (known or {}).get(name, "999999" if kind == "int" else "nobody")
        path = re.sub(rf"\{{{name}(:\w+)?\}}", value, path)
    return path


async def ask(site: Site, route: Route, path: str, body: bytes | str = b"", **headers: str) -> Answer:
    """The answer to a request for a route; to the handshake of a WebSocket."""
    if route.is_websocket:
        query = path.partition("?")[2]
        return await site.handshake(f"?{query}" if query else "", route.path, **headers)
    return await request(site.port, route.method, path, body, {**SECRETS[route.proof], **headers})


def body_of(route: Route) -> tuple[str, dict[str, str]]:
    """A body that the route can read, with its type."""
    if isinstance(route.body, Media):
        return OFFER, {"Content-Type": route.body.type}
    if route.body is None or not any(field.required for field in msgspec.structs.fields(route.body)):
        return "", {}
    known = {"camera": "nobody", "kind": "viewer", "time": "2026-01-01T00:00:00Z", "label": "person", "score": 0.5}
    known |= {"user": "nobody", "token": "nobody", "role": "watcher"}
    known |= dict.fromkeys(("password", "old", "new", "secret"), "a password")
    known |= dict.fromkeys(
        ("credential", "client_data", "authenticator_data", "signature", "user_handle", "attestation"), "AAAA"
    )
    known |= {"for_s": 3600, "viewers": 1, "seconds": 0.1}
    known |= {"sdp": OFFER, "pin": "nobody", "from": "2026-01-01T00:00:00Z"}
    known |= {"on": True, "first": 1, "last": 2, "digest": "0" * 64}
    names = {field.encode_name for field in msgspec.structs.fields(route.body)}
    return msgspec.json.encode({key: known[key] for key in known.keys() & names}).decode(), {"Content-Type": JSON}


def asked_of(route: Route) -> str:
    """The parameters without which a route of footage refuses its query."""
    if route.query is None or not {"at", "until"} & set(route.query.__struct_fields__):
        return ""
    if "at" in route.query.__struct_fields__:
        return "?at=2026-01-01T00:00:00Z"
    return "?from=2026-01-01T00:00:00Z&to=2026-01-01T00:01:00Z"


def wrong(answer: Answer, *expected: int) -> str:
    """Why this is no problem document with such a status; empty if it is one."""
    if answer.status not in expected:
        return f"{answer.status}, not {expected}"
    if answer.headers.get("Content-Type") != "application/problem+json":
        return f"{answer.status} is no problem document"
    problem = msgspec.json.decode(answer.body, type=Problem)
    return "" if problem.status == answer.status and problem.detail else "it does not say what is wrong"


def settings() -> WebSettings:
    return WebSettings(detector_token=TOKEN)


async def test_method_without_a_row_is_refused_with_those_that_have_one() -> None:
    """405, and `Allow` names the methods of the path's rows, HEAD for GET, and OPTIONS."""
    found = {}
    async with open_site(GATE, settings=settings()) as site:
        for path in {route.path for route in HTTP}:
            rows = {route.method for route in ROUTES if route.path == path}
            for method in METHODS - rows:
                answer = await request(site.port, method, filled(path))
                allowed = {name.strip() for name in answer.headers.get("Allow", "").split(",")}
                complaint = wrong(answer, 405)
                if allowed != rows | {"OPTIONS"} | ({"HEAD"} if "GET" in rows else set()):
                    complaint = complaint or f"Allow: {allowed}"
                found[f"{method} {path}"] = complaint
    assert {name: why for name, why in found.items() if why} == {}
    assert len(found) > 100


async def test_id_that_nothing_has_is_404_and_in_the_table(tmp_path: Path) -> None:
    """A secret is shown where one is needed. It belongs to nothing, so 403 is an answer, too."""
    found = {}
    access = tmp_path / "access.json"
    async with open_site(GATE, settings=settings(), access=access) as site, open_past(tmp_path / "journal") as past:
        for route in (route for route in HTTP if variables(route.path)):
            body, headers = body_of(route)
            path, headers = filled(route.path) + asked_of(route), headers | SECRETS[route.proof]
            port = past if route.right is Right.READ else site.port
            answer = await request(port, route.method, path, body, headers)
            complaint = wrong(answer, 404, *([403] if route.proof else []))
            found[named(route)] = complaint or ("" if 404 in route.errors else "the row does not name 404")
    assert {name: why for name, why in found.items() if why} == {}
    assert len(found) > 10


async def test_body_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """Of another type: 415. No text, no JSON, an unknown field, a list: 400. Its camera, session or lease exists."""
    found = {}
    async with open_site(GATE, settings=settings()) as site:
        opened = await site.offer()
        granted = await request(
            site.port, "POST", "/api/leases", '{"kind": "viewer", "camera": "gate"}', {"Content-Type": JSON}
        )
        known = {"camera": GATE, "session": opened.location.rpartition("/")[2], "lease": granted.json["lease"]}
        holder = {"Banken-Lease": f"{granted.json['lease']}.{granted.json['secret']}"}
        for route in (route for route in HTTP if route.body is not None):
            path = filled(route.path, known)
            kind = route.body.type if isinstance(route.body, Media) else JSON
            secret = holder if route.proof is Proof.HOLDER else {}
            asked = {"text/plain": (b"{}", 415), "": (b"{}", 415)}
            bodies: list[bytes] = [b"\xff\xfe"]
            if not isinstance(route.body, Media):  # the site's fakes read no SDP: `test_hostile.py` does
                bodies += [b"no JSON", b"{", b"[]", b'{"no_such_field": 1}', b"[" * 100_000]
            asked |= {f"{kind}#{text[:20]!r}": (text, 400) for text in bodies}
            for name, (body, status) in asked.items():
                headers = {"Content-Type": name.partition("#")[0]} if name else {}
                answer = await ask(site, route, path, body, **secret, **headers)
                found[f"{named(route)}, {name}"] = wrong(answer, status)
            if 415 not in route.errors:
                found[named(route)] = "the row does not name 415"
    assert {name: why for name, why in found.items() if why} == {}
    assert len(found) > 20


async def test_query_that_cannot_be_read_is_refused() -> None:
    """400 for a parameter that the row's query does not have, unless the query takes any; those do."""
    found = {}
    async with open_site(GATE, settings=settings()) as site:
        for route in ROUTES:
            if route.query is not None:
                path = (
                    f"{filled(route.path, {'camera': GATE, 'name': GATE})}{asked_of(route) or '?'}&no_such_parameter=1"
                )
                lenient = not route.query.__struct_config__.forbid_unknown_fields
                answer = await ask(site, route, path)
                complaint = wrong(answer, 400)
                found[named(route)] = "" if bool(complaint) == lenient else complaint or "it refuses"
    assert {name: why for name, why in found.items() if why} == {}
    assert len(found) >= 8


async def test_request_of_a_foreign_page_or_under_a_foreign_name_is_refused() -> None:
    """403 for a page of another site, 421 for a `Host` that others may own; WebSockets are not opened, either."""
    found = {}
    async with open_site(GATE, settings=settings()) as site:
        for route in ROUTES:
            path = filled(route.path, {"camera": GATE, "name": GATE})
            body, headers = body_of(route)
            found[f"{named(route)}, page"] = wrong(await ask(site, route, path, body, **headers, **FOREIGN), 403)
            found[f"{named(route)}, name"] = wrong(
                await ask(site, route, path, body, **headers, Host="evil.example"), 421
            )
        assert not site.core.kernel.state.uses
        assert not site.actors.taken
    assert {name: why for name, why in found.items() if why} == {}


async def test_body_that_is_too_large_is_refused() -> None:
    """413 on every route that reads JSON. An SDP offer has a lower limit."""
    found = {}
    async with open_site(GATE, settings=settings()) as site:
        for route in (route for route in HTTP if isinstance(route.body, type) and issubclass(route.body, Strict)):
            headers = {"Content-Type": JSON, "Content-Length": str(MAX_BODY + 1)}
            answer = await ask(site, route, filled(route.path), b"[" * (MAX_BODY + 1), **headers)
            found[named(route)] = wrong(answer, 413)
    assert {name: why for name, why in found.items() if why} == {}
    assert len(found) >= 3


async def test_wrong_secret_is_refused_where_the_row_names_one() -> None:
    """A wrong one is 401 or 403; a missing one, too, where the row admits nobody without it."""
    found = {}
    async with open_site(GATE, settings=settings()) as site:
        await site.offer()
        granted = await request(
            site.port, "POST", "/api/leases", '{"kind": "viewer", "camera": "gate"}', {"Content-Type": JSON}
        )
        (peer,) = site.core.kernel.state.peers
        known = {"camera": GATE, "session": f"{peer}.wrong", "lease": granted.json["lease"]}
        for route in (route for route in HTTP if route.proof is not None):
            body, headers = body_of(route)
            for secret in ("wrong", *([""] if route.admit else [])):
                shown = {"Authorization": f"Bearer {secret}"} if secret else {}
                answer = await request(site.port, route.method, filled(route.path, known), body, headers | shown)
                complaint = wrong(answer, 401, 403)
                named_it = answer.status in route.errors
                found[f"{named(route)}, {secret}"] = complaint or ("" if named_it else "the row does not name it")
    assert {name: why for name, why in found.items() if why} == {}
    assert len(found) >= 5


async def test_change_of_the_past_is_refused(tmp_path: Path) -> None:
    """In a replay, each route that would change something is 409, or its target is not there: 401, 403, 404."""
    found = {}
    async with open_past(tmp_path / "journal") as port:
        for route in (route for route in HTTP if route.method not in ("GET", "OPTIONS")):
            body, headers = body_of(route)
            body = body.replace("nobody", "gate")
            path = filled(route.path, {"camera": "gate", "name": "gate", "peer": "peer-1"})
            answer = await request(port, route.method, path, body, {**SECRETS[route.proof], **headers})
            found[named(route)] = wrong(answer, 409, *((401, 403, 404) if route.proof else ()))
    assert {name: why for name, why in found.items() if why} == {}
    assert len(found) >= 8


@pytest.mark.parametrize("path", sorted({route.path for route in ROUTES}))
def test_some_test_asks_for_the_route(path: str) -> None:
    """Tests that are made from the router do not count: they do not know the purpose of a route."""
    derived = {Path(__file__), Path(__file__).with_name("test_router.py")}
    texts = [each.read_text() for each in ROOT.rglob("test_*.py") if each not in derived]
    written = r"[^/?\s]+".join(re.escape(piece) for piece in re.split(r"\{[^}]*\}", path))
    wanted = re.compile(rf"""(?<=["'}}]){written}(?=["'?#])""")
    assert any(wanted.search(text) for text in texts)
