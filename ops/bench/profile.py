"""Measure the cost of a profile, and whether it tells work from waiting: `python ops/bench/profile.py`.

A loop works in short bursts, as the daemon does. Seconds with and without a profile alternate in one run; the cost is
the difference of the CPU time of the process. The second table has the share of samples that were not idle, beside the
share that the loop worked; for the profile of banken, and for a thread that reads `sys._current_frames`.
"""

import argparse
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import trio

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from ops.bench.lib.calibrate import stated  # noqa: E402
from supervisor.base.profile import RATE, Profiler, is_idle  # noqa: E402

LOADS = ((0.0, 1.0), (0.00005, 0.001), (0.0002, 0.001), (0.002, 0.01))
"""Seconds of a burst, and of its period."""
Row = tuple[str, ...]


def work(seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


async def run_load(burst: float, period: float) -> None:
    while True:
        due = trio.current_time() + period
        work(burst)
        await trio.sleep_until(due)


async def measure_cost(pairs: int, seconds: float) -> tuple[float, float]:
    """The share of a core that a profile adds: the median of the pairs, and the largest."""
    profiler, added = Profiler(), []
    for _ in range(pairs):
        used = []
        for is_profiled in (False, True):
            before = time.process_time()
            if is_profiled:
                with profiler.reserve(seconds):
                    await profiler.run(seconds)
            else:
                await trio.sleep(seconds)
            used.append((time.process_time() - before) / seconds)
        added.append(used[1] - used[0])
    return statistics.median(added), max(added)


async def measure_share(seconds: float) -> tuple[float, float]:
    """The share that the loop used of a core without a profile, and the samples of one that were not idle."""
    before = time.thread_time()
    await trio.sleep(seconds)
    used = (time.thread_time() - before) / seconds
    profiler = Profiler()
    with profiler.reserve(seconds):
        found = await profiler.run(seconds)
    return used, 1 - found.idle / found.samples


def watch(loop: int, ended: threading.Event, seen: list[bool]) -> None:
    while not ended.wait(1 / RATE):
        seen.append(not is_idle(sys._current_frames()[loop]))


async def measure_thread(seconds: float) -> float:
    """The share of samples that were not idle, for a thread that takes them."""
    seen, ended = list[bool](), threading.Event()
    thread = threading.Thread(target=watch, args=(threading.get_ident(), ended, seen))
    thread.start()
    await trio.sleep(seconds)
    ended.set()
    await trio.to_thread.run_sync(thread.join)
    return sum(seen) / len(seen)


async def measure(pairs: int, seconds: float) -> tuple[Sequence[Row], Sequence[Row]]:
    costs, shares = [], []
    for burst, period in LOADS:
        name = f"{burst * 1e6:.0f} µs of work every {period * 1e3:g} ms"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_load, burst, period)
            median, most = await measure_cost(pairs, seconds)
            costs.append((name, "3 %", f"{median:.2%}", f"{most:.2%}"))
            if burst:
                used, found = await measure_share(pairs * seconds)
                other = await measure_thread(pairs * seconds)
                shares.append((name, f"{used:.1%}", f"{found:.1%}", f"{other:.1%}"))
            nursery.cancel_scope.cancel()
    return costs, shares


def table(columns: Row, rows: Sequence[Row]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (columns, ("---",) * len(columns), *rows)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=10, help="pairs of stretches with and without a profile")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a stretch")
    parser.add_argument("-o", "--output", type=Path, help="write the page there as well")
    options = parser.parse_args()
    costs, shares = trio.run(partial(measure, options.pairs, options.seconds))
    command = f"python ops/bench/profile.py --pairs {options.pairs} --seconds {options.seconds:g}"
    lines = ["# Profile", "", f"Made by `{command}`.", "", stated(), "", "The share of a core that a profile adds:", ""]
    lines += table(("load of the loop", "target", "median", "most"), costs)
    lines += ["", "The share of the time in which the loop works:", ""]
    lines += table(("load of the loop", "by its CPU time", "by the profile", "by a sampling thread"), shares)
    print("\n".join(lines))
    if options.output:
        options.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
