"""The part of a state that a scope may know, and the events of it."""

import pytest
from msgspec.structs import replace

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.access import Principal
from supervisor.domain.catalogue import EVENTS
from supervisor.domain.ids import CameraId, ChildId, DeviceId, UserId
from supervisor.domain.rights import Role, Scope
from supervisor.domain.scoped import ANOTHER, Part, alert_is_shown, redacted, visible_in
from supervisor.domain.scoped_events import NAMES, OF_CAMERA, Hidden, is_shown, shown, shown_or_hidden, step_is_shown
from supervisor.domain.state import State
from supervisor.domain.values import DeviceSettings, Fault, Limits, Reason
from tests.kit.domain import GATE, NODE, RUN, SECOND, YARD, Story, child, lease, live, peer, running, settings

BOX = DeviceId("box")
LOW = CameraId("gate-low")
NOW = 1_800_000_000 * SECOND
OURS = Scope(cameras=(GATE,))
HIDDEN_FIELDS = {
    "origin", "detected", "refused", "versions", "users", "sessions", "tokens", "access_changes",
    "shares", "visits", "ended_shares", "identities", "archive_troubles", "pins",
}  # fmt: skip
HIDDEN_EVENTS = {
    "ConfigurationApplied", "ConfigurationRefused", "EventsLost", "ChainBegan", "JournalFileSetAside",
    "SegmentsRemoved", "JournalFailed", "RequestsRefused", "PatrolEnded", "SessionOpened", "SessionEnded",
    "LoginFailed", "TokenMade", "TokenEnded", "UserAdded", "UserChanged", "UserRemoved", "PasswordSet",
    "PasskeyAdded", "PasskeyRenamed", "PasskeyRemoved", "TrustEnded",
    "ShareMade", "ShareEnded", "VisitBegan", "VisitEnded",
    "IdentityLinked", "IdentityUnlinked", "BundleExported", "ProfileTaken", "ArchiveFailed", "ArchiveRecovered",
    "StretchPinned", "StretchReleased",
}  # fmt: skip


def part_of(state: State, scope: Scope) -> State:
    return Part(scope).of(state)


def box() -> Story:
    """Two cameras and a substream, of one device with one connection, which `yard` has."""
    cameras = (
        settings(GATE, device="box", group="front", substream=LOW),
        settings(YARD, device="box", group="back"),
        settings(LOW, group="low"),
    )
    configured = c.Configure("test", cameras, Limits(), devices=(DeviceSettings(BOX, 1),))
    return Story().given(c.StartRun(RUN, NODE, "0", 1), configured, c.TakeSlot(YARD))


def test_every_field_of_the_state_is_decided() -> None:
    """A field is in the part, or is named here as hidden; so a new one fails here until somebody decides."""
    full = (
        box()
        .given(
            c.SetPrivacy(LOW, True), lease("lease-1", YARD), peer("peer-1", YARD), child(camera=YARD), c.TakeSlot(GATE)
        )
        .state
    )
    part = part_of(replace(full, origin="/etc/yard.yaml", access_changes=3), Scope(cameras=(GATE, YARD)))
    for name in State.__struct_fields__:
        if name in HIDDEN_FIELDS:
            assert getattr(part, name) == getattr(State(), name), name
        elif name not in ("suggestion", "suggested_before", "cameras"):
            assert getattr(part, name) == getattr(full, name), name


def test_parts_of_another_camera_are_left_out() -> None:
    """Its peers, leases, children, slot, alerts and its place in the order."""
    story = box().given(
        lease("lease-1", YARD), peer("peer-1", YARD), child(camera=YARD), lease("lease-2", GATE),
        c.RaiseAlert("sound/yard", "yard is mute"), c.RaiseAlert("sound/gate", "gate is mute"),
        c.RaiseAlert("patrol/gate", "no snapshot of yard"),
    )  # fmt: skip
    part = part_of(story.state, OURS)
    assert set(part.cameras) == {GATE, LOW}
    assert part.order == (GATE, LOW)
    assert (set(part.leases), set(part.peers), set(part.children), set(part.slots)) == (
        {"lease-2"},
        set(),
        set(),
        set(),
    )
    assert set(part.alerts) == {"sound/gate"}
    assert "yard" not in repr(part)


def test_queued_camera_names_no_holder_outside_the_scope() -> None:
    """Neither in its reason, nor in the reason that is made of the slots; one in the scope is named."""
    state = box().given(c.TakeSlot(GATE)).state
    part = part_of(state, OURS)
    assert "taken by yard (live)" in state.why(GATE, NOW).text  # type: ignore[union-attr]
    why, known = part.why(GATE, NOW), part.cameras[GATE].reason
    assert why is not None and why.text.endswith("taken by other cameras")
    assert known is not None and known.text.endswith(f"taken by {ANOTHER}")
    both = part_of(state, Scope(cameras=(GATE, YARD))).why(GATE, NOW)
    assert both is not None and "yard (live)" in both.text


def test_substream_is_visible_with_its_camera_and_not_the_reverse() -> None:
    """As the kernel decides it, too."""
    state = box().state
    assert visible_in(state, OURS) == {GATE, LOW}
    assert visible_in(state, Scope(groups=("front",))) == {GATE, LOW}
    assert visible_in(state, Scope(cameras=(LOW,))) == {LOW}
    assert visible_in(state, Scope(cameras=(CameraId("attic"),), groups=("none",))) == set()
    who = Principal("user:anna/1", scope=OURS)
    assert [who.sees(state, name) for name in (GATE, LOW, YARD, CameraId("attic"))] == [True, True, False, False]


def test_substream_that_is_no_camera_is_not_named() -> None:
    """The state of the past may have one that is not visible now."""
    state = running(GATE).given(
        c.Configure("test", (settings(GATE, substream=CameraId("secret-low")),), Limits())
    ).state  # fmt: skip
    assert part_of(state, OURS).cameras[GATE].settings.substream is None


def test_substream_is_private_with_a_camera_outside_the_scope() -> None:
    """The part says that it is, and does not name the camera above; neither does the error of a switch."""
    story = box().given(c.SetPrivacy(GATE, True, "anna"))
    part = part_of(story.state, Scope(cameras=(LOW,)))
    switched = part.private(LOW)
    assert switched is not None and switched.camera == LOW
    assert "'gate'" not in repr(part)
    refused = story.refuses(c.SetPrivacy(LOW, False, "ben"))
    assert "switch gate on" in refused.reason
    assert (
        redacted(refused.reason, {LOW})
        == "gate-low is a substream of another camera, and private with it: switch it on"
    )
    assert redacted(refused.reason, {LOW, GATE}) == refused.reason


def test_camera_that_leaves_the_group_is_hidden_at_once() -> None:
    """Visible cameras are found again after each configuration, also one with the same cameras."""
    story, part = box(), Part(Scope(groups=("front",)))
    assert part.see(story.state) == {GATE, LOW}
    story.given(c.Configure("test", (settings(GATE, group="back"), settings(YARD), settings(LOW)), Limits()))
    assert part.see(story.state) == set()
    story.given(c.Configure("test", (settings(GATE), settings(YARD, group="front"), settings(LOW)), Limits()))
    assert part.see(story.state) == {YARD}
    assert set(part.of(story.state).cameras) == {YARD}


def test_unchanged_parts_are_not_made_again() -> None:
    """A lease of another camera changes neither the cameras nor the leases that are kept."""
    story, part = box(), Part(OURS)
    before = part.of(story.state)
    assert part.of(story.state) is before
    after = part.of(story.given(lease("lease-1", GATE)).state)
    assert after.cameras is before.cameras
    assert set(after.leases) == {"lease-1"}


@pytest.mark.parametrize(
    ("text", "shown_as"),
    [
        ("waits for a connection to box, which serves 2; taken by gate (live) and yard (patrol)",
         "waits for a connection to box, which serves 2; taken by gate (live) and another camera"),
        ("it refused more; taken by yard (live); next attempt when one of them ends",
         "it refused more; taken by another camera; next attempt when one of them ends"),
        ("RTSP 453; of box, banken has those of yard (live) and gate (live)",
         "RTSP 453; of box, banken has those of another camera and gate (live)"),
        ("yard is shown, which is as important", "another suggestion is shown, which is as important"),
        ("person seen by d at gate, score 0.90: yard and lane are shown, which are as important",
         "person seen by d at gate, score 0.90: another suggestion is shown, which is as important"),
        ("gate is failed: yard (live) is no camera here", "gate is failed: yard (live) is no camera here"),
    ],
)  # fmt: skip
def test_texts_name_no_camera_that_is_not_visible(text: str, shown_as: str) -> None:
    """Whether such a camera exists does not matter, so a text tells nothing about that."""
    assert redacted(text, {"gate"}) == shown_as


def test_every_event_is_decided() -> None:
    """An event is in a table, or is named here as hidden."""
    assert {kind.__name__ for kind in EVENTS} - set(NAMES) == HIDDEN_EVENTS
    assert all("camera" in kind.__struct_fields__ for kind in OF_CAMERA)


def test_events_are_shown_by_their_camera() -> None:
    """With their texts redacted; one of another camera, and one of a type that is in no table, are hidden."""
    story = box().given(c.TakeSlot(GATE), c.RaiseAlert("sound/yard", "mute"), c.RaiseAlert("sound/gate", "mute"))
    visible = frozenset({GATE, LOW})
    found = [one for each in story.recorded if (one := shown(each, visible)) is not None]
    assert "yard" not in repr(found)
    assert [each.type for each in found] == ["RunStarted", "CameraAdded", "CameraAdded", "CameraQueued", "AlertRaised"]
    assert shown(story.recorded[0], visible) is story.recorded[0]
    assert not is_shown(Hidden(), visible)


def test_hidden_event_keeps_its_number_and_its_time_only() -> None:
    """Where an event is needed, another one stands for it."""
    applied = next(each for each in box().recorded if isinstance(each.event, e.ConfigurationApplied))
    found = shown_or_hidden(applied, frozenset({GATE}))
    assert (found.seq, found.wall_ns, found.type, found.stream) == (applied.seq, applied.wall_ns, "Hidden", "")
    assert "yard" not in repr(found)


def test_steps_are_shown_as_their_events() -> None:
    """By type, camera and stream, which is all that a step has."""
    visible = frozenset({GATE})
    assert step_is_shown("CameraFailed", GATE, "camera/gate", visible)
    assert not step_is_shown("CameraFailed", YARD, "camera/yard", visible)
    assert not step_is_shown("ChildEnded", CameraId(""), "child/1", visible)
    assert not step_is_shown("ConfigurationApplied", None, "system", visible)
    assert step_is_shown("AlertRaised", None, "alert/sound/gate", visible)
    assert not step_is_shown("AlertRaised", None, "alert/patrol/gate", visible)
    assert not alert_is_shown("sound/yard", visible)


def test_settings_of_the_past_name_no_substream_outside() -> None:
    """`CameraChanged` may have another substream than now."""
    changed = e.CameraChanged(GATE, settings(GATE, substream=CameraId("yard-low")))
    story = running(GATE)
    story.fold(changed)
    found = shown(story.recorded[-1], frozenset({GATE}))
    assert found is not None and "yard-low" not in repr(found)


def test_reason_of_a_full_device_names_no_other_camera() -> None:
    """The reason of a loss names the holders of the slots."""
    full = Reason("full", "refused; of box, banken has those of yard (live)", Fault.TEMPORARY)
    story = live(GATE)
    story.fold(e.CameraWaiting(GATE, full, 1, 1.0))
    found = shown(story.recorded[-1], frozenset({GATE}))
    assert found is not None and "yard" not in repr(found)


def test_child_of_all_cameras_is_hidden() -> None:
    """The decoder works for all cameras."""
    story = box().given(child(camera=CameraId(""), purpose="decoder"))
    assert ChildId("child-1") not in part_of(story.state, OURS).children


def test_users_are_hidden() -> None:
    """Scopes of others name cameras."""
    story = box().given(c.AddUser(UserId("anna"), Role.ADMIN, Scope(everything=True)))
    assert story.state.users
    part = part_of(story.state, OURS)
    assert (part.users, part.trust_ended) == (State().users, True)
