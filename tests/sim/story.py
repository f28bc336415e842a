"""The story of a simulation for people: events of the journal and actions of the world, in order of time."""

from collections.abc import Iterable

import attrs

from supervisor.domain.core import Severity
from supervisor.domain.describe import describe
from supervisor.domain.events import Recorded

LINES = 80
MARKS = {Severity.INFO: " ", Severity.NOTICE: "·", Severity.WARNING: "!", Severity.ERROR: "✗"}


@attrs.frozen
class Note:
    """An action of the world that the journal does not record."""

    at_s: float
    text: str


def tell(rows: Iterable[Recorded], notes: Iterable[Note] = (), about: str = "", last: int = LINES) -> str:
    """Return the last lines of the story that mention `about`; actions of the world are marked with ~."""
    lines = [(row.mono_ns / 1e9, 0, f"{row.seq:6} {_sentence(row)}") for row in rows]
    lines += [(note.at_s, 1, f"     ~   {note.text}") for note in notes]
    told = [f"{_clock(at_s)} {text}" for at_s, _, text in sorted(lines) if about in text]
    return "\n".join(([f"… {len(told) - last} lines before"] if len(told) > last else []) + told[-last:])


def _sentence(row: Recorded) -> str:
    severity, text = describe(row.event)
    cause = "" if row.cause is None else f"  ← {row.cause}"
    return f"{MARKS[severity]} {text}{cause}"


def _clock(at_s: float) -> str:
    minutes, seconds = divmod(at_s, 60)
    return f"{int(minutes) // 60:02}:{int(minutes) % 60:02}:{seconds:06.3f}"
