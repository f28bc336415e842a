"""Measure what pages cost: `.venv/bin/python ops/bench/pages.py [--cameras 30] [--viewers 300] [--seconds 10]`.

The web layer on a real port in this process, over a kernel in memory; cameras and viewers only pretend to send. How
many bytes a page is told in a second when nothing happens, and how long the loop works for what pages and Prometheus
ask.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import trio

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from supervisor.gateway import Gateway  # noqa: E402
from tests.kit.crowd import open_crowd  # noqa: E402
from tests.kit.site import Site  # noqa: E402
from web import json, metrics  # noqa: E402
from web.board import VIEWS, Board  # noqa: E402

PAGES = (
    ("a page that is told everything each second", "", None),
    ("a page: counts, and changes of cameras", "?state=changes", 4.0),
    ("a page that shows the lists of viewers and rooms", "?state=changes&views=viewers,rooms", 4.0),
)
SETTLE_S = 2.5
TRIES = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=30)
    parser.add_argument("--viewers", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()
    rows = trio.run(measure, options.cameras, options.viewers, options.seconds)
    text = table(rows)
    print(text)
    head = f"# Pages: {options.cameras} cameras, {options.viewers} viewers\n\n"
    made = f"Made by `python ops/bench/pages.py --cameras {options.cameras} --viewers {options.viewers}`."
    options.output.write_text(f"{head}{made}\n\n{text}")


Row = tuple[str, float | None, float]
"""What, at most, got."""


async def measure(cameras: int, viewers: int, seconds: float) -> list[Row]:
    async with open_crowd(cameras, viewers) as site:
        rows: list[Row] = []
        for what, query, most in PAGES:
            first, rate = await listen(site, query, seconds)
            rows.append((f"{what} (kB/s)", most, rate / 1000))
            rows.append(("its first state (kB)", None, first / 1000))
        gateway = site.gateway
        for what, work, most in (
            ("`/metrics` (ms)", partial(expose, gateway), 5.0),
            ("`/api/cameras` (ms)", lambda: json.encode(json.cameras(gateway.snapshot())), 5.0),
            ("`/api/health` (ms)", lambda: json.encode(json.health(gateway.snapshot().health)), 5.0),
            ("the changes of a second, for the first page (ms)", partial(news, gateway), 5.0),
        ):
            rows.append((what, most, median_ms(work)))
        board = Board()
        board.news(gateway, {}, VIEWS)
        rows.append(
            ("the same, for each further page (ms)", None, median_ms(lambda: board.news(gateway, {"all": 1}, ())))
        )
    return rows


async def listen(site: Site, query: str, seconds: float) -> tuple[int, float]:
    """Bytes of the first state, and bytes a second once it is there."""
    first = told = 0
    async with site.socket(query) as socket:
        with trio.move_on_after(SETTLE_S):
            while True:
                first = max(first, len(await socket.get_message()))
        began = trio.current_time()
        with trio.move_on_after(seconds):
            while True:
                told += len(await socket.get_message())
        return first, told / (trio.current_time() - began)


def expose(gateway: Gateway) -> bytes:
    return metrics.expose(gateway.snapshot(peers=True), metrics.measure_process())


def news(gateway: Gateway) -> None:
    Board().news(gateway, {}, VIEWS)


def median_ms(work: Callable[[], object]) -> float:
    """Of the processor, in milliseconds."""
    took = []
    for _ in range(TRIES):
        began = time.thread_time()
        work()
        took.append((time.thread_time() - began) * 1e3)
    return sorted(took)[TRIES // 2]


def table(rows: list[Row]) -> str:
    machine = f"{os.cpu_count()} cores, Linux {platform.release().split('-')[0]}, Python {platform.python_version()}"
    lines = [f"| {what} | {'' if most is None else f'{most:g}'} | {got:.2f} |" for what, most, got in rows]
    return "\n".join(
        [
            f"Machine: {machine}; {time.strftime('%Y-%m-%d')}.",
            "",
            "| what | at most | got |",
            "|---|---|---|",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    main()
