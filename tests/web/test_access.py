"""Access in the web layer: who is let in, by what, and how it ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from supervisor.domain import token as domain_token
from supervisor.domain.errors import Rejected
from supervisor.domain.ids import TokenId
from supervisor.domain.rights import ALL, OF_USERS, RIGHTS, Right, Role, Scope
from supervisor.ports.viewing import Jpeg
from supervisor.services.accounts import Accounts
from supervisor.services.attempts import TRIES
from tests.kit.accounts import ANNA, BEN, ME, PASSWORDS, Browser, add_users
from tests.kit.domain import GATE, YARD
from tests.kit.http import request
from tests.kit.patience import give_up_after
from tests.kit.site import FakeActors, Site, message, open_site
from web import json
from web.access import REVOKED
from web.app import WebSettings
from web.json import iso
from web.router import load
from web.routes import Proof, Route

WATCHER, OPERATOR = Role.WATCHER, Role.OPERATOR
ROUTES = [route for resource in load() for route in resource.routes]


@asynccontextmanager
async def with_users(tmp_path: Path, role: Role = WATCHER, scope: Scope = ALL) -> AsyncIterator[tuple[Site, Accounts]]:
    """A site with two cameras, the admin anna and ben."""
    async with open_site(GATE, YARD, access=tmp_path / "access.json") as site:
        accounts = site.gateway.accounts
        assert isinstance(accounts, Accounts)
        await add_users(accounts, role, scope)
        yield site, accounts


def concrete(route: Route) -> str:
    """The path of a route, with values that lead nowhere."""
    path = route.path.replace("{seq:int}", "1").replace("{name:path}", "index.html")
    for name in ("camera", "name"):
        path = path.replace(f"{{{name}}}", "nowhere")
    while "{" in path:
        path = path[: path.index("{")] + "x" + path[path.index("}") + 1 :]
    return path


async def status_of(site: Site, route: Route, headers: dict[str, str]) -> int:
    if route.is_websocket:
        return (await site.handshake(path=route.path, **headers)).status
    return (await request(site.port, route.method, concrete(route), b"", headers)).status


async def closing_code(socket: WebSocketConnection) -> int | None:
    """Read until the server closes; its code."""
    with give_up_after(5):
        try:
            while True:
                await socket.get_message()
        except ConnectionClosed as closed:
            return None if closed.reason is None else closed.reason.code


async def test_without_users_everything_is_as_before(tmp_path: Path) -> None:
    """A client of this machine needs no login."""
    async with open_site(GATE, access=tmp_path / "access.json") as site:
        assert (await site.get("/api/cameras")).status == 200
        me = (await site.get("/api/session")).json
        assert (me["user"], me["login"], "administer" in me["rights"]) == (None, False, True)


async def test_every_route_is_denied_without_a_login_once_there_are_users(tmp_path: Path) -> None:
    """Walks the tables: 401 for each right but `none`. A new route is denied by default."""
    async with with_users(tmp_path) as (site, _):
        denied = {(route.method, route.path): await status_of(site, route, {}) for route in ROUTES}
    for route in ROUTES:
        got = denied[route.method, route.path]
        assert (got == 401) == (route.right is not Right.NONE), (route.method, route.path, got)


@pytest.mark.parametrize("role", Role)
async def test_role_is_let_in_by_its_rights_and_nowhere_else(role: Role, tmp_path: Path) -> None:
    """Walks the tables for each role: 403 exactly where the right is missing. Without effects: unknown cameras."""
    async with with_users(tmp_path) as (site, accounts):
        headers = {"Authorization": f"Bearer {await accounts.make_token(TokenId('robot'), role, ALL, None, ME)}"}
        for route in ROUTES:
            if route.proof in (Proof.DETECTOR, Proof.CONTROL) or (route.method == "DELETE" and "session" in route.path):
                continue
            got = await status_of(site, route, headers)
            assert (got == 403) == (route.right not in RIGHTS[role] - OF_USERS), (route.method, route.path, got)


async def test_session_of_a_browser_is_a_cookie_that_no_script_reads(tmp_path: Path) -> None:
    """From the login to the logout; the answer does not have the secret."""
    async with with_users(tmp_path) as (site, _):
        browser = Browser(site.port)
        answer = await browser.log_in(BEN)
        name, _, rest = answer.headers["Set-Cookie"].partition("=")
        assert name == "banken"
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in rest.split(";")}
        assert rest.partition(";")[0] not in answer.text
        assert (await browser.get("/api/cameras")).status == 200
        me = (await browser.get("/api/session")).json
        assert (me["user"], me["role"], me["rights"]) == ("ben", "watcher", sorted(RIGHTS[WATCHER]))
        assert (await browser.delete("/api/session")).status == 204
        assert (await browser.get("/api/cameras")).status == 401


async def test_login_with_a_wrong_password_opens_nothing(tmp_path: Path) -> None:
    """Name and password have one answer."""
    async with with_users(tmp_path) as (site, _):
        answers = [await Browser(site.port).log_in(name, "wrong horse") for name in (BEN, "nobody")]
        assert {(answer.status, answer.body) for answer in answers} == {(403, answers[0].body)}
        assert all("Set-Cookie" not in answer.headers for answer in answers)


async def test_body_of_a_login_is_not_read_while_its_network_has_to_wait(tmp_path: Path) -> None:
    """Each guess costs as little as it can."""
    async with with_users(tmp_path) as (site, _):
        for number in range(TRIES):
            assert (await Browser(site.port).log_in(f"user{number}", "wrong horse")).status == 403
        refused = await Browser(site.port).post("/api/session", {"this": "is no login"})
        assert (refused.status, "Retry-After" in refused.headers) == (429, True)


@pytest.mark.parametrize("cookie", ["", "banken=", "banken=x", "banken=" + "A" * 43, 'banken="', "__Host-banken={}"])
async def test_forged_cookie_is_no_login(cookie: str, tmp_path: Path) -> None:
    """Also the cookie of TLS over plain HTTP."""
    async with with_users(tmp_path) as (site, _):
        browser = Browser(site.port)
        await browser.log_in(BEN)
        forged = cookie.format(browser.cookie.partition("=")[2])
        assert (await site.get("/api/cameras", Cookie=forged)).status == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
    ],
)
async def test_change_with_a_cookie_comes_from_our_own_page(
    headers: dict[str, str], status: int, tmp_path: Path
) -> None:
    """A form or script of another site has the cookie of an old browser, and is refused."""
    async with with_users(tmp_path) as (site, _):
        browser = Browser(site.port)
        await browser.log_in(ANNA)
        headers = {"Cookie": browser.cookie, **headers}
        answer = await request(site.port, "DELETE", "/api/session", b"", headers)
        assert answer.status == (204 if status == 200 else status)


async def test_program_shows_a_token_in_a_header_or_in_a_subprotocol(tmp_path: Path) -> None:
    """Browsers cannot set headers of a WebSocket. After the token is revoked, nothing is open."""
    async with with_users(tmp_path) as (site, accounts):
        token = await accounts.make_token(TokenId("nas"), WATCHER, ALL, None, ME)
        assert (await site.get("/api/cameras", Authorization=f"Bearer {token}")).status == 200
        assert (await site.handshake(**{"Sec-WebSocket-Protocol": f"bearer.{token}"})).status == 101
        assert (await site.handshake(Authorization=f"Bearer {token}x")).status == 401
        assert (await site.handshake()).status == 401
        await accounts.end_token(TokenId("nas"), ME)
        assert (await site.get("/api/cameras", Authorization=f"Bearer {token}")).status == 401


async def test_detector_reports_with_a_token_of_its_role(tmp_path: Path) -> None:
    """Without `detections.token`; a watcher's token does not do."""
    async with with_users(tmp_path) as (site, accounts):
        seen = f'{{"camera": "gate", "time": "{iso(site.core.kernel.clock.wall_ns())}", "label": "cat", "score": 0.9}}'
        for role, status in ((Role.DETECTOR, 202), (WATCHER, 403)):
            token = await accounts.make_token(TokenId(role.value), role, ALL, None, ME)
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            assert (await request(site.port, "POST", "/api/detections", seen, headers)).status == status


@pytest.mark.parametrize("how", ["logout", "removed", "role", "password"])
async def test_right_that_is_taken_away_closes_the_websocket_and_ends_the_leases(how: str, tmp_path: Path) -> None:
    """With a code that tells the page why."""
    async with with_users(tmp_path) as (site, accounts):
        browser = Browser(site.port)
        await browser.log_in(BEN)
        async with site.socket(**browser.headers) as socket:
            assert (await message(socket))["type"] == "hello"
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(site.get, "/cameras/gate/stream.mjpeg", Cookie=browser.cookie))
                with give_up_after(5):
                    while not site.core.kernel.state.leases:
                        await trio.lowlevel.checkpoint()
                match how:
                    case "logout":
                        await browser.delete("/api/session")
                    case "removed":
                        await accounts.remove_user(BEN, ME)
                    case "role":
                        await accounts.change_user(BEN, Role.ANALYST, ALL, ME)
                    case _:
                        await accounts.set_password(BEN, "another password", ME)
                assert await closing_code(socket) == REVOKED
                assert not site.core.kernel.state.leases
                nursery.cancel_scope.cancel(reason="this stream is of a fake, which does not end with its lease")


@pytest.mark.parametrize("how", ["logout", "removed", "role", "scope"])
async def test_answer_that_waits_is_not_given_after_the_right_was_taken_away(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A camera may need some seconds for a picture."""
    async with with_users(tmp_path) as (site, accounts):
        browser, take = Browser(site.port), FakeActors.take_picture
        await browser.log_in(BEN)

        async def take_slowly(actors: FakeActors, *asked: Any, **how_asked: Any) -> Jpeg:
            match how:
                case "logout":
                    await browser.delete("/api/session")
                case "removed":
                    await accounts.remove_user(BEN, ME)
                case "role":
                    await accounts.change_user(BEN, Role.ANALYST, ALL, ME)
                case _:
                    await accounts.change_user(BEN, WATCHER, Scope(cameras=(YARD,)), ME)
            return await take(actors, *asked, **how_asked)

        monkeypatch.setattr(FakeActors, "take_picture", take_slowly)
        answer = await browser.get("/cameras/gate/snapshot.jpg")
        assert (answer.status, "your rights have changed" in answer.json["detail"]) == (403, True)


async def test_first_user_closes_the_websockets_of_this_machine(tmp_path: Path) -> None:
    """Trust that is over is over for those who are connected, too."""
    async with open_site(GATE, access=tmp_path / "access.json") as site:
        async with site.socket() as socket:
            assert (await message(socket))["type"] == "hello"
            body = {"user": "anna", "password": PASSWORDS[ANNA], "role": "admin", "everything": True}
            assert (await Browser(site.port).post("/api/users", body)).status == 201
            assert await closing_code(socket) == REVOKED
        assert (await site.get("/api/state")).status == 401


async def test_admin_manages_users_and_tokens_over_the_api(tmp_path: Path) -> None:
    """Add, change, list, set a password, remove; the last admin stays."""
    async with with_users(tmp_path) as (site, _):
        chief = Browser(site.port)
        await chief.log_in(ANNA)
        body = {"user": "carl", "password": "open sesame", "role": "operator", "everything": True}
        made = await chief.post("/api/users", body)
        assert (made.status, made.location) == (201, "/api/users/carl")
        assert (await chief.post("/api/users", body)).status == 409
        assert (await chief.put("/api/users/carl", {"role": "analyst", "everything": True})).status == 200
        listed = (await chief.get("/api/users")).json["users"]
        assert [(user["user"], user["role"]) for user in listed] == [
            ("anna", "admin"), ("ben", "watcher"), ("carl", "analyst"),
        ]  # fmt: skip
        assert (await chief.put("/api/users/carl/password", {"password": "short"})).status == 422
        assert (await chief.put("/api/users/carl/password", {"password": "long enough"})).status == 204
        assert (await Browser(site.port).log_in("carl", "long enough")).status == 201
        assert (await chief.delete("/api/users/carl")).status == 204
        assert (await chief.delete("/api/users/anna")).status == 409
        token = await chief.post("/api/tokens", {"token": "nas", "role": "watcher", "everything": True})
        assert token.json["secret"].startswith("nas.")
        (known,) = (await chief.get("/api/tokens")).json["tokens"]
        assert (known["token"], known["by"].partition("/")[0]) == ("nas", "user:anna")
        assert (await chief.delete("/api/tokens/nas")).status == 204


async def test_user_sees_and_ends_own_sessions_and_no_others(tmp_path: Path) -> None:
    """An admin sees all."""
    async with with_users(tmp_path) as (site, _):
        chief, here, there = Browser(site.port), Browser(site.port), Browser(site.port)
        await chief.log_in(ANNA)
        await here.log_in(BEN)
        await there.log_in(BEN)
        mine = (await here.get("/api/sessions")).json["sessions"]
        assert [session["user"] for session in mine] == [BEN, BEN]
        assert sorted(session["own"] for session in mine) == [False, True]
        everybodys = (await chief.get("/api/sessions")).json["sessions"]
        of_anna = next(session["session"] for session in everybodys if session["user"] == ANNA)
        assert (await here.delete(f"/api/sessions/{of_anna}")).status == 404
        other = next(session["session"] for session in mine if not session["own"])
        assert (await here.delete(f"/api/sessions/{other}")).status == 204
        assert (await there.get("/api/cameras")).status == 401
        assert (await here.get("/api/cameras")).status == 200


async def test_user_changes_the_own_password_with_the_old_one(tmp_path: Path) -> None:
    """This session goes on; others end."""
    async with with_users(tmp_path) as (site, _):
        here, there = Browser(site.port), Browser(site.port)
        await here.log_in(BEN)
        await there.log_in(BEN)
        assert (await here.put("/api/session/password", {"old": "wrong", "new": "another one"})).status == 403
        body = {"old": PASSWORDS[BEN], "new": "another one"}
        assert (await here.put("/api/session/password", body)).status == 204
        assert (await there.get("/api/cameras")).status == 401
        assert (await here.get("/api/cameras")).status == 200
        assert (await Browser(site.port).log_in(BEN, "another one")).status == 201


async def test_damaged_access_file_denies_everything(tmp_path: Path) -> None:
    """Not even clients of this machine: somebody may have damaged it for that."""
    (tmp_path / "access.json").write_text("{")
    async with open_site(GATE, access=tmp_path / "access.json") as site:
        assert (await site.get("/api/state")).status == 401
        assert (await site.get("/healthz")).status == 200
        body = {"user": "anna", "password": PASSWORDS[ANNA], "role": "admin", "everything": True}
        assert (await Browser(site.port).post("/api/users", body)).status == 401
        assert any(alert == "access" for alert in site.core.kernel.state.alerts)


async def test_principal_of_a_viewer_is_in_the_journal(tmp_path: Path) -> None:
    """The lease, the peer and what follows from them name who watched."""
    async with with_users(tmp_path) as (site, _):
        browser = Browser(site.port)
        session = (await browser.log_in(BEN)).json["session"]
        offered = await site.offer(**browser.headers)
        assert offered.status == 201, offered
        rows = await site.core.stored()
        assert {row.principal for row in rows if row.type in ("LeaseGranted", "PeerOpened")} == {f"user:ben/{session}"}


async def test_token_of_the_configuration_reports_of_all_cameras(tmp_path: Path) -> None:
    """Also when there are users: `detections.token` has no scope. A token with a scope reports of its cameras only."""
    settings = WebSettings(detector_token="of the configuration")
    async with open_site(GATE, YARD, access=tmp_path / "access.json", settings=settings) as site:
        accounts = site.gateway.accounts
        assert isinstance(accounts, Accounts)
        await add_users(accounts)
        scope = Scope(cameras=(GATE,))
        token = await accounts.make_token(TokenId("eye"), Role.DETECTOR, scope, None, ME)
        seen = {"time": iso(site.core.kernel.clock.wall_ns()), "label": "cat", "score": 0.9}
        for secret, camera, status in (
            ("of the configuration", YARD, 202), (token, GATE, 202), (token, YARD, 404),
        ):  # fmt: skip
            headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
            body = json.encode({**seen, "camera": camera})
            assert (await request(site.port, "POST", "/api/detections", body, headers)).status == status


async def test_user_with_some_cameras_learns_of_no_other(tmp_path: Path) -> None:
    """The state is that of the scope; a camera outside it is unknown; own sessions are there."""
    async with with_users(tmp_path, OPERATOR, Scope(cameras=(GATE,))) as (site, _):
        ben = Browser(site.port)
        await ben.log_in(BEN)
        assert [each["id"] for each in (await ben.get("/api/cameras")).json["cameras"]] == [GATE]
        assert (await ben.get("/api/cameras/yard")).status == 404
        assert b"yard" not in (await ben.get("/api/events?limit=1000")).body
        (session,) = (await ben.get("/api/sessions")).json["sessions"]
        assert session["user"] == BEN
        anna = Browser(site.port)
        await anna.log_in(ANNA)
        assert len((await anna.get("/api/cameras")).json["cameras"]) == 2


@pytest.mark.parametrize(("role", "reads"), [(WATCHER, False), (OPERATOR, True)])
async def test_right_to_read_is_needed_for_events(role: Role, reads: bool, tmp_path: Path) -> None:
    """Also to nobody else who has all cameras in the scope; the state is sent to both."""
    async with with_users(tmp_path, role) as (site, _):
        ben = Browser(site.port)
        await ben.log_in(BEN)
        async with site.socket("?after=0", **ben.headers) as socket:
            kinds = [(await message(socket))["type"] for _ in range(4)]
        assert kinds[0] == "hello"
        assert "state" in kinds
        assert ("events" in kinds) is reads


async def test_admin_of_some_cameras_cannot_be_made(tmp_path: Path) -> None:
    """Neither a user nor a token."""
    async with with_users(tmp_path) as (site, _):
        chief = Browser(site.port)
        await chief.log_in(ANNA)
        body = {"role": "admin", "cameras": [GATE]}
        assert (await chief.post("/api/tokens", {"token": "nas", **body})).status == 422
        assert (await chief.post("/api/users", {"user": "carl", "password": "open sesame", **body})).status == 422


async def test_answer_names_cameras_and_groups_that_are_not_configured(tmp_path: Path) -> None:
    """They may be configured later, so they are allowed."""
    async with with_users(tmp_path) as (site, _):
        chief = Browser(site.port)
        await chief.log_in(ANNA)
        scope = {"role": "watcher", "cameras": [GATE, "gaet"], "groups": ["yrad"]}
        expected = {"cameras": ["gaet"], "groups": ["yrad"]}
        carl = {"user": "carl", "password": "open sesame"}
        assert (await chief.post("/api/users", carl | scope)).json["unknown"] == expected
        changed = await chief.put("/api/users/carl", scope | {"groups": []})
        assert (changed.status, changed.json["unknown"]) == (200, {"cameras": ["gaet"], "groups": []})
        assert (await chief.post("/api/tokens", {"token": "nas", **scope})).json["unknown"] == expected
        everything = {"role": "watcher", "everything": True}
        assert (await chief.put("/api/users/carl", everything)).json["unknown"] == {"cameras": [], "groups": []}
        assert (await chief.put("/api/users/nobody", everything)).status == 404


@pytest.mark.parametrize("scope", [ALL, Scope(cameras=(GATE,))])
async def test_monitor_reads_health_and_metrics_of_its_cameras_and_nothing_else(scope: Scope, tmp_path: Path) -> None:
    """For Prometheus: no user, no configuration, no picture, no event, and no camera outside the scope."""
    async with with_users(tmp_path) as (site, accounts):
        secret = await accounts.make_token(TokenId("prometheus"), Role.MONITOR, scope, None, ME)
        headers = {"Authorization": f"Bearer {secret}"}
        found = {}
        for route in ROUTES:
            if route.proof is not Proof.DETECTOR and route.right is not Right.NONE:
                found[route.path] = await status_of(site, route, headers)
        assert {path for path, status in found.items() if status != 403} == {"/metrics", "/api/health", "/health"}
        for path in ("/metrics", "/api/health"):
            text = (await request(site.port, "GET", path, b"", headers)).text
            assert (GATE in text, YARD in text) == (True, scope.everything)
        with pytest.raises(Rejected, match="for tokens"):
            await accounts.change_user(BEN, Role.MONITOR, ALL, ME)
        browser = Browser(site.port)
        await browser.log_in(BEN)
        assert ((await browser.get("/metrics")).status, (await browser.get("/api/health")).status) == (403, 200)


async def test_token_of_some_cameras_does_not_administer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No role helps: users and the configuration name cameras. Earlier releases made such tokens."""
    monkeypatch.setattr(domain_token, "require_all_of_admin", lambda role, scope: None)
    async with with_users(tmp_path) as (site, accounts):
        secret = await accounts.make_token(TokenId("program"), Role.ADMIN, Scope(cameras=(GATE,)), None, ME)
        headers = {"Authorization": f"Bearer {secret}"}
        for path in ("/api/users", "/api/tokens"):
            assert (await request(site.port, "GET", path, b"", headers)).status == 403
        assert (await request(site.port, "GET", "/api/cameras", b"", headers)).status == 200
