"""Freeze a journal of this release: `.venv/bin/python ops/freeze.py`, once for each that changes what is stored.

Writes `tests/journals/vN/`: the journal of a simulated half hour of four cameras, and the hash of the resulting state.
All later versions of the code must read it; a frozen journal is never regenerated.
"""

import json
import logging
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from supervisor.domain.state import RULE, state_hash  # noqa: E402
from supervisor.journal.files import FORMAT  # noqa: E402
from supervisor.journal.store import Rotation  # noqa: E402
from tests.kit.journals import states, write_journal  # noqa: E402
from tests.sim.world import simulate  # noqa: E402

FOLDER = ROOT / "tests" / "journals" / f"v{FORMAT}"


def main() -> int:
    if FOLDER.exists():
        print(f"{FOLDER.relative_to(ROOT)} is frozen", file=sys.stderr)
        return 2
    logging.disable(logging.CRITICAL)
    rows = simulate(1, hours=0.5, cameras=4, keep=True).rows
    write_journal(FOLDER, rows, batch=40, rotation=Rotation(max_bytes=200_000))
    (FOLDER / "lock").unlink()
    last = {"seq": rows[-1].seq, "rule": RULE, "hash": state_hash(states(rows)[-1])}
    (FOLDER / "expected.json").write_text(json.dumps(last) + "\n")
    for left in [*FOLDER.glob("*-wal"), *FOLDER.glob("*-shm")]:
        left.unlink()
    print(f"{len(rows)} events, {sum(path.stat().st_size for path in FOLDER.iterdir())} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
