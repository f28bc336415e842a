"""Retention of recordings, as a pure function."""

import attrs
from hypothesis import given
from hypothesis import strategies as st

from actors.media.media import CLOCK_RATE
from actors.recorder.index import IndexedFile
from actors.recorder.retention import DAY_S, Expendable, Keep, Pinned, expendable

DAY_NS = DAY_S * 10**9
NOW = 1_800_000_000 * 10**9
KEEP = Keep(14 * DAY_S, 30 * DAY_S)


def row(days: float, camera: str = "gate", size: int = 100, *, eventful: bool = False) -> IndexedFile:
    """A file of a minute that began so many days ago."""
    return IndexedFile(camera, NOW - int(days * DAY_NS), 1, "0" * 16, 60 * CLOCK_RATE, size, b"", b"", eventful)


def remove(rows: list[IndexedFile], *pins: Pinned, excess: int = 0, now_ns: int = NOW, most: int = 256) -> Expendable:
    rows = sorted(rows, key=lambda row: row.began_ns)
    return expendable(rows, pins, KEEP, {"short": Keep(DAY_S, DAY_S)}, excess, NOW, now_ns, most)


def test_age_depends_on_events_and_on_the_camera() -> None:
    """A camera may have another rule."""
    gone = [row(15), row(31, eventful=True), row(2, "short")]
    kept = [row(13), row(29, eventful=True), row(2), row(0.5, "short")]
    assert set(remove(gone + kept).aged) == set(gone)
    assert remove(gone + kept).displaced == ()


def test_full_archive_loses_the_oldest_without_events_first() -> None:
    """Then the oldest with events; and no more than is needed."""
    rows = [row(5), row(4), row(6, eventful=True), row(1, eventful=True)]
    assert remove(rows, excess=150).displaced == (rows[0], rows[1])
    assert remove(rows, excess=250).displaced == (rows[0], rows[1], rows[2])
    assert remove(rows, excess=0).displaced == ()


def test_pinned_files_stay() -> None:
    """At any age, also in a full archive; only those of the pin's camera and time."""
    old = row(100)
    pin = Pinned("gate", old.began_ns + 10**9, old.began_ns + 2 * 10**9)
    assert remove([old, row(100, "yard")], pin, excess=10**9).rows == (row(100, "yard"),)
    assert remove([old], attrs.evolve(pin, to_ns=old.began_ns, from_ns=0)).rows == (old,)


def test_clock_that_is_far_ahead_removes_nothing_younger() -> None:
    """It may be wrong for a minute."""
    rows = [row(12), row(0.1)]
    assert remove(rows, now_ns=NOW + 1000 * DAY_NS).rows == ()


ROWS = st.lists(
    st.builds(
        row, st.floats(0, 60), st.sampled_from(["gate", "yard", "short"]), st.integers(1, 1000), eventful=st.booleans()
    ),
    max_size=40,
    unique=True,
)
PINS = st.lists(
    st.builds(Pinned, st.sampled_from(["gate", "yard"]), st.integers(NOW - 60 * DAY_NS, NOW), st.just(NOW)), max_size=3
)


@given(rows=ROWS, pins=PINS, excess=st.integers(-1000, 20_000), most=st.integers(1, 50))
def test_properties(rows: list[IndexedFile], pins: list[Pinned], excess: int, most: int) -> None:
    """Nothing pinned goes; what goes is enough, or everything else; a second call finds nothing more."""
    gone = remove(rows, *pins, excess=excess, most=most)
    assert len(gone.rows) == len(set(gone.rows)) <= most
    assert not any(pin.covers(each) for pin in pins for each in gone.rows)
    free = [each for each in rows if not any(pin.covers(each) for pin in pins)]
    if len(gone.rows) < most:
        assert sum(each.size for each in gone.rows) >= excess or set(gone.rows) == set(free)
    left = [each for each in rows if each not in gone.rows]
    if len(gone.rows) < most:
        again = remove(left, *pins, excess=excess - sum(each.size for each in gone.rows))
        assert again.rows == ()
    for each in gone.displaced:
        assert not any(
            other.began_ns < each.began_ns and not other.eventful
            for other in left
            if other in free and not each.eventful
        )
