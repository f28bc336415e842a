"""Uses of cameras other than by viewers: capped together with viewers, and ended with the run."""

import pytest

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.errors import Refusal
from supervisor.domain.ids import LeaseId, PeerId, RunId, UseId
from supervisor.domain.plan import plan
from supervisor.domain.values import LeaseKind, Limits, Mode, UseKind
from tests.kit.domain import ASKED, FATAL, GATE, NODE, RUN, YARD, Story, peer, running, settings

ME = "192.0.2.9"


def use(name: str, kind: UseKind = UseKind.SNAPSHOT) -> c.BeginUse:
    return c.BeginUse(UseId(name), GATE, kind, ME)


def row(name: str) -> c.GrantLease:
    """Somebody who watches pictures in a row."""
    return c.GrantLease(LeaseId(name), LeaseKind.VIEWER, GATE, ME)


def at_rest(limits: Limits | None = None) -> Story:
    cameras = (settings(GATE, mode=Mode.ON_DEMAND), settings(YARD, mode=Mode.PATROL, group="east"))
    return Story().given(c.StartRun(RUN, NODE, "0", 1), c.Configure("test", cameras, limits or Limits()))


@pytest.mark.parametrize(
    "limits", [Limits(peers=2), Limits(peers_per_camera=2), Limits(peers_per_client=2)], ids=["all", "camera", "client"]
)
def test_mjpeg_stream_counts_as_one_viewer(limits: Limits) -> None:
    """Each of the three limits of peers counts an MJPEG stream as one, until its lease ends."""
    story = at_rest(limits).given(peer("peer-1", client=ME), row("row-1"))
    assert story.refuses(row("row-2")).refusal is Refusal.CAP_REACHED
    assert story.refuses(peer("peer-2", client=ME)).refusal is Refusal.CAP_REACHED
    story.given(c.EndLease(LeaseId("row-1"), ASKED))
    story.when(peer("peer-2", client=ME))


def test_snapshot_does_not_count_as_a_viewer() -> None:
    """A snapshot is begun although `peers: 1` is reached."""
    at_rest(Limits(peers=1)).given(peer("peer-1"), use("use-1", UseKind.SNAPSHOT))


def test_a_camera_is_wanted_for_the_most_important_of_its_uses() -> None:
    """Patrol, then snapshot, then live; it falls back to snapshot when both viewers have gone."""
    story = at_rest()
    assert plan(story.state).uses == {}
    for wish, wanted in [
        (use("use-1", UseKind.PATROL), "patrol"),
        (use("use-2", UseKind.SNAPSHOT), "snapshot"),
        (row("row-1"), "live"),
        (peer("peer-1"), "live"),
        (c.ReportPeerClosed(PeerId("peer-1"), ASKED), "live"),
        (c.EndLease(LeaseId("row-1"), ASKED), "snapshot"),
    ]:
        assert plan(story.given(wish).state).uses == {GATE: wanted}


def test_cameras_that_are_always_open_are_always_wanted_and_groups_are_patrolled() -> None:
    """Without any viewer the plan has the camera as live, and the patrol of group `east`."""
    assert plan(running(GATE).state).uses == {GATE: "live"}
    assert plan(at_rest().state).patrols == {"east"}


def test_use_of_a_camera_that_cannot_be_shown_is_refused() -> None:
    """A use of a camera that has failed, or of a daemon that stops, would only wait."""
    story = running(GATE).given(c.ConnectCamera(GATE), c.ReportLoss(GATE, FATAL, 0.5))
    refused = story.refuses(use("use-1"))
    assert (refused.refusal, refused.retry_after_s) == (Refusal.UNAVAILABLE, 10)
    assert at_rest().given(c.StopRun(ASKED)).refuses(use("use-1")).refusal is Refusal.UNAVAILABLE


def test_uses_and_alerts_end_with_their_run() -> None:
    """After a run without an end, the next start ends the use and clears the alert."""
    story = at_rest().given(use("use-1"), c.RaiseAlert("stderr/child-1", "too much"))
    ended = story.when(c.StartRun(RunId("run-2"), NODE, "0", 1))
    assert {e.UseEnded, e.AlertCleared} <= {type(event) for event in ended}
    assert (len(story.state.uses), len(story.state.alerts)) == (0, 0)


def test_an_alert_stands_until_it_is_cleared() -> None:
    """A second raise and a second clear of the same alert decide nothing."""
    story = running().given(c.RaiseAlert("a", "look"))
    assert story.when(c.RaiseAlert("a", "look again")) == ()
    assert story.when(c.ClearAlert("a")) == (e.AlertCleared("a"),)
    assert story.when(c.ClearAlert("a")) == ()


def test_patrol_round_that_misses_cameras_raises_an_alert_until_one_misses_none() -> None:
    """The round and its alert are one decision."""
    story = at_rest()
    missed, whole = c.ReportPatrol("east", 0, (YARD,), 1.0, 0), c.ReportPatrol("east", 1, (), 1.0, 0)
    alert = e.AlertRaised("patrol/east", "the patrol of east gets no snapshot of yard")
    assert story.when(missed) == (e.PatrolEnded("east", 0, (YARD,), 1.0, 0), alert)
    assert [type(event) for event in story.when(missed)] == [e.PatrolEnded]
    assert [type(event) for event in story.when(whole)] == [e.PatrolEnded, e.AlertCleared]


def test_patrol_round_that_a_stop_cuts_short_is_no_round_and_no_alert() -> None:
    """A stop at the first instant of a round refuses all of its cameras, of which none is at fault."""
    story = at_rest().given(c.StopRun(ASKED))
    assert story.when(c.ReportPatrol("east", 0, (YARD,), 0.0, 0)) == ()
    assert not story.state.alerts
