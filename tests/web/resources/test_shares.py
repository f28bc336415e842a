"""Shares over the API: made, opened, listed and revoked; and what a visitor can ask."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from supervisor.domain.ids import TokenId
from supervisor.domain.rights import ALL, OF_SHARES, Right, Role, Scope
from supervisor.domain.share import LONGEST_S, MAKER_LOST, NO_LINK, NOT_KEPT, OVER, REVOKED
from supervisor.domain.user import REMOVED
from supervisor.ports.decisions import Origin
from supervisor.services.accounts import Accounts
from tests.kit.accounts import ANNA, BEN, ME, Browser
from tests.kit.domain import GATE, YARD, lease, peer
from tests.kit.http import Answer, request
from tests.kit.patience import give_up_after
from tests.kit.site import Site, message
from web.access import REVOKED as REVOKED_CODE
from web.resources.page import FOLDER
from web.routes import Proof

from ..test_access import ROUTES, closing_code, status_of, with_users

SHARE: dict[str, Any] = {"cameras": [GATE], "for_s": 3600, "viewers": 1, "label": "the plumber"}


@asynccontextmanager
async def shared(tmp_path: Path, scope: Scope = ALL, **body: Any) -> AsyncIterator[tuple[Site, Accounts, Browser, Any]]:
    """A site, its accounts, the browser of ben who has shared the gate, and the answer that has the link."""
    async with with_users(tmp_path, Role.WATCHER, scope) as (site, accounts):
        ben = Browser(site.port)
        await ben.log_in(BEN)
        made = await ben.post("/api/shares", SHARE | body)
        assert made.status == 201
        yield site, accounts, ben, made.json


async def enter(site: Site, link: str, browser: Browser | None = None) -> tuple[Browser, Answer]:
    """A browser that opens a link, with the answer."""
    browser = browser or Browser(site.port)
    answer = await browser.post("/api/session/share", {"secret": link.partition("#")[2]})
    if "Set-Cookie" in answer.headers:
        browser.cookie = answer.headers["Set-Cookie"].partition(";")[0]
    return browser, answer


def test_page_knows_the_words_of_every_end() -> None:
    """It translates them; a word that changes here is displayed in English there."""
    text = (FOLDER / "panels" / "visit" / "visit.js").read_text()
    found = re.findall(r'^  n\("([^"]+)"\),$', text, re.MULTILINE)
    assert found == [*(each.text for each in (OVER, REVOKED, MAKER_LOST, REMOVED, NOT_KEPT)), NO_LINK]


async def test_link_has_its_secret_in_the_fragment_and_a_qr_code(tmp_path: Path) -> None:
    """Browsers send no fragment; the address is the one at which the maker has the page."""
    async with shared(tmp_path) as (site, _, ben, made):
        page, _, secret = made["link"].partition("#")
        assert (page, secret) == (f"http://127.0.0.1:{site.port}/s", made["secret"])
        assert made["qr"].startswith("<svg ")
        assert (await site.get("/s")).headers["Content-Type"].startswith("text/html")
        listed = (await ben.get("/api/shares")).text
        assert secret not in listed


@pytest.mark.parametrize(
    ("page", "link"),
    [
        ("https://cams.example", "https://cams.example/s"),
        ("https://cams.example/", "https://cams.example/s"),
        ("https://cams.example/cams/?kiosk#camera=x", "https://cams.example/cams/s"),
        ("http://[::1]:8620/", "http://[::1]:8620/s"),
    ],
)
async def test_link_leads_to_the_page_that_is_named(page: str, link: str, tmp_path: Path) -> None:
    """Also below a prefix of a proxy."""
    async with shared(tmp_path, page=page) as (_, _, _, made):
        assert made["link"].partition("#")[0] == link


@pytest.mark.parametrize(
    "body",
    [
        {"page": "javascript:alert(1)"}, {"page": "https://a@b.example/"}, {"page": "//b.example"}, {"page": "http://["},
        {"for_s": 59}, {"for_s": LONGEST_S + 1}, {"for_s": None}, {"viewers": 0}, {"viewers": 51}, {"viewers": 1.5},
        {"cameras": []}, {"cameras": ["x"]}, {"cameras": GATE}, {"groups": ["x"]}, {"label": "x" * 101},
        {"label": "a\u0000b"}, {"everything": True}, {"more": 1},
    ],
)  # fmt: skip
async def test_share_that_cannot_be_made_changes_nothing(body: dict[str, Any], tmp_path: Path) -> None:
    """And says what is wrong."""
    async with shared(tmp_path) as (site, _, ben, _):
        answer = await ben.post("/api/shares", SHARE | body)
        assert (answer.status in (400, 404, 422), len(site.core.kernel.state.shares)) == (True, 1), answer.text


async def test_visitor_watches_the_camera_and_has_no_other_right(tmp_path: Path) -> None:
    """Walks the tables: 403 exactly where the right is missing; it sees its camera alone, and no viewer but itself."""
    async with shared(tmp_path) as (site, _, _, made):
        visitor, answer = await enter(site, made["link"])
        assert (answer.status, answer.json["share"]) == (200, made["share"])
        me = (await visitor.get("/api/session")).json
        assert (me["user"], me["role"], me["share"]) == (None, None, made["share"])
        assert (me["rights"], me["until"], me["login"]) == (sorted(OF_SHARES), made["until"], True)
        assert me["scope"]["cameras"] == [GATE]
        assert [each["id"] for each in (await visitor.get("/api/cameras")).json["cameras"]] == [GATE]
        assert (await visitor.get("/cameras/gate/snapshot.jpg")).status == 200
        granted = await visitor.post("/api/leases", {"kind": "viewer", "camera": GATE})
        assert granted.status == 201
        for route in ROUTES:
            if route.proof is Proof.DETECTOR or (route.method == "DELETE" and "session" in route.path):
                continue
            got = await status_of(site, route, visitor.headers)
            if route.path == "/api/session/share":
                continue
            assert (got == 403) == (route.right not in OF_SHARES), (route.method, route.path, got)


@pytest.mark.parametrize("query", ["?after=0", "?state=changes&views=viewers,rooms"])
async def test_visitor_sees_no_other_viewers_by_websocket(query: str, tmp_path: Path) -> None:
    """Neither their addresses nor their number; its own lease is there."""
    async with shared(tmp_path) as (site, _, _, made):
        emit = site.core.kernel.emit
        emit(lease("lease-of-ben", GATE), origin=Origin("local"))
        emit(peer("peer-of-ben", GATE), origin=Origin("local"))
        visitor, _ = await enter(site, made["link"])
        async with site.socket(query, **visitor.headers) as socket:
            await socket.send_message('{"type": "lease.grant", "id": 1, "kind": "viewer", "camera": "gate"}')
            own = ""
            with give_up_after(5):
                while True:
                    text = str(await socket.get_message())
                    assert "of-ben" not in text
                    assert YARD not in text
                    assert f'"viewers":{2 if own else 1}' not in text
                    if '"reply"' in text:
                        own = text.partition('"lease":"')[2].partition('"')[0]
                    if own and own in text and '"reply"' not in text:
                        return


async def test_forwarded_link_is_refused_and_leaves_no_cookie(tmp_path: Path) -> None:
    """One more than its viewers; the first one goes on, and is the same viewer when it loads the page again."""
    async with shared(tmp_path) as (site, _, ben, made):
        visitor, _ = await enter(site, made["link"])
        other, answer = await enter(site, made["link"])
        assert (answer.status, other.cookie, answer.json["type"]) == (403, "", "urn:banken:problem:full")
        assert "1 viewer has this link open already" in answer.json["detail"]
        assert (await other.get("/api/cameras")).status == 401
        assert (await enter(site, made["link"], visitor))[1].status == 200
        (listed,) = (await ben.get("/api/shares")).json["shares"]
        assert (listed["viewers"], listed["present"], listed["own"], listed["by"]) == (1, 1, True, "user:ben")
        async with site.socket(**visitor.headers) as socket:
            assert (await message(socket))["type"] == "hello"
            assert (await visitor.delete("/api/session")).status == 204
            assert await closing_code(socket) == REVOKED_CODE
        assert (await visitor.get("/api/cameras")).status == 401
        assert (await enter(site, made["link"]))[1].status == 200


@pytest.mark.parametrize("how", ["revoked", "removed", "scope", "role"])
async def test_end_of_a_share_ends_the_running_picture(how: str, tmp_path: Path) -> None:
    """WebSocket and lease end; the link then says why, and so does every replay of it."""
    async with shared(tmp_path) as (site, accounts, ben, made):
        visitor, _ = await enter(site, made["link"])
        async with site.socket(**visitor.headers) as socket:
            assert (await message(socket))["type"] == "hello"
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(site.get, "/cameras/gate/stream.mjpeg", Cookie=visitor.cookie))
                with give_up_after(5):
                    while not site.core.kernel.state.leases:
                        await trio.lowlevel.checkpoint()
                match how:
                    case "revoked":
                        assert (await ben.delete(f"/api/shares/{made['share']}")).status == 204
                    case "removed":
                        await accounts.remove_user(BEN, ME)
                    case "scope":
                        await accounts.change_user(BEN, Role.WATCHER, Scope(cameras=(YARD,)), ME)
                    case _:
                        await accounts.change_user(BEN, Role.ANALYST, ALL, ME)
                assert await closing_code(socket) == REVOKED_CODE
                assert not site.core.kernel.state.leases
                nursery.cancel_scope.cancel(reason="this stream is of a fake, which does not end with its lease")
        assert (await visitor.get("/api/cameras")).status == 401
        words = {"revoked": "the link was revoked", "removed": "the account was removed"}
        for browser in (visitor, None):
            _, answer = await enter(site, made["link"], browser)
            assert answer.status == 403
            assert answer.json["detail"] == words.get(how, "the person who made the link may not share this any more")


async def test_guessed_link_is_refused_and_slowed_down(tmp_path: Path) -> None:
    """As a wrong password; without a cookie."""
    async with shared(tmp_path) as (site, _, _, made):
        answers = [(await enter(site, f"#{number}"))[1] for number in range(6)]
        assert [answer.status for answer in answers] == [403] * 5 + [429]
        assert "Retry-After" in answers[5].headers
        assert all("Set-Cookie" not in answer.headers for answer in answers)
        assert (await enter(site, made["link"]))[1].status == 200


async def test_shares_of_others_are_unknown_to_a_user_and_known_to_an_admin(tmp_path: Path) -> None:
    """An admin revokes them."""
    async with shared(tmp_path, Scope(cameras=(GATE,))) as (site, _, ben, made):
        anna = Browser(site.port)
        await anna.log_in(ANNA)
        of_anna = (await anna.post("/api/shares", SHARE | {"cameras": [YARD]})).json["share"]
        assert [each["share"] for each in (await ben.get("/api/shares")).json["shares"]] == [made["share"]]
        listed = (await anna.get("/api/shares")).json["shares"]
        assert {each["share"]: each["own"] for each in listed} == {made["share"]: False, of_anna: True}
        answers = [await ben.delete(f"/api/shares/{share}") for share in (of_anna, "0" * 16)]
        assert {(answer.status, answer.body) for answer in answers} == {(404, answers[0].body)}
        assert (await anna.delete(f"/api/shares/{made['share']}")).status == 204
        assert (await ben.get("/api/shares")).json["shares"] == []


async def test_camera_outside_the_scope_cannot_be_shared_or_found_out(tmp_path: Path) -> None:
    """Its answer is that for a camera that does not exist."""
    async with shared(tmp_path, Scope(cameras=(GATE,))) as (_, _, ben, _):
        answers = [await ben.post("/api/shares", SHARE | {"cameras": [name]}) for name in (YARD, "none")]
        assert {answer.status for answer in answers} == {404}
        assert len({answer.text.replace(YARD, "none") for answer in answers}) == 1


@pytest.mark.parametrize("role", [Role.ANALYST, Role.DETECTOR, Role.ADMIN])
async def test_program_shares_nothing(role: Role, tmp_path: Path) -> None:
    """Not with any role."""
    async with with_users(tmp_path) as (site, accounts):
        token = await accounts.make_token(TokenId("nas"), role, ALL, None, ME)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        body = b'{"cameras": ["gate"], "for_s": 3600, "viewers": 1}'
        assert (await request(site.port, "POST", "/api/shares", body, headers)).status == 403


async def test_logged_in_user_does_not_become_a_visitor(tmp_path: Path) -> None:
    """A link cannot replace a session; the answer says what to do."""
    async with shared(tmp_path) as (site, _, ben, made):
        _, answer = await enter(site, made["link"], ben)
        assert (answer.status, "log out first" in answer.json["detail"]) == (409, True)
        assert "Set-Cookie" not in answer.headers
        assert (await ben.get("/api/session")).json["user"] == "ben"


async def test_visit_of_another_site_is_refused(tmp_path: Path) -> None:
    """A foreign page opens no link in somebody's browser, and changes nothing with the cookie."""
    async with shared(tmp_path) as (site, _, _, made):
        foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "Content-Type": "application/json"}
        body = f'{{"secret": "{made["secret"]}"}}'
        assert (await request(site.port, "POST", "/api/session/share", body, foreign)).status == 403
        visitor, _ = await enter(site, made["link"])
        foreign["Cookie"] = visitor.cookie
        grant = '{"kind": "viewer", "camera": "gate"}'
        assert (await request(site.port, "POST", "/api/leases", grant, foreign)).status == 403
        del foreign["Origin"], foreign["Sec-Fetch-Site"]
        assert (await request(site.port, "POST", "/api/leases", grant, foreign)).status == 403


async def test_websocket_keeps_the_visit(tmp_path: Path) -> None:
    """As long as it is open; its service counts it."""
    async with shared(tmp_path) as (site, _, _, made):
        visitor, _ = await enter(site, made["link"])
        shares: Any = site.gateway.shares
        async with site.socket(**visitor.headers) as socket:
            assert (await message(socket))["type"] == "hello"
            assert sum(shares._connections.values()) == 1
        with give_up_after(5):
            while shares._connections:
                await trio.lowlevel.checkpoint()


def test_routes_that_a_visitor_may_ask_are_chosen_one_by_one() -> None:
    """A new route with the right `view` or `watch` fails here until somebody decides whether strangers may ask it."""
    open_to_visitors = {f"{route.method} {route.path}" for route in ROUTES if route.right in OF_SHARES - {Right.NONE}}
    assert open_to_visitors == {
        "GET /api/cameras", "GET /api/cameras/{name}", "WS /ws/events",
        "GET /cameras/{camera}/snapshot.jpg", "GET /cameras/{camera}/stream.mjpeg",
        "GET /hls/{camera}/live.m3u8", "GET /hls/{camera}/{name}",
        "POST /api/leases", "PUT /api/leases/{lease}", "DELETE /api/leases/{lease}",
        "POST /offer", "POST /whep/{camera}", "PATCH /whep/{camera}/{session}", "DELETE /whep/{camera}/{session}",
    }  # fmt: skip
