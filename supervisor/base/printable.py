"""Makes foreign text safe for a terminal or a log: it cannot move the cursor or reverse a line.

Unsafe characters are those of Unicode's categories Cc, Cf, Cs, Zl and Zp, and its invisible letters:

- controls (C0, DEL, C1);
- marks, overrides and isolates of bidirectional text;
- separators of lines and paragraphs;
- characters without width.
"""

import re

import msgspec

_RANGES = (
    "\x00-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_UNSAFE = re.compile(f"[{_RANGES}]")
_UNSAFE_LINES = re.compile(f"(?!\n)[{_RANGES}]")
_COLOUR = r"\x1b\[(?:0|2|3[1-6])m"
"""Styles of `click.style`: reset, dim, and the text colours that are visible on light and dark terminals."""
_RESET = "\x1b[0m"
_LASTS = re.compile(r"\x1b\[[1-9][0-9]*m[^\x1b]*\Z")
_UNSAFE_STYLED = re.compile(f"({_COLOUR})|(?!\n)[{_RANGES}]")


def printable(text: str) -> str:
    """`text` as one line, with U+FFFD for each unsafe character."""
    return _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", text)


def brief(text: object, most: int = 200) -> str:
    """At most `most` characters of foreign text, as one safe line."""
    whole = str(text)
    return printable(whole if len(whole) <= most else f"{whole[: most - 1]}…")


def printable_lines(text: str) -> str:
    """`text` with U+FFFD for each unsafe character except line feeds."""
    return _UNSAFE_LINES.sub("\N{REPLACEMENT CHARACTER}", text)


def printable_styled(text: str) -> str:
    """As `printable_lines`, for text that contains our colours. Pass foreign parts of it through `printable` before.

    No colour extends beyond its line.
    """
    safe = _UNSAFE_STYLED.sub(lambda match: match[1] or "\N{REPLACEMENT CHARACTER}", text)
    return "\n".join(f"{line}{_RESET}" if _LASTS.search(line) else line for line in safe.split("\n"))


def json_text(value: object) -> str:
    """`value` as JSON in one line, with each unsafe character escaped as `\\uXXXX`, which means the same."""
    return printable_json(msgspec.json.encode(value).decode())


def printable_json(text: str) -> str:
    """JSON in one line, escaped as `json_text` does it."""
    return _UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    """In JSON such characters occur only within strings, where escapes are allowed."""
    units = match[0].encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
