"""Recordings: each gap has a beginning, an end and a cause."""

import pytest
from msgspec.structs import replace

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.errors import Rejected
from supervisor.domain.health import health
from supervisor.domain.ids import CameraId, RecordingId
from supervisor.domain.lifecycle import RecordingPhase
from supervisor.domain.values import Fault, Reason, RecordMode
from supervisor.domain.verdict import Verdict
from tests.kit.domain import GATE, NODE, RUN, Story, running

FIRST, SECOND = RecordingId("0" * 16), RecordingId("1" * 16)
LOST = Reason("camera-lost", "the camera is waiting", Fault.TEMPORARY)
SLOW = Reason("disk-slow", "the disk has not answered for 1 s", Fault.TEMPORARY)
FAILED = Reason("disk-failed", "input/output error", Fault.TEMPORARY)
OFF = Reason("off", "record: off", Fault.NONE)


def recording() -> Story:
    return running().given(c.BeginRecording(GATE, FIRST, RecordMode.ALWAYS))


def test_gap_begins_and_ends() -> None:
    """The stretch after it has another id; nothing is said twice."""
    story = recording()
    assert story.state.recordings[GATE].phase is RecordingPhase.RECORDING
    assert story.when(c.BeginRecording(GATE, FIRST, RecordMode.ALWAYS)) == ()
    assert story.when(c.InterruptRecording(GATE, LOST)) == (e.RecordingInterrupted(GATE, LOST),)
    assert story.when(c.InterruptRecording(GATE, SLOW)) == ()
    assert story.state.recordings[GATE].reason == LOST
    resumed = story.after(4).when(c.BeginRecording(GATE, SECOND, RecordMode.ALWAYS))
    assert resumed == (e.RecordingResumed(GATE, SECOND, 4.0),)
    assert story.state.recordings[GATE].reason is None


def test_gap_lasts_from_the_last_fragment_to_the_next() -> None:
    """The events come later than the video ends: what was not written, or not synced, is part of the gap."""
    story = recording()
    lost = story.when(c.InterruptRecording(GATE, LOST, 7_000_000_000))
    assert lost == (e.RecordingInterrupted(GATE, LOST, 7_000_000_000),)
    began = c.BeginRecording(GATE, SECOND, RecordMode.ALWAYS, 12_500_000_000, 6_000_000_000)
    assert story.after(4).when(began) == (e.RecordingResumed(GATE, SECOND, 6.5, 6_000_000_000, 12_500_000_000),)


def test_recording_stops() -> None:
    """From each phase; one that is not there stays away."""
    assert recording().after(60).when(c.StopRecording(GATE, OFF)) == (e.RecordingStopped(GATE, OFF, 60.0),)
    story = recording().given(c.InterruptRecording(GATE, LOST), c.StopRecording(GATE, OFF))
    assert story.state.recordings.get(GATE) is None
    assert story.when(c.StopRecording(GATE, OFF)) == ()
    assert story.when(c.InterruptRecording(GATE, LOST)) == ()


def test_recording_of_a_run_that_was_cut_off_is_a_gap() -> None:
    """It begins with the next start, and its reason says so."""
    story = recording().after(9).given(c.StartRun(RUN, NODE, "0", 2))
    gaps = [row.event for row in story.recorded if isinstance(row.event, e.RecordingInterrupted)]
    assert [gap.reason.code for gap in gaps] == ["abandoned"]
    assert story.state.recordings[GATE].phase is RecordingPhase.INTERRUPTED
    again = story.given(c.StartRun(RUN, NODE, "0", 3))
    assert sum(isinstance(row.event, e.RecordingInterrupted) for row in again.recorded) == 1


def test_archive_reports_each_trouble_once() -> None:
    """Another reason is said; the end has the time since the first."""
    story = running()
    assert story.when(c.ReportArchive("recordings", None)) == ()
    assert story.when(c.ReportArchive("recordings", SLOW)) == (e.ArchiveFailed("recordings", SLOW),)
    assert story.when(c.ReportArchive("recordings", SLOW)) == ()
    assert story.after(5).when(c.ReportArchive("recordings", FAILED)) == (e.ArchiveFailed("recordings", FAILED),)
    assert story.after(5).when(c.ReportArchive("recordings", None)) == (e.ArchiveRecovered("recordings", 10.0),)
    assert not story.state.archive_troubles


def test_health_has_the_archive_that_is_not_written() -> None:
    """Critical, unless its disk is only slow. A new run reports its own troubles."""
    story = running()
    for reason, verdict in ((SLOW, Verdict.DEGRADED), (FAILED, Verdict.CRITICAL)):
        found = health(story.given(c.ReportArchive("recordings", reason)).state, None)
        part = next(part for part in found.parts if part.part == "archive/recordings")
        assert part == ("archive/recordings", verdict, f"cannot be written: {reason.text}")
    again = Story(story.state, story.now_ns).given(c.StartRun(RUN, NODE, "0", 2))
    for state in (again.state, story.given(c.ReportArchive("recordings", None)).state):
        assert not [part for part in health(state, None).parts if part.part.startswith("archive/")]
    assert again.when(c.ReportArchive("recordings", FAILED)) == (e.ArchiveFailed("recordings", FAILED),)


def test_seals_and_repairs_are_facts() -> None:
    """Also of a camera that is not recorded any more."""
    story = running()
    sealed = story.when(c.SealRecording(GATE, FIRST, 200_000_000, 1, 2, ("ab" * 32,)))
    assert sealed == (e.RecordingSealed(GATE, FIRST, 200_000_000, 1, 2, ("ab" * 32,)),)
    repaired = story.when(c.ReportRepairedFile(GATE, FIRST, "gate/20270115/recording_20270115_080000.mp4", 58.0))
    assert repaired[0].sentence() == (
        "recording file gate/20270115/recording_20270115_080000.mp4 was not complete; 58 s of it are whole"
    )


def test_clip_is_journaled_with_its_time_and_client() -> None:
    """A picture says which one it is; a camera that does not exist has no clips."""
    clip = c.TakeClip(GATE, 1_780_000_000 * 10**9, 1_780_000_600 * 10**9, "mp4", "192.0.2.7")
    (taken,) = recording().when(clip)
    assert taken.sentence() == "clip of gate taken by 192.0.2.7: 10 min from 2026-05-28 20:26:40Z on (mp4)"
    (picture,) = recording().when(replace(clip, ended_ns=clip.began_ns, format="jpg"))
    assert picture.sentence() == "recorded picture of gate of 2026-05-28 20:26:40Z sent to 192.0.2.7"
    with pytest.raises(Rejected):
        recording().when(replace(clip, camera=CameraId("nowhere")))
