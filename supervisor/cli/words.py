"""What the commands have in common: failing with words, times as people write them, colours on a terminal only."""

import re
import sys
import time
from collections.abc import Iterable
from datetime import datetime
from typing import NoReturn

import click

BAD_INPUT = 2
_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def fail(lines: str | Iterable[str]) -> NoReturn:
    """Say what is wrong on stderr, and exit with 2."""
    for line in [lines] if isinstance(lines, str) else lines:
        click.echo(f"banken: {line}", err=True)
    sys.exit(BAD_INPUT)


class Moment(click.ParamType[int]):
    """A time: ISO 8601, or `10m` for ten minutes ago. Becomes nanoseconds since the epoch."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        text = str(value).strip()
        try:
            if match := _AGO.fullmatch(text):
                moment = time.time() - float(match[1]) * _UNIT_S[match[2]]
            else:
                moment = datetime.fromisoformat(text).timestamp()
            return min(max(0, int(moment * 1e9)), 2**62)
        except (ValueError, OverflowError):
            self.fail(f"{text[:40]!r} is no time; write 2026-01-31T03:10, or 10m for ten minutes ago", param, ctx)
