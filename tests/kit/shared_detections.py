"""A writer of detections in shared memory, laid out as in C.

As a program, it detects a cat twice a second: `python -m tests.kit.shared_detections NAME SIZE`. It removes the segment
at SIGTERM, and leaves it behind at SIGKILL.
"""

import mmap
import os
import signal
import struct
import sys
import time
from collections.abc import Sequence
from pathlib import Path

SHM = Path("/dev/shm")
SIZES = 552, 584
Row = tuple[str, float, int, int, int, int]
"""Class, confidence, x, y, w and h."""


class DetectionsWriter:
    """The segment, created and mapped by its writer."""

    def __init__(self, name: str, size: int = SIZES[0]) -> None:
        self.path = SHM / name.removeprefix("/")
        file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            os.ftruncate(file, size)
            self._map = mmap.mmap(file, size)
        finally:
            os.close(file)
        self.frame = 0

    @property
    def version(self) -> int:
        version: int = struct.unpack_from("<I", self._map, 548)[0]
        return version

    def write(self, rows: Sequence[Row], count: int | None = None, *, bump: bool = True) -> None:
        """Write an update; `count` may be another number than that of the rows."""
        self.frame += 1
        now = divmod(time.monotonic_ns(), 1_000_000_000)
        struct.pack_into("<Qqqi", self._map, 0, self.frame, *now, len(rows) if count is None else count)
        for place, (label, *numbers) in enumerate(rows):
            struct.pack_into("<32sfiiii", self._map, 28 + place * 52, label.encode(), *numbers)
        if bump:
            self.bump()

    def bump(self) -> None:
        struct.pack_into("<I", self._map, 548, (self.version + 1) % (1 << 32))

    def close(self) -> None:
        self._map.close()

    def unlink(self) -> None:
        self.path.unlink(missing_ok=True)


def main(name: str, size: int) -> None:
    writer = DetectionsWriter(name, size)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        while True:
            writer.write([("cat", 0.9, 10, 20, 100, 80)])
            time.sleep(0.5)
    finally:
        writer.unlink()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
