"""Read shared memory whose writer never waits, and count torn frames: `.venv/bin/python ops/torn.py --frames 20000`."""

import argparse
import sys
from pathlib import Path

import trio

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.kit.shared_memory import OFFSETS
from tests.kit.torn import count_torn


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=20_000, help="frames to read, of all layouts together")
    frames, torn = parser.parse_args().frames, 0
    for size in OFFSETS:
        hub = trio.run(count_torn, size, frames // len(OFFSETS) + 1, float(frames))
        print(f"{size:,} bytes: {hub.seen} frames, {hub.torn} torn, {hub.loss.lost:,} missed", flush=True)
        torn += hub.torn
    return 1 if torn else 0


if __name__ == "__main__":
    sys.exit(main())
