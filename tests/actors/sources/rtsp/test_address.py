"""Where a stream is, what is told to whom, and which addresses are none."""

import attrs
import pytest

from actors.sources.rtsp.address import MAX_ADDRESS, check, parse_target, redirected, resolve
from actors.sources.rtsp.auth import Credentials
from supervisor.config import Source

HOME = parse_target("rtsp://viewer:p%40ss@192.0.2.1/main?x=1")


def test_who_we_are_is_no_part_of_what_stands_in_requests() -> None:
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
    """A camera that is configured by its name may know only its number; the port and the rules for it stay."""
    there = redirected(parse_target("rtsp://u:p@cam.lan/main"), location, peer)
    assert (there.host, there.credentials is not None) == (host, known)
    assert there.url == parse_target(location).url


def test_who_was_reached_by_tls_is_told_nothing_without_it() -> None:
    assert redirected(parse_target("rtsps://u:p@192.0.2.1/"), "rtsp://192.0.2.1:322/").credentials is None


@pytest.mark.parametrize("location", ["http://192.0.2.1/", "rtsp://[half/", "rtsp://h:99999/"])
def test_where_nobody_can_be_sent(location: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - urllib has many words for it
        redirected(HOME, location)


@pytest.mark.parametrize("control", ["v\ufffd" * 2000, "rtsp://192.0.2.1/" + "\u00e9" * MAX_ADDRESS, "/" + "v" * 4000])
def test_address_of_a_camera_that_is_too_long_is_not_quoted(control: str) -> None:
    """It is none: quoting takes 0.25 µs for each character, and the next request would be as long."""
    with pytest.raises(ValueError, match="too long"):
        resolve("rtsp://192.0.2.1/main", control)
    assert len(resolve("rtsp://192.0.2.1/main", "v" * 3900)) == 3922


@pytest.mark.parametrize(
    ("address", "transport", "complaint"),
    [
        ("rtsp://192.0.2.1/main", "udp", None),
        ("rtsps://192.0.2.1/main", "tcp", None),
        ("rtsps://192.0.2.1/main", "udp", "nothing would be encrypted"),
        ("rtsp:///main", "tcp", "is no RTSP address"),
        ("rtsp://u:p#a@192.0.2.1/", "tcp", "is no RTSP address"),
        ("rtsp://192.0.2.1/" + "a" * 4000, "tcp", "is too long"),
    ],
)
def test_an_address_is_looked_at_before_it_is_used(address: str, transport: str, complaint: str | None) -> None:
    said = check(Source("rtsp", address, transport=transport))
    assert said is None if complaint is None else complaint in str(said)
