"""What cameras are wanted open for, other than by viewers: capped with them, and ended with the run."""

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
def test_who_watches_mjpeg_counts_as_a_viewer(limits: Limits) -> None:
    story = at_rest(limits).given(peer("peer-1", client=ME), row("row-1"))
    assert story.refuses(row("row-2")).refusal is Refusal.CAP_REACHED
    assert story.refuses(peer("peer-2", client=ME)).refusal is Refusal.CAP_REACHED
    story.given(c.EndLease(LeaseId("row-1"), ASKED))
    story.when(peer("peer-2", client=ME))


def test_a_picture_needs_no_place_among_the_viewers() -> None:
    at_rest(Limits(peers=1)).given(peer("peer-1"), use("use-1", UseKind.SNAPSHOT))


def test_a_camera_is_wanted_for_the_most_important_of_its_uses() -> None:
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
    assert plan(running(GATE).state).uses == {GATE: "live"}
    assert plan(at_rest().state).patrols == {"east"}


def test_what_cannot_be_shown_is_not_opened() -> None:
    """A use of a camera that has failed, or of a daemon that stops, would only wait."""
    story = running(GATE).given(c.ConnectCamera(GATE), c.ReportLoss(GATE, FATAL, 0.5))
    refused = story.refuses(use("use-1"))
    assert (refused.refusal, refused.retry_after_s) == (Refusal.UNAVAILABLE, 10)
    assert at_rest().given(c.StopRun(ASKED)).refuses(use("use-1")).refusal is Refusal.UNAVAILABLE


def test_uses_and_alerts_end_with_their_run() -> None:
    story = at_rest().given(use("use-1"), c.RaiseAlert("stderr/child-1", "too much"))
    ended = story.when(c.StartRun(RunId("run-2"), NODE, "0", 1))
    assert {e.UseEnded, e.AlertCleared} <= {type(event) for event in ended}
    assert (len(story.state.uses), len(story.state.alerts)) == (0, 0)


def test_an_alert_stands_until_it_is_cleared() -> None:
    story = running().given(c.RaiseAlert("a", "look"))
    assert story.when(c.RaiseAlert("a", "look again")) == ()
    assert story.when(c.ClearAlert("a")) == (e.AlertCleared("a"),)
    assert story.when(c.ClearAlert("a")) == ()
