"""Simulate days of operation: `.venv/bin/python ops/simulate.py [--seeds N] [--first S] [--hours H] [--cameras C]`.

Each seed is a separate run with all kinds of faults, in virtual time, on all cores. Prints one table. Exit 1 if a run
violates an invariant, with the story of the run and the command that repeats it.
"""

import argparse
import logging
import multiprocessing
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

import progress  # noqa: E402
from tests.sim.world import Simulated, simulate  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=50, metavar="N")
    parser.add_argument("--first", type=int, default=1, metavar="S")
    parser.add_argument("--hours", type=float, default=1.0, metavar="H")
    parser.add_argument("--cameras", type=int, default=16, metavar="C")
    options = parser.parse_args()
    lives: list[Simulated] = []
    for life in run(range(options.first, options.first + options.seeds), options.hours, options.cameras):
        lives.append(life)
        text = f"seed {life.seed}: {life.events} events, {life.ratio:.0f} x{' ✗' if life.broken else ''}"
        progress.show(len(lives), options.seeds, text)
    for life in lives:
        if life.broken:
            print(f"seed {life.seed}: {life.broken}\n")
    print(table(lives))
    return 1 if any(life.broken for life in lives) else 0


def run(
    seeds: range, hours: float, cameras: int, *, answers: bool = False, records: bool = True
) -> Iterator[Simulated]:
    """Yield the results of `seeds` as they finish; a single seed runs in this process."""
    live = partial(quiet, hours=hours, cameras=cameras, answers=answers, records=records)
    if len(seeds) == 1:
        yield live(seeds[0])
        return
    with multiprocessing.get_context("spawn").Pool() as pool:
        yield from pool.imap_unordered(live, seeds)


def quiet(seed: int, hours: float, cameras: int, answers: bool, records: bool) -> Simulated:
    """Simulate without the log: a run contains many intended crashes."""
    logging.disable(logging.CRITICAL)
    return simulate(seed, hours, cameras, answers=answers, records=records)


def table(lives: list[Simulated]) -> str:
    hours = sum(life.simulated_s for life in lives) / 3600
    ratios = sorted(life.ratio for life in lives)
    whole = sum(life.simulated_s for life in lives) / sum(life.real_s for life in lives)
    broken = [str(life.seed) for life in lives if life.broken]
    rows = [
        ("simulated", f"{hours:.1f} h, {len(lives)} seeds"),
        ("events", f"{sum(life.events for life in lives)}, {sum(life.events for life in lives) / hours:.0f} an hour"),
        ("children", str(sum(life.children for life in lives))),
        ("RTSP connections", str(sum(life.wires for life in lives))),
        ("to real time, one core", f"{whole:.0f} x; {ratios[0]:.0f} at least, {ratios[-1]:.0f} at most"),
        ("broken", f"seeds {', '.join(broken)}" if broken else "nothing"),
    ]
    return "\n".join(["| what | got |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)])


if __name__ == "__main__":
    sys.exit(main())
