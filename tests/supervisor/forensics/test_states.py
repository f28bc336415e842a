"""The changes between two states, since when something holds, and the cameras' statistics."""

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.evolve import evolve
from supervisor.domain.ids import CameraId
from supervisor.domain.state import State
from supervisor.forensics.bisect import ExpressionError, first_holding, parse
from supervisor.forensics.diff import Change, as_plain, changes
from supervisor.forensics.statistics import SORTS, percent, statistics
from supervisor.journal.reader import Reader
from supervisor.journal.store import Store
from tests.kit.domain import GATE, live
from tests.kit.journals import append_all, of_journal, states

from .stories import at, find, night, reader_of


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return reader_of(tmp_path, night())


def named(found: tuple[Change, ...], *path: str) -> Change:
    first, *rest = path
    change = next(change for change in found if change.name == first)
    return named(change.inside, *rest) if rest else change


def test_equal_states_have_no_changes() -> None:
    """Each state of a night, compared with itself."""
    for state in states(night()):
        assert changes(state, state) == ()


def test_a_change_names_the_field_with_before_and_after() -> None:
    """Added, removed or changed, down to a field of one camera, and written as JSON."""
    rows = night()
    after = states(rows)
    found = changes(after[find(rows, "CameraWaiting").seq - 1], after[find(rows, "CameraWaiting").seq])
    assert [change.name for change in found] == ["cameras"]
    assert named(found, "cameras", "gate", "phase") == Change("phase", "changed", "live", "waiting")
    assert named(found, "cameras", "gate", "reason").how == "added"
    found = changes(State(), after[-1])
    assert named(found, "cameras", "gate").how == "added"
    assert named(changes(after[-1], State()), "cameras", "gate").how == "removed"
    assert msgspec.json.encode(found)
    assert msgspec.json.encode(as_plain(after[-1]))


@pytest.mark.parametrize(
    ("expression", "kind", "number"),
    [
        ('cameras["gate"].phase == "waiting"', "CameraWaiting", 0),
        ("cameras.gate.attempts >= 1 and not stopping", "CameraWaiting", 0),
        ("len(children) > 0", "ChildStarting", 0),
        ('"yard" in slots and slots.yard.held == False', "CameraQueued", 0),
        ('cameras.gate.phase in ("stalled", "live")', "CameraLive", 0),
        ("len(alerts) == 1", "AlertRaised", 0),
        ('run == "run-2"', "RunStarted", 1),
    ],
)
def test_since_when_it_holds(reader: Reader, expression: str, kind: str, number: int) -> None:
    """Each expression finds the first event after which it is true."""
    found = first_holding(reader, expression)
    assert found is not None
    assert found.seq == find(night(), kind, number).seq
    assert found.step is not None
    assert found.step.type == kind


def test_bisect_of_an_expression_that_never_or_always_holds(reader: Reader) -> None:
    """Never gives None; an expression that is true before the stretch has no step."""
    assert first_holding(reader, "len(children) > 30") is None
    assert first_holding(reader, 'cameras["nobody"].phase == "live"') is None
    already = first_holding(reader, "len(cameras) == 2", first=8)
    assert already is not None
    assert (already.seq, already.step) == (7, None)


@pytest.mark.parametrize(
    "expression",
    [
        "", "1 +", "camera", "__import__('os')", "cameras.__class__()", "len(cameras, 1)", "open('x')", "1 + 1",
        "[c for c in cameras]", "lambda: 1", "(" * 500 + "1" + ")" * 500, "not " * 240 + "1", "9" * 2000,
        "'a' 'b' f'{seq}'",
        "cameras[0:1]", "(x := 1)", "len", "max(1, 2)", "seq if seq else 1", "b'x'", "...", "\0",
    ],
)  # fmt: skip
def test_text_outside_the_expression_language_is_refused(expression: str) -> None:
    """Calls, arithmetic, deep nesting and large numbers are refused, and no Python is evaluated."""
    if expression.startswith("not "):
        parse(expression)(State())
        return
    with pytest.raises(ExpressionError):
        parse(expression)(State())


def test_a_field_that_there_is_not_is_named(reader: Reader) -> None:
    """The error lists the fields that exist; a dunder name gives no access to Python."""
    with pytest.raises(ExpressionError, match="no 'fase' in a camera; there are settings, phase"):
        first_holding(reader, 'cameras.gate.fase == "live"')
    with pytest.raises(ExpressionError, match="no '__class__'"):
        first_holding(reader, "cameras.gate.__class__ == 1")
    assert not parse("cameras.__class__")(State())


def test_how_the_cameras_did(reader: Reader) -> None:
    """In a night with one loss: 19 s live of 30 s, and one recovery after 4 s."""
    found = statistics(reader, at(0), at(40))
    assert found.ran_s == 30
    gate, yard = found.cameras
    assert (gate.wanted_s, gate.live_s) == (30, 19)
    assert gate.availability == pytest.approx(19 / 30)
    assert (gate.restarts, gate.recoveries, gate.recover_mean_s, gate.recover_max_s) == (1, 1, 4, 4)
    assert gate.restarts_per_hour == pytest.approx(120)
    assert gate.errors == {"unreachable": 1}
    assert (yard.wanted_s, yard.live_s, yard.restarts, yard.recover_max_s) == (30, 0, 0, None)
    assert [one.camera for one in statistics(reader, at(0), at(40), [GATE]).cameras] == [GATE]


def test_share_that_is_not_all_of_it_is_never_100_percent() -> None:
    """0.99999 is shown as 99.99 %, so that a loss cannot vanish by rounding."""
    shares = [percent(share) for share in (None, 0, 0.6, 0.99999, 1)]
    assert shares == ["-", "0.00 %", "60.00 %", "99.99 %", "100.00 %"]


def test_cameras_are_sorted_by_the_figure_that_the_column_prints(reader: Reader) -> None:
    """*back in* is a mean: one long wait among short ones does not put a camera first."""
    gate = statistics(reader, at(0), at(40)).cameras[0]
    slow = replace(gate, camera=CameraId("slow"), recover_mean_s=5.0, recover_max_s=5.0)
    once = replace(gate, camera=CameraId("once"), recover_mean_s=3.0, recover_max_s=9.0)
    assert sorted([once, slow], key=SORTS["back"]) == [slow, once]


def test_the_edges_of_a_stretch_count_only_what_is_inside(reader: Reader) -> None:
    """From 5 s to 12 s, 5 s of live count; a stretch between two runs has no time."""
    found = statistics(reader, at(5), at(12))
    assert (found.ran_s, found.cameras[0].live_s, found.cameras[0].wanted_s) == (7, 5, 7)
    quiet = statistics(reader, at(16), at(18))
    assert (quiet.ran_s, quiet.cameras[0].availability) == (2, 1)
    assert statistics(reader, at(22), at(28)).ran_s == 0


def test_stretch_that_ends_in_a_gap_counts_no_time_of_the_gap(tmp_path: Path) -> None:
    """As the whole does not count it: events were lost between 2 and 30 s."""
    story = live().after(2).given(c.RaiseAlert("a/b", "x")).after(28)
    row = replace(story.recorded[-1], seq=story.state.seq + 1, wall_ns=story.now_ns, mono_ns=story.now_ns)
    head = replace(story.state, seq=row.seq)
    lost = of_journal(row, e.EventsLost(row.seq, row.seq, 1))
    store = Store(tmp_path / "journal")
    append_all(store, story.recorded, 50)
    store.skip(head)
    store.append([lost], evolve(head, lost))
    store.close()
    reader = Reader(tmp_path / "journal")
    assert [statistics(reader, at(0), at(until)).ran_s for until in (2, 10, 30)] == [2, 2, 2]
    reader.close()
