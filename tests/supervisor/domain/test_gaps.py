"""Gaps of recordings: each names the event that made it."""

from collections.abc import Sequence

import attrs

from supervisor.domain import events as e
from supervisor.domain.gaps import NEVER, WRITING_NS, gaps
from supervisor.domain.ids import RecordingId
from supervisor.domain.values import Fault, Reason, RecordMode
from tests.kit.domain import GATE, NODE, RUN, SECOND

LOST = Reason("camera-lost", "connection reset", Fault.TEMPORARY)
OFF = Reason("off", "record: off", Fault.NONE)
AGE = Reason("age", "older than record.keep", Fault.NONE)
FAR = 10_000 * SECOND


def story(*events: tuple[float, e.Event]) -> list[e.Recorded]:
    return [
        e.Recorded(number, round(at_s * SECOND), 0, NODE, RUN, event.stream, number, event, None, "1", "actor")
        for number, (at_s, event) in enumerate(events, 1)
    ]


def found(
    stretches: Sequence[tuple[float, float]], events: Sequence[e.Recorded], begin: float = 0, end: float = 100
) -> list[tuple[float, float, str, int | None]]:
    spans = [(round(a * SECOND), round(b * SECOND)) for a, b in stretches]
    made = gaps(spans, events, round(begin * SECOND), round(end * SECOND), FAR)
    return [(gap.began_ns / SECOND, gap.ended_ns / SECOND, gap.reason.code, gap.seq) for gap in made]


RESUMED = e.RecordingResumed(GATE, RecordingId("b"), 9.0)
STARTED = e.RecordingStarted(GATE, RecordingId("a"), RecordMode.ALWAYS)


def test_gap_has_the_interruption_that_made_it() -> None:
    """It is journaled some seconds later, or says itself when the video ended."""
    early = story((1, STARTED), (42, e.RecordingInterrupted(GATE, LOST)), (60, RESUMED))
    assert found([(0, 40), (60, 100)], early) == [(40, 60, "camera-lost", 2)]
    late = story((1, STARTED), (59, e.RecordingInterrupted(GATE, LOST, 40 * SECOND)), (60, RESUMED))
    assert found([(0, 40), (60, 100)], late) == [(40, 60, "camera-lost", 2)]


def test_each_gap_has_its_own_event() -> None:
    """Not that of an earlier gap, and not that of a later one."""
    events = story(
        (20, e.RecordingInterrupted(GATE, LOST)), (30, RESUMED), (50, e.RecordingStopped(GATE, OFF, 1.0)),
        (60, STARTED), (80, e.RecordingInterrupted(GATE, LOST)),
    )  # fmt: skip
    assert found([(0, 20), (30, 50), (60, 80)], events) == [
        (20, 30, "camera-lost", 1), (50, 60, "off", 3), (80, 100, "camera-lost", 5),
    ]  # fmt: skip


def test_gap_that_began_before_the_time_has_its_event() -> None:
    """The last one before it."""
    events = story((5, e.RecordingInterrupted(GATE, LOST)))
    assert found([(60, 100)], events, begin=50) == [(50, 60, "camera-lost", 1)]


def test_removed_files_are_a_gap_by_retention() -> None:
    """Nothing was interrupted then."""
    events = story((1, STARTED), (900, e.RecordingsExpired(GATE, 3, 1000, 0, 40 * SECOND, AGE)))
    assert found([(40, 100)], events, begin=10) == [(10, 40, "age", 2)]


def test_gap_without_an_event_says_so() -> None:
    """As before the first recording."""
    assert found([(40, 100)], story((40, STARTED))) == [(0, 40, NEVER.code, None)]
    assert found([], []) == [(0, 100, NEVER.code, None)]


def test_border_of_two_files_is_no_gap() -> None:
    """Nor is the second that is being written now, nor the future."""
    assert found([(0, 50), (50.5, 100)], []) == []
    now = 100 * SECOND
    assert gaps([(0, now - WRITING_NS)], [], 0, FAR, now, is_recorded=True) == []
    (gap,) = gaps([(0, now - WRITING_NS)], [], 0, FAR, now)
    assert attrs.astuple(gap)[:2] == (now - WRITING_NS, now)
