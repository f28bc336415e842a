"""RTSP addresses: the location of a stream, its credentials, and invalid addresses."""

import contextlib
import time

import attrs
import pytest

from actors.sources.rtsp.address import MAX_ADDRESS, candidates, check, parse_target, redirected, repair, resolve
from actors.sources.rtsp.auth import Credentials
from supervisor.config.config import Source

HOME = parse_target("rtsp://viewer:p%40ss@192.0.2.1/main?x=1")


def test_credentials_are_not_in_the_url_of_requests() -> None:
    """The URL of requests has no credentials, and `repr` does not show the password."""
    known = Credentials("viewer", "p@ss")
    assert attrs.astuple(HOME, recurse=False) == ("192.0.2.1", 554, False, "rtsp://192.0.2.1/main?x=1", known)
    assert "p@ss" not in repr(HOME)


@pytest.mark.parametrize(
    ("location", "url", "known"),
    [
        ("/other", "rtsp://192.0.2.1/other", True),
        ("rtsp://192.0.2.1:554/x", "rtsp://192.0.2.1:554/x", True),
        ("rtsps://192.0.2.1:554/x", "rtsps://192.0.2.1:554/x", True),
        ("rtsp://192.0.2.1:8554/x", "rtsp://192.0.2.1:8554/x", False),
        ("rtsps://192.0.2.1/x", "rtsps://192.0.2.1/x", False),
        ("rtsp://192.0.2.9/x", "rtsp://192.0.2.9/x", False),
        ("rtsp://u:p@192.0.2.9/x", "rtsp://192.0.2.9/x", False),
    ],
)
def test_redirect_keeps_credentials_to_the_same_host_and_port(location: str, url: str, known: bool) -> None:
    """Another port of a host may be another program, or another device."""
    there = redirected(HOME, location)
    assert (there.url, there.credentials is not None) == (url, known)


@pytest.mark.parametrize(
    ("location", "peer", "host", "known"),
    [
        ("rtsp://192.0.2.1/x", "192.0.2.1", "cam.lan", True),
        ("rtsp://[2001:DB8:0::1]/x", "2001:db8::1", "cam.lan", True),
        ("rtsp://192.0.2.1:8554/x", "192.0.2.1", "cam.lan", False),
        ("rtsp://192.0.2.9/x", "192.0.2.1", "192.0.2.9", False),
        ("rtsp://192.0.2.1/x", "", "192.0.2.1", False),
    ],
)
def test_redirect_to_the_number_of_the_peer_stays_at_its_host(location: str, peer: str, host: str, known: bool) -> None:
    """A camera configured by name may know only its IP address; the port and the rules for it stay."""
    there = redirected(parse_target("rtsp://u:p@cam.lan/main"), location, peer)
    assert (there.host, there.credentials is not None) == (host, known)
    assert there.url == parse_target(location).url


@pytest.mark.parametrize(
    ("address", "location", "known"),
    [
        ("rtsps://u:p@cam.lan/main", "rtsps://CAM.lan:322/x", True),
        ("rtsps://u:p@cam.lan:322/main", "rtsps://cam.lan/x", True),
        ("rtsps://u:p@cam.lan:554/main", "rtsps://cam.lan/x", False),
        ("rtsp://u:p@cam.lan:554/main", "rtsp://cam.lan/x", True),
        ("rtsp://u:p@cam.lan:322/main", "rtsps://cam.lan/x", True),
        ("rtsp://u:p@[2001:db8::1]/main", "rtsp://[2001:db8::1]:554/x", True),
    ],
)
def test_port_that_is_left_out_is_the_one_of_the_scheme(address: str, location: str, known: bool) -> None:
    """554 for RTSP, 322 with TLS: written or not, it is the same port."""
    assert (redirected(parse_target(address), location).credentials is not None) == known


def test_redirect_from_tls_to_plain_text_drops_the_credentials() -> None:
    """A redirect from `rtsps` to `rtsp` drops the credentials, even to the same host."""
    assert redirected(parse_target("rtsps://u:p@192.0.2.1/"), "rtsp://192.0.2.1:322/").credentials is None


@pytest.mark.parametrize("location", ["http://192.0.2.1/", "rtsp://[half/", "rtsp://h:99999/"])
def test_impossible_redirect_is_an_error(location: str) -> None:
    """Another scheme, half an IPv6 address, and an impossible TCP port are a `ValueError`."""
    with pytest.raises(ValueError):  # noqa: PT011 - urllib has many words for it
        redirected(HOME, location)


@pytest.mark.parametrize("control", ["v\ufffd" * 2000, "rtsp://192.0.2.1/" + "\u00e9" * MAX_ADDRESS, "/" + "v" * 4000])
def test_address_of_a_camera_that_is_too_long_is_not_quoted(control: str) -> None:
    """Such an address is invalid: quoting takes 0.25 µs per character, and the next request would be as long."""
    with pytest.raises(ValueError, match="too long"):
        resolve("rtsp://192.0.2.1/main", control)
    assert len(resolve("rtsp://192.0.2.1/main", "v" * 3900)) == 3922


@pytest.mark.parametrize(
    ("address", "transport", "complaint"),
    [
        ("rtsp://192.0.2.1/main", "udp", None),
        ("rtsps://192.0.2.1/main", "tcp", None),
        ("rtsps://192.0.2.1/main", "http", None),
        ("rtsps://192.0.2.1/main", "udp", None),
        ("rtsps://192.0.2.1/main", "multicast", "nothing would be encrypted"),
        ("rtsp:///main", "tcp", "is no RTSP address"),
        ("rtsp://u:p#a@192.0.2.1/", "tcp", "is no RTSP address"),
        ("rtsp://192.0.2.1/" + "a" * 4000, "tcp", "is too long"),
    ],
)
def test_an_address_is_looked_at_before_it_is_used(address: str, transport: str, complaint: str | None) -> None:
    """The complaint names the cause: no host, an unescaped `#`, too long, or TLS over UDP."""
    said = check(Source("rtsp", address, transport=transport))
    assert said is None if complaint is None else complaint in str(said)


ASKED = "rtsp://192.0.2.1:8554/stream"


@pytest.mark.parametrize(
    ("base", "repaired"),
    [
        (f"{ASKED}/", f"{ASKED}/"),
        ("rtsp://10.0.0.9/x?a=1&b=rtsp://c/", "rtsp://10.0.0.9/x?a=1&b=rtsp://c/"),
        ("rtsp://::ffff:1.2.3.4/", "rtsp://::ffff:1.2.3.4/"),
        ("rtsp://[2001:db8::1]:554/x/", "rtsp://[2001:db8::1]:554/x/"),
        ("192.0.2.1:8554/stream/", f"{ASKED}/"),
        ("192.0.2.1/stream/", "rtsp://192.0.2.1/stream/"),
        ("cam.lan:554/x/", "rtsp://cam.lan:554/x/"),
        ("[2001:db8::1]:554/x/", "rtsp://[2001:db8::1]:554/x/"),
        ("[2001:db8::1]/x/", "rtsp://[2001:db8::1]/x/"),
        ("2001:db8::1/x/", "rtsp://2001:db8::1/x/"),
        ("//192.0.2.1:8554/stream/", f"{ASKED}/"),
        ("rtsp://rtsp://192.0.2.1:8554/stream/", f"{ASKED}/"),
        ("RTSP://rtsp:/192.0.2.1:8554/stream/", f"{ASKED}/"),
        ("http://192.0.2.1:8554/stream/", f"{ASKED}/"),
        ("rtsp:///live/", "rtsp://192.0.2.1:8554/live/"),
        ("/live/", "rtsp://192.0.2.1:8554/live/"),
        ("stream/", f"{ASKED}/"),
        ("track:1/", "rtsp://192.0.2.1:8554/track:1/"),
        ("<rtsp://192.0.2.1:8554/stream/>", f"{ASKED}/"),
        ("*", ASKED),
        ("rtsp://*", ASKED),
        ("rtsp://", ASKED),
        ("", ASKED),
    ],
)
def test_base_is_repaired_by_the_address_of_the_request(base: str, repaired: str) -> None:
    """Without a scheme, with two, relative, empty, `*`: the address that is meant. A usable one stays as it is."""
    assert repair(base, ASKED) == repaired


@pytest.mark.parametrize("base", ["rtsp://" * 2300, "a:" * 8000, "[" * 16_000, "::" * 8000, "a." * 8000, "1." * 8000])
def test_time_of_a_repair_is_linear(base: str) -> None:
    """16 kB, the longest line of a description, take less than 50 ms."""
    began = time.perf_counter()
    with contextlib.suppress(ValueError):
        repair(base, ASKED)
    candidates(base, ASKED, base, base)
    assert time.perf_counter() - began < 0.05


@pytest.mark.parametrize(
    ("base", "whole", "control", "found"),
    [
        (ASKED, "*", "?ctype=video", [f"{ASKED}?ctype=video"]),
        (f"{ASKED}/", "", "?ctype=video", [f"{ASKED}/?ctype=video", f"{ASKED}?ctype=video"]),
        (ASKED, "", "192.0.2.1:8554/stream/t1", [f"{ASKED}/t1"]),
        (ASKED, "", "rtsp://rtsp://192.0.2.1:8554/stream/t1", [f"{ASKED}/t1"]),
        (ASKED, "", "track:1", [f"{ASKED}/track:1"]),
        (ASKED, "", "rtsp://10.0.0.9/t1", ["rtsp://10.0.0.9/t1", "rtsp://192.0.2.1:8554/t1"]),
        (ASKED, "", "/t1", ["rtsp://192.0.2.1:8554/t1", f"{ASKED}/t1"]),
        (
            "rtsp://10.0.0.9/in/",
            "",
            "t1",
            ["rtsp://10.0.0.9/in/t1", f"{ASKED}/t1", "rtsp://192.0.2.1:8554/in/t1"],
        ),
        (ASKED, "rtsp://[half/", "t1", [f"{ASKED}/t1"]),
        (ASKED, "", "rtsp://[half/", [ASKED]),
    ],
)
def test_addresses_of_a_medium_are_tried_in_order(base: str, whole: str, control: str, found: list[str]) -> None:
    """The camera's own base first, then the address of the request, then its host."""
    assert [url for url, _ in candidates(base, ASKED, whole, control)] == found


@pytest.mark.parametrize("password", ['p@a/"b', "p@a/b c", 'p@a"b/c', "p/a@b"])
def test_error_of_a_malformed_address_shows_no_part_of_a_password(password: str) -> None:
    """Everything from the first colon to the last @ may belong to it."""
    said = check(Source("rtsp", f"rtsp://viewer:{password}@192.0.2.7/main"))
    assert said is not None
    assert "'rtsp://viewer:***@192.0.2.7/main'" in said
