"""Privacy: what ends with its beginning, what is refused until its end, and how its time counts."""

import pytest
from msgspec.structs import replace

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.availability import Ledger
from supervisor.domain.errors import Refusal
from supervisor.domain.evolve import fold
from supervisor.domain.ids import CameraId, DetectionId, LeaseId, RunId, UseId
from supervisor.domain.plan import plan
from supervisor.domain.state import State, state_hash
from supervisor.domain.values import LeaseKind, Limits, Mode, UseKind
from tests.kit.domain import FATAL, GATE, NODE, PICTURE, RUN, SECOND, YARD, Story, lease, live, peer, running, settings

SUB = CameraId("gate-sub")
ON, OFF = c.SetPrivacy(GATE, True, "anna"), c.SetPrivacy(GATE, False, "anna")


def detection(story: Story, ago_s: float = 0.0, camera: CameraId = GATE) -> c.ReportDetection:
    at_ns = story.now_ns - int(ago_s * SECOND)
    return c.ReportDetection(DetectionId("seen"), LeaseId("shown"), camera, at_ns, "person", 0.9, "det")


def with_substream() -> Story:
    cameras = (settings(GATE, substream=SUB), settings(SUB), settings(YARD))
    return Story().given(c.StartRun(RUN, NODE, "0", 1), c.Configure("test", cameras, Limits()))


def test_leases_peers_and_uses_of_a_camera_end_with_the_reason_privacy() -> None:
    """In the step that begins it; those of other cameras stay."""
    story = running(GATE, YARD).given(
        peer("peer-1"), lease("lease-1"), lease("lease-2", YARD), peer("peer-2", YARD),
        c.BeginUse(UseId("use-1"), GATE, UseKind.SNAPSHOT, "192.0.2.9"),
    )  # fmt: skip
    events = story.when(ON)
    assert [type(event).__name__ for event in events] == [
        "PrivacyBegan", "LeaseEnded", "LeaseEnded", "PeerClosing", "UseEnded",
    ]  # fmt: skip
    assert {event.reason.code for event in events if hasattr(event, "reason")} == {"privacy"}
    assert {known.camera for known in story.state.leases.values()} == {YARD}
    assert plan(story.state).leaving == {"peer-1": events[0].reason}  # type: ignore[attr-defined]


def test_suggestion_of_a_camera_ends_with_its_privacy() -> None:
    """No page shows it any more."""
    story = live()
    story.given(detection(story))
    assert story.state.suggestions
    story.when(ON)
    assert not story.state.suggestions


def test_camera_that_is_always_open_is_in_no_plan_while_it_is_private() -> None:
    """It is wanted again after it."""
    story = live()
    assert plan(story.state).uses == {GATE: "live"}
    story.when(ON)
    assert plan(story.state).uses == {}
    assert set(plan(story.state).private) == {GATE}
    story.when(OFF)
    assert plan(story.state).uses == {GATE: "live"}


def commands(story: Story) -> dict[str, c.Command]:
    return {
        "viewer": lease("lease-9"),
        "large view": lease("lease-9", kind=LeaseKind.MODAL),
        "peer": peer("peer-9"),
        "rows": c.GrantLease(LeaseId("row"), LeaseKind.VIEWER, GATE, "192.0.2.9"),
        "snapshot": c.BeginUse(UseId("use-9"), GATE, UseKind.SNAPSHOT, "192.0.2.9"),
        "patrol": c.BeginUse(UseId("use-9"), GATE, UseKind.PATROL, "patrol"),
        "detection": detection(story),
        "retry": c.RetryCamera(GATE, "192.0.2.9"),
        "slot": c.TakeSlot(GATE),
        "connection": c.ConnectCamera(GATE),
    }


@pytest.mark.parametrize("name", commands(running()))
def test_nothing_begins_at_a_private_camera(name: str) -> None:
    """Each is refused with 409 and names who switched it off."""
    story = running().given(ON)
    refused = story.refuses(commands(story)[name])
    assert (refused.refusal, refused.status) == (Refusal.PRIVATE, 409)
    assert refused.reason == "gate is private: switched off by anna"


def test_retry_of_a_failed_camera_is_refused_while_it_is_private() -> None:
    """A probe would open it."""
    story = running().given(c.ConnectCamera(GATE), c.ReportLoss(GATE, FATAL, 0.5), ON).after(5)
    assert story.refuses(c.RetryCamera(GATE, "192.0.2.9")).refusal is Refusal.PRIVATE


def test_picture_of_a_source_that_is_closing_does_not_make_the_camera_live() -> None:
    """It arrived after the beginning."""
    story = running().given(c.ConnectCamera(GATE), ON)
    assert story.when(c.ReportLive(GATE, PICTURE)) == ()


@pytest.mark.parametrize(("ago_s", "refused"), [(25.0, False), (15.0, True), (5.0, False)])
def test_detection_of_a_private_time_is_refused_after_it(ago_s: float, refused: bool) -> None:
    """A detector with its own connection may have seen something: 20 to 10 s ago the camera was private."""
    story = running().given(ON).after(10).given(OFF).after(10)
    if refused:
        assert story.refuses(detection(story, ago_s)).reason == "gate was private at that time"
    else:
        story.when(detection(story, ago_s))


def test_privacy_of_a_camera_is_that_of_its_substream() -> None:
    """They show the same scene. It cannot be ended at the substream, and another camera is not touched."""
    story = with_substream().given(peer("peer-1", SUB), peer("peer-2", YARD), ON)
    assert plan(story.state).uses == {YARD: "live"}
    assert set(plan(story.state).leaving) == {"peer-1"}
    assert story.refuses(peer("peer-9", SUB)).refusal is Refusal.PRIVATE
    assert "switch gate on" in story.refuses(c.SetPrivacy(SUB, False, "anna")).reason
    story.given(OFF, peer("peer-9", SUB))


def test_privacy_of_a_substream_is_not_that_of_its_camera() -> None:
    """A viewer of the camera that needs the substream is refused; its other peer stays."""
    story = with_substream().given(peer("peer-1", GATE), c.SetPrivacy(SUB, True, "anna"))
    assert plan(story.state).leaving == {}
    assert set(plan(story.state).uses) == {GATE, YARD}


def test_switch_is_idempotent_and_names_an_unknown_camera() -> None:
    """The second of two equal requests changes nothing."""
    story = running()
    assert story.when(OFF) == ()
    assert len(story.when(ON)) == 1
    assert story.when(ON) == ()
    assert len(story.when(OFF)) == 1
    assert story.refuses(c.SetPrivacy(CameraId("attic"), True, "anna")).refusal is Refusal.UNKNOWN


def test_another_end_of_the_schedule_is_an_event_and_keeps_the_beginning() -> None:
    """The page shows since when and until when."""
    story = running().given(replace(ON, until_ns=1))
    began_ns = story.state.privacy[GATE].since_ns
    (event,) = story.after(60).when(c.SetPrivacy(GATE, True, until_ns=2))
    assert isinstance(event, e.PrivacyBegan)
    switched = story.state.privacy[GATE]
    assert (switched.until_ns, switched.since_ns, switched.reason.text) == (2, began_ns, "switched off by anna")


def test_removed_camera_is_private_when_it_comes_back() -> None:
    """A reload that removes and adds it does not open it; nor does a crash of the daemon."""
    story = live().given(ON, c.Configure("test", (), Limits()), c.Configure("test", (settings(GATE),), Limits()))
    assert plan(story.state).uses == {}
    story.given(c.StartRun(RunId("run-2"), NODE, "0", 1))
    assert plan(story.state).uses == {}
    assert fold(story.recorded) == story.state


def test_privacy_is_hashed_only_if_a_camera_was_private() -> None:
    """A state of an earlier release keeps its hash."""
    assert state_hash(State()) == "acd8aac4c0fcece93905121f0c29802fd800fe4f17f0972049bc0b5b3cea9ce9"
    assert state_hash(running().state) != state_hash(running().given(ON).state)


@pytest.mark.parametrize("known", [False, True], ids=["lost", "known"])
def test_private_camera_of_the_access_file_is_private_at_a_start(known: bool) -> None:
    """The journal was lost or rolled back. Where the journal alone has it as private, it stays so."""
    story = running(GATE, YARD).given(c.SetPrivacy(YARD, True, "anna"), *([ON] if known else []))
    restore = c.RestoreAccess((), frozenset(), frozenset(), False, 0, frozenset({GATE, CameraId("gone")}))
    events = story.when(restore)
    assert [event.camera for event in events if isinstance(event, e.PrivacyBegan)] == (
        ["gone"] if known else ["gate", "gone"]
    )
    assert set(story.state.private_cameras()) == {GATE, YARD, "gone"}


@pytest.mark.parametrize("mode", list(Mode))
def test_private_time_is_neither_wanted_nor_live_nor_away(mode: Mode) -> None:
    """A camera that was live, was private for an hour, and is live again has no loss."""
    story = Story().given(c.StartRun(RUN, NODE, "0", 1), c.Configure("test", (settings(GATE, mode=mode),), Limits()))
    for command in (lease("lease-1"), c.ConnectCamera(GATE), c.ReportLive(GATE, PICTURE)):
        story.given(command)
    story.after(100).given(ON)
    story.given(c.RestCamera(GATE, story.state.privacy[GATE].reason)).after(3600).given(OFF, lease("lease-2"))
    story.given(c.ConnectCamera(GATE), c.ReportLive(GATE, PICTURE)).after(100)
    ledger, state = Ledger(State()), State()
    for recorded in story.recorded:
        before, state = state, fold([recorded], state)
        ledger.see(before, recorded, state)
    (found,) = ledger.found(story.now_ns).cameras
    assert (found.wanted_s, found.live_s, found.availability) == (200, 200, 1.0)
    assert (found.losses, found.away_max_s, found.restarts) == (0, 0, 0)


def test_snapshot_that_privacy_cut_short_is_not_missed() -> None:
    """It counts neither as served nor as asked for."""
    story = Story().given(
        c.StartRun(RUN, NODE, "0", 1),
        c.Configure("test", (settings(GATE, mode=Mode.ON_DEMAND),), Limits()),
        c.BeginUse(UseId("use-1"), GATE, UseKind.SNAPSHOT, "192.0.2.9"),
        ON,
    )
    ledger, state = Ledger(State()), State()
    for recorded in story.recorded:
        before, state = state, fold([recorded], state)
        ledger.see(before, recorded, state)
    (found,) = ledger.found(story.now_ns).cameras
    assert (found.snapshots, found.snapshots_served) == (0, 0)
