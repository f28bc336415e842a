"""Lanes, marks and gaps: right at both edges, across runs, and where events were lost."""

from pathlib import Path

import msgspec
import pytest

from supervisor.domain import commands as c
from supervisor.domain.describe import describe
from supervisor.domain.ids import CameraId, ChildId, PeerId
from supervisor.domain.values import Limits
from supervisor.forensics.timeline import timeline
from supervisor.journal.reader import Reader
from supervisor.ports.past import Lane, Timeline
from tests.kit.domain import ASKED, GATE, SECOND, YARD, Story, child, peer, running, settings
from tests.kit.journals import TINY, lively, states, write_journal

from .stories import BEGIN_NS, at, find, night, reader_of


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return reader_of(tmp_path, night())


def lane(found: Timeline, name: str) -> Lane:
    return next(lane for lane in found.lanes if lane.name == name)


def spans(found: Timeline, name: str) -> list[tuple[str, float, float]]:
    return [
        (span.state, (span.begin_ns - BEGIN_NS) / SECOND, (span.end_ns - BEGIN_NS) / SECOND)
        for span in lane(found, name).spans
    ]


def test_the_lanes_of_a_night(reader: Reader) -> None:
    """Every span of two cameras and two children, with its begin and end, over a crash and a second run."""
    found = timeline(reader, at(0), at(40))
    assert spans(found, "gate") == [
        ("idle", 0, 1), ("connecting", 1, 2), ("live", 2, 10), ("waiting", 10, 13), ("connecting", 13, 14),
        ("live", 14, 20), ("connecting", 30, 35), ("live", 35, 40),
    ]  # fmt: skip
    assert spans(found, "yard") == [("idle", 0, 1), ("queued", 1, 20), ("idle", 30, 40)]
    assert spans(found, "child-1") == [("running", 1, 10)]
    assert spans(found, "child-2") == [("starting", 13, 20)]
    assert [(lane.kind, lane.name, lane.camera) for lane in found.lanes] == [
        ("camera", GATE, GATE), ("camera", YARD, YARD), ("child", "child-1", GATE), ("child", "child-2", GATE),
    ]  # fmt: skip


def test_lanes_have_the_order_of_the_configuration(tmp_path: Path) -> None:
    """Those of cameras and those below them; a camera that the last configuration does not name follows."""
    names = [CameraId(name) for name in ("yard", "attic", "gate")]
    story = running(*names).after(1).given(child("of-yard", camera=YARD), child("of-gate"))
    story.given(c.Configure("test", (settings(YARD), settings(GATE)), Limits())).after(1).given(c.StopRun(ASKED))
    found = timeline(reader_of(tmp_path, story.recorded), at(0), at(2))
    assert [lane.name for lane in found.lanes] == ["yard", "gate", "attic", "of-yard", "of-gate"]


def stuck(story: Story, name: str, pid: int, purpose: str = "source") -> None:
    """A child of gate that SIGKILL does not end."""
    ident = ChildId(name)
    story.given(
        child(name, purpose=purpose),
        c.ReportChildStarted(ident, pid, pid),
        c.ReportChildSignalled(ident, "SIGKILL", ASKED),
    )
    story.given(c.ReportChildUnkillable(ident))


def test_lane_of_a_camera_carries_the_worst_of_its_children_and_viewers(tmp_path: Path) -> None:
    """A silent viewer from 1 to 4 s, children that cannot be killed from 2 to 6 s and from 3 to 5 s."""
    story = running(GATE).given(peer(), c.ReportPeerConnected(PeerId("peer-1"))).after(1)
    story.given(c.ReportPeerSilent(PeerId("peer-1"), 6.0)).after(1)
    stuck(story, "child-1", 7)
    stuck(story.after(1), "child-2", 8, "audio")
    story.after(1).given(c.ReportPeerHeard(PeerId("peer-1"), 9.0))
    story.after(1).given(c.ReportChildEnded(ChildId("child-2"), None, "SIGKILL", ASKED, ()))
    story.after(1).given(c.ReportChildEnded(ChildId("child-1"), None, "SIGKILL", ASKED, ())).after(1)
    found = timeline(reader_of(tmp_path, story.recorded), at(0), at(8))
    below = [
        (span.state, span.begin_ns - BEGIN_NS, span.end_ns - BEGIN_NS, span.text) for span in lane(found, "gate").below
    ]
    assert below == [
        ("silent", SECOND, 2 * SECOND, "peer peer-1 of gate silent for 6.0 s"),
        ("unkillable", 2 * SECOND, 6 * SECOND, "child child-1 of gate, pid 7, did not exit after SIGKILL"),
    ]
    assert all(not lane.below for lane in found.lanes if lane.kind != "camera")


def test_a_span_names_the_event_that_began_it(reader: Reader) -> None:
    """The span has the number and the sentence of its event, also when that lies before the stretch."""
    rows = night()
    waiting = find(rows, "CameraWaiting")
    for since in (0, 5, 11):
        found = [s for s in lane(timeline(reader, at(since), at(20)), "gate").spans if s.state == "waiting"]
        assert [(span.seq, span.text) for span in found] == [(waiting.seq, describe(waiting.event)[1])]


def test_the_left_edge_has_what_went_on_already(reader: Reader) -> None:
    """At 5 s the camera is live since an earlier event, and the span begins at the edge."""
    rows = night()
    found = timeline(reader, at(5), at(12))
    assert spans(found, "gate") == [("live", 5, 10), ("waiting", 10, 12)]
    assert lane(found, "gate").spans[0].seq == find(rows, "CameraLive").seq
    assert spans(found, "child-1") == [("running", 5, 10)]
    assert lane(found, "child-1").spans[0].seq == find(rows, "ChildStarted").seq


def test_time_between_two_runs_is_a_gap_of_the_timeline(reader: Reader) -> None:
    """The gap from 20 s to 30 s is cut to the stretch, and no span reaches into it."""
    for since, until in ((0, 40), (22, 40), (22, 28), (15, 28)):
        found = timeline(reader, at(since), at(until))
        assert [(gap.kind, gap.begin_ns, gap.end_ns) for gap in found.gaps] == [
            ("down", at(max(since, 20)), at(min(until, 30)))
        ]
        for one in found.lanes:
            for span in one.spans:
                assert not (span.begin_ns < at(30) and span.end_ns > at(20))


def test_marks_of_the_timeline_are_in_order(reader: Reader) -> None:
    """Starts, a configuration, a queue, a loss, a restart, an alert and an abandoned run, in order."""
    found = timeline(reader, at(0), at(40))
    assert [(mark.kind, mark.camera) for mark in found.marks] == [
        ("start", None), ("configuration", None), ("queued", YARD), ("loss", GATE), ("restart", GATE),
        ("alert", GATE), ("abandoned", None), ("start", None),
    ]  # fmt: skip


def test_of_some_cameras_only(reader: Reader) -> None:
    """Lanes of others are left out; marks without a camera stay."""
    found = timeline(reader, at(0), at(40), [YARD])
    assert [lane.name for lane in found.lanes] == ["yard"]
    assert {mark.camera for mark in found.marks} == {None, YARD}


def test_it_is_json(reader: Reader) -> None:
    """It reads back into the same `Timeline`."""
    found = timeline(reader, at(0), at(40))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Timeline) == found


def test_the_lanes_are_what_the_states_say(tmp_path: Path) -> None:
    """At each instant, the span of a camera is the phase it had; also when it is drawn from a later edge."""
    rows = lively()
    reader = Reader(write_journal(tmp_path, rows, batch=10, rotation=TINY))
    for begin in (0, 7, 30, 61):
        since_ns = rows[begin].wall_ns
        found = timeline(reader, since_ns, rows[-1].wall_ns + 1)
        for state, row, following in zip(states(rows)[1:], rows, [*rows[1:], None], strict=True):
            until_ns = following.wall_ns if following else row.wall_ns + 1
            if row.wall_ns < since_ns or until_ns == row.wall_ns or GATE not in state.cameras:
                continue
            (span,) = [s for s in lane(found, "gate").spans if s.begin_ns <= row.wall_ns < s.end_ns]
            assert span.state == state.cameras[GATE].phase.value
            assert span.seq is not None
    reader.close()


def test_nothing_between_two_times(reader: Reader) -> None:
    """Before the journal all is empty; in a quiet stretch one span reaches from edge to edge."""
    assert timeline(reader, at(-100), at(-50)) == Timeline(at(-100), at(-50), (), (), ())
    quiet = timeline(reader, at(16), at(18))
    assert spans(quiet, "gate") == [("live", 16, 18)]
    assert (quiet.marks, quiet.gaps) == ((), ())
