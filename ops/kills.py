"""Kill the daemon repeatedly and check the remains: `.venv/bin/python ops/kills.py [--kills N] [--seed S]`.

A real daemon with real child processes and viewers, SIGKILL at random moments, the next start over the same journal.
Prints one table; exit 1 if an acknowledged event was lost, a process was left over, or the journal is inconsistent.
With `--recorded N`, each daemon records N cameras, and has no viewers: exit 1 if a file does not play, or if the
journal does not tell a gap.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import trio

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

import progress  # noqa: E402
from tests.kit.kills import Kill, Result, run_kills  # noqa: E402
from tests.kit.recording_kills import OPEN_S, RecordingKill, RecordingKills, run_recording_kills  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.add_argument("--lanes", type=int, default=2, metavar="L", help="daemons at once, each with its own journal")
    parser.add_argument("--recorded", type=int, default=0, metavar="N", help="record N cameras, without viewers")
    options = parser.parse_args()
    return kill_recordings(options) if options.recorded else kill_viewers(options)


def kill_recordings(options: argparse.Namespace) -> int:
    done = 0

    def report(kill: RecordingKill) -> None:
        nonlocal done
        done += 1
        lost = f", {max(kill.losses_s):.2f} s lost" if kill.losses_s else ""
        progress.show(done, options.kills, f"kill {kill.number} after {kill.after_s:.1f} s{lost}")

    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="banken-kills-") as folder:
        kills, seed, cameras, lanes = options.kills, options.seed, options.recorded, options.lanes
        result = trio.run(run_recording_kills, Path(folder), kills, seed, cameras, lanes, report)
    print(table_of_recordings(result, time.monotonic() - began))
    return 1 if result.faults else 0


def table_of_recordings(result: RecordingKills, took_s: float) -> str:
    losses = [loss for kill in result.kills for loss in kill.losses_s]
    rows = [
        ("kills", f"{len(result.kills)} in {took_s:.0f} s"),
        ("recorded cameras when killed", str(len(losses))),
        ("lost of each, to the kill", spread(losses)),
        ("… more than a fragment that is not cut yet", str(sum(loss > OPEN_S for loss in losses))),
        ("files, all frames decoded", str(result.files)),
        ("gaps, each with its cause and its exact beginning", str(result.gaps)),
        ("faults", str(len(result.faults))),
    ]
    return "\n".join(["| what | got |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows), *result.faults])


def kill_viewers(options: argparse.Namespace) -> int:
    done = 0

    def report(kill: Kill) -> None:
        nonlocal done
        done += 1
        fault = f" ✗ {'; '.join(kill.faults)}" if kill.faults else ""
        progress.show(done, options.kills, f"kill {kill.number}: {kill.hit}, {kill.gone_s * 1000:.0f} ms{fault}")

    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="banken-kills-") as folder:
        result = trio.run(run_kills, Path(folder), options.kills, options.seed, options.lanes, report)
    print(table(result, time.monotonic() - began))
    return 1 if result.faults or any(result.codes) else 0


def table(result: Result, took_s: float) -> str:
    """All figures in one, and every fault below."""
    kills = result.kills
    hits = Counter(kill.hit for kill in kills)
    rows = [
        ("kills", f"{len(kills)} in {took_s:.0f} s"),
        (
            "… at birth, ready, at work",
            ", ".join(str(sum(kill.aim == aim for kill in kills)) for aim in ("birth", "ready", "work")),
        ),
        ("last event before a kill", ", ".join(f"{name} {times}" for name, times in hits.most_common())),
        ("children open when killed", str(sum(kill.children for kill in kills))),
        ("viewers answered with 201", str(sum(kill.answers for kill in kills))),
        ("events shown to readers", str(sum(kill.shown for kill in kills))),
        ("last process gone after the kill", spread([kill.gone_s for kill in kills])),
        (
            "start of the process to the ready line",
            spread([kill.ready_s for kill in kills if kill.ready_s is not None]),
        ),
        ("… of that, to open and fold the journal", spread([kill.fold_s for kill in kills])),
        ("… events in the longest journal", str(max((kill.events for kill in kills), default=0))),
        ("exit codes of the graceful ends", ", ".join(map(str, result.codes))),
        ("faults", str(len(result.faults))),
    ]
    return "\n".join(["| what | got |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows), *result.faults])


def spread(seconds: list[float]) -> str:
    if not seconds:
        return "–"
    return f"median {statistics.median(seconds) * 1000:.0f} ms, worst {max(seconds) * 1000:.0f} ms"


if __name__ == "__main__":
    sys.exit(main())
