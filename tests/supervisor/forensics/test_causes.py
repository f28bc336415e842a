"""From an event back to its causes, and on to what it led to."""

from pathlib import Path

import msgspec

from supervisor.domain import commands as c
from supervisor.domain.ids import CameraId
from supervisor.domain.lifecycle import CameraPhase
from supervisor.domain.values import Limits
from supervisor.forensics.causes import chain, consequences, leading_to, why, why_camera, why_not_live
from tests.kit.domain import GATE, PICTURE, YARD, settings

from .stories import REFUSED, STDERR, at, caused, failing, find, night, night_with_causes, reader_of


def test_a_chain_begins_with_the_first_cause(tmp_path: Path) -> None:
    """From `CameraWaiting` back to `CameraConnecting`, oldest first; an unknown event has an empty chain."""
    rows = night_with_causes()
    reader = reader_of(tmp_path, rows)
    waiting = find(rows, "CameraWaiting")
    types = [recorded.type for recorded in chain(reader, waiting.seq)]
    assert types == ["CameraConnecting", "ChildStarting", "ChildStarted", "CameraLive", "ChildEnded", "CameraWaiting"]
    assert chain(reader, 10_000) == []
    reader.close()


def test_why_says_the_time_between_and_what_a_child_wrote(tmp_path: Path) -> None:
    """Seconds after the previous step, and the last lines of stderr at the child's end only."""
    rows = night_with_causes()
    reader = reader_of(tmp_path, rows)
    found = why(reader, find(rows, "CameraWaiting").seq)
    assert found is not None
    assert [step.after_s for step in found.steps] == [0, 0, 0, 1.0, 8.0, 0]
    assert [step.stderr for step in found.steps] == [(), (), (), (), STDERR, ()]
    assert found.cut is None
    assert msgspec.json.decode(msgspec.json.encode(found))["steps"][4]["stderr"] == list(STDERR)
    assert why(reader, 10_000) is None
    reader.close()


def test_a_cause_that_is_gone_is_named(tmp_path: Path) -> None:
    """The number of the missing event is in `cut`; an event that names itself ends the chain."""
    rows = caused(night(), {5: 9_000, 6: 5, 7: 7})
    reader = reader_of(tmp_path, rows)
    assert [recorded.seq for recorded in chain(reader, 6)] == [5, 6]
    found = why(reader, 6)
    assert found is not None
    assert found.cut == 9_000
    assert [recorded.seq for recorded in chain(reader, 7)] == [7], "an event is not its own cause"
    reader.close()


def test_consequences_go_beyond_a_correlation(tmp_path: Path) -> None:
    """The effects of a child's start include its end and the next attempt, which have another correlation."""
    rows = night_with_causes()
    reader = reader_of(tmp_path, rows)
    started = find(rows, "ChildStarted")
    found = consequences(reader, started.seq, 100)
    assert [recorded.type for recorded in found] == [
        "CameraLive", "ChildEnded", "CameraWaiting", "CameraConnecting", "CameraLive",
    ]  # fmt: skip
    assert consequences(reader, started.seq, 2) == found[:2]
    assert consequences(reader, rows[-1].seq, 9) == consequences(reader, 10_000, 9) == []
    reader.close()


def test_the_phase_of_a_camera_is_explained_at_any_instant(tmp_path: Path) -> None:
    """The event found is the last one that changed the phase; None before the camera was added."""
    rows = night()
    reader = reader_of(tmp_path, rows)
    waiting = find(rows, "CameraWaiting")
    assert why_not_live(reader, GATE, waiting.seq) == waiting.seq
    assert why_not_live(reader, GATE, waiting.seq - 1) == find(rows, "CameraLive").seq
    assert why_not_live(reader, GATE, find(rows, "CameraAdded").seq) == find(rows, "CameraAdded").seq
    assert why_not_live(reader, GATE, 1) is None
    assert why_not_live(reader, CameraId("nobody"), 9) is None
    reader.close()


def test_cause_of_a_queued_camera_names_the_holders_of_the_slots(tmp_path: Path) -> None:
    """A queued camera is explained by its device and the cameras with slots there."""
    rows = night()
    reader = reader_of(tmp_path, rows)
    queued = find(rows, "CameraQueued")
    found = why_camera(reader, YARD, queued.seq + 3)
    assert found is not None
    assert (found.seq, found.device) == (queued.seq, "box")
    assert [(holder.camera, holder.use) for holder in found.taken_by] == [(GATE, "live")]
    assert why_camera(reader, GATE, queued.seq + 3).taken_by == ()  # type: ignore[union-attr]
    reader.close()


def test_camera_that_was_never_live_is_explained_by_its_first_failure(tmp_path: Path) -> None:
    """Not by the last attempt, which is one of many."""
    rows = failing().recorded
    reader = reader_of(tmp_path, rows)
    first, last = find(rows, "CameraWaiting"), find(rows, "CameraWaiting", 2)
    found = why_camera(reader, GATE, rows[-1].seq)
    assert found is not None and found.began is not None
    assert (found.seq, found.began.steps[-1].seq, found.began.steps[-1].wall_ns) == (last.seq, first.seq, at(1))
    assert found.began.after is not None
    assert found.began.after.type == "CameraAdded"
    assert why_camera(reader, GATE, first.seq).began is None  # type: ignore[union-attr]
    reader.close()


def test_camera_that_was_live_is_explained_by_its_first_failure_since(tmp_path: Path) -> None:
    """And by none while it is live; new settings begin a new count."""
    story = failing().given(c.ConnectCamera(GATE), c.ReportLive(GATE, PICTURE))
    shown = len(story.recorded)
    for _ in range(2):
        story.after(5).given(c.ReportLoss(GATE, REFUSED, 0.5), c.ConnectCamera(GATE))
    connecting = len(story.recorded)
    story.given(c.Configure("test", (settings(GATE, revision=1),), Limits()))
    story.given(c.ReportLoss(GATE, REFUSED, 0.5), c.ConnectCamera(GATE))
    rows = story.recorded
    reader = reader_of(tmp_path, rows)
    assert why_camera(reader, GATE, shown).began is None  # type: ignore[union-attr]
    for asked, began, after in (
        (connecting, find(rows, "CameraWaiting", 3), find(rows, "CameraLive")),
        (len(rows), find(rows, "CameraWaiting", 5), find(rows, "CameraChanged")),
    ):
        found = why_camera(reader, GATE, asked)
        assert found is not None and found.began is not None and found.began.after is not None
        assert (found.began.steps[-1].seq, found.began.after.seq) == (began.seq, after.seq)
    reader.close()


def test_every_phase_can_be_explained() -> None:
    """Each phase has types of events that lead to it; `CameraChanged` changes no phase."""
    for phase in CameraPhase:
        assert leading_to(phase), phase
        assert "CameraChanged" not in leading_to(phase)
