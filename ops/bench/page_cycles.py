"""Open and close the large view, and switch suggestions: `.venv/bin/python ops/bench/page_cycles.py [--cycles 100]`.

One daemon, one page. Prints what the page and the daemon hold before and after.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import attrs
import trio

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "ops")]

import progress  # noqa: E402
from ops.bench.lib.calibrate import stated  # noqa: E402
from tests.kit.page_cycles import PageCount, PageCycled, run_page_cycles  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=100)
    parser.add_argument("--warm-up", type=int, default=12, help="cycles before the first count")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()

    def report(name: str, number: int) -> None:
        progress.show(number + 1, options.cycles + options.warm_up, name)

    with tempfile.TemporaryDirectory(prefix="banken-bench-") as folder:
        cycled = trio.run(run_page_cycles, Path(folder), options.warm_up, options.cycles, report)
    result = table(cycled)
    print(result)
    command = f"python ops/bench/page_cycles.py --cycles {options.cycles} --warm-up {options.warm_up}"
    options.output.write_text(f"# Large views and suggestions\n\nMade by `{command}`.\n\n{result}")


def table(cycled: PageCycled) -> str:
    return "\n".join(
        [
            stated(),
            "",
            f"From the click to the first frame in the large view: {spread(cycled.opened_ms)}.",
            f"From a detection to the first frame on an open page: {spread(cycled.suggested_ms)}.",
            "",
            "| | JS heap, MB | nodes outside the journal panel | peer connections | descriptors of the daemon |",
            "|---|---|---|---|---|",
            row("the warm-up", cycled.before),
            row(f"{len(cycled.opened_ms)} large views", cycled.after_large),
            row(f"{len(cycled.suggested_ms)} suggestions", cycled.after_suggest),
            "",
        ]
    )


def spread(took: tuple[int, ...]) -> str:
    worst = sorted(took)[max(0, -(-len(took) * 95 // 100) - 1)]
    return f"median {statistics.median(took):.0f} ms, 95 of 100 within {worst} ms"


def row(name: str, count: PageCount) -> str:
    heap, *rest = attrs.astuple(count)
    return f"| after {name} | {heap:.2f} | {' | '.join(map(str, rest))} |"


if __name__ == "__main__":
    main()
