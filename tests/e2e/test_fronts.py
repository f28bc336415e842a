"""banken as browsers reach it: behind nginx, behind Caddy, and by its own TLS. Each with the logins of banken.

The proxies run with the files of `ops/examples`.
"""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio_websocket import wrap_client_stream

from supervisor.domain import events as e
from tests.conftest import require
from tests.kit.accounts import ANNA, BEN, PASSWORDS
from tests.kit.chromium import Browser, Page, certutil_missing_reason, open_chromium
from tests.kit.daemon import Daemon, launch_daemon, open_daemon, write_config
from tests.kit.http import Answer, over_tls, request
from tests.kit.patience import give_up_after
from tests.kit.proxies import ACCESS_LOG, HOST, PROXIES, Proxy, free_port, missing_reason, read_pictures, settings
from tests.kit.viewer import open_viewer
from web.resources.page import FOLDER

from .test_access import ADMIN, LIVE, OUT, log_in
from .test_first_light import wait_frames
from .test_https import BEYOND, trusting
from .test_large import part, text_of

pytestmark = pytest.mark.usefixtures("chromium_here")

CAMERAS = {"cellar": "test:320x180@15"}
LARGE_IS_LIVE = "banken.large()?.state().name === 'live'"
FORGED = {
    "X-Forwarded-For": "203.0.113.66", "Forwarded": "for=203.0.113.66;proto=http", "X-Forwarded-Proto": "http",
    "X-Forwarded-Host": "evil.example", "X-Real-IP": "203.0.113.66", "X-Remote-User": "root", "X_Remote_User": "root",
}  # fmt: skip


@attrs.frozen
class Front:
    """A running daemon, and the address at which browsers reach it."""

    daemon: Daemon
    proxy: Proxy
    folder: Path

    async def ask(self, method: str, path: str, body: str = "", **headers: str) -> Answer:
        fields = {"Host": f"{HOST}:{self.proxy.port}", **headers}
        return await request(self.proxy.port, method, f"/{self.proxy.prefix}{path}", body, fields, secure=True)

    async def own(self, method: str, path: str, body: Any = None) -> Answer:
        """As the owner of the machine, over the control socket."""
        kind = {} if body is None else {"Content-Type": "application/json"}
        data = "" if body is None else json.dumps(body)
        return await request(self.daemon.folder / "control", method, path, data, {"Host": "localhost", **kind})

    @asynccontextmanager
    async def browser(self) -> AsyncIterator[Browser]:
        if self.proxy.name == "own":
            async with open_chromium(authority=self.daemon.folder / "tls" / "ca.pem") as browser:
                yield browser
        else:
            async with open_chromium(flags=trusting(self.folder / "cert.pem")) as browser:
                yield browser


@asynccontextmanager
async def open_front(folder: Path, name: str, *, below: bool = False) -> AsyncIterator[Front]:
    """A daemon with the users anna (admin) and ben (watcher), behind `name`; `own` is banken's own TLS."""
    port, place = free_port(), folder / name
    place.mkdir()
    if name == "own":
        require(certutil_missing_reason())
        write_config(folder, CAMERAS)
        async with launch_daemon(folder, {"BANKEN_WEB_LISTEN": f"{BEYOND}:0"}) as daemon:
            await daemon.wait_ready()
            front = Front(daemon, Proxy("own", daemon.port), place)
            await add_people(front)
            yield front
        return
    require(missing_reason(name))
    async with open_daemon(folder, CAMERAS, web=settings(port)) as daemon:
        async with PROXIES[name](place, port, daemon.port, below=below, asks=False) as proxy:
            front = Front(daemon, proxy, place)
            await add_people(front)
            yield front


async def add_people(front: Front) -> None:
    ben = {"user": BEN, "password": PASSWORDS[BEN], "role": "watcher", "everything": True}
    for person in (ADMIN, ben):
        assert (await front.own("POST", "/api/users", person)).status == 201


def follow_sockets(page: Page) -> dict[str, str]:
    """The WebSockets of the page: `open` or `closed`, by their names."""
    found = dict[str, str]()
    page.listen("Network.webSocketCreated", lambda params: found.update({params["requestId"]: "open"}))
    page.listen("Network.webSocketClosed", lambda params: found.update({params["requestId"]: "closed"}))
    return found


def secrets_in(log: str, public: str) -> set[str]:
    """The long words of a log that are not public: those of the journal and of the page's files are."""
    return {word for word in re.findall(r"[A-Za-z0-9_~-]{16,}", log) if word not in public}


FRONTS = pytest.mark.parametrize(
    ("name", "below"), [("nginx", False), ("nginx", True), ("caddy", False), ("caddy", True), ("own", False)]
)


@FRONTS
async def test_page_is_used_from_the_login_to_the_revocation(name: str, below: bool, tmp_path: Path) -> None:
    """The wall and the large view play, and journal and audit say who has watched. Then the session is ended from
    outside: no picture, the reason, and no WebSocket. The log of nginx has no secret."""
    async with open_front(tmp_path, name, below=below) as front:
        async with front.browser() as browser, browser.open_page("about:blank") as page:
            sockets = follow_sockets(page)
            await page.goto(front.proxy.url)
            await log_in(page, ANNA)
            await page.wait_for(f"!{OUT} && {LIVE}", 30)
            await wait_frames(page, 5, camera="cellar")
            (cookie,) = (await page.command("Network.getCookies"))["cookies"]
            assert (cookie["name"], cookie["secure"], cookie["httpOnly"]) == ("__Host-banken", True, True)
            assert await page.evaluate("isSecureContext && document.cookie === ''")
            await page.click(".tile[data-camera=cellar] .picture")
            await page.wait_for(LARGE_IS_LIVE, 30)
            await page.press("Escape")
            await page.wait_for(f"document.querySelectorAll('{part('rows')} > *').length > 3", 15)
            said = await page.evaluate("fetch('api/events?type=LeaseGranted').then((answer) => answer.json())")
            principals = {each["principal"].partition("/")[0] for each in said["events"]}
            assert principals == {"user:anna"}
            addresses = {each["body"]["client"] for each in said["events"]}
            assert addresses == {"127.0.0.1" if name == "own" else "127.0.0.1 (forwarded)"}
            assert "open" in sockets.values()
            await page.press("u")
            rows_of_audit = f"[...document.querySelectorAll('{part('audit-rows')} > tr')]"
            await page.wait_for(f"{rows_of_audit}.some((row) => row.innerText.includes('cellar'))", 15)
            await page.press("u")

            (session,) = (await front.own("GET", "/api/sessions")).json["sessions"]
            assert session["client"] in addresses
            assert (await front.own("DELETE", f"/api/sessions/{session['session']}")).status == 204
            why = f"{text_of(part('login-why'))}.startsWith('Your session was ended')"
            await page.wait_for(f"{OUT} && {why}")
            assert await page.evaluate("[...document.querySelectorAll('video')].every((each) => !each.srcObject)")
            assert set(sockets.values()) == {"closed"}
            errors = [str(line) for line in page.console if line.kind in ("error", "uncaught")]
            assert [line for line in errors if "favicon" not in line] == []
        rows = front.daemon.journal()
        ends = [row.event.reason.code for row in rows if isinstance(row.event, e.LeaseEnded)]
        assert "ended-by-admin" in ends
        if name == "nginx":
            text = (front.folder / ACCESS_LOG).read_text()
            assert "/whep/cellar" in text
            public = " ".join(map(str, [*rows, *FOLDER.rglob("*")])) + (await front.own("GET", "/")).text
            assert cookie["value"] not in text
            assert secrets_in(text, public) == set()


@FRONTS
async def test_program_uses_its_token_through_the_front(name: str, below: bool, tmp_path: Path) -> None:
    """A stock client of WHEP repeats the address that it got; MJPEG and events come as they are sent. Forged headers
    change neither the client nor the cookie, and the log of nginx has no secret."""
    made = {"token": "nas", "role": "operator", "everything": True}
    async with open_front(tmp_path, name, below=below) as front, open_viewer() as viewer:
        token = (await front.own("POST", "/api/tokens", made)).json["secret"]
        key = {"Authorization": f"Bearer {token}"}
        assert (await front.ask("GET", "api/cameras")).status == 401
        assert (await front.ask("GET", "api/cameras", **FORGED)).status == 401
        body = json.dumps({"user": BEN, "password": PASSWORDS[BEN]})
        origin = f"https://{HOST}:{front.proxy.port}"
        page = {"Content-Type": "application/json", "Origin": origin, **FORGED}
        logged_in = await front.ask("POST", "api/session", body, **page)
        assert logged_in.status == 201, logged_in.text
        assert logged_in.headers["Set-Cookie"].startswith("__Host-banken=")
        assert logged_in.json["client"] == ("127.0.0.1" if name == "own" else "127.0.0.1 (forwarded)")
        for strange in (f"http://{HOST}:{front.proxy.port}", "null", "https://evil.example"):
            refused = await front.ask("POST", "api/session", body, **{**page, "Origin": strange})
            assert refused.status == 403

        offered = await front.ask("POST", "whep/cellar", viewer.offer, **key, **{"Content-Type": "application/sdp"})
        assert offered.status == 201, offered.text
        await viewer.accept(offered.text)
        await viewer.wait_frames(10)
        place = offered.location.removeprefix(f"/{front.proxy.prefix}")
        assert re.fullmatch(r"whep/cellar/[0-9a-f]+", place)
        assert (await front.ask("DELETE", place, **FORGED)).status == 401
        assert (await front.ask("DELETE", place, **key)).status == 200

        assert len(await read_pictures(front.proxy, "cameras/cellar/stream.mjpeg", 3, key)) == 2
        plain = await trio.open_tcp_stream("127.0.0.1", front.proxy.port)
        async with over_tls(plain) as stream, trio.open_nursery() as nursery:
            socket = await wrap_client_stream(
                nursery, stream, f"{HOST}:{front.proxy.port}", f"/{front.proxy.prefix}ws/events",
                extra_headers=[(b"Authorization", key["Authorization"].encode())], max_message_size=2**24,
            )  # fmt: skip
            with give_up_after(15):
                assert json.loads(await socket.get_message())["type"] == "hello"
            nursery.cancel_scope.cancel()
        if name == "nginx":
            text = (front.folder / ACCESS_LOG).read_text()
            public = " ".join(map(str, front.daemon.journal()))
            assert token not in text
            assert secrets_in(text, public) == set()
