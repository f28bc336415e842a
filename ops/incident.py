"""Replay an incident: `.venv/bin/python ops/incident.py FOLDER` writes the simulated journal of that morning.

Child processes that cannot be killed hold both connection slots of a device; at 07:51 on 2026-01-05 (UTC) nobody can
watch `camera-19`. `ops/docs/investigating.md` finds the cause.
"""

import argparse
import logging
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from tests.kit.journals import write_journal  # noqa: E402
from tests.sim.incident import the_incident  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    if folder.exists():
        print(f"{folder} exists already; name a new folder", file=sys.stderr)
        return 2
    logging.disable(logging.CRITICAL)
    rows = the_incident()
    write_journal(folder, rows)
    print(f"{folder}: {len(rows)} events")
    return 0


if __name__ == "__main__":
    sys.exit(main())
