"""Reads back a commit from the WAL, to check that a recovery after a crash would find it.

Another process may change the file during a commit. SQLite does not notice: it continues at its position, and its
index in memory still has all pages. The next recovery stops at the first frame whose checksum is wrong.

Rules of this file:
- Each frame of a commit is compared with its checksum once. Then its bytes are part of a running digest.
- `look_again` compares the whole file with that digest: 3 ms for 4 MB, without the interpreter's lock.
- The file restarts only after `may_begin_again`.
- Opening and closing a WAL drops no lock: SQLite holds its locks on the main file.
"""

import hashlib
import os
import struct
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from .errors import JournalReplaced, replaced_unless

HEADER, FRAME = 32, 24
"""Bytes of the header of the file, and of the header of each frame in it."""
_LITTLE, _BIG = 0x377F0682, 0x377F0683
_WORD = 0xFFFFFFFF
_CHUNK = 256 * 1024


class Wal:
    """The WAL of a segment, read back after each commit. The WAL must be empty when this object is made."""

    def __init__(self, segment: Path) -> None:
        self.path = segment.with_name(f"{segment.name}-wal")
        self._header = b""
        self._last = b""
        """The last frame of the last commit."""
        self.end = 0
        """Offset of the end of that frame, in bytes."""
        self._digest = hashlib.sha256()
        """Digest of the bytes up to `end`."""
        self._may_begin = True

    def may_begin_again(self) -> None:
        """Call it when the whole WAL was copied: SQLite then restarts at the beginning of the file, with a new salt."""
        self._may_begin = True

    def look_at_commit(self) -> None:
        """Raise `JournalReplaced` unless one new, intact commit follows the commits of the last call."""
        with self._opened() as file:
            self._look(file)

    def look_again(self) -> None:
        """Raise `JournalReplaced` unless all commits that were read back are unchanged, byte for byte."""
        digest, offset = hashlib.sha256(), 0
        if not self.end:
            return
        with self._opened() as file:
            while chunk := os.pread(file, min(_CHUNK, self.end - offset), offset):
                digest.update(chunk)
                offset += len(chunk)
        if digest.digest() != self._digest.digest():
            raise JournalReplaced(f"{self.path}: another program changed this file: commits in it are not whole")

    def pages(self) -> dict[int, bytes]:
        """Each page as the last commit left it, by its offset in the main file."""
        size, found = int.from_bytes(self._header[8:12], "big"), dict[int, bytes]()
        with self._opened() as file:
            for place in range(HEADER, self.end, FRAME + size):
                frame = os.pread(file, FRAME + size, place)
                found[(int.from_bytes(frame[:4], "big") - 1) * size] = frame[FRAME:]
        return found

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """The file, open for reading. Raises `OSError` for a temporary failure, otherwise `JournalReplaced`."""
        try:
            file = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                yield file
            finally:
                os.close(file)
        except OSError as error:
            raise replaced_unless(error, f"{self.path}: the last commit cannot be read back: {error}") from None

    def _look(self, file: int) -> None:
        header = os.pread(file, HEADER, 0)
        if header != self._header:
            self._begin(header)
        frame_size = FRAME + int.from_bytes(header[8:12], "big")
        if self._last and os.pread(file, frame_size, self.end - frame_size) != self._last:
            raise self._hole(self.end - frame_size)
        is_little = header[:4] == _LITTLE.to_bytes(4, "big")
        checksum = self._last[16:24] or header[24:32]
        frame, offset, is_last = self._last, self.end, False
        while not is_last:
            frame = os.pread(file, frame_size, offset)
            if len(frame) < frame_size or frame[8:16] != header[16:24]:
                raise self._hole(offset)
            if frame[16:24] != checksum_of(frame[FRAME:], checksum_of(frame[:8], checksum, is_little), is_little):
                raise self._hole(offset)
            self._digest.update(frame)
            checksum, is_last = frame[16:24], any(frame[4:8])
            offset += frame_size
        self._header, self._last, self.end, self._may_begin = header, frame, offset, False

    def _begin(self, header: bytes) -> None:
        magic = int.from_bytes(header[:4], "big")
        if not self._may_begin or len(header) < HEADER or magic not in (_LITTLE, _BIG):
            raise self._hole(0)
        if checksum_of(header[:24], bytes(8), magic == _LITTLE) != header[24:]:
            raise self._hole(0)
        self._last, self.end, self._digest = b"", HEADER, hashlib.sha256(header)

    def _hole(self, offset: int) -> JournalReplaced:
        return JournalReplaced(
            f"{self.path}: another program changed this file: the last commit is not whole at {offset}"
        )


def checksum_of(data: bytes, before: bytes, is_little: bool) -> bytes:
    """SQLite's checksum of `data`, pairs of 32-bit words, after data that has the checksum `before`.

    Two sums run over the pairs (a, b): one += a + two, then two += b + one. Both are linear. So the sums of the first
    half, times the matrix of the second half, are added to the sums of the second half, for all halves at a time.
    """
    if not is_little:
        words = array("I", data)
        words.byteswap()
        data = words.tobytes()
    pairs = len(data) // 8
    if pairs & (pairs - 1):  # a header: the halves must have equal length
        for first in range(0, len(data), 8):
            before = checksum_of(data[first : first + 8], before, True)
        return before
    one, two = struct.unpack(">2I", before)
    lanes = int.from_bytes(data, "little")
    mask = _lanes(pairs)
    ones = lanes & mask
    twos = ((lanes >> 32 & mask) + ones) & mask
    n = pairs
    while n > 1:
        n //= 2
        (a, b), (c, d) = _matrix(n)
        mask, first, second = _lanes(n), ones & _lanes(n), twos & _lanes(n)
        ones = ((a * first & mask) + (b * second & mask) + (ones >> 64 * n)) & mask
        twos = ((c * first & mask) + (d * second & mask) + (twos >> 64 * n)) & mask
    (a, b), (c, d) = _matrix(pairs)
    return struct.pack(">2I", (a * one + b * two + ones) & _WORD, (c * one + d * two + twos) & _WORD)


@cache
def _lanes(pairs: int) -> int:
    """A mask of the lower halves of `pairs` lanes of 64 bits."""
    return int.from_bytes((b"\xff" * 4 + bytes(4)) * pairs, "little")


@cache
def _matrix(pairs: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The matrix by which `pairs` pairs of zeros change both sums."""
    a, b, c, d = 1, 0, 0, 1
    for _ in range(pairs):
        a, b = a + c & _WORD, b + d & _WORD
        c, d = c + a & _WORD, d + b & _WORD
    return (a, b), (c, d)
