"""Measure how fast a journal is on this machine: `.venv/bin/python ops/bench/journal.py [--events 1000000]`.

Makes a journal of N events, and measures durable appends, reading and queries.
"""

import sys
import tempfile
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from ops.bench.lib import commands  # noqa: E402
from ops.bench.lib.journal import measure  # noqa: E402
from ops.bench.lib.report import Report  # noqa: E402
from supervisor.cli.terminal import say_progress  # noqa: E402


@click.command(help=__doc__)
@click.option("--events", type=click.IntRange(1000, 10**8), default=1_000_000, show_default=True, metavar="N")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="Where to write [default: a new one].")
@commands.JSON
def main(events: int, folder: Path | None, as_json: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="banken-bench-", dir=folder) as home:
        figures = measure(Path(home), events, _progress)
    rows = [(figure.what, figure.asked, figure.got) for figure in figures]
    commands.show(Report("Journal", ("what", "asked", "got"), rows), as_json)


def _progress(done: int, whole: int, text: str) -> None:
    """A line that is replaced, and removed at the end."""
    say_progress("" if done >= whole else f"{done / whole:4.0%} {text}")


if __name__ == "__main__":
    main()
