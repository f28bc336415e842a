"""What a benchmark hands over: tables, for a terminal, for a script, and for `ops/bench/`."""

import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from .meter import machine

Say = Callable[[str], None]
"""Told what is being done, a line each time."""


@attrs.frozen
class Report:
    """`rows` are as long as `columns`; what was not measured is None."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str | float | None]]
    notes: Sequence[str] = ()

    def table(self) -> str:
        """In Markdown."""
        lines = [list(self.columns), ["---"] * len(self.columns), *([_cell(x) for x in row] for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.columns))]
        padded = ([text.ljust(width) for text, width in zip(line, widths, strict=True)] for line in lines)
        return "\n".join(f"| {' | '.join(line)} |" for line in padded)

    def values(self) -> dict[str, object]:
        """As JSON takes it."""
        return {
            "title": self.title,
            "machine": machine(),
            "rows": [dict(zip(self.columns, row, strict=True)) for row in self.rows],
            "notes": list(self.notes),
        }

    def page(self) -> str:
        """A page for `ops/bench/`."""
        command = shlex.join(["banken", *sys.argv[1:]])
        made = f"Made by `{command}`.\n\nMachine: {machine()}; {time.strftime('%Y-%m-%d')}."
        notes = "".join(f"- {note}\n" for note in self.notes)
        return f"# {self.title}\n\n{made}\n\n{self.table()}\n" + (f"\n{notes}" if notes else "")

    def write(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.md").write_text(self.page())


def _cell(value: str | float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
