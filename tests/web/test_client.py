"""The client of a request: who is believed, what is read, and what is refused."""

from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

import pytest
import trio

from actors.webrtc.candidate_selection import reachable
from actors.webrtc.offer import Candidate
from tests.kit.domain import GATE
from tests.kit.growth import MOST, growth
from tests.kit.site import open_site
from web.app import WebSettings
from web.client import MOST_HOPS, ForwardedError, Proxies, client_of, read_forwarded

PROXY, PERSON, LIAR = "192.0.2.1", "203.0.113.7", "198.51.100.66"
TRUSTED = (ip_network("192.0.2.0/24"), ip_network("127.0.0.1"), ip_network("2001:db8:a::/48"))
BY_LIST, BY_PAIRS = Proxies(TRUSTED, "x-forwarded"), Proxies(TRUSTED, "forwarded")


def listed(*lines: str, peer: str = PROXY, proxies: Proxies = BY_LIST) -> str:
    """The client's name for a request with these lines of `X-Forwarded-For`."""
    return client_of(peer, [(b"x-forwarded-for", line.encode("latin-1")) for line in lines], proxies)


def paired(*lines: str, peer: str = PROXY) -> str:
    """The client's name for a request with these lines of `Forwarded`."""
    return client_of(peer, [(b"forwarded", line.encode("latin-1")) for line in lines], BY_PAIRS)


def test_header_of_an_untrusted_peer_is_ignored() -> None:
    """Only a trusted TCP peer may name another client."""
    headers = [(b"x-forwarded-for", b"203.0.113.7"), (b"forwarded", b"for=203.0.113.7")]
    for proxies in (BY_LIST, BY_PAIRS, Proxies()):
        assert client_of(LIAR, headers, proxies) == LIAR
    assert client_of("127.0.0.1", headers, Proxies()) == "127.0.0.1"


def test_header_of_the_other_family_is_ignored() -> None:
    """A trusted proxy that passes the other family on lets nobody choose a name."""
    assert client_of(PROXY, [(b"forwarded", b"for=203.0.113.7")], BY_LIST) == PROXY
    assert client_of(PROXY, [(b"x-forwarded-for", b"203.0.113.7")], BY_PAIRS) == PROXY
    assert client_of(PROXY, [(b"x-real-ip", b"203.0.113.7"), (b"x_forwarded_for", b"1.1.1.1")], BY_LIST) == PROXY


def test_rightmost_untrusted_address_is_the_client() -> None:
    """Trusted hops are skipped from the right; the left of the list is the client's own word."""
    assert listed(f"{LIAR}, 127.0.0.1, {PERSON}, 192.0.2.9") == PERSON
    assert listed(LIAR, f"nonsense, {PERSON}", "192.0.2.9,192.0.2.8") == PERSON
    assert listed("192.0.2.7, 192.0.2.9") == "192.0.2.7"
    assert paired(f'for={LIAR}, for="{PERSON}:4711";proto=https;by=_x, for=192.0.2.9') == PERSON
    assert paired('this line is not "read', f"For={PERSON}") == PERSON
    assert paired(f'for="{LIAR}, for=1.2.3.4", for={PERSON};host="a,b;for=\\"x"') == PERSON


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("203.0.113.7:51000", PERSON),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:DB8::7]:443", "2001:db8::7"),
        ("2001:db8:0::7", "2001:db8::7"),
        ("::ffff:203.0.113.7", PERSON),
        ("[::ffff:cb00:7107]", PERSON),
        ("127.0.0.1", "127.0.0.1 (forwarded)"),
        ("127.9.9.9", "127.9.9.9 (forwarded)"),
        ("::1", "::1 (forwarded)"),
        ("::ffff:127.0.0.1", "127.0.0.1 (forwarded)"),
    ],
)
def test_address_in_any_form_gets_one_name(text: str, name: str) -> None:
    """Ports and brackets do not matter, IPv4 inside IPv6 is IPv4, and forwarded loopback is not the local user."""
    found = client_of(PROXY, [(b"x-forwarded-for", text.encode())], BY_LIST)
    assert found == name
    assert paired(f'for="{text}"') == name


def test_peer_in_ipv6_form_is_trusted_and_named_as_ipv4() -> None:
    """A socket that takes both families names IPv4 peers in IPv6."""
    assert listed(PERSON, peer="::ffff:192.0.2.1") == PERSON
    assert client_of("::ffff:127.0.0.1", [], Proxies()) == "127.0.0.1"
    assert Proxies(TRUSTED).trusts("::ffff:192.0.2.200")
    assert not Proxies(TRUSTED).trusts("unknown")


def test_trusted_peer_without_a_header_is_itself_and_not_local() -> None:
    """A proxy on this machine that names nobody does not make everybody the local user."""
    assert client_of("127.0.0.1", [], BY_LIST) == "127.0.0.1 (forwarded)"
    assert client_of(None, [], BY_LIST) == "unknown"


REFUSED = (
    *(
        "",
        " ",
        ",",
        "unknown",
        "_hidden",
        "_x:1",
        "a.example",
        "203.0.113",
        "203.0.113.07",
        "203.0.113.7:",
        "1.2.3.4:x",
    ),
    *("203.0.113.7:65536", "203.0.113.7:123456", "[203.0.113.7]", "[2001:db8::7", "2001:db8::7]", "[2001:db8::7]x"),
    *(
        "fe80::1%eth0",
        "[fe80::1%25eth0]",
        "::ffff:999.1.1.1",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "ff02::1",
        "203.0.113.7\x00",
    ),
    *("203.0.113.7/32", "203.0.113.7 203.0.113.8", "٢.0.0.1".encode().decode("latin-1"), "²03.0.113.7", "3405803783"),
)


@pytest.mark.parametrize("text", REFUSED)
def test_value_that_is_no_address_is_refused(text: str) -> None:
    """No other address takes the place of one that cannot be read, whatever stands to the left of it."""
    for line in (text, f"{PERSON}, {text}", f"{PERSON}, {text}, 192.0.2.9"):
        with pytest.raises(ForwardedError):
            listed(line)
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    with pytest.raises(ForwardedError):
        paired(f'for={PERSON}, for="{quoted}"')


@pytest.mark.parametrize(
    "line",
    [
        *("", "for", "for=", f"for={PERSON},", f"for={PERSON};", f",for={PERSON}", f"for={PERSON};;proto=http"),
        *(f"by={PROXY}", f"for={PERSON}, by={PROXY}", f"for={PERSON};for={LIAR}", f"For={PERSON};FOR={PERSON}"),
        *(
            f'for="{PERSON}',
            f'for={PERSON}"',
            f'for="{PERSON}"x',
            "for=[2001:db8::7]",
            f"for = {PERSON}",
            f"for={PERSON} x",
        ),
        *(f'for={LIAR};x=", for="[2001:db8::7]"', f'for={LIAR};x=", for={PERSON}'),
    ],
)
def test_forwarded_line_out_of_form_is_refused(line: str) -> None:
    """A line against RFC 7239 is not read in part."""
    with pytest.raises(ForwardedError):
        paired(line)


def test_chain_of_too_many_proxies_is_refused() -> None:
    """Trusted hops are bounded."""
    assert listed(", ".join([PERSON, *["192.0.2.9"] * (MOST_HOPS - 1)])) == PERSON
    with pytest.raises(ForwardedError):
        listed(", ".join([PERSON, *["192.0.2.9"] * MOST_HOPS]))


@pytest.mark.parametrize(
    "unit", ["203.0.113.7,", "192.0.2.9, ", ",", " ", '"', "for=192.0.2.9,", 'for="\\', "a=b;", "\\"]
)
def test_reading_time_is_linear_in_the_length(unit: str) -> None:
    """Of both families, whatever the line is made of."""

    def work(count: int) -> Callable[[], None]:
        line = (unit * count).encode()
        return lambda: read_both(line)

    assert growth(work, 3_000) <= MOST


def read_both(line: bytes) -> None:
    for header, proxies in ((b"x-forwarded-for", BY_LIST), (b"forwarded", BY_PAIRS)):
        try:
            client_of(PROXY, [(header, line)], proxies)
        except ForwardedError:
            pass


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1"])
def test_loopback_client_of_a_proxy_is_no_viewer_on_this_machine(peer: str) -> None:
    """Its name is no address, so candidates of this machine are not checked for it; for the local user they are."""
    own, local = (Candidate("1", 1, ip, 5000, "host") for ip in (peer, "192.0.2.5"))
    trusting = Proxies((ip_network(peer),))
    for headers in ([], [(b"x-forwarded-for", peer.encode())]):
        assert reachable((own, local), client_of(peer, headers, trusting), lambda ip: ip == own.ip) == (local,)
    assert reachable((own, local), client_of(peer, [], Proxies()), lambda ip: ip == own.ip) == (own, local)


async def test_person_behind_a_proxy_is_the_client_of_a_viewer() -> None:
    """Caps, journal and API name the person; a stranger's claim changes nothing."""
    settings = WebSettings(proxies=Proxies((ip_network("127.0.0.1/32"),)))
    async with open_site(settings=settings) as site:
        opened = await site.offer(GATE, **{"X-Forwarded-For": f"10.9.9.9, {PERSON}"})
        assert opened.status == 201
        assert [peer["client"] for peer in (await site.get("/api/peers")).json["peers"]] == [PERSON]
        granted = (await site.get("/api/events?type=LeaseGranted")).json["events"]
        assert granted[-1]["principal"] == f"client:{PERSON}"


async def test_proxy_header_without_a_readable_address_gets_400() -> None:
    """Every path refuses: pages, API, WHEP and WebSockets."""
    settings = WebSettings(proxies=Proxies((ip_network("127.0.0.1/32"),)))
    async with open_site(settings=settings) as site:
        bad = {"X-Forwarded-For": f"{PERSON}, unknown"}
        for path in ("/", "/api/cameras", "/healthz", f"/cameras/{GATE}/snapshot.jpg"):
            assert (await site.get(path, **bad)).status == 400
        assert (await site.offer(GATE, **bad)).status == 400
        assert (await site.handshake(**bad)).status == 400
        assert (await site.handshake(path="/ws/signaling", **bad)).status == 400


async def test_location_leads_on_below_a_path_prefix() -> None:
    """`Location` is relative, so a proxy may serve us below any path."""
    async with open_site() as site:
        opened = await site.offer(GATE)
        assert opened.headers["Location"].startswith(f"{GATE}/")
        assert opened.location.startswith(f"/whep/{GATE}/")


HTTPS = b"x-forwarded-proto"


@pytest.mark.parametrize(
    ("value", "scheme"), [("https", "https"), ("HTTPS", "https"), ("wss", "https"), ("http", "http"), ("ws", "http")]
)
def test_trusted_proxy_names_the_scheme_of_its_client(value: str, scheme: str) -> None:
    """By `X-Forwarded-Proto`, or by `proto` of the element of `Forwarded` that names the client."""
    assert read_forwarded(PROXY, [(HTTPS, value.encode())], BY_LIST) == (PROXY, scheme)
    pairs = f"for={LIAR};proto=gopher, for={PERSON};proto={value}, for=192.0.2.9;proto=http"
    assert read_forwarded(PROXY, [(b"forwarded", pairs.encode())], BY_PAIRS) == (PERSON, scheme)


def test_scheme_of_another_hop_or_family_is_ignored() -> None:
    """Of an untrusted peer, of the other family, and of another hop."""
    said = [(HTTPS, b"https"), (b"forwarded", b"proto=https;for=203.0.113.7")]
    for proxies in (BY_LIST, BY_PAIRS, Proxies()):
        assert read_forwarded(LIAR, said, proxies) == (LIAR, "")
    assert read_forwarded(PROXY, [(HTTPS, b"https")], BY_PAIRS) == (PROXY, "")
    assert read_forwarded(PROXY, [(b"forwarded", b"for=1.2.3.4;proto=https")], BY_LIST) == (PROXY, "")
    hops = [(b"forwarded", b"for=203.0.113.7, for=192.0.2.9;proto=https")]
    assert read_forwarded(PROXY, hops, BY_PAIRS) == (PERSON, "")


@pytest.mark.parametrize("values", [["https, http"], ["http", "https"], ["https", "https"], [""], ["h2"], ["https;"]])
def test_scheme_that_is_not_one_is_refused(values: list[str]) -> None:
    """No guess: two values may be of two hops, or one of them of the client itself."""
    with pytest.raises(ForwardedError, match="has no scheme of one client"):
        read_forwarded(PROXY, [(HTTPS, value.encode()) for value in values], BY_LIST)


@pytest.mark.parametrize(
    "header",
    ["X-Forwarded-Port", "X-Forwarded-Server", "X-Real-IP", "Via", "CF-Connecting-IP", "X-Original-Url", "Forwarded"],
)
async def test_client_of_an_untrusted_proxy_is_not_local(header: str, tmp_path: Path) -> None:
    """Any header that proxies add, and HTTP/1.0, which nginx speaks by default: without users it has no rights."""
    async with open_site(GATE, access=tmp_path / "access.json") as site:
        assert (await site.get("/api/cameras")).status == 200
        assert (await site.get("/api/cameras", **{header: "1"})).status == 401
        async with await trio.open_tcp_stream("127.0.0.1", site.port) as stream:
            await stream.send_all(b"GET /api/cameras HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 401 ")
