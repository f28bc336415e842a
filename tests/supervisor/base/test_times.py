"""Times as text: one form for people, one for programs."""

from datetime import UTC, timedelta, timezone

import pytest

from supervisor.base.times import Zone, iso, shown, whole_ms

AT = 1_767_593_419_123_999_999
BERN = timezone(timedelta(hours=1))


@pytest.mark.parametrize(("zone", "text"), [(UTC, "2026-01-05 06:10:19.123Z"), (BERN, "2026-01-05 07:10:19.123+01:00")])
def test_time_shows_its_zone_and_is_not_rounded_up(zone: Zone, text: str) -> None:
    """A time that was rounded up would be after the event, or on the next day."""
    assert shown(AT, zone) == text


def test_time_for_programs_is_iso_8601_in_utc() -> None:
    """By default in UTC with milliseconds; more or fewer digits where a caller wants them."""
    assert iso(AT) == "2026-01-05T06:10:19.123Z"
    assert iso(AT, timespec="microseconds") == "2026-01-05T06:10:19.123999Z"
    assert iso(AT, BERN, "seconds") == "2026-01-05T07:10:19+01:00"


@pytest.mark.parametrize(("wall_ns", "whole"), [(AT, 1_767_593_419_123_000_000), (0, 0), (-1, -1_000_000)])
def test_whole_milliseconds_are_rounded_down(wall_ns: int, whole: int) -> None:
    """Also before the epoch."""
    assert whole_ms(wall_ns) == whole
