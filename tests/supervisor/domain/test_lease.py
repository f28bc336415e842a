"""Leases: who may have a camera open, until when, and what ends with that."""

import pytest
from msgspec.structs import replace

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.errors import Refusal
from supervisor.domain.ids import LeaseId, PeerId, RunId
from supervisor.domain.lifecycle import PeerPhase
from supervisor.domain.plan import plan
from supervisor.domain.values import LeaseKind, Limits, Mode
from tests.kit.domain import ASKED, FATAL, GATE, NODE, RUN, YARD, Story, lease, peer, running, settings

MINE = LeaseId("lease-1")


def at_rest(**limits: float) -> Story:
    cameras = (settings(GATE, mode=Mode.ON_DEMAND, substream=YARD), settings(YARD, mode=Mode.ON_DEMAND))
    return Story().given(c.StartRun(RUN, NODE, "0", 1), c.Configure("test", cameras, Limits(**limits)))  # type: ignore[arg-type]


def under(name: str, peer_name: str = "peer-1", secret: str = "mine") -> c.OpenPeer:
    return replace(peer(peer_name), lease=LeaseId(name), holder=secret)


def ended(story: Story, command: c.Command) -> str | None:
    """The code of the reason for which `command` ends a lease, if it does."""
    return next((event.reason.code for event in story.when(command) if isinstance(event, e.LeaseEnded)), None)


# ── what lives under a lease ────────────────────────────────────────────────────────────────────────────────────


def test_peer_without_a_lease_gets_one_from_before_its_start_to_after_its_end() -> None:
    """The lease is granted before the peer opens and ends after the peer has closed."""
    story = at_rest()
    assert [type(event) for event in story.when(peer())] == [e.LeaseGranted, e.PeerOpened]
    assert list(story.state.leases) == ["peer-1"]
    assert [type(event) for event in story.when(c.ReportPeerClosed(PeerId("peer-1"), ASKED))] == [
        e.PeerClosed,
        e.LeaseEnded,
    ]
    assert not story.state.leases


def test_a_lease_that_ends_takes_its_peers_with_it_in_the_same_step() -> None:
    """Both peers under it are closing; a peer under another lease goes on."""
    story = at_rest().given(lease(), under("lease-1"), under("lease-1", "peer-2"), peer("peer-3"))
    assert ended(story, c.EndLease(MINE, ASKED, "mine")) == "asked"
    assert {name: known.phase for name, known in story.state.peers.items()} == {
        "peer-1": PeerPhase.CLOSING,
        "peer-2": PeerPhase.CLOSING,
        "peer-3": PeerPhase.NEGOTIATING,
    }
    assert plan(story.state).leaving == {"peer-1": ASKED, "peer-2": ASKED}


def test_a_lease_outlives_the_peers_of_its_page() -> None:
    """The connection is lost and made again; it is still the same viewer."""
    story = at_rest().given(lease(), under("lease-1"), c.ReportPeerClosed(PeerId("peer-1"), FATAL))
    assert story.state.peers_of(MINE) == []
    story.given(under("lease-1", "peer-2"))
    assert [known.peer for known in story.state.peers_of(MINE)] == ["peer-2"]


def test_peer_with_a_foreign_or_ended_lease_is_refused() -> None:
    """A wrong secret, an unknown lease, a lease of another camera, and the lease of a lone peer are refused."""
    story = at_rest().given(lease())
    assert story.refuses(under("lease-1", secret="yours")).refusal is Refusal.FORBIDDEN
    assert story.refuses(under("lease-2")).refusal is Refusal.UNKNOWN
    elsewhere = Story().given(
        c.StartRun(RUN, NODE, "0", 1), c.Configure("test", (settings(GATE), settings(YARD)), Limits())
    )
    assert elsewhere.given(lease()).refuses(replace(under("lease-1"), camera=YARD)).refusal is Refusal.CONFLICT
    story.given(peer("peer-9"))
    assert story.refuses(under("peer-9", secret="")).refusal is Refusal.FORBIDDEN


def test_camera_is_planned_while_it_has_a_lease() -> None:
    """The plan wants the camera live from the grant until the end of the lease."""
    story = at_rest().given(lease())
    assert plan(story.state).uses == {GATE: "live"}
    story.given(c.EndLease(MINE, ASKED))
    assert plan(story.state).uses == {}


def test_lease_opens_the_camera_that_its_viewer_is_shown() -> None:
    """One whose browser does not take the camera's codec is shown its substream; the camera may rest."""
    story = at_rest().given(lease(), replace(under("lease-1"), camera=YARD))
    assert plan(story.state).uses == {YARD: "live"}
    assert story.state.lease_counts() == {YARD: 1}


def test_removed_camera_ends_its_leases_first() -> None:
    """One reload ends the lease, closes its peer, and then removes the camera."""
    story = at_rest().given(lease(), under("lease-1"))
    kinds = [type(event) for event in story.when(c.Configure("test", (settings(YARD),), Limits()))]
    assert kinds == [e.ConfigurationApplied, e.LeaseEnded, e.PeerClosing, e.CameraRemoved, e.CameraChanged]


# ── until when ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_renewal_leaves_no_trace() -> None:
    """However many there are, they are no events, and the state is the very same."""
    story = at_rest().given(lease())
    before = story.state
    for _ in range(100):
        assert story.after(10).when(c.RenewLease(MINE, "mine")) == ()
    assert story.state is before


def test_only_its_holder_renews_or_releases_it() -> None:
    """Another secret, or an empty one, gets 403; an unknown lease gets 404."""
    story = at_rest().given(lease())
    for command in (c.RenewLease(MINE, "yours"), c.EndLease(MINE, ASKED, "yours"), c.RenewLease(MINE, "")):
        assert story.refuses(command).status == 403
    assert story.refuses(c.RenewLease(LeaseId("nobodys"), "mine")).status == 404


def test_it_ends_when_its_holder_has_been_silent_for_its_time_to_live() -> None:
    """With a ttl of 30 s: not at 29.9 s, at 30 s, and only once."""
    story = at_rest().given(lease(ttl_s=30))
    assert ended(story, c.ReportLeaseSilent(MINE, 29.9)) is None
    assert ended(story, c.ReportLeaseSilent(MINE, 30.0)) == "expired"
    assert story.when(c.ReportLeaseSilent(MINE, 60.0)) == ()


def test_modal_lease_ends_without_input_and_a_tile_does_not() -> None:
    """At 300 s without input it ends as `idle`; a tile is renewed after 9000 s."""
    story = at_rest(idle_s=300.0).given(lease(), lease("large", kind=LeaseKind.MODAL))
    assert ended(story, c.RenewLease(LeaseId("large"), "mine", idle_s=299.0)) is None
    assert ended(story, c.RenewLease(LeaseId("large"), "mine", idle_s=300.0)) == "idle"
    assert ended(story, c.RenewLease(MINE, "mine", idle_s=9000.0)) is None


def test_a_modal_lease_has_a_longest_time_however_often_it_is_renewed() -> None:
    """The renewal at 3600 s ends it as `max-duration`."""
    story = at_rest(modal_s=3600.0).given(lease(kind=LeaseKind.MODAL))
    assert ended(story.after(3599), c.RenewLease(MINE, "mine")) is None
    assert ended(story.after(1), c.RenewLease(MINE, "mine")) == "max-duration"


def test_leases_end_with_their_run() -> None:
    """By the end of the run or the start of the next; a stopping daemon grants no lease."""
    story = at_rest().given(lease(), under("lease-1"), peer("peer-2"))
    kinds = [type(event) for event in story.when(c.StartRun(RunId("run-2"), NODE, "0", 1))]
    assert (kinds.count(e.LeaseEnded), kinds.count(e.PeerClosed)) == (2, 2)
    assert not story.state.leases
    story = at_rest().given(lease(), c.StopRun(ASKED))
    assert story.refuses(lease("lease-2")).refusal is Refusal.UNAVAILABLE
    assert [type(event) for event in story.when(c.EndRun())] == [e.LeaseEnded, e.RunEnded]


# ── who may have one ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("limits", [{"leases": 2}, {"leases_per_client": 2}], ids=["all", "client"])
def test_each_cap_refuses_with_429_and_when_to_ask_again(limits: dict[str, float]) -> None:
    """The third of two is refused with 5 s, and is granted when another has ended."""
    story = at_rest(**limits).given(lease(), lease("lease-2", YARD))
    refused = story.refuses(lease("lease-3"))
    assert (refused.status, refused.retry_after_s) == (429, 5.0)
    story.given(c.EndLease(MINE, ASKED), lease("lease-3"))


def test_viewer_is_not_counted_again_as_a_lease() -> None:
    """So that a cap on viewers means what it says, whatever that on leases is."""
    at_rest(leases=1, leases_per_client=1).given(lease(), peer("peer-1"), lease("row-1", ttl_s=0))


def test_only_banken_suggests() -> None:
    """A client that asks for a lease of kind `suggest` is refused."""
    assert at_rest().refuses(lease(kind=LeaseKind.SUGGEST)).refusal is Refusal.FORBIDDEN


def test_an_exclusive_lease_is_the_only_one_of_its_kind() -> None:
    """The first holder keeps it; a tile may be shown while somebody has the large view exclusively."""
    story = at_rest().given(lease("large", kind=LeaseKind.MODAL, exclusive=True), lease("tile"))
    assert story.refuses(lease("more", kind=LeaseKind.MODAL)).refusal is Refusal.CONFLICT
    assert story.refuses(lease("tile-2", exclusive=True)).refusal is Refusal.FORBIDDEN, "it would shut out all others"
    story.given(lease("elsewhere", YARD, kind=LeaseKind.MODAL), c.EndLease(LeaseId("large"), ASKED))
    story.given(lease("more", kind=LeaseKind.MODAL))


def test_failed_camera_can_be_leased_and_an_unknown_one_cannot() -> None:
    """The lease says that somebody wants it; why it shows nothing, its own state says."""
    story = running().given(c.ConnectCamera(GATE), c.ReportLoss(GATE, FATAL, 0.5), lease())
    assert story.refuses(under("lease-1")).refusal is Refusal.UNAVAILABLE
    assert story.refuses(lease("lease-2", YARD)).refusal is Refusal.UNKNOWN
