"""Common to all commands: failing with words, times as people write them, colours on a terminal only."""

import difflib
import re
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NoReturn

import click
import msgspec

from ..base import times
from ..base.printable import json_text, printable, printable_styled
from ..base.times import Zone, iso, shown
from ..domain.core import Severity
from ..ports.questions import FORMS, At, parse

BAD_INPUT = 2
MIN_DIGEST_DIGITS = 16
"""Hex digits of a digest that are enough to compare it."""
COLOURS = {Severity.NOTICE: "green", Severity.WARNING: "yellow", Severity.ERROR: "red"}
_ZONE = f"{__name__}.zone"
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
    """Print one line of JSON, with ISO 8601 times."""
    click.echo(json_text(timed(value)))


def say_progress(text: str) -> None:
    """A line that replaces the one before it, on a terminal; nothing elsewhere. Empty text removes it."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{printable(text)}\r", nl=False, err=True)


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """`; did you mean X?` where something known is like it, or nothing."""
    like = difflib.get_close_matches(wrong, list(known), 1)
    return f"; did you mean {like[0]}?" if like else ""


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """End the block by `SystemExit` with 128 and the number of a SIGINT, SIGTERM or SIGHUP, so that its cleanup runs.

    Only the first one counts: nothing interrupts the cleanup. A signal that is ignored stays so, as under nohup.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers if signal.getsignal(number) != signal.SIG_IGN}

    def end(number: int, _: object) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        sys.exit(128 + number)

    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


UTC_OPTION = click.option(
    "--utc", is_flag=True, expose_value=False, is_eager=True, help="Read and print times in UTC.",
    callback=lambda ctx, param, value: ctx.meta.update({_ZONE: UTC if value else None}),
)  # fmt: skip
"""For every command that reads or prints times."""


def zone() -> Zone:
    """The zone in which this command reads and prints times."""
    ctx = click.get_current_context(silent=True)
    return None if ctx is None else ctx.meta.get(_ZONE)


def local(wall_ns: int) -> str:
    """A time as the operator's clock shows it, with milliseconds and offset."""
    return shown(wall_ns, zone())


def local_time(wall_ns: int) -> datetime:
    """The same, as a time."""
    return times.local(wall_ns, zone())


def timed(value: Any) -> Any:
    """`value` for JSON, with an ISO 8601 time beside each `…_ns`: `time` for `wall_ns`, `since` for `since_ns`.

    None for 0, for none, and for a number that is no time. A monotonic clock is no time.
    """
    found, where = msgspec.to_builtins(value), zone()
    _add_times(found, where)
    return found


def _add_times(value: Any, where: Zone) -> None:
    if isinstance(value, dict):
        for name, held in list(value.items()):
            if isinstance(name, str) and name.endswith("_ns") and name != "mono_ns":
                if held is None or isinstance(held, int):
                    value.setdefault("time" if name == "wall_ns" else name.removesuffix("_ns"), _iso(held, where))
                    continue
            _add_times(held, where)
    elif isinstance(value, list):
        for held in value:
            _add_times(held, where)


def _iso(wall_ns: int | None, where: Zone) -> str | None:
    try:
        return iso(wall_ns, where, "microseconds") if wall_ns else None
    except (OverflowError, ValueError, OSError):
        return None  # a journal that somebody else made


class TimeOrSeq(click.ParamType[At]):
    """A time, as `ports.questions.FORMS` says; or the number of an event, `#123` or `123`."""

    name = "time|seq"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> At:
        if isinstance(value, At):
            return value
        try:
            return parse(str(value))
        except ValueError:
            self.fail(f"{str(value)[:40]!r} is not a time; write {FORMS}, or #123 for an event", param, ctx)


def spoken(digest: str) -> str:
    """A digest in groups of four, as it can be read out."""
    return " ".join(digest[at : at + 4] for at in range(0, len(digest), 4))


class Digest(click.ParamType[str]):
    """A digest as it is read out: hex digits, in groups or not; its beginning is enough."""

    name = "digest"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        digits = re.sub(r"[\s:.-]", "", str(value)).lower()
        if not re.fullmatch(rf"[0-9a-f]{{{MIN_DIGEST_DIGITS},64}}", digits):
            self.fail(f"a digest has {MIN_DIGEST_DIGITS} to 64 hex digits; groups of them may stand apart", param, ctx)
        return digits
