"""Simulate power cuts under the journal: `.venv/bin/python ops/power.py [--images N] [--seed S] [--recordings]`.

Each image is a possible content of the disk after a cut at any moment: unsynced data is dropped, torn or kept. Exit 1
if data is lost or damaged in an image; the same seed cuts at the same places. With `--recordings`, the cuts are under
an archive of recordings: exit 1 if a file does not play after its repair, or more than a sync and a fragment is lost.
"""

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

import progress  # noqa: E402
from tests.kit.power import cut_power  # noqa: E402
from tests.kit.recording_power import cut_recordings  # noqa: E402

KEPT = "nothing lost, nothing damaged"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.add_argument("--recordings", action="store_true", help="cut the power under an archive of recordings")
    options = parser.parse_args()

    def report(done: int) -> None:
        if done % 100 == 0 or done == options.images:
            progress.show(done, options.images, f"{done} images")

    with tempfile.TemporaryDirectory(prefix="banken-power-") as folder:
        cut = cut_recordings if options.recordings else cut_power
        wrong = cut(Path(folder), options.images, options.seed, report)
    kept = (
        "at most a sync and a fragment lost, every file plays"
        if options.recordings
        else "nothing lost, nothing damaged"
    )
    print("\n".join(wrong[:20]) or f"{options.images} images: {kept}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
