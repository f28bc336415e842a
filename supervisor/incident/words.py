"""Times and text as the report, the files of a bundle and the terminal show them."""

import html
from datetime import UTC, datetime


def moment(wall_ns: int) -> str:
    """A time in UTC, to the millisecond, as ISO 8601."""
    whole, rest = divmod(wall_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03}Z"


def printable(text: str) -> str:
    """`text` without what a terminal would take for a command."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def clock(wall_ns: int) -> str:
    """The time of day of a time, in UTC, to the millisecond."""
    return moment(wall_ns)[11:-1]


def escaped(text: object) -> str:
    """`text` as a page or a drawing may hold it, whoever wrote it."""
    return html.escape("".join(map(_harmless, str(text))))


def _harmless(character: str) -> str:
    """Without controls, which HTML forbids, and without what turns the direction of the words around it."""
    return character if character.isprintable() or character in "\n\t" else "\N{REPLACEMENT CHARACTER}"
