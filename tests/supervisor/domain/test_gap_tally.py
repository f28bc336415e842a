"""The gaps of recordings are added up by camera and reason."""

import pytest

from supervisor.domain import commands as c
from supervisor.domain.evolve import evolve
from supervisor.domain.gap_tally import GapTally
from supervisor.domain.ids import RecordingId
from supervisor.domain.state import State
from supervisor.domain.values import Reason, RecordMode
from tests.kit.domain import GATE, SECOND, YARD, Story

LOST, SLOW = Reason("camera-lost", "no answer"), Reason("disk-slow", "the disk does not keep up")


def begin(camera: str, began_ns: int = 0, last_ns: int = 0) -> c.BeginRecording:
    return c.BeginRecording(GATE if camera == GATE else YARD, RecordingId("r"), RecordMode.ALWAYS, began_ns, last_ns)


def found(story: Story) -> GapTally:
    """The gaps of the events of a story, each seen with the state before it."""
    gaps, state = GapTally(), State()
    for recorded in story.recorded:
        gaps.see(state, recorded)
        state = evolve(state, recorded)
    return gaps


def test_gaps_are_added_up_by_camera_and_reason() -> None:
    """With the time between the video before and behind each, which the event has."""
    story = Story().given(begin(GATE), begin(YARD))
    for gap_s, reason in ((4, LOST), (2.5, SLOW), (6, LOST)):
        story.given(c.InterruptRecording(GATE, reason)).after(gap_s).given(begin(GATE))
    story.given(c.InterruptRecording(YARD, SLOW)).after(30).given(begin(YARD, 9 * SECOND, 6 * SECOND))
    assert found(story).seconds() == {GATE: {"camera-lost": 10.0, "disk-slow": 2.5}, YARD: {"disk-slow": 3.0}}


@pytest.mark.parametrize("end", [(), (c.StopRecording(GATE, LOST),)])
def test_gap_that_has_not_ended_is_not_counted(end: tuple[c.Command, ...]) -> None:
    """Its exact end may be earlier than now, and a counter must not fall."""
    story = Story().given(begin(GATE), c.InterruptRecording(GATE, LOST)).after(60).given(*end)
    assert found(story).seconds() == {}
