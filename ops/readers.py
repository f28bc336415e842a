"""Programs read one camera of banken by RTSP: `.venv/bin/python ops/readers.py [--minutes 10] [--only ffmpeg-tcp ...]`.

ffmpeg and GStreamer over TCP and UDP, ffmpeg as a recorder, go2rtc, mediamtx with a recording, and a second banken read
the same on-demand camera at the same time. Each decodes what it reads. The camera serves two connections. Prints a
table. Exit 1 if a reader has a problem or less than 98 % of the frames, or if the camera has seen two connections.
go2rtc and mediamtx are built by `ops/other_servers.py`; without them they are left out.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import trio

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.kit.readers import FPS, PROGRAMS, Outcome, missing, run_readers  # noqa: E402

LEAST = 0.98
"""Of the camera's frames."""


def report(outcome: Outcome) -> int:
    """Print the table. Returns the exit code."""
    print("| reader | frames decoded | of the camera's | problem |\n|---|---|---|---|")
    failed = 0
    for read in outcome.reads:
        share = read.rate / FPS
        failed += share < LEAST or bool(read.problem)
        print(f"| {read.name} | {read.frames} | {share:.1%} | {read.problem[:200]} |")
    print(f"\nThe camera has seen {outcome.connections} connection(s) at a time, and {outcome.plays} PLAY in all.")
    return 1 if failed or outcome.connections > 1 else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, metavar="M")
    parser.add_argument("--only", nargs="+", choices=PROGRAMS, default=list(PROGRAMS), metavar="NAME")
    options = parser.parse_args()
    absent = missing(options.only)
    for name in absent:
        print(f"{name} is not built: run .venv/bin/python ops/other_servers.py", file=sys.stderr)
    programs = [name for name in options.only if name not in absent]
    with tempfile.TemporaryDirectory(prefix="banken-readers-") as folder:
        return report(trio.run(run_readers, Path(folder), options.minutes * 60, programs))


if __name__ == "__main__":
    sys.exit(main())
