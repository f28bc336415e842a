"""What the commands have in common: failing with words, times as people write them, colours on a terminal only."""

import difflib
import re
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NoReturn

import attrs
import click

from ..domain.describe import Severity

BAD_INPUT = 2
LARGEST = 2**62
COLOURS = {Severity.NOTICE: "green", Severity.WARNING: "yellow", Severity.ERROR: "red"}
_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)")
_TODAY = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
_NUMBER = re.compile(r"#?(\d{1,18})")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def fail(lines: str | Iterable[str]) -> NoReturn:
    """Say what is wrong on stderr, and exit with 2."""
    for line in [lines] if isinstance(lines, str) else lines:
        click.echo(f"banken: {clean(line)}", err=True)
    sys.exit(BAD_INPUT)


def clean(text: str) -> str:
    """`text` as one line that does nothing to a terminal: words of children and names may be anything."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """`; did you mean X?` where something known is like it, or nothing."""
    like = difflib.get_close_matches(wrong, list(known), 1)
    return f"; did you mean {like[0]}?" if like else ""


def local(wall_ns: int, *, date: bool = True) -> str:
    """A time as the operator's clock shows it, with milliseconds."""
    moment = datetime.fromtimestamp(wall_ns / 1e9, UTC).astimezone().replace(tzinfo=None)
    return moment.isoformat(sep=" ", timespec="milliseconds")[0 if date else 11 :]


def parse_time(text: str) -> int:
    """Nanoseconds since the epoch, of ISO 8601, `10m` (ago), or `03:10` (today). Raises `ValueError`."""
    try:
        if match := _AGO.fullmatch(text):
            moment = time.time() - float(match[1]) * _UNIT_S[match[2]]
        elif match := _TODAY.fullmatch(text):
            now = datetime.now().astimezone().replace(tzinfo=None)
            today = now.replace(hour=int(match[1]), minute=int(match[2]), second=int(match[3] or 0), microsecond=0)
            moment = today.timestamp()
        else:
            moment = datetime.fromisoformat(text).timestamp()
        return min(max(0, int(moment * 1e9)), LARGEST)
    except OverflowError as error:
        raise ValueError(str(error)) from None


@attrs.frozen
class At:
    """A place in a journal: a time, or the number of an event."""

    wall_ns: int | None = None
    seq: int | None = None


class Moment(click.ParamType[At]):
    """A time: ISO 8601, `10m` for ten minutes ago, `03:10` of today; or the number of an event, `#123` or `123`."""

    name = "time|seq"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> At:
        if isinstance(value, At):
            return value
        text = str(value).strip()
        if match := _NUMBER.fullmatch(text):
            return At(seq=int(match[1]))
        try:
            return At(wall_ns=parse_time(text))
        except ValueError:
            forms = "2026-01-31T03:10, 03:10 for today, 10m for ten minutes ago, or #123 for an event"
            self.fail(f"{text[:40]!r} is no time; write {forms}", param, ctx)
