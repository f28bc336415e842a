"""Reads back what a commit has left in the WAL: whether a recovery after a crash would find it.

Somebody may shorten the file while a commit is under way. SQLite does not notice: it writes on where it was, behind a
hole, and its index in memory still knows all pages. The next recovery stops at the hole.

Rules of this file:
- A hole ends where the file ended when it was shortened: at the end of a header or of a page. Its last byte is zero.
  So a checksum, which is slow to compute here, is looked at only where the last byte is zero.
- Opening and closing a WAL drops no lock: SQLite holds its locks on the other two files.
"""

import os
import struct
from pathlib import Path

from .errors import JournalReplaced

HEADER, FRAME = 32, 24
"""Bytes of the header of the file, and of that of each page in it."""
_LITTLE, _BIG = 0x377F0682, 0x377F0683
_MASK = 0xFFFFFFFF


class Wal:
    """The WAL of a segment, read back after each commit. It is empty when this is made."""

    def __init__(self, segment: Path) -> None:
        self.path = segment.with_name(f"{segment.name}-wal")
        self._header = b""
        self._last = b""
        """The last frame of the last commit."""
        self.end = 0
        """Bytes up to the end of that frame."""

    def look_at_commit(self) -> None:
        """Raise `JournalReplaced` unless the file holds one more commit than at the last call, and all before it."""
        try:
            file = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                self._look(file)
            finally:
                os.close(file)
        except OSError as error:
            raise JournalReplaced(f"{self.path}: the last commit cannot be read back: {error}") from None

    def look_again(self) -> None:
        """Raise `JournalReplaced` unless all commits that were read back are still there."""
        again = Wal(self.path.with_name(self.path.name.removesuffix("-wal")))
        while again.end < self.end:
            again.look_at_commit()
        if (again.end, again._last) != (self.end, self._last):
            raise self._hole(again.end)

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
            if (not frame[-1] or not frame[FRAME - 1]) and frame[16:24] != checksum_of(frame, checksum, is_little):
                raise self._hole(offset)
            checksum, is_last = frame[16:24], any(frame[4:8])
            offset += frame_size
        self._header, self._last, self.end = header, frame, offset

    def _begin(self, header: bytes) -> None:
        """SQLite begins again at the beginning of the file, with another salt, once all of it was copied."""
        if len(header) < HEADER or int.from_bytes(header[:4], "big") not in (_LITTLE, _BIG):
            raise self._hole(0)
        self._last, self.end = b"", HEADER

    def _hole(self, offset: int) -> JournalReplaced:
        return JournalReplaced(
            f"{self.path}: somebody else changed this file: the last commit is not whole at {offset}"
        )


def checksum_of(frame: bytes, before: bytes, is_little: bool) -> bytes:
    """The checksum that the frame's header must hold, after one whose header holds `before`."""
    data = frame[:8] + frame[FRAME:]
    words = struct.unpack(f"{'<' if is_little else '>'}{len(data) // 4}I", data)
    one, two = struct.unpack(">2I", before)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        one = (one + even + two) & _MASK
        two = (two + odd + one) & _MASK
    return struct.pack(">2I", one, two)
