"""How long the room of an archive lasts."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.recorder.forecast import CameraFootage, forecast
from actors.recorder.retention import DAY_S, Keep, RetentionRules
from supervisor.ports.archives import ArchiveRoom

RULES = RetentionRules(Keep(14 * DAY_S, 30 * DAY_S))


def room(
    held: int = 500,
    new: Mapping[bool, int] | None = None,
    *,
    rules: RetentionRules = RULES,
    pinned: int = 0,
    budget: int = 1000,
    window_s: float = DAY_S,
) -> ArchiveRoom:
    footage = [CameraFootage("gate", held, 1, {False: 100} if new is None else new)]
    return forecast("recordings", footage, rules, pinned=pinned, other=0, budget=budget, window_s=window_s)


def test_days_left_are_those_until_the_budget_is_full() -> None:
    """At the rate of the last day, or of as much of it as was recorded."""
    assert (room().days_left, room().turns_over_days) == (5, None)
    assert room(window_s=DAY_S / 2).days_left == 2.5
    assert room(window_s=60).days_left is None
    assert room(new={}).days_left is None


def test_full_archive_turns_over() -> None:
    """The number of days is the age at which a file is removed that is not pinned."""
    assert (room(990).days_left, room(990).turns_over_days) == (None, 10)
    assert room(990, pinned=400).turns_over_days == 6


def test_archive_that_age_keeps_small_is_never_full() -> None:
    """It turns over by age, with events later; a limit of the camera counts."""
    assert (room(budget=1400).days_left, room(budget=1400).turns_over_days) == (None, 14)
    assert room(budget=1399).days_left == 8.99
    assert room(new={False: 10, True: 10}, budget=440).turns_over_days == 30
    assert room(100, rules=RetentionRules(RULES.keep, max_of={"gate": 700}), budget=700).days_left is None


def test_pins_that_leave_room_for_less_than_a_day_are_a_warning() -> None:
    """With what they hold; half of the room is what pins may have."""
    assert room(990, {False: 600}, pinned=500).warning == ""
    warned = room(990, {False: 600}, pinned=550).warning
    assert warned.startswith("pins hold 550 B of the 1000 B that archive recordings may have")
    assert "18 h" in warned
    assert room(990, pinned=900).warning == ""
    assert "0 ms" in room(2000, pinned=2000).warning or "0 s" in room(2000, pinned=2000).warning


@pytest.mark.parametrize("budget", [0, -5])
def test_archive_without_room(budget: int) -> None:
    """Others have taken all of it."""
    found = room(budget=budget)
    assert (found.budget_bytes, found.days_left, found.turns_over_days) == (0, None, 0)


@given(
    held=st.integers(0, 2000), new=st.integers(0, 500), pinned=st.integers(0, 2000), budget=st.integers(-10, 2000),
    window_s=st.floats(0, DAY_S),
)  # fmt: skip
def test_at_most_one_of_both_numbers_is_known(held: int, new: int, pinned: int, budget: int, window_s: float) -> None:
    """Neither is negative."""
    found = room(held, {False: new}, pinned=pinned, budget=budget, window_s=window_s)
    known = [each for each in (found.days_left, found.turns_over_days) if each is not None]
    assert len(known) == bool(found.day_bytes)
    assert all(each >= 0 for each in known)
