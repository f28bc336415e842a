"""Detections: which of them all pages are to show, and what is remembered of the others."""

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


def watched(policy: Policy = POLICY) -> Story:
    cameras = tuple(settings(name, mode=Mode.ON_DEMAND) for name in (GATE, YARD))
    return Story().given(c.StartRun(RUN, NODE, "0", 1), c.Configure("test", cameras, Limits(), policy=policy))


def seen(
    story: Story, name: str = "1", camera: CameraId = GATE, label: str = "person", score: float = 0.9, ago_s: float = 0
) -> c.ReportDetection:
    at_ns = story.now_ns - int(ago_s * SECOND)
    ids = (DetectionId(f"seen-{name}"), LeaseId(f"lease-{name}"))
    return c.ReportDetection(*ids, camera, at_ns, label, score, "192.0.2.5")


def judged(story: Story, command: c.ReportDetection) -> str:
    """Why it was suggested, or was not."""
    made = story.when(command)[0]
    assert isinstance(made, e.DetectionMade)
    assert made.suggested == (story.state.suggestion is not None and story.state.suggestion.detection == made.detection)
    return made.why


def test_a_detection_becomes_the_suggestion_which_is_a_lease_with_an_end() -> None:
    story = watched()
    events = story.when(seen(story))
    assert [type(event) for event in events] == [e.DetectionMade, e.LeaseGranted, e.SuggestionMade]
    assert plan(story.state).uses == {GATE: "live"}
    (held,) = story.state.leases.values()
    assert (held.kind, held.until_ns) == (LeaseKind.SUGGEST, story.now_ns + 20 * SECOND)
    assert story.after(19.9).when(c.ReportLeaseSilent(held.lease, 0)) == ()
    (ended,) = story.after(0.1).when(c.ReportLeaseSilent(held.lease, 0))
    assert isinstance(ended, e.LeaseEnded)
    assert (story.state.suggestion, plan(story.state).uses) == (None, {})


def test_what_the_policy_does_not_want_is_remembered_and_not_shown() -> None:
    story = watched()
    assert "not among the labels" in judged(story, seen(story, label="cat"))
    assert "below 0.6" in judged(story, seen(story, score=0.59))
    assert "11 s old" in judged(story, seen(story, ago_s=11))
    story.given(c.ConnectCamera(GATE), c.ReportLoss(GATE, FATAL, 0.5))
    assert "shows nothing" in judged(story, seen(story))
    assert story.state.suggestion is None


def test_a_camera_is_not_suggested_again_and_again() -> None:
    story = watched()
    judged(story, seen(story, "1"))
    assert "shown already" in judged(story, seen(story, "2"))
    story.after(20).given(c.ReportLeaseSilent(LeaseId("lease-1"), 0)).after(59)
    assert "was shown 59 s ago" in judged(story, seen(story, "3"))
    assert "all pages" in judged(story.after(1), seen(story, "4"))


def test_only_what_is_more_important_takes_its_place() -> None:
    story = watched()
    judged(story, seen(story, "1", label="car"))
    assert "as important" in judged(story, seen(story, "2", YARD, label="car"))
    events = story.when(seen(story, "3", YARD, label="person"))
    assert [type(event) for event in events] == [e.DetectionMade, e.LeaseEnded, e.LeaseGranted, e.SuggestionMade]
    assert [held.camera for held in story.state.leases.values()] == [YARD]
    assert "as important" in judged(story, seen(story, "4", label="person"))


def test_without_labels_all_are_alike() -> None:
    story = watched(Policy())
    judged(story, seen(story, "1", label="cat"))
    assert "as important" in judged(story, seen(story, "2", YARD, label="person"))


def test_the_same_again_is_no_other_detection() -> None:
    """Also after so many others, and in the state that a replay gives."""
    story = watched()
    story.given(replace(seen(story, "1"), key="front-17"))
    assert story.when(replace(seen(story, "2"), key="front-17")) == ()
    (kept,) = story.state.detected
    assert (kept.detection, kept.suggested) == ("seen-1", True)
    for number in range(KEYS):
        story.given(replace(seen(story, f"more-{number}"), key=f"{number}"))
    assert len(story.state.detected) == KEYS


def test_the_future_and_what_is_no_camera_is_refused() -> None:
    story = watched()
    assert story.refuses(seen(story, ago_s=-6)).status == 422
    assert story.refuses(seen(story, camera=CameraId("nobody"))).refusal is Refusal.UNKNOWN
    story.given(seen(story, ago_s=-4), c.StopRun(ASKED))
    assert story.refuses(seen(story, "2")).refusal is Refusal.UNAVAILABLE


def test_a_suggestion_needs_no_place_among_the_leases() -> None:
    story = watched()
    full = c.Configure("test", tuple(settings(name, mode=Mode.ON_DEMAND) for name in (GATE, YARD)), Limits(leases=1))
    story.given(full, lease("lease-9", YARD))
    assert "all pages" in judged(story, seen(story))


def test_the_suggestion_of_a_camera_that_is_removed_is_over() -> None:
    story = watched()
    story.given(seen(story), c.Configure("test", (settings(YARD),), Limits()))
    assert (story.state.suggestion, dict(story.state.leases)) == (None, {})
