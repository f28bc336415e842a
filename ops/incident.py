"""Replay an incident: `.venv/bin/python ops/incident.py FOLDER` writes the simulated journal of that day.

Child processes that cannot be killed hold both connection slots of a device; at 07:51 on 2026-01-05 (UTC) nobody can
watch `camera-19`. `ops/docs/investigating.md` finds the cause. The camera `entrance` is recorded into
`FOLDER.recordings`, with a clock in its pictures; it has no video from 03:10 to 03:14, and a visitor at 14:02.
"""

import argparse
import logging
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from supervisor.cli.terminal import spoken  # noqa: E402
from supervisor.journal.check import verify  # noqa: E402
from tests.kit.journals import write_journal  # noqa: E402
from tests.sim.incident import the_incident  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    recordings = folder.with_name(f"{folder.name}.recordings")
    for path in (folder, recordings):
        if path.exists():
            print(f"{path} exists already; name a new folder", file=sys.stderr)
            return 2
    logging.disable(logging.CRITICAL)
    write_journal(folder, the_incident(recordings))
    found = verify(folder)
    print(f"{folder}: {found.events} events; the chain ends with the digest {spoken(found.digest)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
