"""Measure what it costs to keep many RTSP cameras: `.venv/bin/python ops/bench/ingest.py [--cameras 30]`.

They are read by banken itself, by its ffmpeg children, and by go2rtc and mediamtx where they are installed or built.
"""

import sys
from functools import partial
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from ops.bench.lib import commands  # noqa: E402
from ops.bench.lib.ingest import measure  # noqa: E402
from ops.bench.lib.servers import At, go2rtc_at, mediamtx_at  # noqa: E402

READERS: dict[str, At] = {"go2rtc": partial(go2rtc_at, preload=True), "mediamtx": mediamtx_at}
"""The other servers that read RTSP, also while nobody watches."""


@click.command(help=__doc__)
@click.option("--cameras", type=commands.COUNT, default=30, show_default=True)
@click.option("--seconds", type=commands.SECONDS, default=20.0, show_default=True, help="Of each window.")
@commands.other_servers(*READERS)
@commands.JSON
@commands.WRITE
def main(cameras: int, seconds: float, alone: bool, as_json: bool, folder: Path | None, **named: Path | None) -> None:
    others = commands.found(READERS, alone, named)
    commands.report("ingest", lambda say: measure(others, cameras, seconds, say), as_json, folder)


if __name__ == "__main__":
    main()
