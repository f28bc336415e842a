"""Marks of detections: they wait until the files of their time are sealed, and are bounded."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.recorder.index import Index
from actors.recorder.marks import MOST, OLDEST_NS, EventMarks, joined

from .test_cutter import START_NS
from .test_index import MINUTE_NS, file


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(tmp_path)


def eventful(index: Index) -> list[bool]:
    return [row.eventful for row in index.files("gate", 0, 2**62)]


def test_mark_waits_for_the_file_that_grows(index: Index) -> None:
    """The sealed file has it at once, the growing one when it is sealed, and none that comes later."""
    marks = EventMarks()
    index.add([file(START_NS)])
    marks.note("gate", START_NS + MINUTE_NS - 5 * 10**9, START_NS + MINUTE_NS + 5 * 10**9)
    marks.apply(index, START_NS + MINUTE_NS, is_sealed=False)
    assert eventful(index) == [True]
    for number in (1, 2):
        index.add([file(START_NS + number * MINUTE_NS)])
        marks.apply(index, START_NS + (number + 1) * MINUTE_NS, is_sealed=True)
    assert eventful(index) == [True, True, False]


def test_mark_is_applied_once(index: Index) -> None:
    """A time that no file can overlap any more does not wait; nor one that is older than any file that grows."""
    marks = EventMarks()
    marks.note("gate", START_NS, START_NS + 1)
    index.add([file(START_NS), file(START_NS + MINUTE_NS)])
    marks.apply(index, START_NS + 2 * MINUTE_NS, is_sealed=True)
    index.add([file(START_NS)])  # a row that is replaced has no mark
    marks.apply(index, START_NS + 2 * MINUTE_NS, is_sealed=True)
    assert eventful(index) == [False, False]
    marks.note("yard", START_NS, START_NS + 1)
    marks.apply(index, START_NS + OLDEST_NS + MINUTE_NS, is_sealed=False)
    index.add([file(START_NS, "yard")])
    marks.apply(index, START_NS + OLDEST_NS + MINUTE_NS, is_sealed=True)
    assert [row.eventful for row in index.files("yard", 0, 2**62)] == [False]


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 50)), max_size=200))
def test_times_that_wait_are_bounded_and_cover_all(found: list[tuple[int, int]]) -> None:
    """For any detections in any order: at most `MOST`, in order, apart, and each detection is in one of them."""
    spans: list[tuple[int, int]] = []
    for from_ns, length in found:
        spans = joined([*spans, (from_ns, from_ns + length)])
        assert len(spans) <= MOST
    assert all(first[1] < second[0] for first, second in pairwise(spans))
    assert all(any(low <= at and at + length <= high for low, high in spans) for at, length in found)
