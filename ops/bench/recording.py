"""Measure what it costs to record cameras: `.venv/bin/python ops/bench/recording.py [--cameras 10] [--pairs 5]`.

In each pair, banken runs twice at the same time, with `record: always` and without; so does mediamtx where it is
installed or built. A pair takes about half a minute.
"""

import sys
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from ops.bench.lib import commands  # noqa: E402
from ops.bench.lib.recording import OTHERS, measure  # noqa: E402


@click.command(help=__doc__)
@click.option("--cameras", type=click.IntRange(2, 100), default=10, show_default=True)
@click.option("--pairs", type=commands.COUNT, default=5, show_default=True)
@click.option("--seconds", type=commands.SECONDS, default=20.0, show_default=True, help="Of each window.")
@commands.other_servers(*OTHERS[0])
@commands.JSON
@commands.WRITE
def main(
    cameras: int, pairs: int, seconds: float, alone: bool, as_json: bool, folder: Path | None, **named: Path | None
) -> None:
    off, on = (commands.found(others, alone, named) for others in OTHERS)
    others = {name: (off[name], on[name]) for name in off}
    commands.report("recording", lambda say: measure(others, cameras, pairs, seconds, say), as_json, folder)


if __name__ == "__main__":
    main()
