"""Measure what it costs to send video to many viewers: `.venv/bin/python ops/bench/fanout.py [--shape 30x4]`.

Beside banken, the same run measures aiortc alone, and Janus, go2rtc and mediamtx where they are installed or built.
"""

import re
import sys
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from ops.bench.lib import commands  # noqa: E402
from ops.bench.lib.fanout import Shape, measure  # noqa: E402
from ops.bench.lib.servers import OTHERS, Open, open_banken, open_stock  # noqa: E402


class ShapeOption(click.ParamType):
    """`30x4`: 30 cameras, each with 4 viewers."""

    name = "CAMERASxVIEWERS"

    def convert(self, value: str | Shape, param: click.Parameter | None, ctx: click.Context | None) -> Shape:
        if isinstance(value, Shape):
            return value
        if not (found := re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,3})", value)):
            self.fail(f"{value!r} is not like 30x4", param, ctx)
        return Shape(int(found[1]), int(found[2]))


@click.command(help=__doc__)
@click.option(
    "--shape", "shapes", type=ShapeOption(), multiple=True, default=["1x120", "30x4"], show_default=True,
    help="Cameras x viewers of each; may be repeated.",
)  # fmt: skip
@click.option("--seconds", type=commands.SECONDS, default=10.0, show_default=True, help="Of each window.")
@click.option("--rounds", type=commands.COUNT, default=3, show_default=True, help="The medians count.")
@commands.other_servers(*OTHERS)
@click.option("--gro/--no-gro", default=False, show_default=True, help="Receivers take long datagrams in one piece.")
@commands.JSON
@commands.WRITE
def main(
    shapes: tuple[Shape, ...],
    seconds: float,
    rounds: int,
    alone: bool,
    gro: bool,
    as_json: bool,
    folder: Path | None,
    **named: Path | None,
) -> None:
    servers: dict[str, Open] = {"banken": open_banken} | ({} if alone else {"aiortc": open_stock})
    servers |= commands.found(OTHERS, alone, named)
    commands.report("fanout", lambda say: measure(servers, shapes, seconds, rounds, gro, say), as_json, folder)


if __name__ == "__main__":
    main()
