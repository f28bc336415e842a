"""Parses times as people write them, and finds their places in a journal. All commands and the API use this module.

Rules of this file:
- A clock time without a date is on the day of the journal's end, in the zone in which times are printed. While a daemon
  writes to the journal, its end is now: nothing has happened since the last event.
- A time outside the journal is rejected with the span of the journal. So is a time at which no daemon ran.
- An event within the batch that closes what a dead run left open is rejected, because the state there shows that run
  as still active.
- A local time that a change of the clock skips or repeats is rejected with both readings.
- If the clock was set back, a stretch is the part between two events, by their numbers.
- A time covers the range of its last digit: a second with three decimals covers a millisecond. A date covers a day.
"""

import time
from datetime import date, datetime, timedelta
from typing import NamedTuple

import attrs

from ..base.times import Zone, local, shown
from ..domain.errors import Refusal, Rejected
from ..domain.events import Recorded, RunAbandoned, RunEnded, RunStarted
from ..ports.past import Closure, Silence
from ..ports.questions import NEVER, At, Query
from .lock import is_used
from .reader import Reader

LATE_NS = 5_000_000_000
"""How far a time may be ahead of the clock of a running daemon, because the clock of a browser differs."""
ROUNDED_NS = 2_000_000
"""How far a time may be after the last event, because a page counts milliseconds."""


def _event(reader: Reader, seq: int) -> Recorded | None:
    found = reader.page(Query(after=seq - 1, before=seq + 1), 1)
    return found[0] if found else None


class Interval(NamedTuple):
    """The range that a written time covers, in nanoseconds since the epoch, both ends inclusive."""

    begin_ns: int
    end_ns: int
    is_day: bool


def interval(at: At, zone: Zone, last_ns: int, now_ns: int) -> Interval:
    """The range of time that `at` covers; `last_ns` is the journal's end.

    Raises `Rejected` for a time that does not exist, or exists twice.
    """
    try:
        if at.ago_ns is not None:
            return _bounded(now_ns - at.ago_ns, now_ns - at.ago_ns)
        zone = at.offset or zone
        day = at.day if isinstance(at.day, date) else _day(last_ns if at.day == "" else now_ns, zone)
        if at.day == "yesterday":
            day -= timedelta(days=1)
        if not at.clock:
            begin, end = (_midnight(day + timedelta(days=ahead), zone) for ahead in (0, 1))
            return _bounded(begin, end - 1, is_day=True)
        whole, _, decimals = at.clock.partition(".")
        begin = _instant(datetime.fromisoformat(f"{day}T{whole}"), zone) + int(decimals.ljust(9, "0"))
        return _bounded(begin, begin + (10 ** (9 - len(decimals)) if decimals else 1) - 1)
    except (OverflowError, OSError, ValueError):
        raise Rejected(Refusal.INVALID, f"{at.text[:40]!r} is not a time") from None


def _day(wall_ns: int, zone: Zone) -> date:
    return local(wall_ns, zone).date()


def _bounded(begin_ns: int, end_ns: int, *, is_day: bool = False) -> Interval:
    return Interval(min(max(0, begin_ns), NEVER), min(max(0, end_ns), NEVER), is_day)


def _midnight(day: date, zone: Zone) -> int:
    """The beginning of a day, also if its first hour is skipped or repeated."""
    return _ns(datetime(day.year, day.month, day.day, tzinfo=zone))


def _instant(naive: datetime, zone: Zone) -> int:
    """Nanoseconds since the epoch. Raises `Rejected` for a local time that exists twice, or not at all."""
    first, second = (_ns(naive.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    if first == second:
        return first
    how = "exists twice" if first < second else "does not exist"
    one, other = (shown(ns, zone, "seconds") for ns in sorted((first, second)))
    text = f"{naive.isoformat(' ')} {how}: the clock is changed then; write {one} or {other}"
    raise Rejected(Refusal.INVALID, text)


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 10**9


@attrs.frozen
class JournalExtent:
    """The extent of a journal: its first and its last event, and their times."""

    first: int
    last: int
    first_ns: int
    last_ns: int
    zone: Zone

    def __str__(self) -> str:
        begin, end = (shown(ns, self.zone) for ns in (self.first_ns, self.last_ns))
        return f"the journal spans #{self.first} ({begin}) to #{self.last} ({end})"

    def refuse(self, asked: str) -> Rejected:
        return Rejected(Refusal.UNKNOWN, f"there is no data for {asked}; {self}")


def span_of(reader: Reader, zone: Zone) -> JournalExtent:
    """The extent of a journal. Raises `Rejected` for a journal without an event, and `JournalError`."""
    first, last = reader.bounds()
    ends = (*reader.page(limit=1), *reader.page(limit=1, newest=True))
    if not ends:
        raise Rejected(Refusal.UNKNOWN, "the journal is empty")
    return JournalExtent(first, last, ends[0].wall_ns, ends[-1].wall_ns, zone)


def _known(reader: Reader, span: JournalExtent, now_ns: int, running: bool) -> tuple[int, int]:
    """The first and the last instant that the journal covers, in this order, also if the clock was set back.

    While a daemon writes to the journal, the last instant is now: nothing has happened since the last event.
    """
    begin_ns, end_ns = sorted((span.first_ns, span.last_ns))
    running = running or is_running(reader)
    return begin_ns, max(end_ns, now_ns) if running else end_ns


def is_running(reader: Reader) -> bool:
    """Whether a daemon writes to the journal now, according to its lock. Raises `JournalError`."""
    last = reader.page(limit=1, newest=True)
    ended = not last or isinstance(last[0].event, RunEnded)
    return not ended and reader.path.is_dir() and is_used(reader.path)


class Place(NamedTuple):
    """An instant, and the last event at or before it."""

    seq: int
    wall_ns: int


def closure_of(reader: Reader, event: Recorded) -> Closure | None:
    """The closure that an event belongs to; None for any other event, and for the start of the next run, which ends it.

    All events of a closure follow from the first, `RunAbandoned`.
    """
    first = event if event.cause is None else _event(reader, event.cause)
    if first is None or not isinstance(first.event, RunAbandoned) or isinstance(event.event, RunStarted):
        return None
    started = reader.page(Query(after=event.seq, types=(RunStarted.__name__,)), 1)
    after = started[0] if started and started[0].run == event.run else event
    return Closure(_event(reader, first.seq - 1) or first, after)


def silence_at(reader: Reader, place: Place) -> Silence | None:
    """The stretch without a daemon, or the closure, that contains `place`; None if a daemon ran."""
    before = _event(reader, place.seq)
    if before is not None and (closure := closure_of(reader, before)) is not None:
        return closure
    following = reader.page(Query(after=place.seq), 1)
    if before is None or not following or before.wall_ns >= place.wall_ns or following[0].run == before.run:
        return None
    return Silence(before, following[0])


def find(reader: Reader, at: At | None, zone: Zone, *, across: bool = False, running: bool = False) -> Place:
    """The place that `at` means; the last event if `at` is missing. `running`: a daemon is known to write to it.

    Raises `Rejected` for a time outside the journal. Without `across`, it raises it also for a time at which no daemon
    ran, and between the events that close what a dead run left open. Raises `JournalError`.
    """
    now_ns = time.time_ns()
    span = span_of(reader, zone)
    if at is None:
        return Place(span.last, span.last_ns)
    if at.seq is not None:
        if not span.first - 1 <= at.seq <= span.last:
            raise Rejected(Refusal.UNKNOWN, f"there is no event #{at.seq}; {span}")
        found = _event(reader, at.seq)
        if found is not None and not across and (closure := closure_of(reader, found)) is not None:
            raise Rejected(Refusal.UNKNOWN, f"after event #{at.seq}, {closure.words(zone)}")
        return Place(at.seq, span.first_ns if found is None else found.wall_ns)
    since_ns, until_ns = _known(reader, span, now_ns, running)
    asked = interval(at, zone, until_ns, now_ns)
    wall_ns = max(asked.begin_ns, min(since_ns, asked.end_ns)) if asked.is_day else asked.end_ns
    late_ns = LATE_NS if until_ns > span.last_ns else ROUNDED_NS
    if wall_ns < since_ns or asked.begin_ns > until_ns + late_ns:
        raise span.refuse(_words(at, asked.begin_ns, zone))
    wall_ns = min(wall_ns, until_ns)
    place = Place(min(reader.seq_at(wall_ns), span.last), wall_ns)
    silence = None if across else silence_at(reader, place)
    if silence is not None:
        raise Rejected(Refusal.UNKNOWN, f"{_words(at, asked.begin_ns, zone)}: {silence.words(zone)}")
    return place


def _words(at: At, wall_ns: int, zone: Zone) -> str:
    """A time as it was parsed."""
    return shown(wall_ns, zone) if 0 < wall_ns < NEVER else at.text[:40]


class Stretch(NamedTuple):
    """A part of a journal, by numbers of events and by times, both ends inclusive."""

    first: int
    last: int
    since_ns: int
    until_ns: int

    @property
    def events(self) -> tuple[int, int]:
        return self.first, self.last


def find_stretch(reader: Reader, since: At | None, until: At | None, zone: Zone, *, running: bool = False) -> Stretch:
    """The covered part between two places. Without `since` it begins with the journal.

    Without `until` it ends with the journal, which is now while a daemon runs. Two times are compared as times; if one
    place is a number or missing, events are compared by their numbers.

    Raises `Rejected` if the journal covers no part of that time or no daemon ran then, and `JournalError`.
    """
    now_ns = time.time_ns()
    span = span_of(reader, zone)
    first_ns, last_ns = _known(reader, span, now_ns, running)
    begin_ns, end_ns = first_ns, last_ns
    if since is not None:
        begin_ns = _edge(reader, since, span, last_ns, now_ns).begin_ns
    if until is not None:
        end_ns = _edge(reader, until, span, last_ns, now_ns).end_ns
    since_is_time, until_is_time = (at is not None and at.seq is None for at in (since, until))
    by_time = since_is_time and until_is_time
    begin, end = (shown(ns, zone) for ns in (begin_ns, end_ns))
    if by_time and begin_ns > end_ns:
        raise Rejected(Refusal.INVALID, f"the beginning ({begin}) is after the end ({end})")
    if (since_is_time and begin_ns > last_ns) or (until_is_time and end_ns < first_ns):
        raise span.refuse("that time")
    begin_ns = max(begin_ns, first_ns) if since_is_time else begin_ns
    end_ns = min(end_ns, last_ns) if until_is_time else end_ns
    first, last = span.first, span.last
    if since is not None:
        first = since.seq or max(first, reader.seq_at(begin_ns - 1) + 1)
    if until is not None:
        last = until.seq or min(reader.seq_at(end_ns), last)
    if since is not None and until is not None and not by_time and first > last:
        raise Rejected(Refusal.INVALID, f"the beginning (#{first}, {begin}) is after the end (#{last}, {end})")
    if not by_time:
        begin_ns, end_ns = sorted((begin_ns, end_ns))
    if first > last and (silence := silence_at(reader, Place(last, end_ns))) is not None:
        raise Rejected(Refusal.UNKNOWN, silence.words(zone))
    return Stretch(first, last, begin_ns, end_ns)


def _edge(reader: Reader, at: At, span: JournalExtent, last_ns: int, now_ns: int) -> Interval:
    if at.seq is None:
        return interval(at, span.zone, last_ns, now_ns)
    if not span.first <= at.seq <= span.last:
        raise Rejected(Refusal.UNKNOWN, f"there is no event #{at.seq}; {span}")
    found = _event(reader, at.seq)
    if found is None:
        raise Rejected(Refusal.UNKNOWN, f"event #{at.seq} is not in the journal: it was lost, or is damaged")
    return Interval(found.wall_ns, found.wall_ns, False)
