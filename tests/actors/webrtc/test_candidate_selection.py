"""Candidates: a remote viewer cannot make us send to ourselves, or to addresses that only we can reach."""

import random

import pytest

from actors.webrtc.candidate_selection import is_ours, reachable
from actors.webrtc.offer import Candidate
from actors.webrtc.pacing import HOST, MAX_HOSTS, TOTAL, Pacer

OWN = {"192.0.2.2", "2001:db8::2"}.__contains__
SPECIAL = [
    "127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "0.1.2.3", "::", "255.255.255.255", "240.0.0.1", "224.0.0.1", "ff02::1",
    "169.254.7.7", "169.254.169.254", "fe80::1", "fd00:ec2::254", "100.100.100.200",
    "::ffff:127.0.0.1", "::ffff:198.51.100.7", "64:ff9b::7f00:1", "2002:7f00:1::1", "::127.0.0.1",
    "192.0.2.2", "2001:db8::2",
]  # fmt: skip
VIEWERS = ["192.168.1.20", "10.0.0.7", "172.17.0.9", "198.51.100.7", "100.64.1.1", "2a00:1450::1", "fd12:3456::9"]


def candidate(ip: str) -> Candidate:
    return Candidate("1", 1, ip, 5000, "host")


@pytest.mark.parametrize("ip", SPECIAL)
def test_special_candidate_of_a_viewer_elsewhere_is_left_out(ip: str) -> None:
    """Nothing is sent to this machine, a link, a group, or a cloud's metadata because a viewer names it."""
    for client in ("192.168.1.20", "2a00:1450::1", "a name", ""):
        assert reachable([candidate(ip)], client, OWN) == ()
    assert reachable([candidate("127.0.0.1"), candidate("0.0.0.0")], "") == ()
    assert reachable([candidate("127.0.0.1"), candidate("0.0.0.0")], "0.0.0.0") == ()


@pytest.mark.parametrize("ip", SPECIAL)
@pytest.mark.parametrize("client", ["127.0.0.1", "127.0.0.5", "::1", "::ffff:127.0.0.1", "192.0.2.2", "2001:db8::2"])
def test_every_candidate_of_a_viewer_on_this_machine_is_checked(client: str, ip: str) -> None:
    """Such a viewer could send there directly."""
    assert len(reachable([candidate(ip)], client, OWN)) == 1


@pytest.mark.parametrize("ip", VIEWERS)
def test_ordinary_candidate_is_checked(ip: str) -> None:
    """Viewers are in private networks, behind carrier-grade NAT and in the Internet."""
    assert len(reachable([candidate(ip)], "192.168.1.20", OWN)) == 1


def test_address_of_this_machine_is_ours() -> None:
    """Loopback is ours; an address of a documentation network is not."""
    assert is_ours("127.0.0.1")
    assert is_ours("127.3.2.1")
    assert not any(map(is_ours, ["198.51.100.7", "2001:db8::7"]))


def test_link_local_candidate_of_a_link_local_viewer_is_checked() -> None:
    """Two machines on one cable have no other addresses; a cloud's metadata is on such an address as well."""
    ips = ["169.254.7.7", "fe80::7", "169.254.169.254"]
    found = reachable(map(candidate, ips), "169.254.7.9", OWN)
    assert [c.ip for c in found] == ips[:2]


def test_checks_to_one_host_are_paced_whatever_the_others_do() -> None:
    """A burst is allowed, then a few a second; another host is not affected."""
    now = 0.0
    pacer = Pacer(lambda: now)
    sent = sum(pacer.take("victim") for _ in range(1000))
    assert sent == HOST[0]
    now = 10.0
    sent = sum(pacer.take("victim") for _ in range(1000))
    assert sent == min(HOST[0], 10 * HOST[1])
    assert pacer.take("another")


def test_checks_to_all_hosts_are_paced_and_what_is_counted_is_bounded() -> None:
    """The whole network of a victim counts together."""
    rng, now = random.Random(1), 0.0
    pacer = Pacer(lambda: now)
    sent = 0
    for number in range(20_000):
        now = number / 2000
        sent += pacer.take(f"198.51.{rng.randrange(256)}.{rng.randrange(256)}")
    assert sent <= TOTAL[0] + 10 * TOTAL[1] + 1
    assert len(pacer._hosts) <= MAX_HOSTS
