"""Measure what a faulty camera does to its neighbours: `.venv/bin/python ops/bench/isolation.py [--at-once N]`.

Three healthy cameras, and beside them every fault that the tests know, so many at once, with quiet phases between.
Prints one table of the intervals between the pictures that a healthy camera's viewer gets.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import trio

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "ops")]

import progress  # noqa: E402
from ops.bench.lib.calibrate import stated  # noqa: E402
from tests.faults.test_isolation import NEIGHBOURS, groups  # noqa: E402
from tests.kit.isolation import Phase, Spread, compare, run_isolation  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="faulty cameras beside the healthy ones")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each phase")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()
    chosen = groups(-(-len(NEIGHBOURS) // options.at_once))
    seen: list[Phase] = []

    def report(phase: Phase) -> None:
        seen.append(phase)
        progress.show(len(seen), 2 * len(chosen) + 1, ", ".join(phase.neighbours) or "quiet")

    with tempfile.TemporaryDirectory(prefix="banken-bench-") as folder:
        phases = trio.run(run_isolation, Path(folder), chosen, options.seconds, report)
    result = table(phases)
    print(result)
    command = f"python ops/bench/isolation.py --at-once {options.at_once} --seconds {options.seconds:g}"
    options.output.write_text(f"# Isolation\n\nMade by `{command}`.\n\n{result}")


def table(phases: list[Phase]) -> str:
    compared = compare(phases)
    quiet, loud = compared.all_quiet, compared.all_loud
    lines = [
        stated(),
        "",
        "Milliseconds: p50 / p99 / largest.",
        "",
        f"p99 of the frame intervals, median over the phases: {compared.quiet:.1f} without a fault, "
        f"{compared.loud:.1f} beside one, difference {compared.moved:+.1f} "
        f"(target: at most 5; phases without a fault vary by {compared.varies:.1f}).",
        "",
        "| fault of another camera | frame intervals | from sender to viewer | loop lag |",
        "|---|---|---|---|",
        f"| none, all phases | {cell(quiet)} | | |",
        f"| any, all phases | {cell(loud)} | | |",
    ]
    for phase in sorted(phases, key=lambda phase: -phase.corrected.p99):
        beside = ", ".join(f"`{name}`" for name in phase.neighbours) or "none"
        lines.append(f"| {beside} | {cell(phase.corrected)} | {cell(phase.transit)} | {cell(phase.gaps)} |")
    return "\n".join([*lines, ""])


def cell(spread: Spread) -> str:
    return f"{spread.p50:.1f} / {spread.p99:.1f} / {spread.max:.1f}"


if __name__ == "__main__":
    main()
