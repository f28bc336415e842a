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
from ..printable import json_text, printable, printable_styled

BAD_INPUT = 2
LEAST_TOLD = 16
"""Hex digits of a digest that are enough to compare it."""
LARGEST = 2**62
COLOURS = {Severity.NOTICE: "green", Severity.WARNING: "yellow", Severity.ERROR: "red"}
_AGO = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)\s*(s|m|h|d)")
_TODAY = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
_NUMBER = re.compile(r"#?(\d{1,18})")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
clean = printable
"""For words of children, names and notes, which may be anything, before they are coloured or put into a line."""


def fail(lines: str | Iterable[str]) -> NoReturn:
    """Say what is wrong on stderr, and exit with 2."""
    for line in [lines] if isinstance(lines, str) else lines:
        say(f"banken: {clean(line)}", err=True)
    sys.exit(BAD_INPUT)


def say(text: str, *, err: bool = False) -> None:
    """Print a line, or several: the one way in which a command prints. Colours pass, other controls do not."""
    click.echo(printable_styled(text), err=err)


def say_json(value: object) -> None:
    """Print one line of JSON."""
    click.echo(json_text(value))


def say_progress(text: str) -> None:
    """A line that replaces the one before it, on a terminal; nothing elsewhere. Empty text removes it."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{printable(text)}\r", nl=False, err=True)


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


def spoken(digest: str) -> str:
    """A digest in groups of four, as it can be read out."""
    return " ".join(digest[at : at + 4] for at in range(0, len(digest), 4))


class Digest(click.ParamType[str]):
    """A digest as it is read out: hex digits, in groups or not; its beginning is enough."""

    name = "digest"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        digits = re.sub(r"[\s:.-]", "", str(value)).lower()
        if not re.fullmatch(rf"[0-9a-f]{{{LEAST_TOLD},64}}", digits):
            self.fail(f"a digest has {LEAST_TOLD} to 64 hex digits; groups of them may stand apart", param, ctx)
        return digits
