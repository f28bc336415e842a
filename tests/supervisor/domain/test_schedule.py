"""Schedules of privacy: what a text means, and what a schedule says at an instant, also where the clocks change."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from supervisor.domain.schedule import ScheduleAnswer, read_window, standing

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = ("22:00-06:00",)


def at(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("text", "days", "begin", "end"),
    [
        ("22:00-06:00", "0123456", 1320, 1800),
        ("Sat-Sun 00:00-24:00", "56", 0, 1440),
        ("fri-MON 08:30-09:00", "4560", 510, 540),
        ("Mon,Wed-Thu 23:59-00:00", "023", 1439, 1440),
    ],
)
def test_text_names_days_and_times(text: str, days: str, begin: int, end: int) -> None:
    """An end that is not later is on the next day."""
    window = read_window(text)
    assert (window.days, window.begin, window.end) == (frozenset(map(int, days)), begin, end)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("22-6", "must be HH:MM-HH:MM"),
        ("", "must be HH:MM-HH:MM"),
        ("22:00-06:00 Mon", "must be HH:MM-HH:MM"),
        ("25:00-26:00", "a time that no day has"),
        ("24:00-25:00", "a time that no day has"),
        ("22:60-23:00", "a time that no day has"),
        ("22:00-24:01", "a time that no day has"),
        ("12:00-12:00", "begins and ends at the same time"),
        ("Mon-Fryday 12:00-13:00", "names a day 'Fryday'"),
        ("Mon- 12:00-13:00", "names a day ''"),
        ("Mo 12:00-13:00", "names a day 'Mo'"),
    ],
)
def test_wrong_text_is_refused_with_its_fault(text: str, why: str) -> None:
    """The operator reads it beside the line of the file."""
    with pytest.raises(ValueError, match=why):
        read_window(text)


def test_schedule_of_the_night_says_when_it_changes() -> None:
    """At noon, in the evening, after midnight, and at both ends."""
    day = standing(NIGHT, at("2026-11-18T12:00"), BERLIN)
    assert day == ScheduleAnswer(False, at("2026-11-18T06:00"), at("2026-11-19T06:00"), at("2026-11-18T22:00"))
    for text in ("2026-11-18T22:00", "2026-11-18T23:00", "2026-11-19T05:59"):
        night = standing(NIGHT, at(text), BERLIN)
        assert night == ScheduleAnswer(True, at("2026-11-18T22:00"), at("2026-11-19T06:00"), at("2026-11-19T22:00"))
    assert not standing(NIGHT, at("2026-11-19T06:00"), BERLIN).private


def test_windows_that_touch_are_one() -> None:
    """From Friday evening until Monday morning nothing changes."""
    both = (*NIGHT, "Sat-Sun 00:00-24:00")
    for text in ("2026-11-20T22:00", "2026-11-21T12:00", "2026-11-22T23:00", "2026-11-23T05:00"):
        said = standing(both, at(text), BERLIN)
        assert (said.private, said.since_ns, said.ends_ns) == (True, at("2026-11-20T22:00"), at("2026-11-23T06:00"))


def test_schedule_of_the_whole_week_never_changes() -> None:
    """It has neither a beginning nor an end."""
    assert standing(("00:00-24:00",), at("2026-11-18T12:00"), BERLIN) == ScheduleAnswer(True, None, None, None)


def test_schedule_of_one_day_knows_its_time_of_a_week_ago() -> None:
    """Just before it begins again."""
    said = standing(("Mon 08:00-09:00",), at("2026-11-23T07:59"), BERLIN)
    assert (said.since_ns, said.begins_ns) == (at("2026-11-16T09:00"), at("2026-11-23T08:00"))


@pytest.mark.parametrize(
    ("text", "fold", "private"),
    [("2026-03-29T01:29", 0, False), ("2026-03-29T01:30", 0, True), ("2026-03-29T03:00", 0, True),
     ("2026-03-29T03:29", 0, True), ("2026-03-29T03:30", 0, False), ("2026-10-25T01:59", 0, False),
     ("2026-10-25T02:30", 0, True), ("2026-10-25T02:29", 1, True), ("2026-10-25T03:29", 0, True)],
)  # fmt: skip
def test_window_is_as_long_as_its_texts_can_mean_where_the_clocks_change(text: str, fold: int, private: bool) -> None:
    """02:30 does not exist on the one day, and comes twice on the other."""
    assert standing(("02:30-03:30",), at(text, fold=fold), BERLIN).private is private


def test_another_zone_has_other_times() -> None:
    """The same instant is in the night of Tokyo, and in the afternoon of Berlin."""
    now_ns = at("2026-11-18T15:00")
    assert not standing(NIGHT, now_ns, BERLIN).private
    assert standing(NIGHT, now_ns, ZoneInfo("Asia/Tokyo")).private
