"""Measure what pages cost: `.venv/bin/python ops/bench/pages.py [--cameras 30] [--viewers 300] [--seconds 10]`.

The web layer on a real port in this process, over a kernel in memory; cameras and viewers only pretend to send. How
many bytes a page is sent in a second when nothing happens, and how long the loop works for what pages and Prometheus
ask.
"""

import argparse
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import trio

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from ops.bench.lib.calibrate import stated  # noqa: E402
from supervisor.domain import commands as c  # noqa: E402
from supervisor.domain.values import Fault, Reason  # noqa: E402
from supervisor.ports.snapshot import Snapshot  # noqa: E402
from supervisor.services.gateway import Gateway  # noqa: E402
from tests.kit.crowd import open_crowd  # noqa: E402
from tests.kit.site import Site  # noqa: E402
from web import json, metrics  # noqa: E402
from web.board import VIEWS, Board  # noqa: E402
from web.resources.cameras import cameras as cameras_of  # noqa: E402
from web.resources.health import health  # noqa: E402
from web.sockets import StateMessage  # noqa: E402

PAGES = (
    ("a page that receives everything each second", "", None),
    ("a page that receives counts, and changes of cameras", "?state=changes", 4.0),
    ("a page that shows the lists of viewers and rooms", "?state=changes&views=viewers,rooms", 4.0),
)
SETTLE_S = 2.5
TRIES = 50
SECONDS = 15
"""For the changes of a second."""


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
"""The name, the limit and the result."""
Asked = tuple[Snapshot, metrics.Process]


async def measure(cameras: int, viewers: int, seconds: float) -> list[Row]:
    async with open_crowd(cameras, viewers) as site:
        rows: list[Row] = []
        for what, query, most in PAGES:
            first, rate = await listen(site, query, seconds)
            rows.append((f"{what} (kB/s)", most, rate / 1000))
            rows.append(("its first state (kB)", None, first / 1000))
        gateway = site.gateway
        for what, work, most in (
            ("`/metrics`, in the loop (ms)", partial(ask_metrics, gateway), 5.0),
            ("`/metrics`, in a thread (ms)", partial(metrics.expose, *ask_metrics(gateway)), 5.0),
            ("`/api/cameras` (ms)", lambda: json.encode(list(cameras_of(gateway.snapshot()))), 5.0),
            ("`/api/health` (ms)", lambda: json.encode(health(gateway.snapshot().health)), 5.0),
        ):
            rows.append((what, most, median_ms(work)))
        rows += [
            (f"{what} (ms)", most, await longest_ms(make))
            for what, most, make in (
                ("a state with both lists, for the first page", 5.0, lambda: Board().news(gateway, {}, VIEWS)),
                ("the whole state, for the first client that asks for it", 5.0, partial(whole, gateway)),
            )
        ]
        rows += await changes(site)
    return rows


async def changes(site: Site) -> list[Row]:
    """A second passes and one viewer leaves between two requests, so that everything is compared again."""
    board, position, took, further = Board(), dict[str, int](), [], []
    await board.news(site.gateway, position, VIEWS)
    for gone in list(site.core.kernel.state.peers)[:SECONDS]:
        site.core.kernel.emit(c.ReportPeerClosed(gone, Reason("left", "it left", Fault.NONE)))
        await site.core.stored()
        await trio.sleep(1)
        other = dict(position)
        took.append(await step_ms(board.news(site.gateway, position, VIEWS)))
        further.append(await step_ms(board.news(site.gateway, other, VIEWS)))
    return [
        ("the changes of a second, with both lists, for the first page (ms)", 5.0, middle(took)),
        ("the same, for each further page (ms)", None, middle(further)),
    ]


async def whole(gateway: Gateway) -> None:
    await StateMessage().text(gateway)


async def longest_ms(make: Callable[[], Awaitable[object]]) -> float:
    return middle([await step_ms(make()) for _ in range(TRIES)])


class Steps(trio.abc.Instrument):
    """The longest step of the task that makes it, from one checkpoint to the next: of the processor, in seconds."""

    def __init__(self) -> None:
        self._task = trio.lowlevel.current_task()
        self._began = time.thread_time()
        self.longest = 0.0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._began = time.thread_time()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self._task:
            self.longest = max(self.longest, time.thread_time() - self._began)


async def step_ms(work: Awaitable[object]) -> float:
    """How long `work` keeps the loop at most, in milliseconds."""
    await trio.lowlevel.checkpoint()
    steps = Steps()
    trio.lowlevel.add_instrument(steps)
    await work
    await trio.lowlevel.checkpoint()
    trio.lowlevel.remove_instrument(steps)
    return steps.longest * 1e3


async def listen(site: Site, query: str, seconds: float) -> tuple[int, float]:
    """Bytes of the first state, and bytes a second once it is there."""
    first = sent = 0
    async with site.socket(query) as socket:
        with trio.move_on_after(SETTLE_S):
            while True:
                first = max(first, len(await socket.get_message()))
        began = trio.current_time()
        with trio.move_on_after(seconds):
            while True:
                sent += len(await socket.get_message())
        return first, sent / (trio.current_time() - began)


def ask_metrics(gateway: Gateway) -> Asked:
    return gateway.snapshot(peers=True), metrics.measure_process()


def median_ms(work: Callable[[], object]) -> float:
    """Of the processor, in milliseconds."""
    took = []
    for _ in range(TRIES):
        began = time.thread_time()
        work()
        took.append((time.thread_time() - began) * 1e3)
    return middle(took)


def middle(took: list[float]) -> float:
    return sorted(took)[len(took) // 2]


def table(rows: list[Row]) -> str:
    lines = [f"| {what} | {'' if most is None else f'{most:g}'} | {got:.2f} |" for what, most, got in rows]
    return "\n".join(
        [
            stated(),
            "",
            "| measurement | limit | result |",
            "|---|---|---|",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    main()
