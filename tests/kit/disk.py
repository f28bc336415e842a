"""A disk that fails on command, under the real journal: SQLite's own file layer with a fault in it.

Run as a program it is banken itself on such a disk: `python -m tests.kit.disk run CONFIG`; the environment's
`FAILING_DISK` names a file that holds the fault of the moment, or none.

Rules of this file:
- A fault affects the calls of SQLite for its main file and the WAL; the real file below stays intact.
- A failed sync loses everything written since the last one, as on Linux: the pages are readable until a power cut, and
  no later sync writes them. Only writing them again repairs this. `lost()` counts the data in that state.
"""

import os
import threading
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

import apsw
import attrs

from supervisor.journal import guard

NAME, BASE = "failing", guard.WRITER_VFS
FAILING_DISK = "FAILING_DISK"
STALL_S = 2.0


class Fault(StrEnum):
    NONE = "none"
    FULL = "every write finds the disk full"
    SYNC_FAILS = "every sync fails"
    SYNC_STALLS = "every sync takes two seconds"
    READ_ONLY = "the file system has become read-only"
    WRITE_FAILS = "every write fails"
    TORN = "every write stores its first half, and fails"


@attrs.define
class Ranges:
    """Bytes of one file: written and not synced yet, and lost by a sync that failed."""

    unsynced: set[tuple[int, int]] = attrs.field(factory=set)
    lost: set[tuple[int, int]] = attrs.field(factory=set)

    def write(self, start: int, end: int) -> None:
        self.lost = {(a, b) for a, b in self.lost if not (start <= a and b <= end)}
        self.unsynced.add((start, end))

    def sync(self, fails: bool) -> None:
        if fails:
            self.lost |= self.unsynced
        self.unsynced.clear()

    def truncate(self, size: int) -> None:
        self.lost = {(a, b) for a, b in self.lost if a < size}


class Disk(apsw.VFS):
    """SQLite's default file layer as long as it is not unregistered. `fault` says what fails now."""

    def __init__(self, fault: Callable[[], Fault]) -> None:
        self._fault = fault
        self.ranges: dict[str, Ranges] = {}
        self.syncs = 0
        self.failed = 0
        """Calls that were made to fail, or to wait."""
        super().__init__(NAME, BASE, makedefault=True)
        guard.WRITER_VFS = NAME

    def unregister(self) -> None:
        super().unregister()
        guard.WRITER_VFS = BASE

    @property
    def fault(self) -> Fault:
        return self._fault()

    def lost(self) -> int:
        """Return the number of ranges that can be read although a sync of them failed."""
        return sum(len(ranges.lost) for ranges in self.ranges.values())

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        path = name.filename() if isinstance(name, apsw.URIFilename) else name or ""
        if self.fault is Fault.READ_ONLY:  # SQLite's own layer then opens for reading only, and says so
            self.failed += 1
            flags[0] = flags[0] & ~(apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE) | apsw.SQLITE_OPEN_READONLY
        return DiskFile(self, path, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(filename, syncdir)
        self.ranges.pop(filename, None)


class DiskFile(apsw.VFSFile):
    def __init__(self, disk: Disk, path: str, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__(BASE, name, flags)
        self._disk = disk
        self._ranges = disk.ranges.setdefault(path, Ranges())

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        fault = self._disk.fault
        self._disk.failed += fault in (Fault.FULL, Fault.WRITE_FAILS, Fault.READ_ONLY, Fault.TORN)
        match fault:
            case Fault.FULL:
                raise apsw.FullError("no space left on device")
            case Fault.WRITE_FAILS:
                raise apsw.IOError("input/output error")
            case Fault.READ_ONLY:
                raise apsw.IOError("read-only file system")
            case Fault.TORN:
                half = len(data) // 2
                super().xWrite(data[:half], offset)
                self._ranges.write(offset, offset + half)
                raise apsw.IOError("input/output error")
            case _:
                pass
        super().xWrite(data, offset)
        self._ranges.write(offset, offset + len(data))

    def xSync(self, flags: int) -> None:  # noqa: N802
        fault = self._disk.fault
        self._disk.syncs += 1
        if fault is Fault.SYNC_STALLS:
            self._disk.failed += 1
            threading.Event().wait(STALL_S)
        if fault is Fault.SYNC_FAILS:
            self._disk.failed += 1
            self._ranges.sync(fails=True)
            raise apsw.IOError("sync: input/output error")
        super().xSync(flags)
        self._ranges.sync(fails=False)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        super().xTruncate(newsize)
        self._ranges.truncate(newsize)


def fault_in(file: Path) -> Fault:
    """Return the fault that the file names; no fault if the file does not exist."""
    try:
        return Fault(file.read_text() or Fault.NONE)
    except FileNotFoundError:
        return Fault.NONE


if __name__ == "__main__":
    from supervisor.__main__ import main

    file = Path(os.environ[FAILING_DISK])
    disk = Disk(lambda: fault_in(file))
    main()
