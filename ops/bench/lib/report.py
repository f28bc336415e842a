"""The result of a benchmark: tables for a terminal, for a script, and for `ops/bench/`."""

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from . import calibrate

Say = Callable[[str], None]
"""Called with each step of the benchmark, as one line."""


@attrs.frozen
class Report:
    """A table: each of `rows` is as long as `columns`; an unmeasured cell has the value None."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str | float | None]]
    notes: Sequence[str] = ()

    def table(self) -> str:
        """Return the table in Markdown."""
        lines = [list(self.columns), ["---"] * len(self.columns), *([_cell(x) for x in row] for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.columns))]
        padded = ([text.ljust(width) for text, width in zip(line, widths, strict=True)] for line in lines)
        return "\n".join(f"| {' | '.join(line)} |" for line in padded)

    def values(self) -> dict[str, object]:
        """Return the report as values for JSON."""
        return {
            "title": self.title,
            **calibrate.values(),
            "rows": [dict(zip(self.columns, row, strict=True)) for row in self.rows],
            "notes": list(self.notes),
        }

    def page(self) -> str:
        """Return a page for `ops/bench/`."""
        command = shlex.join(["python", f"ops/bench/{Path(sys.argv[0]).name}", *sys.argv[1:]])
        made = f"Made by `{command}`.\n\n{calibrate.stated()}"
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
