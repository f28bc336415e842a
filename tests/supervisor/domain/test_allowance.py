"""Token buckets for clients: who pays, who shares, and what a full table does."""

import pytest
from msgspec.structs import replace

from supervisor.domain import allowance as a
from supervisor.domain import commands as c
from supervisor.domain.allowance import Allowance
from supervisor.domain.catalogue import DECISIONS
from supervisor.domain.clients import client_in, network_of
from supervisor.domain.values import Fault, Limits, Reason, RefusedClient

LIMITS = Limits(journaled_burst=3, journaled_rate=0.5)
ASKED = Reason("asked", "somebody wanted it", Fault.NONE)
ME, OTHER = "192.0.2.9", "198.51.100.7"


def spend(allowance: Allowance, client: str, now: float, most: int = 1000, limits: Limits = LIMITS) -> int:
    """How many requests a client may make at `now`."""
    made = 0
    while made < most and allowance.wait_s(client, limits, now) == 0:
        allowance.charge(client, limits, now)
        made += 1
    return made


def test_client_may_make_its_burst_and_then_its_rate() -> None:
    """Three at once, then one in two seconds; the remaining wait is known."""
    allowance = Allowance()
    assert spend(allowance, ME, 0) == 3
    assert allowance.wait_s(ME, LIMITS, 0.5) == pytest.approx(1.5)
    assert (spend(allowance, ME, 1.9), spend(allowance, ME, 2), spend(allowance, ME, 6), spend(allowance, ME, 900)) == (
        *(0, 1),
        *(2, 3),
    )


def test_one_client_leaves_the_allowance_of_others() -> None:
    """Each client has its own bucket."""
    allowance = Allowance()
    assert (spend(allowance, ME, 0), spend(allowance, OTHER, 0)) == (3, 3)


def test_ipv6_clients_of_one_64_are_one_client() -> None:
    """An IPv6 customer owns a /64, and gains nothing by changing its address."""
    allowance = Allowance()
    assert spend(allowance, "2001:db8:1:2::1", 0) == 3
    assert spend(allowance, "2001:db8:1:2:ffff::9", 0) == 0
    assert spend(allowance, "2001:db8:1:3::1", 0) == 3
    names = ("2001:db8:1:2::1", "::1", "192.0.2.9", "127.0.0.1 (forwarded)", "unknown")
    assert [network_of(name) for name in names] == ["2001:db8:1:2::/64", *names[1:]]
    assert network_of("::ffff:192.0.2.9") == "192.0.2.9"  # else all IPv4 clients of a socket for both were one
    assert [client_in(text) for text in ("client:::1", "client:192.0.2.9", "actor")] == ["::1", ME, None]


def test_neighbours_and_clients_behind_a_nat64_are_counted_one_by_one() -> None:
    """They share a /64 without being one customer."""
    neighbours = ["fe80::1%eth0", "fe80::2%eth0", "fe80::1%eth1", "fe80::1", "febf::1"]
    assert [network_of(name) for name in neighbours] == neighbours
    assert [network_of(name) for name in ("64:ff9b::c000:209", "64:ff9b::1.2.3.4")] == [ME, "1.2.3.4"]
    assert network_of("64:ff9b:0:0:1::1") == "64:ff9b::/64"


def test_full_table_resets_no_bucket() -> None:
    """A client with an empty bucket stays empty, however many addresses come after it, and they share buckets then."""
    allowance = Allowance()
    assert spend(allowance, ME, 0) == 3
    came = [spend(allowance, f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 0, most=1) for n in range(2 * a.MOST_BUCKETS)]
    assert spend(allowance, ME, 0) == 0
    assert sum(came[: a.MOST_BUCKETS - 1]) == a.MOST_BUCKETS - 1
    assert 0 < sum(came[a.MOST_BUCKETS - 1 :]) <= LIMITS.journaled_burst * a.SHARED_BUCKETS
    assert spend(allowance, "172.16.0.1", 1e6) == 3, "full buckets make room"


def test_client_that_leaves_a_shared_bucket_keeps_its_debt() -> None:
    """Room in the table is no second burst."""
    allowance = Allowance()
    for number in range(a.MOST_BUCKETS):
        spend(allowance, f"10.0.{number >> 8}.{number & 255}", 0, most=1)
    assert spend(allowance, ME, 1.0) == 3
    assert spend(allowance, ME, 3.0) == 1, "the others' buckets are full again and make room; its own is not"


def test_slowed_client_makes_one_request_in_ten_seconds() -> None:
    """A client that fills the journal has no burst any more, and its rate again when it is slowed no longer."""
    allowance = Allowance()
    allowance.slowed = frozenset({network_of(ME)})
    assert [spend(allowance, ME, now) for now in (0, 5, 9.9, 10, 60)] == [1, 0, 0, 1, 1]
    allowance.slowed = frozenset()
    assert (spend(allowance, ME, 62), spend(allowance, ME, 100)) == (1, 3)


def test_requests_are_counted_that_were_granted_and_that_slowing_prevented() -> None:
    """A client that is not slowed has only the first: its usual allowance refuses it in any case."""
    allowance = Allowance()
    allowance.slowed = frozenset({ME})
    for client in (ME, OTHER):
        spend(allowance, client, 0.0)
        for _ in range(5):
            allowance.refuse(client, 0.0)
    assert allowance.take_requests() == ({ME: 1, OTHER: 3}, {ME: 5})
    assert allowance.take_requests() == ({}, {})


def test_refusals_are_counted_by_client_in_bounded_space() -> None:
    """The most refused are named; of the others there is the number."""
    allowance = Allowance()
    assert allowance.take_refused(0.0) is None
    for number in range(1000):
        allowance.refuse(f"10.0.{number >> 8}.{number & 255}", 1.0)
    for _ in range(5):
        allowance.refuse("10.0.0.77", 2.0)
    report = allowance.take_refused(31.0)
    assert report is not None
    assert report.clients[0] == RefusedClient("10.0.0.77", 6)
    assert (len(report.clients), report.over_s) == (a.MOST_NAMED, 30.0)
    assert sum(each.requests for each in report.clients) + report.others == allowance.refused_in_all == 1005
    assert allowance.take_refused(32.0) is None


FREE = {
    c.RenewLease,
    c.LeaveRoom,
    c.ReportRefusal,
    c.ReportDetection,
    c.WithdrawRecording,
    c.OpenSession,
    c.AdmitIdentity,
    c.ReportLoginFailed,
}
FREE |= {c.MakeShare, c.EndShare}
FREE |= {c.ReleaseStretch}
FREE |= {c.ReportPictures, c.ReportAccessRefused}
"""Commands that keep or end something that was paid for; refusals, detections and logins have their own rates.
Users make shares."""


def test_every_command_of_a_client_is_charged_or_has_a_reason_not_to_be() -> None:
    """A new command that names a client, a participant or an owner is not forgotten."""
    names = {"client", "owner", "by", "participant"}
    of_clients = {kind for kind in DECISIONS if names & set(kind.__struct_fields__)}
    assert of_clients == {*a.CHARGED, *a.CHARGED_UNOWNED} | FREE


@pytest.mark.parametrize("kind", a.CHARGED_UNOWNED)
def test_ending_ones_own_is_free_and_ending_anothers_is_charged(kind: type[c.ClosePeer | c.EndLease]) -> None:
    """A client that shows the secret may always end it; an operator's act costs a token."""
    command = kind("0123456789abcdef", ASKED)  # type: ignore[arg-type]
    assert a.is_charged(command)
    assert not a.is_charged(replace(command, owner="hash"))
