"""From an event back to its causes, and on to what it led to."""

from pathlib import Path

import msgspec

from supervisor.analysis.causes import chain, consequences, leading_to, why, why_camera, why_not_live
from supervisor.domain.ids import CameraId
from supervisor.domain.lifecycle import CameraPhase
from tests.kit.domain import GATE, YARD

from .stories import STDERR, caused, find, night, night_with_causes, reader_of


def test_a_chain_begins_with_the_first_cause(tmp_path: Path) -> None:
    rows = night_with_causes()
    reader = reader_of(tmp_path, rows)
    waiting = find(rows, "CameraWaiting")
    types = [recorded.type for recorded in chain(reader, waiting.seq)]
    assert types == ["CameraConnecting", "ChildStarting", "ChildStarted", "CameraLive", "ChildEnded", "CameraWaiting"]
    assert chain(reader, 10_000) == []
    reader.close()


def test_why_says_the_time_between_and_what_a_child_wrote(tmp_path: Path) -> None:
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
    rows = caused(night(), {5: 9_000, 6: 5, 7: 7})
    reader = reader_of(tmp_path, rows)
    assert [recorded.seq for recorded in chain(reader, 6)] == [5, 6]
    found = why(reader, 6)
    assert found is not None
    assert found.cut == 9_000
    assert [recorded.seq for recorded in chain(reader, 7)] == [7], "an event is no cause of its own"
    reader.close()


def test_consequences_go_beyond_a_correlation(tmp_path: Path) -> None:
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
    rows = night()
    reader = reader_of(tmp_path, rows)
    waiting = find(rows, "CameraWaiting")
    assert why_not_live(reader, GATE, waiting.seq) == waiting.seq
    assert why_not_live(reader, GATE, waiting.seq - 1) == find(rows, "CameraLive").seq
    assert why_not_live(reader, GATE, find(rows, "CameraAdded").seq) == find(rows, "CameraAdded").seq
    assert why_not_live(reader, GATE, 1) is None
    assert why_not_live(reader, CameraId("nobody"), 9) is None
    reader.close()


def test_who_waits_is_told_who_has_the_places(tmp_path: Path) -> None:
    rows = night()
    reader = reader_of(tmp_path, rows)
    queued = find(rows, "CameraQueued")
    found = why_camera(reader, YARD, queued.seq + 3)
    assert found is not None
    assert (found.seq, found.device) == (queued.seq, "box")
    assert [(holder.camera, holder.use) for holder in found.taken_by] == [(GATE, "live")]
    assert why_camera(reader, GATE, queued.seq + 3).taken_by == ()  # type: ignore[union-attr]
    reader.close()


def test_every_phase_can_be_explained() -> None:
    for phase in CameraPhase:
        assert leading_to(phase), phase
        assert "CameraChanged" not in leading_to(phase)
