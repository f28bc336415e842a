"""Soak the daemon: `.venv/bin/python ops/soak.py [--minutes M] [--cameras 16] [--viewers 20] [--csv FILE]`.

Real children that are killed about once a minute each, real viewers that come and go, and its descriptors, processes,
threads and memory counted. Prints one table and the verdict; exit 1 when a count grows or the end is not graceful.
"""

import argparse
import csv
import sys
import tempfile
from pathlib import Path

import attrs
import trio

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

import progress  # noqa: E402
from tests.kit.slopes import COUNTS, Sample, Verdict, judge  # noqa: E402
from tests.kit.soak import Soaked, run_soak  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, metavar="M")
    parser.add_argument("--cameras", type=int, default=16)
    parser.add_argument("--viewers", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write every sample there")
    options = parser.parse_args()

    def report(sample: Sample) -> None:
        counts = ", ".join(f"{getattr(sample, name)} {name}" for name in COUNTS)
        text = f"{counts}, {sample.pss_mb:.0f} MB{', quiet' if sample.quiet else ''}"
        progress.show(sample.at_s, options.minutes * 60, text)

    with tempfile.TemporaryDirectory(prefix="banken-soak-") as folder:
        arguments = (Path(folder), options.minutes, options.cameras, options.viewers, options.seed, report)
        soaked = trio.run(run_soak, *arguments)
    if options.csv:
        write(options.csv, soaked.samples)
    verdict = judge(soaked.samples, soaked.seconds)
    print(table(soaked, verdict))
    return 1 if verdict.leaks or soaked.code else 0


def write(path: Path, samples: tuple[Sample, ...]) -> None:
    with path.open("w", newline="") as file:
        rows = csv.DictWriter(file, [field.name for field in attrs.fields(Sample)])
        rows.writeheader()
        rows.writerows(attrs.asdict(sample) for sample in samples)


def table(soaked: Soaked, verdict: Verdict) -> str:
    quiet = [sample for sample in soaked.samples if sample.quiet]
    rows = [("time", f"{soaked.seconds:.0f} s, {len(quiet)} quiet moments"), ("children killed", str(soaked.kills))]
    rows += [("viewers that saw a picture", str(soaked.viewers)), ("exit code", str(soaked.code))]
    for name, slope in verdict.slopes.items():
        values = [getattr(sample, name) for sample in quiet]
        rows.append((name, f"{slope:+.2f} an hour; {values[0]} at first, {values[-1]} at last, {max(values)} at most"))
    rows.append(("verdict", "; ".join(verdict.leaks) or "nothing grows"))
    return "\n".join(["| what | got |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)])


if __name__ == "__main__":
    sys.exit(main())
