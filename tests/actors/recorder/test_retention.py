"""Retention of recordings, as a pure function."""

import attrs
from hypothesis import given
from hypothesis import strategies as st

from actors.media.media import CLOCK_RATE
from actors.recorder.index import IndexedFile
from actors.recorder.retention import (
    BEGIN_NS,
    DAY_NS,
    DAY_S,
    CarefulClock,
    Expendable,
    Keep,
    Pinned,
    RetentionRules,
    expendable,
    is_pinned,
    spans_of,
)

NOW = 1_800_000_000 * 10**9
RULES = RetentionRules(Keep(14 * DAY_S, 30 * DAY_S), None, {"short": Keep(DAY_S, DAY_S)})


def row(days: float, camera: str = "gate", size: int = 100, *, eventful: bool = False) -> IndexedFile:
    """A file of a minute that began so many days ago."""
    return IndexedFile(camera, NOW - int(days * DAY_NS), 1, "0" * 16, 60 * CLOCK_RATE, size, b"", b"", eventful)


def remove(
    rows: list[IndexedFile],
    *pins: Pinned,
    excess: int = 0,
    now_ns: int = NOW,
    most: int = 256,
    rules: RetentionRules = RULES,
) -> Expendable:
    rows = sorted(rows, key=lambda row: row.began_ns)
    used = {camera: sum(each.size for each in rows if each.camera == camera) for camera in ("gate", "yard", "short")}
    return expendable(rows, spans_of(pins), rules, excess, used, now_ns, most)


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


def test_camera_above_its_own_limit_loses_its_own_files() -> None:
    """Those of another camera stay, although they are older; what it loses counts for the whole archive."""
    rules = attrs.evolve(RULES, max_of={"gate": 150})
    rows = [row(9, "yard"), row(5), row(4, eventful=True), row(3)]
    assert remove(rows, rules=rules).displaced == (rows[1], rows[3])
    assert remove(rows, excess=200, rules=rules).displaced == (rows[1], rows[3])
    assert remove(rows, excess=201, rules=rules).displaced == (rows[1], rows[3], rows[0])


def test_pinned_files_stay() -> None:
    """At any age, also in a full archive; only those of the pin's camera and time."""
    old = row(100)
    pin = Pinned("gate", old.began_ns + 10**9, old.began_ns + 2 * 10**9)
    assert remove([old, row(100, "yard")], pin, excess=10**9).rows == (row(100, "yard"),)
    assert remove([old], attrs.evolve(pin, to_ns=old.began_ns, from_ns=0)).rows == (old,)
    assert remove([old], attrs.evolve(pin, from_ns=old.ended_ns, to_ns=NOW)).rows == (old,)


def test_lag_says_how_late_the_oldest_file_is() -> None:
    """It stays too long if more files are too old than may be removed at once."""
    assert remove([row(17), row(16), row(15)], most=2).lag_s == DAY_S - 60
    assert remove([row(17), row(13)]).lag_s == 0


def test_file_of_a_clock_that_was_not_set_is_not_removed_for_its_age() -> None:
    """It may be of this morning; room removes it."""
    unset = attrs.evolve(row(0), began_ns=BEGIN_NS - 40 * 365 * DAY_NS)
    assert remove([unset]).rows == ()
    assert remove([unset, row(1)], excess=1).displaced == (unset,)


def test_clock_is_believed_after_a_day() -> None:
    """A jump is believed when the clock has gone evenly for a day since, whatever was recorded in that time."""
    clock, minute = CarefulClock(), 60 * 10**9
    assert clock.read(NOW, 0, NOW) == NOW
    far = NOW + 1000 * DAY_NS
    assert clock.read(far, minute, far) == NOW + minute + DAY_NS
    assert clock.read(NOW + 2 * minute, 2 * minute, far) == NOW + 2 * minute
    for number in range(3, 24 * 60):
        last = clock.read(far + number * minute, number * minute, far)
        assert last <= NOW + number * minute + DAY_NS
    assert clock.read(far + 3 * DAY_NS, 3 * DAY_NS, far) == far + 3 * DAY_NS
    assert CarefulClock().read(0, 0, NOW) == 0
    assert CarefulClock().read(NOW, 0, 0) == NOW


CAMERAS = ["gate", "yard", "short"]
ROWS = st.lists(
    st.builds(row, st.floats(0, 60), st.sampled_from(CAMERAS), st.integers(1, 1000), eventful=st.booleans()),
    max_size=40,
    unique=True,
)
TIMES = st.integers(NOW - 60 * DAY_NS, NOW)
PINS = st.lists(
    st.builds(
        lambda camera, times: Pinned(camera, min(times), max(times)), st.sampled_from(CAMERAS), st.tuples(TIMES, TIMES)
    ),
    max_size=4,
)
LIMITED = st.builds(
    lambda limits: attrs.evolve(RULES, max_of=limits), st.dictionaries(st.sampled_from(CAMERAS), st.integers(0, 5000))
)
EXCESS = st.integers(-1000, 20_000)


def overlaps(pin: Pinned, each: IndexedFile) -> bool:
    return pin.camera == each.camera and pin.from_ns < each.ended_ns and each.began_ns < pin.to_ns


@given(rows=ROWS, pins=PINS)
def test_merged_pins_cover_what_each_covers(rows: list[IndexedFile], pins: list[Pinned]) -> None:
    """Times that touch are one; no file is pinned by two of them."""
    pins = [pin for pin in pins if pin.from_ns < pin.to_ns]
    for each in rows:
        assert is_pinned(each, spans_of(pins)) == any(overlaps(pin, each) for pin in pins)


@given(rows=ROWS, pins=PINS, excess=EXCESS, most=st.integers(1, 50), rules=LIMITED)
def test_properties(rows: list[IndexedFile], pins: list[Pinned], excess: int, most: int, rules: RetentionRules) -> None:
    """Nothing pinned goes; what goes is enough, or everything else; a second call finds nothing more."""
    gone = remove(rows, *pins, excess=excess, most=most, rules=rules)
    assert len(gone.rows) == len(set(gone.rows)) <= most
    assert set(gone.rows) <= set(rows)
    free = [each for each in rows if not is_pinned(each, spans_of(pins))]
    assert set(gone.rows) <= set(free)
    left = [each for each in rows if each not in gone.rows]
    if len(gone.rows) < most:
        freed = sum(each.size for each in gone.rows)
        assert freed >= excess or set(gone.rows) == set(free)
        for camera, limit in rules.max_of.items():
            of_camera = [each for each in left if each.camera == camera]
            assert sum(each.size for each in of_camera) <= limit or not set(of_camera) & set(free)
        assert remove(left, *pins, excess=excess - freed, rules=rules).rows == ()
        assert gone.lag_s == 0


@given(rows=ROWS, pins=PINS, excess=EXCESS)
def test_within_a_class_the_oldest_go_first(rows: list[IndexedFile], pins: list[Pinned], excess: int) -> None:
    """And those without events before those with events."""
    gone = remove(rows, *pins, excess=excess)
    free = [each for each in rows if not is_pinned(each, spans_of(pins))]
    for each in gone.displaced:
        for other in free:
            if other not in gone.rows:
                assert (each.eventful, each.began_ns) <= (other.eventful, other.began_ns)


@given(rows=ROWS, pins=PINS, more=PINS, excess=EXCESS)
def test_more_pins_keep_more(rows: list[IndexedFile], pins: list[Pinned], more: list[Pinned], excess: int) -> None:
    """No file is removed for its age because something else is pinned, and none that was pinned before."""
    before, after = remove(rows, *pins, excess=excess), remove(rows, *pins, *more, excess=excess)
    assert set(after.aged) <= set(before.aged)
    assert not any(overlaps(pin, each) for pin in pins for each in after.rows if pin.from_ns < pin.to_ns)


@given(rows=ROWS, days=st.one_of(st.floats(-20_000, 10_000)), minutes=st.integers(0, 24 * 60 - 1))
def test_wrong_clock_costs_nothing_younger_than_a_day(rows: list[IndexedFile], days: float, minutes: int) -> None:
    """Whenever it jumps, and wherever to: what is removed would be too old a day later by the right clock."""
    clock, later = CarefulClock(), minutes * 60 * 10**9
    clock.read(NOW, 0, NOW)
    wrong = clock.read(max(0, NOW + int(days * DAY_NS)), later, NOW)
    assert set(remove(rows, now_ns=wrong).aged) <= set(remove(rows, now_ns=NOW + later + DAY_NS).aged)
    if days < -1:
        assert set(remove(rows, now_ns=wrong).aged) <= set(remove(rows).aged)
