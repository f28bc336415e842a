"""Measure viewers beside a failing disk of the archive: `.venv/bin/python ops/bench/recording_faults.py`.

A real daemon records two cameras, and a viewer reads each. The disk stands still for a minute, fails, is full,
is read-only, and is unmounted. Prints one table; exit 1 if a viewer lost a frame, a file does not play, or a gap
is not told.
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
from tests.kit.recording_faults import CAMERAS, ArchiveFault, FaultRun, FaultSeen, run_recording_faults  # noqa: E402

ABANDON_S, FILE_S = 30.0, 60.0
"""Those of a daemon."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stall", type=float, default=60.0, metavar="SECONDS", help="how long the disk stands still")
    parser.add_argument("--seconds", type=float, default=15.0, help="for each other fault")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()
    done: list[FaultSeen] = []

    def report(seen: FaultSeen) -> None:
        done.append(seen)
        progress.show(len(done), len(ArchiveFault), f"{seen.fault}: {seen.missed} frames lost")

    with tempfile.TemporaryDirectory(prefix="banken-bench-") as folder:
        run = trio.run(
            run_recording_faults, Path(folder), options.stall, options.seconds, ABANDON_S, FILE_S, report
        )  # fmt: skip
    result = table(run)
    print(result)
    command = f"python ops/bench/recording_faults.py --stall {options.stall:g} --seconds {options.seconds:g}"
    options.output.write_text(f"# Faults of the archive\n\nMade by `{command}`.\n\n{result}\n")
    return 1 if run.faults or any(seen.missed for seen in run.seen) else 0


def table(run: FaultRun) -> str:
    """All figures of all faults."""
    lines = [
        stated(),
        "",
        f"A daemon records {len(CAMERAS)} cameras, and each has a viewer. A gap begins with what was not synced before "
        "the fault, and ends with the first key frame after the next try of the archive, at most 10 s later.",
        "",
        "| the disk | s | frames of the viewers | lost | longest wait for a frame, ms | loop lag p99, ms | gaps, s |",
        "|---|---|---|---|---|---|---|",
    ]
    for seen in run.seen:
        gaps = ", ".join(f"{gap:.2f}" for gap in seen.gaps_s)
        fault = "works" if seen.fault is ArchiveFault.NONE else seen.fault.value
        lines.append(
            f"| {fault} | {seen.lasted_s:g} | {seen.frames} | {seen.missed} | {seen.latest_s * 1000:.0f} "
            f"| {seen.lag_ms:.1f} | {gaps or 'none'} |"
        )
    found = "; ".join(run.faults) or "Every file plays, and every gap begins and ends where the journal says, to 50 ms."
    return "\n".join([*lines, "", found])


if __name__ == "__main__":
    sys.exit(main())
