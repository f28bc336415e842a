"""Detections: which of them all pages are to show, and what is remembered of the others."""

import msgspec
from msgspec.structs import replace

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.errors import Refusal
from supervisor.domain.ids import CameraId, DetectionId, LeaseId
from supervisor.domain.plan import plan
from supervisor.domain.state import KEYS
from supervisor.domain.values import LeaseKind, Limits, Mode, Policy
from tests.kit.domain import ASKED, FATAL, GATE, NODE, RUN, SECOND, YARD, Story, lease, settings

POLICY = Policy(labels=("person", "car"), score=0.6, quiet_s=60.0, shown_s=20.0)


THREE = replace(POLICY, shown_s=180.0, at_once=3)
NAMES = (GATE, YARD, CameraId("door"), CameraId("roof"), CameraId("shed"))


def watched(policy: Policy = POLICY, names: tuple[CameraId, ...] = (GATE, YARD)) -> Story:
    cameras = tuple(settings(name, mode=Mode.ON_DEMAND) for name in names)
    return Story().given(c.StartRun(RUN, NODE, "0", 1), c.Configure("test", cameras, Limits(), policy=policy))


def seen(
    story: Story, name: str = "1", camera: CameraId = GATE, label: str = "person", score: float = 0.9, ago_s: float = 0
) -> c.ReportDetection:
    at_ns = story.now_ns - int(ago_s * SECOND)
    ids = (DetectionId(f"seen-{name}"), LeaseId(f"lease-{name}"))
    return c.ReportDetection(*ids, camera, at_ns, label, score, "192.0.2.5")


def shown(story: Story) -> list[CameraId]:
    return [each.camera for each in story.state.suggestions]


def judged(story: Story, command: c.ReportDetection) -> str:
    """Why it was suggested, or was not."""
    made = story.when(command)[0]
    assert isinstance(made, e.DetectionMade)
    assert made.suggested == (made.detection in [shown.detection for shown in story.state.suggestions])
    return made.why


def test_a_detection_becomes_the_suggestion_which_is_a_lease_with_an_end() -> None:
    """The camera is open for exactly 20 s, and the end of the lease removes the suggestion."""
    story = watched()
    events = story.when(seen(story))
    assert [type(event) for event in events] == [e.DetectionMade, e.LeaseGranted, e.SuggestionMade]
    assert plan(story.state).uses == {GATE: "live"}
    (held,) = story.state.leases.values()
    assert (held.kind, held.until_ns) == (LeaseKind.SUGGEST, story.now_ns + 20 * SECOND)
    assert story.after(19.9).when(c.ReportLeaseSilent(held.lease, 0)) == ()
    (ended,) = story.after(0.1).when(c.ReportLeaseSilent(held.lease, 0))
    assert isinstance(ended, e.LeaseEnded)
    assert (story.state.suggestions, plan(story.state).uses) == ((), {})


def test_detection_that_the_policy_excludes_is_stored_and_not_suggested() -> None:
    """Each refusal has its reason: label, score below 0.6, older than 10 s, camera without a picture."""
    story = watched()
    assert "not among the labels" in judged(story, seen(story, label="cat"))
    assert "below 0.6" in judged(story, seen(story, score=0.59))
    assert "11 s old" in judged(story, seen(story, ago_s=11))
    story.given(c.ConnectCamera(GATE), c.ReportLoss(GATE, FATAL, 0.5))
    assert "shows nothing" in judged(story, seen(story))
    assert story.state.suggestion is None


def test_a_camera_is_not_suggested_again_and_again() -> None:
    """After 20 s of display the same camera rests for 60 s."""
    story = watched()
    judged(story, seen(story, "1"))
    story.after(20).given(c.ReportLeaseSilent(LeaseId("lease-1"), 0)).after(59)
    assert "was shown 59 s ago" in judged(story, seen(story, "3"))
    assert "all pages" in judged(story.after(1), seen(story, "4"))


def test_only_what_is_more_important_takes_its_place() -> None:
    """The order of the labels decides: a person replaces a car, and nothing replaces an equal label."""
    story = watched()
    judged(story, seen(story, "1", label="car"))
    assert "as important" in judged(story, seen(story, "2", YARD, label="car"))
    events = story.when(seen(story, "3", YARD, label="person"))
    assert [type(event) for event in events] == [e.DetectionMade, e.LeaseEnded, e.LeaseGranted, e.SuggestionMade]
    assert [held.camera for held in story.state.leases.values()] == [YARD]
    assert "was shown 0 s ago" in judged(story, seen(story, "4", label="person"))


def test_without_labels_all_are_alike() -> None:
    """A person does not replace a cat when the policy has no order."""
    story = watched(Policy())
    judged(story, seen(story, "1", label="cat"))
    assert "as important" in judged(story, seen(story, "2", YARD, label="person"))


def test_the_same_again_is_no_other_detection() -> None:
    """Also after many others, and in the state that a replay gives."""
    story = watched()
    story.given(replace(seen(story, "1"), key="front-17"))
    assert story.when(replace(seen(story, "2"), key="front-17")) == ()
    (kept,) = story.state.detected
    assert (kept.detection, kept.suggested) == ("seen-1", True)
    for number in range(KEYS):
        story.given(replace(seen(story, f"more-{number}"), key=f"{number}"))
    assert len(story.state.detected) == KEYS


def test_the_future_and_what_is_no_camera_is_refused() -> None:
    """Up to 5 s ahead is taken as a clock that differs; a stopping daemon takes no detection."""
    story = watched()
    assert story.refuses(seen(story, ago_s=-6)).status == 422
    assert story.refuses(seen(story, camera=CameraId("nobody"))).refusal is Refusal.UNKNOWN
    story.given(seen(story, ago_s=-4), c.StopRun(ASKED))
    assert story.refuses(seen(story, "2")).refusal is Refusal.UNAVAILABLE


def test_suggestion_does_not_count_as_a_lease() -> None:
    """With `leases: 1` taken by a viewer, a detection is still suggested."""
    story = watched()
    full = c.Configure("test", tuple(settings(name, mode=Mode.ON_DEMAND) for name in (GATE, YARD)), Limits(leases=1))
    story.given(full, lease("lease-9", YARD))
    assert "all pages" in judged(story, seen(story))


def test_the_suggestion_of_a_camera_that_is_removed_is_over() -> None:
    """A reload without the camera ends the suggestion and its lease."""
    story = watched()
    story.given(seen(story), c.Configure("test", (settings(YARD),), Limits()))
    assert (story.state.suggestions, dict(story.state.leases)) == ((), {})


def test_three_cameras_are_suggested_at_once_newest_first() -> None:
    """Each has a lease; the end of the one in the middle leaves the others in their order."""
    story = watched(THREE, NAMES)
    for name in NAMES[:3]:
        judged(story.after(1), seen(story, name, name))
    assert shown(story) == [NAMES[2], NAMES[1], NAMES[0]]
    assert plan(story.state).uses == dict.fromkeys(NAMES[:3], "live")
    story.given(c.EndLease(LeaseId(f"lease-{NAMES[1]}"), ASKED))
    assert shown(story) == [NAMES[2], NAMES[0]]
    assert story.state.cameras[NAMES[1]].suggested_ns == story.now_ns


def test_detection_at_a_camera_that_is_shown_extends_its_suggestion() -> None:
    """It stays in its place and under its lease, which ends 180 s later; the newest detection is named with it."""
    story = watched(THREE, NAMES)
    judged(story, seen(story, "1", GATE))
    judged(story.after(1), seen(story, "2", YARD))
    events = story.after(100).when(replace(seen(story, "3", GATE, "car", 0.7), box=(0.1, 0.2, 0.3, 0.4), pictured=True))
    assert [type(event) for event in events] == [e.DetectionMade, e.SuggestionExtended]
    assert shown(story) == [YARD, GATE]
    row = story.state.suggestions[1]
    assert (row.lease, row.detection, row.label, row.box) == ("lease-1", "seen-3", "car", (0.1, 0.2, 0.3, 0.4))
    assert (row.pictured, row.by, row.at_ns) == (True, "192.0.2.5", story.now_ns)
    assert row.until_ns == story.state.leases[row.lease].until_ns == story.now_ns + 180 * SECOND
    assert story.after(179.9).when(c.ReportLeaseSilent(row.lease, 0)) == ()
    story.after(0.1).given(c.ReportLeaseSilent(row.lease, 0))
    assert GATE not in shown(story)


def test_detections_of_a_camera_that_moves_all_the_time_extend_by_steps() -> None:
    """Two a second for a minute: at most one extension in 10 s, and the camera is shown throughout."""
    story = watched(THREE, NAMES)
    judged(story, seen(story, "first"))
    extensions = []
    for number in range(120):
        story.after(0.5)
        events = story.when(seen(story, f"{number}"))
        extensions += [event for event in events if isinstance(event, e.SuggestionExtended)]
        assert shown(story) == [GATE]
    assert len(extensions) == 6
    assert "already" in judged(story, seen(story, "last"))


def test_step_of_a_short_suggestion_is_a_quarter_of_it() -> None:
    """With `shown: 4s` a detection after 1 s extends it, and one before does not."""
    story = watched(replace(THREE, shown_s=4.0))
    judged(story, seen(story, "1"))
    assert "already" in judged(story.after(0.9), seen(story, "2"))
    assert "more" in judged(story.after(0.1), seen(story, "3"))


def test_more_important_label_of_a_shown_camera_counts_at_once() -> None:
    """A person after a car does not wait for the step, because the label protects the suggestion; a car does."""
    story = watched(THREE)
    judged(story, seen(story, "1", label="car"))
    assert "more" in judged(story.after(0.5), seen(story, "2", label="person"))
    assert "already" in judged(story.after(0.5), seen(story, "3", label="car"))
    assert story.state.suggestions[0].label == "person"


def test_fourth_camera_replaces_the_least_important_or_the_one_seen_longest_ago() -> None:
    """An equal label replaces only what has been shown for 20 s; a more important one replaces at once."""
    story = watched(THREE, NAMES)
    judged(story, seen(story, "1", NAMES[0]))
    judged(story, seen(story, "2", NAMES[1], "car"))
    judged(story, seen(story, "3", NAMES[2]))
    assert "which are as important" in judged(story, seen(story, "4", NAMES[3], "car"))
    judged(story.after(1), seen(story, "5", NAMES[3]))
    assert shown(story) == [NAMES[3], NAMES[2], NAMES[0]], "the car went"
    assert "are shown" in judged(story.after(18), seen(story, "6", NAMES[4]))
    judged(story, seen(story, "7", NAMES[0]))
    judged(story.after(1), seen(story, "8", NAMES[4]))
    assert shown(story) == [NAMES[4], NAMES[3], NAMES[0]], "the first was seen again, the third was not"


def test_smaller_limit_ends_no_suggestion() -> None:
    """After a reload with `at_once: 1` the two that are shown end at their time, and no third one comes."""
    story = watched(THREE, NAMES)
    judged(story, seen(story, "1", NAMES[0]))
    judged(story, seen(story, "2", NAMES[1]))
    cameras = tuple(settings(name, mode=Mode.ON_DEMAND) for name in NAMES)
    story.given(c.Configure("test", cameras, Limits(), policy=replace(THREE, at_once=1)))
    assert "are shown" in judged(story, seen(story, "3", NAMES[2]))
    assert shown(story) == [NAMES[1], NAMES[0]]


def test_older_suggestion_without_its_detection_is_read() -> None:
    """A `SuggestionMade` of 0.1.0 has no time, detector, box or picture; its state has the same hash as then."""
    story = watched()
    judged(story, seen(story))
    event = e.SuggestionMade(LeaseId("lease-2"), YARD, DetectionId("seen-2"), "car", 0.5, story.now_ns)
    old = msgspec.json.decode(msgspec.json.encode(event), type=e.SuggestionMade)
    assert (old.at_ns, old.by, old.box, old.pictured) == (0, "", (), False)
