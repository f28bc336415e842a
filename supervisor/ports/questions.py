"""Questions to a journal: a filter of its events, and a place in it as people write it."""

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal

import attrs

from ..base.times import Zone
from ..domain.ids import CameraId

NEVER = 2**62
"""Greater than every sequence number and every time."""
FORMS = "2026-01-31T03:10, 03:10 on the day of the journal's end, yesterday 03:10, 10m for ten minutes ago"
_AGO = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)\s*(s|m|h|d)(?:\s+ago)?")
_CLOCK = re.compile(
    r"(?:(today|yesterday)(?:[ T]|$))?(?:(\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)(Z|[+-]\d{2}:\d{2})?)?"
)
_NUMBER = re.compile(r"#?(\d{1,18})")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@attrs.frozen
class Query:
    """A filter of events. A criterion that is not set matches everything.

    The sequence numbers `after` and `before` are exclusive; the wall times `since_ns` and `until_ns` are inclusive.
    A `camera` matches the events of the camera, its children and its peers. The fields `types`, `stream` and
    `principals` are globs; `streams` are names, of which an event has one.
    """

    after: int = 0
    before: int = NEVER
    camera: CameraId | None = None
    types: Sequence[str] = ()
    stream: str | None = None
    correlation: str | None = None
    principal: str | None = None
    principals: Sequence[str] = ()
    streams: Sequence[str] = ()
    since_ns: int = 0
    until_ns: int = NEVER


@attrs.frozen
class At:
    """A place in a journal as people write it: the number of an event, or a time."""

    seq: int | None = None
    text: str = ""
    ago_ns: int | None = None
    clock: str = ""
    """Time of day in ISO 8601; empty for a whole day."""
    day: Literal["", "today", "yesterday"] | date = ""
    """The day; empty for that of the journal's end."""
    offset: Zone = None
    """The zone in the text, if any."""


def parse(text: str) -> At:
    """Parse a place in one of the forms of `FORMS`, or `#` and a number. Raises `ValueError`."""
    text = text.strip()
    if match := _NUMBER.fullmatch(text):
        return At(seq=int(match[1]))
    if match := _AGO.fullmatch(text):
        return At(text=text, ago_ns=int(float(match[1]) * _UNIT_S[match[2]] * 1e9))
    if text and (match := _CLOCK.fullmatch(text)):
        hours, _, rest = (match[2] or "").partition(":")
        clock = f"{int(hours):02}:{rest}" if hours else ""
        parsed = datetime.fromisoformat(f"2000-01-01T{clock or '00:00'}{match[3] or ''}")
        return At(text=text, clock=clock, day=match[1] or "", offset=parsed.tzinfo)  # type: ignore[arg-type]
    parsed = datetime.fromisoformat(text)
    whole_day = parsed.tzinfo is None and len(text) <= 10
    decimals = re.search(r"[.,](\d{1,9})", text)
    clock = parsed.strftime("%H:%M:%S") + (f".{decimals[1]}" if decimals else "")
    return At(text=text, clock="" if whole_day else clock, day=parsed.date(), offset=parsed.tzinfo)
