"""banken behind real nginx and real Caddy, with the configurations that the document gives to operators."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import attrs
import pytest

from tests.conftest import require
from tests.kit.chromium import open_chromium
from tests.kit.daemon import Daemon, open_daemon
from tests.kit.http import Answer, request
from tests.kit.proxied import run_proxied
from tests.kit.proxies import (
    PASSWORD,
    PROXIES,
    USER,
    Proxy,
    access,
    free_port,
    missing_reason,
    password,
    read_pictures,
    settings,
)
from tests.kit.viewer import open_viewer
from web.app import WebSettings, create_app
from web.sockets import Sockets

CAMERA = "test:320x180@10"
FORGED = {"X-Forwarded-For": "203.0.113.66", "Forwarded": "for=203.0.113.66", "X-Real-IP": "203.0.113.66"}
EVERYWHERE = pytest.mark.parametrize("below", [False, True], ids=["root", "prefix"])
LARGE_IS_LIVE = "banken.large()?.state().name === 'live'"
EACH = pytest.mark.parametrize("name", PROXIES)


@attrs.frozen
class Site:
    daemon: Daemon
    proxy: Proxy

    async def ask(self, method: str, path: str, body: str = "", source: str = "127.0.0.9", **headers: str) -> Answer:
        """A request through the proxy, from a person at `source`."""
        fields = {"Host": f"localhost:{self.proxy.port}", **headers}
        return await request(self.proxy.port, method, path, body, fields, secure=True, source=source)

    def path(self, rest: str) -> str:
        return f"/{self.proxy.prefix}{rest}"


@asynccontextmanager
async def behind(folder: Path, name: str, below: bool, who: str = "") -> AsyncIterator[Site]:
    """A daemon and a proxy in front of it. `who`: the section `access`, instead of the one of the document."""
    require(missing_reason(name))
    port, place = free_port(), folder / name
    place.mkdir()
    async with open_daemon(folder, {"front": CAMERA}, who or access(), web=settings(port)) as daemon:
        async with PROXIES[name](place, port, daemon.port, below=below) as proxy:
            if not who:
                await daemon.wait_camera("front", "live")
            yield Site(daemon, proxy)


def routes() -> list[tuple[str, str]]:
    """Return every method and path of the application, with names filled in."""
    app = create_app(cast(Any, None), WebSettings(), Sockets())
    found = []
    for rule in app.url_map.iter_rules():
        path = "/".join("front" if part.startswith("<") else part for part in rule.rule.lstrip("/").split("/"))
        found += [(method, path) for method in sorted(rule.methods or {"GET"}) if method != "HEAD"]
    return found


@EACH
@EVERYWHERE
async def test_every_path_asks_for_the_password(tmp_path: Path, name: str, below: bool) -> None:
    """Without it nothing is answered, whatever is upgraded and however the path is written."""
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    h2c = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__"}
    key = {"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    async with behind(tmp_path, name, below) as site:
        asked = {(method, path): await site.ask(method, site.path(path)) for method, path in routes()}
        assert len(asked) > 30
        for path in ("healthz", "ws/events", "./healthz", "%68ealthz", "/healthz", "nothing"):
            for more in (
                {},
                upgrade | key,
                h2c,
                {"Authorization": "Bearer x"},
                {"Authorization": "Basic d2F0Y2g6d3Jvbmc="},
            ):
                asked["GET", f"{path} {more}"] = await site.ask("GET", site.path(path), **more)
        assert {answer.status for answer in asked.values()} == {401}, asked
        through = await site.ask("GET", site.path("healthz"), **password(), **h2c)
        assert through.status == 200, "h2c is not upgraded"


@EACH
@EVERYWHERE
async def test_person_is_the_client_and_everything_works_through_the_proxy(
    tmp_path: Path, name: str, below: bool
) -> None:
    """WHEP, leases, snapshots: the person's address is everywhere, and a forged header changes nothing."""
    async with behind(tmp_path, name, below) as site, open_viewer() as viewer:
        known = {**password(), **FORGED}
        kind = {"Content-Type": "application/json"}
        granted = await site.ask(
            "POST", site.path("api/leases"), '{"kind": "modal", "camera": "front"}', **known, **kind
        )
        lease = granted.json
        key = {"Banken-Lease": f"{lease['lease']}.{lease['secret']}"}
        assert (granted.location, lease["client"]) == (
            site.path(f"api/leases/{lease['lease']}"),
            "127.0.0.9 (forwarded)",
        )
        assert (await site.ask("PUT", granted.location, **known, **key)).status == 200
        offered = {"Content-Type": "application/sdp", **known, **key}
        opened = await site.ask("POST", site.path("whep/front"), viewer.offer, **offered)
        assert opened.location.startswith(site.path("whep/front/"))
        await viewer.accept(opened.text)
        await viewer.wait_frames(10)
        (peer,) = (await site.ask("GET", site.path("api/peers"), **known)).json["peers"]
        assert peer["client"] == "127.0.0.9 (forwarded)"
        other = (
            await site.ask(
                "POST", site.path("api/leases"), '{"kind": "viewer", "camera": "front"}', "127.0.0.10", **known, **kind
            )
        ).json
        assert other["client"] == "127.0.0.10 (forwarded)"
        patched = await site.ask(
            "PATCH", opened.location, "", **known, **{"Content-Type": "application/trickle-ice-sdpfrag"}
        )
        assert patched.status in (204, 400), patched.text
        assert (await site.ask("GET", site.path("cameras/front/snapshot.jpg"), **known)).body[:2] == b"\xff\xd8"
        assert (await site.ask("DELETE", opened.location, **known)).status == 200
        assert (await site.ask("DELETE", granted.location, **known, **key)).status == 204
    principals = {row.principal for row in site.daemon.journal() if row.principal.startswith("proxy:")}
    assert principals == {"proxy:127.0.0.9 (forwarded)/admin", "proxy:127.0.0.10 (forwarded)/admin"}


@EACH
async def test_user_header_of_the_proxy_replaces_that_of_the_client(tmp_path: Path, name: str) -> None:
    """A header of the client is overwritten, however it is spelled, and however often it is sent."""
    named = "access: {proxy: {user_header: X-Remote-User, roles: {admin: [root], operator: [watch]}}}"
    forged = {"X-Remote-User": "root", "x-remote-user": "root", "X_Remote_User": "root", "X-REMOTE-USER": "root"}
    async with behind(tmp_path, name, False, named) as site:
        for number in range(len(forged) + 1):
            sent = dict([*forged.items()][:number])
            me = await site.ask("GET", site.path("api/session"), **password(), **sent)
            rights = set(me.json["rights"])
            assert ("operate" in rights, "administer" in rights) == (True, False), (sent, rights)


@EACH
async def test_mjpeg_stream_comes_as_it_is_sent(tmp_path: Path, name: str) -> None:
    """No proxy buffers MJPEG: each of three images arrives before the next but one is produced."""
    async with behind(tmp_path, name, True) as site:
        gaps = await read_pictures(site.proxy, "cameras/front/stream.mjpeg", 4)
        assert max(gaps) < 10


@EACH
async def test_page_plays_below_a_prefix_in_a_browser(tmp_path: Path, name: str, chromium_here: None) -> None:
    """The page, its WebSocket, its player and the lease of its large view work in a sub-folder, behind a password."""
    async with behind(tmp_path, name, True) as site:
        async with open_chromium(flags=("--ignore-certificate-errors",)) as browser:
            secret = PASSWORD.replace(" ", "%20")
            login = f"https://{USER}:{secret}@localhost:{site.proxy.port}/{site.proxy.prefix}healthz"
            async with browser.open_page(login) as page:
                await page.goto(site.proxy.url)
                await page.wait_for("document.querySelector('.tile[data-camera=front]')?.dataset.player === 'live'", 30)
                await page.click(".tile[data-camera=front] .picture")
                await page.wait_for(LARGE_IS_LIVE, 30)
                leases = (await site.daemon.get("/api/leases"))["leases"]
                assert {row["client"] for row in leases} == {"127.0.0.1 (forwarded)"}
                assert "modal" in {row["kind"] for row in leases}
                errors = [str(line) for line in page.console if line.kind in ("error", "uncaught")]
                assert [line for line in errors if "favicon" not in line] == [], "the browser asks for one at the root"


async def test_viewers_behind_both_proxies_keep_leases_pictures_and_sockets(tmp_path: Path) -> None:
    """Four viewers for 30 s, as in `ops/proxied.py` for an hour: no connection ends, and no request is refused."""
    require(missing_reason(*PROXIES))
    persons = await run_proxied(tmp_path, 25.0, 4, lambda passed, persons: None)
    assert {person.proxy.name for person in persons} == set(PROXIES)
    assert {person.proxy.prefix for person in persons} == {"", "cams/"}
    assert [fault for person in persons for fault in person.faults] == []
    assert all(person.frames > 0 and person.messages > 0 and person.renewals > 0 for person in persons), persons
