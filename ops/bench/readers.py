"""Measure readers by RTSP beside peers by WebRTC: `.venv/bin/python ops/bench/readers.py [--viewers 100]`."""

import sys
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from ops.bench.lib import commands  # noqa: E402
from ops.bench.lib.readers import measure  # noqa: E402


@click.command(help=__doc__)
@click.option("--viewers", type=commands.COUNT, default=100, show_default=True)
@click.option("--rounds", type=commands.COUNT, default=8, show_default=True, help="The medians count.")
@click.option("--seconds", type=commands.SECONDS, default=5.0, show_default=True, help="Of each window.")
@commands.JSON
@commands.WRITE
def main(viewers: int, rounds: int, seconds: float, as_json: bool, folder: Path | None) -> None:
    commands.report("readers", lambda say: measure(viewers, rounds, seconds, say), as_json, folder)


if __name__ == "__main__":
    main()
