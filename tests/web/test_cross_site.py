"""Requests that pages of other sites cause: refused, and no camera opens for them."""

import h11
import pytest
import trio

from supervisor.domain.ids import CameraId
from tests.kit.domain import GATE
from tests.kit.http import Answer, request
from tests.kit.site import Site, open_site
from web.app import WebSettings

WALL = "https://wall.example"
SNAPSHOT, STREAM = f"/cameras/{GATE}/snapshot.jpg", f"/cameras/{GATE}/stream.mjpeg"
ROUTES = (
    "/", "/favicon.ico", "/dashboard/main.js", "/api/cameras", "/api/events", "/api/health", "/healthz", "/readyz",
    "/metrics", "/api/detections", SNAPSHOT, f"{SNAPSHOT}?max_age=0", STREAM, "/nothing",
)  # fmt: skip
VISIT = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


def fetch(site: str, mode: str = "no-cors", dest: str = "empty", **more: str) -> dict[str, str]:
    named = {name.replace("_", "-"): value for name, value in more.items()}
    return {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest, **named}


FOREIGN = {
    "image": fetch("cross-site", "no-cors", "image"),
    "image of another port": fetch("same-site", "no-cors", "image"),
    "fetch without CORS": fetch("cross-site"),
    "fetch": fetch("cross-site", "cors", Origin="http://evil.example"),
    "fetch of a sandbox": fetch("cross-site", "cors", Origin="null"),
    "script": fetch("cross-site", "no-cors", "script"),
    "frame": fetch("cross-site", "navigate", "iframe"),
    "frame of another port": fetch("same-site", "navigate", "iframe"),
    "frameset": fetch("cross-site", "navigate", "frame"),
    "embed": fetch("cross-site", "navigate", "embed"),
    "object": fetch("cross-site", "navigate", "object"),
    "fenced frame": fetch("cross-site", "navigate", "fencedframe"),
    "prefetch": fetch("cross-site", "no-cors", "empty", Sec_Purpose="prefetch"),
    "prerender": fetch("cross-site", "navigate", "document", Sec_Purpose="prefetch;prerender"),
    "preview": fetch("cross-site", "navigate", "document", Purpose="preview"),
    "old prefetch": fetch("cross-site", "navigate", "document", X_Moz="prefetch"),
    "download": fetch("cross-site", "no-cors", "empty"),
    "service worker": fetch("cross-site", "same-origin", "serviceworker", Service_Worker="script"),
    "value that does not exist": fetch("other-site"),
    "empty value": fetch(""),
    "list": fetch("same-origin, cross-site"),
    "case": fetch("Cross-Site", "no-cors", "image"),
    "like a listed origin": fetch("cross-site", "cors", Origin="https://wall.example.evil.example"),
}


def untouched(site: Site) -> bool:
    """No lease and no picture was made."""
    return not site.core.kernel.state.uses and not site.actors.taken


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
async def test_foreign_request_is_refused_on_every_route(headers: dict[str, str]) -> None:
    """403 as a problem document, no picture and no lease, and nothing that another page could read."""
    async with open_site(settings=WebSettings(allow_origins=(WALL,))) as site:
        for path in ROUTES:
            answer = await site.get(path, **headers)
            assert (path, answer.status, answer.headers["Content-Type"]) == (path, 403, "application/problem+json")
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        for path in ("/ws/events", "/ws/signaling"):
            assert (await site.handshake(path=path, **headers)).status == 403
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            for path in (f"/whep/{GATE}", "/api/leases", "/api/peers/x", "/"):
                assert (await request(site.port, method, path, headers=headers)).status == 403
        assert untouched(site)


@pytest.mark.parametrize("value", ["same-origin", "none", "Same-Origin", "NONE"])
async def test_own_request_is_served(value: str) -> None:
    """From the daemon's page, a typed address or a bookmark; the camera may open."""
    async with open_site(GATE) as site:
        headers = {**VISIT, "Sec-Fetch-Site": value}
        for path in ("/", "/api/cameras", "/metrics", f"{SNAPSHOT}?max_age=0"):
            assert (await site.get(path, **headers)).status == 200
        assert site.actors.taken == [True]
        assert (await site.handshake(**{"Sec-Fetch-Site": value, "Sec-Fetch-Mode": "websocket"})).status == 101


async def test_request_without_fetch_metadata_is_served() -> None:
    """Scripts and other programs send none; plain HTTP to another host than loopback carries none either."""
    async with open_site(GATE) as site:
        for path in ("/", "/api/cameras", SNAPSHOT):
            assert (await site.get(path)).status == 200
        assert (await site.get("/api/cameras", **{"Sec-Fetch-Mode": "cors"})).status == 200
        assert site.actors.taken == [True]


async def test_two_headers_that_disagree_are_foreign() -> None:
    """One foreign value among several is enough, in either order."""
    async with open_site() as site:
        for values in (["same-origin", "cross-site"], ["cross-site", "none"]):
            assert (await with_lines(site, *(f"Sec-Fetch-Site: {value}" for value in values))).status == 403


async def with_lines(site: Site, *lines: str) -> Answer:
    """A request for the cameras with header lines of which some have the same name."""
    async with await trio.open_tcp_stream("127.0.0.1", site.port) as stream:
        head = "\r\n".join(("GET /api/cameras HTTP/1.1", "Host: x", "Connection: close", *lines, "", ""))
        await stream.send_all(head.encode())
        connection, data = h11.Connection(h11.CLIENT), b""
        while part := await stream.receive_some():
            data += part
        connection.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
        connection.receive_data(data)
        response = connection.next_event()
        assert isinstance(response, h11.Response)
        return Answer(response.status_code, {}, data)


@pytest.mark.parametrize("site_value", ["cross-site", "same-site"])
async def test_link_on_another_site_shows_a_page_but_nothing_else(site_value: str) -> None:
    """A visit to the page works; JSON, scripts and metrics are no pages."""
    headers = {**VISIT, "Sec-Fetch-Site": site_value, "Sec-Fetch-User": "?1"}
    async with open_site() as site:
        assert (await site.get("/", **headers)).status == 200
        assert (await site.get("/?camera=gate", **headers)).status == 200
        assert (await request(site.port, "HEAD", "/", headers=headers)).status == 200
        for path in ("/api/cameras", "/metrics", "/dashboard/main.js", "/api/events", "/healthz"):
            assert (await site.get(path, **headers)).status == 403
        posted = {**headers, "Origin": "http://evil.example", "Content-Type": "application/x-www-form-urlencoded"}
        for path in ("/", "/api/leases", f"/whep/{GATE}", SNAPSHOT):
            assert (await request(site.port, "POST", path, "camera=gate", posted)).status == 403
        assert untouched(site)


@pytest.mark.parametrize("path", [SNAPSHOT, f"{SNAPSHOT}?max_age=0", STREAM])
@pytest.mark.parametrize("site_value", ["cross-site", "same-site"])
async def test_link_on_another_site_to_a_picture_opens_no_camera(path: str, site_value: str) -> None:
    """The picture that there is, however old, as one JPEG; 404 without one."""
    headers = {**VISIT, "Sec-Fetch-Site": site_value}
    async with open_site(GATE) as site:
        answer = await site.get(path, **headers)
        assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, "image/jpeg", b"a picture")
        site.actors.pictured = False
        assert (await site.get(path, **headers)).status == 404
        assert site.actors.taken == [False, False]
        assert not site.core.kernel.state.uses


@pytest.mark.parametrize("path", [SNAPSHOT, STREAM])
@pytest.mark.parametrize(("name", "value"), [("Sec-Purpose", "prefetch;prerender"), ("Purpose", "prefetch")])
async def test_prefetch_of_a_picture_opens_no_camera(path: str, name: str, value: str) -> None:
    """A browser that guesses the address while it is typed gets what there is."""
    async with open_site(GATE) as site:
        headers = {**VISIT, "Sec-Fetch-Site": "none", name: value}
        assert (await site.get(path, **headers)).headers["Content-Type"] == "image/jpeg"
        assert site.actors.taken == [False]


async def test_listed_origin_is_served_with_preflight() -> None:
    """A page of `web.allow_origins` calls everything, also with `Sec-Fetch-Site: cross-site`."""
    cors = fetch("cross-site", "cors", Origin=WALL)
    async with open_site(GATE, settings=WebSettings(allow_origins=(WALL,))) as site:
        asks = {**cors, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
        for path in (f"/whep/{GATE}", "/api/leases", "/api/cameras"):
            preflight = await request(site.port, "OPTIONS", path, headers=asks)
            assert (preflight.status in (200, 204), preflight.headers["Access-Control-Allow-Origin"]) == (True, WALL)
        opened = await site.offer(**cors)
        assert (opened.status, opened.headers["Access-Control-Allow-Origin"]) == (201, WALL)
        assert (await site.get(f"{SNAPSHOT}?max_age=0", **cors)).status == 200
        assert site.actors.taken == [True]
        assert (await site.handshake(**cors)).status == 101
        twice = await with_lines(site, "Sec-Fetch-Site: cross-site", f"Origin: {WALL}", "Origin: http://evil.example")
        assert twice.status == 403


async def test_unknown_camera_tells_a_foreign_page_nothing() -> None:
    """A foreign page cannot find out which cameras there are."""
    async with open_site(GATE) as site:
        for camera in (GATE, CameraId("nobody")):
            answer = await site.get(f"/cameras/{camera}/snapshot.jpg", **FOREIGN["image"])
            assert answer.status == 403


@pytest.mark.parametrize(("name", "value"), [("Sec-Purpose", "prefetch;prerender"), ("X-Moz", "prefetch")])
async def test_prefetch_does_nothing_but_get(name: str, value: str) -> None:
    """Nobody has asked for it yet: it makes no lease and no viewer, also for our own page; it may show pages."""
    headers = {name: value, "Sec-Fetch-Site": "same-origin"}
    async with open_site(GATE) as site:
        for path in ("/api/leases", f"/whep/{GATE}", "/api/detections"):
            assert (await request(site.port, "POST", path, headers=headers)).status == 403
        assert (await request(site.port, "DELETE", "/api/leases/x", headers=headers)).status == 403
        assert (await site.handshake(**headers)).status == 403
        for path in ("/", "/api/cameras"):
            assert (await site.get(path, **headers)).status == 200
        assert untouched(site)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://", "http://x.evil.example", "http://x:81"])
async def test_foreign_origin_alone_is_foreign(origin: str) -> None:
    """Over plain HTTP a browser sends no `Sec-Fetch-Site`; a link has a foreign `Referer`, and is followed."""
    async with open_site(GATE, settings=WebSettings(allow_origins=(WALL,))) as site:
        for method, path in (("POST", "/api/leases"), ("GET", SNAPSHOT), ("GET", "/api/cameras")):
            headers = {"Host": "x", "Origin": origin}
            assert (await request(site.port, method, path, headers=headers)).status == 403
        assert untouched(site)
        for headers in ({"Origin": "http://x"}, {"Origin": "https://x"}, {"Origin": WALL}, {"Referer": "http://evil/"}):
            assert (await site.get("/api/cameras", Host="x", **headers)).status == 200


PREVIEWS = (
    "facebookexternalhit/1.1 Facebot Twitterbot/1.0",
    "WhatsApp/2.23.20.0",
    "TelegramBot (like TwitterBot)",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
    "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5",
    "http.rb/5.1.1 (Mastodon/4.2.1; +https://social.example/) Bot",
)


@pytest.mark.parametrize("path", [SNAPSHOT, f"{SNAPSHOT}?max_age=0", STREAM])
@pytest.mark.parametrize("agent", PREVIEWS)
async def test_preview_of_a_link_opens_no_camera(path: str, agent: str) -> None:
    """A messenger fetches each link that is sent: it gets the picture that there is, or 404."""
    async with open_site(GATE) as site:
        answer = await site.get(path, **{"User-Agent": agent})
        assert (answer.status, answer.headers["Content-Type"]) == (200, "image/jpeg")
        site.actors.pictured = False
        assert (await site.get(path, **{"User-Agent": agent})).status == 404
        assert site.actors.taken == [False, False]
        assert not site.core.kernel.state.uses


FOREIGN_PAGES = (
    "http://evil.example/",
    "https://x.evil.example/?x",
    "http://x:81/",
    "http://evil.example#",
    "android-app://x/",
)
OWN_PAGES = ("", "http://x/", "https://x/?camera=gate", "http://X", f"{WALL}/wall")


@pytest.mark.parametrize(("page", "opens"), [(p, False) for p in FOREIGN_PAGES] + [(p, True) for p in OWN_PAGES])
async def test_picture_in_a_foreign_page_over_plain_http_opens_no_camera(page: str, opens: bool) -> None:
    """The browser says nothing but the `Referer`. Our own page, a listed one, and a script open the camera."""
    async with open_site(GATE, settings=WebSettings(allow_origins=(WALL,))) as site:
        for path in (SNAPSHOT, f"{SNAPSHOT}?max_age=0") + (() if opens else (STREAM,)):
            assert (await site.get(path, Host="x", Referer=page)).status == 200
        assert set(site.actors.taken) == {opens}
        assert not site.core.kernel.state.uses


@pytest.mark.parametrize(
    "agent", ["curl/8.5", "python-requests/2.32", "HomeAssistant/2026.1", "camera-bot/1", "frigate"]
)
async def test_script_opens_a_camera(agent: str) -> None:
    """A program names itself as it likes, and sends no `Sec-Fetch-*`."""
    async with open_site(GATE) as site:
        assert (await site.get(SNAPSHOT, **{"User-Agent": agent})).status == 200
        assert site.actors.taken == [True]


async def test_own_page_sends_its_address_to_us_alone() -> None:
    """So a picture in it is known as ours over plain HTTP, and no other site hears the address."""
    async with open_site() as site:
        assert (await site.get("/")).headers["Referrer-Policy"] == "same-origin"
