"""Whose name a request may come by: a page of a stranger's, whose name leads here, is refused."""

import pytest
import trio

from tests.kit.site import Site, open_site
from web.app import WebSettings
from web.hosts import is_ours, may_connect

OURS = [
    "127.0.0.1:8620",
    "localhost",
    "LOCALHOST.:80",
    "nas",
    "nas.local:8620",
    "[::1]:8620",
    "cams.example:443",
    "my_nas",
    "a_b.local",
]


@pytest.mark.parametrize("host", OURS)
def test_own_addresses_and_names_are_accepted_hosts(host: str) -> None:
    """Addresses, local names, and the host of an allowed Origin may stand in `Host`."""
    assert is_ours(host, ["https://cams.example"])


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "local.evil",
        "[::1",
        "a@evil.example",
        "localhost@evil.example",
        "evil.example/.local",
        "evil.example#.local",
        "evil.example?.local",
        "evil.example\\.local",
        "evil.example .local",
        "evil.example%00.local",
        "[evil.example]",
        "[nas]",
        "[127.0.0.1]x",
        "[::1%eth0]",
        "evil.example:80:80",
        "evil.example..",
        "\u0131.local",
        "a_b.evil.example",
        "_.evil.example",
        "a~b.local",
        "nas:0",
        "nas:99999",
        ".local",
        "a..local",
        ".",
        "",
        "%6eas",
        "a" * 254,
    ],
)
def test_names_of_others(host: str) -> None:
    """Names that only contain, begin with or end like a local one, and malformed ones, are refused."""
    assert not is_ours(host, ["https://cams.example"])


async def test_a_page_whose_name_leads_here_reads_nothing() -> None:
    """DNS rebinding: 421 for pages, API and both WebSockets, though Host and Origin agree."""
    stranger = {"Host": "evil.example", "Origin": "http://evil.example"}
    async with open_site() as site:
        for path in ("/", "/api/cameras", "/healthz"):
            answer = await site.get(path, **stranger)
            assert (answer.status, "evil.example" in answer.json["detail"]) == (421, True)
        assert (await site.handshake(**stranger)).status == 421
        assert (await site.handshake(path="/ws/signaling", **stranger)).status == 421
        assert (await site.get("/api/cameras", Host="localhost")).status == 200


async def ask(site: Site, head: bytes, version: bytes = b"1.1", path: bytes = b"/api/cameras") -> int:
    """The status of the answer to a request with these header lines."""
    async with await trio.open_tcp_stream("127.0.0.1", site.port) as stream:
        await stream.send_all(b"GET %b HTTP/%b\r\n%bConnection: close\r\n\r\n" % (path, version, head))
        answer = b""
        async for data in stream:
            answer += data
    return int(answer[9:12])


STRANGE = [
    (b"a_b.evil.example", 421),
    (b"a_b.evil.example:8620", 421),
    (b"evil.example:", 421),
    (b"evil.example:80", 421),
    (b"evil.example:0", 400),
    (b"evil.example:99999", 400),
    (b"evil.example:+1", 400),
    (b"a~b.evil.example", 400),
    (b"a@evil.example", 400),
    (b"nas@evil.example", 400),
    (b"nas evil.example", 400),
    (b"nas,evil.example", 400),
    (b"\xe9vil.example", 400),
    (b"%65vil.example", 400),
    (b"evil.example/", 400),
    (b"[evil.example]", 400),
    (b"[::1", 400),
    (b"e" * 8000, 400),
    (b"", 400),
    (b":8620", 400),
    (b" \t", 400),
]


async def test_host_that_werkzeug_takes_for_none_is_refused() -> None:
    """The bytes of the header decide: a host that a library cannot read is never accepted."""
    async with open_site() as site:
        for host, status in STRANGE:
            for path in (b"/api/cameras", b"/healthz", b"/", b"/nothing"):
                assert (host, path, await ask(site, b"Host: %b\r\n" % host, path=path)) == (host, path, status)


async def test_missing_host_is_served_in_http_1_0_only() -> None:
    """One host is asked for, or in HTTP/1.0 none; never two."""
    async with open_site() as site:
        assert await ask(site, b"", b"1.0") == 200
        assert await ask(site, b"") == 400
        for version in (b"1.0", b"1.1"):
            assert await ask(site, b"Host: nas\r\nHost: nas\r\n", version) == 400
            assert await ask(site, b"Host: a_b.evil.example\r\n", version) == 421
            assert await ask(site, b"Host: my_nas\r\n", version) == 200


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("nas:8620", "http://nas:8620", 101),
        ("nas", "http://nas", 101),
        ("nas:80", "http://nas", 101),
        ("NAS", "https://nas", 101),
        ("nas:443", "https://nas", 101),
        ("my_nas", "http://my_nas", 101),
        ("evil.example", "http://evil.example", 421),
        ("a_b.evil.example", "http://a_b.evil.example", 421),
        ("a_b.evil.example", "http://", 421),
        ("evil.example:99999", "http://", 400),
        ("nas", "http://", 403),
        ("nas", "", 403),
        ("nas", "null", 403),
        ("nas", "nas", 403),
        ("nas", "http://nas/", 403),
        ("nas", "http://nas@nas", 403),
        ("nas", "http://evil.example", 403),
        ("nas", "http://nas:8620", 403),
        ("nas", "file://nas", 403),
        ("nas", "https://cams.example", 101),
    ],
)
async def test_websocket_opens_for_pages_of_the_same_host(host: str, origin: str, status: int) -> None:
    """The origin of the page is the host that it asks for, or a listed one; a malformed one is foreign."""
    async with open_site(settings=WebSettings(allow_origins=("https://cams.example",))) as site:
        for path in ("/ws/events", "/ws/signaling"):
            assert (await site.handshake(path=path, Host=host, Origin=origin)).status == status


def test_page_of_one_foreign_origin_among_its_own_may_not_connect() -> None:
    """Each origin that is named must be allowed; a page never has the origin of a request without a host."""
    scope = {"http_version": "1.1", "scheme": "http", "headers": [(b"host", b"nas")]}
    assert may_connect(scope, ["http://nas"], ()) and may_connect(scope, [], ())
    assert not may_connect(scope, ["http://nas", "http://evil.example"], ())
    assert not may_connect({"http_version": "1.0", "scheme": "http", "headers": []}, ["http://"], ())


def test_page_over_plain_http_is_foreign_to_its_host_over_tls() -> None:
    """Somebody on the network may have sent it. Without TLS that we know of, a proxy may speak it with the browser."""
    headers = [(b"host", b"cams.local")]
    for scheme, origins in (("https", ["https://cams.local"]), ("http", ["https://cams.local", "http://cams.local"])):
        for kind in (scheme, scheme.replace("http", "ws")):
            scope = {"http_version": "1.1", "scheme": kind, "headers": headers}
            for origin in ("https://cams.local", "http://cams.local"):
                assert may_connect(scope, [origin], ()) is (origin in origins)
