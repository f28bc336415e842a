"""Run a whole site, kill each of its programs in turn, and see that nothing is left.

Run it as `.venv/bin/python ops/launcher.py`.

The programs: one that writes H.264 to shared memory, one that writes detections there, a browser, and banken.
"""

import sys
import tempfile
from pathlib import Path

import trio

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.kit.launcher import run_site


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        trio.run(run_site, Path(folder), sys.executable, lambda text: print(text, flush=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
