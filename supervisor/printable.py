"""Text for a terminal or a log: whatever somebody else wrote into it moves no cursor and turns no line around.

Unsafe are the controls (C0, DEL, C1), the marks, overrides and isolates of bidirectional text, the separators of lines
and paragraphs, and characters without width (Unicode's categories Cc, Cf, Cs, Zl and Zp, and its invisible letters).
"""

import logging
import re
from collections.abc import Sequence

import msgspec

from .redact import hide

INDENT = "    "
"""In front of each further line of a log record, so that none can be taken for a record of its own."""

_RANGES = (
    "\x00-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_UNSAFE = re.compile(f"[{_RANGES}]")
_UNSAFE_LINES = re.compile(f"(?!\n)[{_RANGES}]")
_COLOUR = r"\x1b\[(?:0|2|3[1-6])m"
"""Of `click.style`: the reset, dim, and colours of letters that are seen on light and dark terminals."""
_RESET = "\x1b[0m"
_LASTS = re.compile(r"\x1b\[[1-9][0-9]*m[^\x1b]*\Z")
_UNSAFE_STYLED = re.compile(f"({_COLOUR})|(?!\n)[{_RANGES}]")


def printable(text: str) -> str:
    """`text` as one line, with U+FFFD for each unsafe character."""
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text)


def brief(text: object, most: int = 200) -> str:
    """At most `most` characters of what somebody else wrote, as one line."""
    whole = str(text)
    return printable(whole if len(whole) <= most else f"{whole[: most - 1]}…")


def printable_lines(text: str) -> str:
    """The same, where line feeds are meant."""
    return _UNSAFE_LINES.sub("\N{REPLACEMENT CHARACTER}", text)


def printable_styled(text: str) -> str:
    """The same, for text with colours of ours in it; what others wrote of it went through `printable` before.

    No colour lasts beyond its line.
    """
    safe = _UNSAFE_STYLED.sub(lambda match: match[1] or "\N{REPLACEMENT CHARACTER}", text)
    return "\n".join(f"{line}{_RESET}" if _LASTS.search(line) else line for line in safe.split("\n"))


def json_text(value: object) -> str:
    """`value` as JSON in one line; an unsafe character stands there as `\\uXXXX`, which means the same."""
    return printable_json(msgspec.json.encode(value).decode())


def printable_json(text: str) -> str:
    """JSON in one line, escaped in that way."""
    return _UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    """In JSON such characters stand within strings only, where an escape is allowed."""
    units = match[0].encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


class LogFormatter(logging.Formatter):
    """Log records as the terminal may have them, without the `secrets` of the operator's list."""

    def __init__(self, form: str, secrets: Sequence[str] = ()) -> None:
        super().__init__(form)
        self.secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        text = hide(super().format(record), self.secrets)
        return printable_lines(text).replace("\n", f"\n{INDENT}")


def hide_in_log(secrets: Sequence[str]) -> None:
    """Leave `secrets` out of the log from now on, in place of the list before."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, LogFormatter):
            handler.formatter.secrets = secrets
