"""Schedules of privacy: times of the week, in the local time of the machine. Pure but for the zone of the machine.

Rules of this file:
- A window begins on each of its days and lasts until its end, on the next day if that is not later.
- Where the clocks change, a window is as long as its texts can mean.
- Two windows that touch are one: a schedule changes at the ends of joined windows only.
"""

import re
from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache

import attrs

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
FORM = "HH:MM-HH:MM, with days in front if it is not each day: Sat-Sun 00:00-24:00"
WEEK = timedelta(days=7)
_WINDOW = re.compile(r"(?:(?P<days>[A-Za-z,-]+) +)?(\d{2}):(\d{2})-(\d{2}):(\d{2})", re.ASCII)
_BOTH_SIDES = 8
"""Days before and after today whose windows are looked at: everything repeats after a week."""


@attrs.frozen
class WeekTime:
    """A time that begins on some days of the week. `begin` and `end` are minutes since midnight of the first day."""

    days: frozenset[int]
    """0 is Monday."""
    begin: int
    end: int


@attrs.frozen
class ScheduleAnswer:
    """The answer of a schedule at one instant. Times are nanoseconds since the epoch."""

    private: bool
    since_ns: int | None
    """When that began; None if it was never different."""
    ends_ns: int | None
    """When a private time next ends; None if none does."""
    begins_ns: int | None
    """When a private time next begins; None if none does."""


def read_window(text: str) -> WeekTime:
    """The window of a text like `Mon-Fri 22:00-06:00`. Raises `ValueError`, which says what is wrong."""
    match = _WINDOW.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"must be {FORM}")
    hour, minute, end_hour, end_minute = map(int, match.groups()[1:])
    begin, end = hour * 60 + minute, end_hour * 60 + end_minute
    if begin >= 1440 or end > 1440 or minute > 59 or end_minute > 59:
        raise ValueError("has a time that no day has: from 00:00 to 23:59, or 24:00 as an end")
    if begin == end:
        raise ValueError("begins and ends at the same time; a whole day is 00:00-24:00")
    return WeekTime(_days(match["days"]), begin, end if end > begin else end + 1440)


def _days(text: str | None) -> frozenset[int]:
    if text is None:
        return frozenset(range(7))
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        begin, end = _day(first), _day(last if dash else first)
        found.update((begin + number) % 7 for number in range((end - begin) % 7 + 1))
    return frozenset(found)


def _day(name: str) -> int:
    if name.capitalize() not in DAYS:
        raise ValueError(f"names a day {name!r}; days are {', '.join(DAYS)}")
    return DAYS.index(name.capitalize())


def standing(texts: tuple[str, ...], now_ns: int, zone: tzinfo | None = None) -> ScheduleAnswer:
    """The answer of a schedule at `now_ns`, in the zone of the machine unless another is given."""
    now = now_ns / 1e9
    today = datetime.fromtimestamp(now, zone)
    times = _times(texts, today.date(), zone, today.astimezone(zone).tzname())
    far = WEEK.total_seconds() + 7200  # a time that is longer has neither a beginning nor an end
    inside = next(((begin, end) for begin, end in times if begin <= now < end), None)
    since = inside[0] if inside else max((end for _, end in times if end <= now), default=-far)
    ends = min((end for _, end in times if end > now), default=now + 2 * far)
    begins = min((begin for begin, _ in times if begin > now), default=now + 2 * far)
    return ScheduleAnswer(
        inside is not None,
        None if now - since > far else int(since * 1e9),
        None if ends - now > far else int(ends * 1e9),
        None if begins - now > far else int(begins * 1e9),
    )


@lru_cache(maxsize=256)
def _times(
    texts: tuple[str, ...], today: date, zone: tzinfo | None, name: str | None
) -> tuple[tuple[float, float], ...]:
    """The private times around `today`, joined, in seconds since the epoch. `name`: of the zone now."""
    windows = [read_window(text) for text in texts]
    found = []
    for number in range(-_BOTH_SIDES, _BOTH_SIDES + 1):
        day = today + timedelta(days=number)
        for window in windows:
            if day.weekday() in window.days:
                begin, end = _instants(day, window.begin, zone), _instants(day, window.end, zone)
                found.append((min(begin), max(end)))
    joined: list[tuple[float, float]] = []
    for begins, ends in sorted(found):
        if joined and begins <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], ends)
        else:
            joined.append((begins, ends))
    return tuple(joined)


def _instants(day: date, minutes: int, zone: tzinfo | None) -> tuple[float, float]:
    """The two instants that a local time can mean where the clocks change; twice the same one elsewhere."""
    days, minutes = divmod(minutes, 1440)
    at = datetime(day.year, day.month, day.day, minutes // 60, minutes % 60, tzinfo=zone) + timedelta(days=days)
    return at.timestamp(), at.replace(fold=1).timestamp()
