"""Attack a real daemon with everything at once: `.venv/bin/python ops/attack.py --minutes 30 --seed N [--only NAME …]`.

Honest viewers and lease holders run beside hostile clients of every kind, each from its own loopback address, with a
quiet phase before and after. With `--tls` the port speaks TLS, and the attacks are those on TLS. Prints the effects on
the honest clients. Exit 1 if an acknowledged event was lost, a viewer missed an access unit, or one client caused more
than 1 MB of journal per minute. Also if a resource was left over, the loop lag (p99) was above 10 ms under attack, or
the p99 of frame intervals changed by more than a quarter.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import trio

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

import progress  # noqa: E402
from tests.kit.attacks import ATTACKS, EVERY, TLS_ATTACKS  # noqa: E402
from tests.kit.attacks.run import Phase, Result, find_faults, find_slowness, quantile, run_attack  # noqa: E402

QUIET_SHARE = 0.1
"""Share of the loud time for each of the two quiet phases, which last between 10 s and 2 min."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0, help="of all attacks at once")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3)), metavar="N")
    parser.add_argument("--only", nargs="+", choices=list(EVERY), default=list(ATTACKS), metavar="NAME")
    parser.add_argument("--tls", action="store_const", const=list(TLS_ATTACKS), dest="only", help="attack a TLS port")
    parser.add_argument("--nice", type=int, default=0, metavar="N", help="added to the niceness of hostile clients")
    options = parser.parse_args()
    loud_s = 60 * options.minutes
    quiet_s = min(120.0, max(10.0, QUIET_SHARE * loud_s))
    whole_s, shown_s = 2 * quiet_s + loud_s, -1.0

    def report(seconds: float, phase: str) -> None:
        nonlocal shown_s
        if seconds - shown_s >= (1 if sys.stderr.isatty() else 30):
            shown_s = seconds
            progress.show(min(seconds, 0.999 * whole_s), whole_s, f"{phase}, seed {options.seed}")

    with tempfile.TemporaryDirectory(prefix="banken-attack-") as folder:
        result = trio.run(run_attack, Path(folder), options.seed, quiet_s, loud_s, options.only, report, options.nice)
    progress.show(1, 1, "done")
    faults = find_faults(result, most_missed=0.0) + find_slowness(result)
    print(table(result))
    print(f"\nSeed {options.seed}: " + ("; ".join(faults) if faults else "no fault."))
    return 1 if faults else 0


def table(result: Result) -> str:
    """All figures."""
    heads = ["", *(phase.name for phase in result.phases)]
    rows = [
        ["frame intervals, ms: p50 / p99 / max", *(spread(phase.values("intervals")) for phase in result.phases)],
        ["… without what the camera was late", *(spread(phase.values("corrected")) for phase in result.phases)],
        ["pictures, missed", *(f"{pictures(phase):,}, {phase.missed}" for phase in result.phases)],
        ["/healthz, ms: p50 / p99 / max", *(spread(sorted(phase.healthz)) for phase in result.phases)],
        ["loop lag p99, ms: median / worst second", *(lag(phase) for phase in result.phases)],
    ]
    rows.append(["processor, % of a core", *(f"{phase.cpu:.0f}" for phase in result.phases)])
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]
    before, after = result.before, result.after
    lines += ["", "| of the daemon | before | after |", "| --- | --- | --- |"]
    for name in ("descriptors", "threads", "tasks", "children", "resident_mb", "peak_mb"):
        lines.append(f"| {name} | {getattr(before, name):.0f} | {getattr(after, name):.0f} |")
    lines += ["", f"{result.granted} leases granted to honest holders; acknowledged and lost: {len(result.lost)}."]
    refused = ", ".join(f"{status or 'no answer'} × {times}" for status, times in result.honest_refusals.items())
    lines += [f"Honest requests that were refused: {refused or 'none'}.", ""]
    lines += ["| client | journal, MB a minute | did, and was answered |", "| --- | --- | --- |"]
    for name in sorted({*result.tallies, *result.growth}, key=lambda name: -result.growth.get(name, 0.0)):
        did = ", ".join(f"{what} × {times:,}" for what, times in sorted(result.tallies.get(name, {}).items()))
        lines.append(f"| {name} | {result.growth.get(name, 0.0):.3f} | {did} |")
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    return " / ".join(f"{quantile(values, share):.1f}" for share in (0.5, 0.99, 1.0))


def lag(phase: Phase) -> str:
    values = sorted(phase.lag)
    return f"{quantile(values, 0.5):.1f} / {quantile(values, 1.0):.1f}"


def pictures(phase: Phase) -> int:
    return sum(int(viewer["pictures"]) for viewer in phase.viewers)


if __name__ == "__main__":
    sys.exit(main())
