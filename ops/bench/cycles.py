"""Open and close a live view in Chromium, again and again: `.venv/bin/python ops/bench/cycles.py [--cycles 100]`.

One daemon, one page, its own player. Prints what the daemon holds before and after.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import trio

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "ops")]

import progress  # noqa: E402
from ops.bench.lib.calibrate import stated  # noqa: E402
from tests.kit.cycles import Count, Cycled, run_cycles  # noqa: E402
from tests.kit.slopes import COUNTS  # noqa: E402

STEPS = 10
"""Rows on the way."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=100)
    parser.add_argument("--warm-up", type=int, default=25, help="cycles before the first count")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()

    def report(number: int, count: Count) -> None:
        progress.show(number, options.cycles, f"{count.sample.descriptors} descriptors, {count.sample.pss_mb:.1f} MB")

    with tempfile.TemporaryDirectory(prefix="banken-bench-") as folder:
        cycled = trio.run(run_cycles, Path(folder), options.warm_up, options.cycles, report)
    result = table(cycled)
    print(result)
    command = f"python ops/bench/cycles.py --cycles {options.cycles} --warm-up {options.warm_up}"
    options.output.write_text(f"# Opening and closing a live view\n\nMade by `{command}`.\n\n{result}")


def table(cycled: Cycled) -> str:
    took = cycled.took_ms
    lines = [
        stated(),
        "",
        f"{len(took)} cycles in {cycled.seconds:.0f} s; from the click to the first frame: median "
        f"{statistics.median(took):.0f} ms, worst {max(took)} ms.",
        "",
        f"| after | {' | '.join(COUNTS)} | tasks | PSS, MB | RSS, MB |",
        "|---|---|---|---|---|---|---|",
        row("the warm-up", cycled.before),
    ]
    every = max(1, len(took) // STEPS)
    lines += [row(str(n), each) for n, each in enumerate(cycled.on_the_way, 1) if n % every == 0]
    return "\n".join([*lines, row("all, idle", cycled.after), ""])


def row(name: str, count: Count) -> str:
    counts = " | ".join(str(getattr(count.sample, each)) for each in COUNTS)
    return f"| {name} | {counts} | {count.tasks} | {count.sample.pss_mb:.1f} | {count.sample.rss_mb:.1f} |"


if __name__ == "__main__":
    main()
