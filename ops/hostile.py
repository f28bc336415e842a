"""Millions of hostile inputs: `.venv/bin/python ops/hostile.py --inputs 1000000 --seed 1`.

Damaged offers, fragments, streams, requests, frames and configurations, for all code that strangers can reach. Prints
a table at the end; exit 1 if an input had an unexpected result. `--target T --index I` repeats one input.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import trio

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.kit.hostile import TARGETS, shares  # noqa: E402
from tests.kit.hostile.judge import Tally, run_target  # noqa: E402

SHOWN = 20
"""Failures that are printed of each target; the rest are counted."""
ROUND = 20_000
"""Inputs between two openings of a target: what piles up in a site must not grow for hours."""


class ProgressBar:
    """How far it is, on a terminal; nothing elsewhere."""

    def __init__(self, whole: int) -> None:
        self._whole, self._done, self._shown_at = whole, 0, 0.0
        self._began = time.monotonic()

    def step(self) -> None:
        self._done += 1
        now = time.monotonic()
        if not sys.stderr.isatty() or now - self._shown_at < 0.1:
            return
        self._shown_at = now
        filled = 40 * self._done // self._whole
        left_s = (now - self._began) / self._done * (self._whole - self._done)
        bar = "█" * filled + "·" * (40 - filled)
        print(f"\r{bar} {self._done:,} of {self._whole:,}, {left_s:.0f} s left ", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr)


async def run(inputs: int, seed: int, only: str | None, index: int | None) -> list[Tally]:
    chosen = [target for target in TARGETS if only in (None, target.name)]
    counts = shares(inputs)
    if only is not None:
        counts = {only: inputs}
    bar = ProgressBar(sum(counts[target.name] for target in chosen) if index is None else 1)
    tallies = []
    for target in chosen:
        whole = Tally(target.name)
        count = counts[target.name]
        spans = [range(at, min(at + ROUND, count)) for at in range(0, count, ROUND)]
        for span in spans if index is None else [range(index, index + 1)]:
            part = await run_target(target, seed, span, bar.step)
            bar.end()
            for failure in part.failures[: max(0, SHOWN - len(whole.failures))]:
                print(failure, flush=True)
            whole.accepted += part.accepted
            whole.times += part.times
            whole.failures += part.failures
            whole.contained += part.contained
        tallies.append(whole)
    return tallies


def table(tallies: list[Tally]) -> str:
    lines = ["| target | inputs | accepted | unhandled | contained | p50 ms | p99 ms | max ms |", "|---" * 8 + "|"]
    for tally in tallies:
        numbers = (len(tally.times), tally.accepted, len(tally.failures), tally.contained.total())
        times = (tally.quantile(0.5), tally.quantile(0.99), max(tally.times))
        cells = [tally.target, *(f"{number:,}" for number in numbers), *(f"{ms:.2f}" for ms in times)]
        lines.append(f"| {' | '.join(cells)} |")
    kinds = sum((tally.contained for tally in tallies), start=type(tallies[0].contained)())
    if kinds:
        named = ", ".join(f"{kind} {count:,}" for kind, count in kinds.most_common())
        lines += ["", f"Contained (Hypercorn's, each ended its own connection): {named}."]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=28_000, metavar="N", help="how many, over all targets")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3)), metavar="S")
    parser.add_argument("--target", choices=[target.name for target in TARGETS], help="only this one")
    parser.add_argument("--index", type=int, metavar="I", help="only this input of --target")
    options = parser.parse_args()
    if options.index is not None and options.target is None:
        parser.error("--index needs --target")
    began = time.monotonic()
    tallies = trio.run(run, max(1, options.inputs), options.seed, options.target, options.index)
    count, failed = sum(len(t.times) for t in tallies), sum(len(t.failures) for t in tallies)
    print(table(tallies))
    print(f"\nSeed {options.seed}: {count:,} inputs in {time.monotonic() - began:.0f} s, {failed} unhandled errors.")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
