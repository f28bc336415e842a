"""A writer of shared memory, as camera programs have it: a ring of frames in /dev/shm, laid out as in C.

As a program, it writes at full speed until it is ended: `python -m tests.kit.shared_memory NAME SIZE`. Each frame shows
its own number in all its bytes, so that a torn copy is seen.
"""

import mmap
import os
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SHM = Path("/dev/shm")
CAPACITY = 1920 * 1080 * 3 // 2
SLOTS = 30
PLAIN, SEMAPHORE, BRIGHTNESS = 93_313_448, 93_313_480, 93_313_960
OFFSETS = {PLAIN: (8, 48, 3_110_448), SEMAPHORE: (40, 48, 3_110_448), BRIGHTNESS: (40, 60, 3_110_464)}
"""By the size of the segment: the offset of the first slot, that of the data in a slot, and the size of a slot."""
IDR = b"\x00\x00\x00\x01\x65"
H264 = 3


class SharedRing:
    """A ring of frames, created and mapped by its writer."""

    def __init__(self, name: str, size: int = PLAIN) -> None:
        self.path = SHM / name.removeprefix("/")
        self._first, self._data, self._stride = OFFSETS[size]
        file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            os.ftruncate(file, size)
            self._map = mmap.mmap(file, size)
        finally:
            os.close(file)
        self._view = memoryview(self._map)
        self._head = self._view[:8].cast("I")

    @property
    def index(self) -> int:
        return self._head[0]

    @index.setter
    def index(self, index: int) -> None:
        self._head[0] = index

    def every_ms(self, interval: int) -> None:
        self._head[1] = interval

    def header(self, number: int, size: int, kind: int = H264, time_ns: int | None = None) -> bytes:
        now_ns = time.monotonic_ns() if time_ns is None else time_ns
        packed = struct.pack("<QqqiiiiQ", number, *divmod(now_ns, 1_000_000_000), 0, 64, 64, kind, size)
        return packed.ljust(self._data, b"\0")

    def begin(self) -> int:
        """Claim the next slot, as the writer does before it copies. Returns its offset."""
        index = self.index
        self.index = index + 1
        return self._first + index % SLOTS * self._stride

    def put(self, at: int, data: bytes) -> None:
        """Copy into the segment: a `memcpy`."""
        self._view[at : at + len(data)] = data

    def write(
        self, data: bytes, number: int | None = None, *, kind: int = H264, size: int | None = None,
        time_ns: int | None = None,
    ) -> None:  # fmt: skip
        """Write one frame; `number` is the writer's own count, by default from 0 like the index."""
        number = self.index if number is None else number
        header = self.header(number, len(data) if size is None else size, kind, time_ns)
        self.put(self.begin(), header + data)

    def close(self) -> None:
        """Unmap it. The segment stays, as after the end of its writer."""
        self._head.release()
        self._view.release()
        self._map.close()

    def unlink(self) -> None:
        self.path.unlink(missing_ok=True)


@contextmanager
def shared_ring(name: str, size: int = PLAIN) -> Iterator[SharedRing]:
    """A ring that is removed at the end."""
    ring = SharedRing(name, size)
    try:
        yield ring
    finally:
        ring.unlink()
        ring.close()


def numbered(number: int) -> bytes:
    """A frame of 1 to 64 KiB whose bytes all follow from its number."""
    return IDR + b"%016d" % number * (64 + number * 7919 % 4000)


def write_at_full_speed(name: str, size: int) -> None:
    ring, number = SharedRing(name, size), 0
    while True:
        ring.write(numbered(number), number)
        number += 1


if __name__ == "__main__":
    write_at_full_speed(sys.argv[1], int(sys.argv[2]))
