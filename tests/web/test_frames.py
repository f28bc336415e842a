"""The page in a frame of another site, the cookie there, and the cookie behind a proxy with TLS."""

from ipaddress import ip_network
from pathlib import Path

import pytest
import trio

from supervisor.services.accounts import Accounts
from tests.kit.accounts import ANNA, PASSWORDS, add_users
from tests.kit.domain import GATE
from tests.kit.http import Answer, request
from tests.kit.site import Site, open_site
from web.app import WebSettings
from web.client import Proxies

HA = "https://ha.example"
FRAMED = WebSettings(frame_ancestors=(HA, "http://localhost:8123"))
BEHIND = Proxies((ip_network("127.0.0.1"),))
IN_FRAME = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
SNAPSHOT = f"/cameras/{GATE}/snapshot.jpg"


def ancestors(answer: Answer) -> str:
    (found,) = [each for each in answer.headers["Content-Security-Policy"].split("; ") if each.startswith("frame-anc")]
    return found


async def test_no_other_site_may_show_the_page_by_default() -> None:
    """The policy and the older header say the same, on every answer."""
    async with open_site() as site:
        for path in ("/", "/api/cameras", "/nothing", "/%"):
            answer = await site.get(path)
            assert (ancestors(answer), answer.headers["X-Frame-Options"]) == ("frame-ancestors 'self'", "SAMEORIGIN")
        assert (await site.get("/", **IN_FRAME)).status == 403


async def test_listed_ancestors_and_no_others_may_show_the_page() -> None:
    """Nothing but the page and the picture of the cache is answered in a foreign frame, and it changes nothing."""
    async with open_site(GATE, settings=FRAMED) as site:
        for path in ("/", "/api/cameras", "/nothing"):
            answer = await site.get(path)
            assert ancestors(answer) == f"frame-ancestors {HA} http://localhost:8123"
            assert "X-Frame-Options" not in answer.headers, "it cannot name an origin"
        assert (await site.get("/", **IN_FRAME)).status == 200
        assert (await site.get(f"{SNAPSHOT}?max_age=0", **IN_FRAME)).status == 200
        assert site.actors.taken == [False]
        for path in ("/api/cameras", "/api/events", "/metrics", "/dashboard/main.js"):
            assert (await site.get(path, **IN_FRAME)).status == 403
        for dest in ("embed", "object", "fencedframe"):
            assert (await site.get("/", **{**IN_FRAME, "Sec-Fetch-Dest": dest})).status == 403
        foreign = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Origin": HA}
        for headers in (foreign, {"Origin": HA}):
            assert (await request(site.port, "POST", "/api/leases", "{}", headers)).status == 403
            assert (await site.handshake(**headers)).status == 403


async def cookies_after(site: Site, *headers: str, method: str = "POST", cookie: str = "") -> list[str]:
    """The lines `Set-Cookie` of the answer to a login, or to a logout."""
    body = f'{{"user": "{ANNA}", "password": "{PASSWORDS[ANNA]}"}}' if method == "POST" else ""
    lines = [f"{method} /api/session HTTP/1.1", "Host: cams.local", "Sec-Fetch-Site: same-origin", "Connection: close"]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    lines += [f"Cookie: {cookie}"] if cookie else []
    data = b""
    async with await trio.open_tcp_stream("127.0.0.1", site.port) as stream:
        await stream.send_all("\r\n".join([*lines, "", body]).encode())
        async for part in stream:
            data += part
    head = data.decode().partition("\r\n\r\n")[0].split("\r\n")
    assert head[0].split()[1] in ("201", "204"), data
    return [line.partition(": ")[2] for line in head if line.lower().startswith("set-cookie:")]


@pytest.mark.parametrize("framed", [False, True])
async def test_cookie_behind_tls_of_a_trusted_proxy_is_secure(framed: bool, tmp_path: Path) -> None:
    """It has the prefix `__Host-`, and in a frame it is partitioned: other sites that show us do not send it."""
    ancestors = (HA,) if framed else ()
    settings = WebSettings(proxies=BEHIND, frame_ancestors=ancestors)
    async with open_site(GATE, settings=settings, access=tmp_path / "access.json") as site:
        assert isinstance(site.gateway.accounts, Accounts)
        await add_users(site.gateway.accounts)
        secure = "X-Forwarded-Proto: https"
        forgotten, cookie = await cookies_after(site, secure)
        assert forgotten.startswith("__Host-banken=;")
        assert "Max-Age=0" in forgotten
        shown, _, attributes = cookie.partition("; ")
        assert shown.startswith("__Host-banken=")
        assert {"Secure", "HttpOnly", "Path=/"} < set(attributes.split("; "))
        assert ("SameSite=None" in attributes, "Partitioned" in attributes) == (framed, framed)
        assert ("SameSite=Lax" in attributes, "Domain" in attributes) == (not framed, False)
        assert ("Partitioned" in forgotten) is not framed
        own = {"Host": "cams.local", "Cookie": shown, "X-Forwarded-Proto": "https"}
        assert (await site.get("/api/cameras", **own)).status == 200
        assert (await site.get("/api/cameras", **own | {"X-Forwarded-Proto": "http"})).status == 401
        assert (await site.get("/api/cameras", **own | {"Cookie": shown.removeprefix("__Host-")})).status == 401
        stale = f"__Host-banken=old; __Host-banken=; {shown}"
        assert (await site.get("/api/cameras", **own | {"Cookie": stale})).status == 200
        assert (await site.get("/api/cameras", **own | {"X-Forwarded-Proto": "https, http"})).status == 400
        own |= {"Sec-Fetch-Site": "same-origin"}
        for origin, status in (("https://cams.local", 101), ("http://cams.local", 403), ("null", 403)):
            headers = {**own, "Origin": origin}
            del headers["Sec-Fetch-Site"]
            assert (await site.handshake(**headers)).status == status
        left = await cookies_after(site, secure, method="DELETE", cookie=shown)
        assert sorted("Partitioned" in line for line in left) == [False, True]
        assert all(line.startswith("__Host-banken=;") for line in left)


@pytest.mark.parametrize("header", ["X-Forwarded-Proto: https", "Forwarded: for=192.0.2.1;proto=https"])
async def test_scheme_that_a_stranger_names_changes_no_cookie(header: str, tmp_path: Path) -> None:
    """Without a trusted proxy, the connection alone decides. Plain HTTP has no cookie for frames."""
    async with open_site(GATE, settings=FRAMED, access=tmp_path / "access.json") as site:
        assert isinstance(site.gateway.accounts, Accounts)
        await add_users(site.gateway.accounts)
        (cookie,) = await cookies_after(site, header)
        assert cookie.startswith("banken=")
        assert "SameSite=Lax" in cookie
        assert "Secure" not in cookie
