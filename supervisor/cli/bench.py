"""`banken bench journal`: how fast this machine is at a journal, as a table; figures stand in `ops/bench/`."""

import tempfile
from pathlib import Path

import click

from .words import say, say_json, say_progress


@click.command()
@click.option("--events", type=click.IntRange(1000, 10**8), default=1_000_000, show_default=True, metavar="N")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="Where to write [default: a new one].")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")
def journal(events: int, folder: Path | None, as_json: bool) -> None:
    """Make a journal of so many events, and measure how fast it promises, reads and looks back."""
    from ..bench_journal import measure

    with tempfile.TemporaryDirectory(prefix="banken-bench-", dir=folder) as home:
        figures = measure(Path(home), events, _progress)
    if as_json:
        say_json([{"what": f.what, "asked": f.asked, "got": f.got} for f in figures])
        return
    rows = [("what", "asked", "got"), ("---", "---", "---"), *((f.what, f.asked, f.got) for f in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        say("| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |")


def _progress(done: int, whole: int, text: str) -> None:
    """A line that is replaced, and removed at the end."""
    say_progress("" if done >= whole else f"{done / whole:4.0%} {text}")
