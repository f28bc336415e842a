"""Simulate power cuts under the journal: `.venv/bin/python ops/power.py [--images N] [--seed S]`.

Each image is a possible content of the disk after a cut at any moment: unsynced data is dropped, torn or kept. Exit 1
if data is lost or damaged in an image; the same seed cuts at the same places.
"""

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

import progress  # noqa: E402
from tests.kit.power import cut_power  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    options = parser.parse_args()

    def report(done: int) -> None:
        if done % 100 == 0 or done == options.images:
            progress.show(done, options.images, f"{done} images")

    with tempfile.TemporaryDirectory(prefix="banken-power-") as folder:
        wrong = cut_power(Path(folder), options.images, options.seed, report)
    print("\n".join(wrong[:20]) or f"{options.images} images: nothing lost, nothing damaged")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
