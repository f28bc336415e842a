"""Measure how long a viewer waits, and how old its access units are: `.venv/bin/python ops/bench/latency.py`.

The wait is from the offer to the first complete key frame. The age is from the camera to the viewer's socket.
"""

import sys
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from ops.bench.lib import commands  # noqa: E402
from ops.bench.lib.latency import measure  # noqa: E402
from ops.bench.lib.servers import OTHERS, Open, open_banken  # noqa: E402


@click.command(help=__doc__)
@click.option(
    "--viewers", type=commands.COUNT, default=100, show_default=True, help="Viewers that watch during the test."
)
@click.option(
    "--joins", type=commands.COUNT, default=50, show_default=True, help="Viewers that join one after the other."
)
@click.option("--seconds", type=commands.SECONDS, default=10.0, show_default=True, help="Length of the window.")
@commands.other_servers(*OTHERS)
@commands.JSON
@commands.WRITE
def main(
    viewers: int,
    joins: int,
    seconds: float,
    alone: bool,
    as_json: bool,
    folder: Path | None,
    **named: Path | None,
) -> None:
    servers: dict[str, Open] = {"banken": open_banken}
    servers |= commands.found(OTHERS, alone, named)
    commands.report("latency", lambda say: measure(servers, viewers, joins, seconds, say), as_json, folder)


if __name__ == "__main__":
    main()
