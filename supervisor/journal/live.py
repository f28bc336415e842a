"""Opens a segment for reading while a process may write to it.

Rules of this file:
- No file of a journal is mapped: if a mapped file is truncated, the process that accesses it dies. So the writer keeps
  the index of its WAL in memory, and locks other processes out. Readers in its process share the index.
- Any other reader takes no lock, has its own index, and checks afterwards. The main file changes only while the WAL is
  copied to it; then the WAL restarts with another header. Everything that was read meanwhile is read again.
- Closing a connection without locks drops all locks of this process on the file. While a writer of this process has
  the file, such a connection stays open and unused until the writer closes it.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import apsw
import attrs

from . import guard
from .wal import HEADER

REUSE_S = 0.1
"""How long a view without locks is used before a check for newer commits."""
SETTLED_S = 0.02
"""After this time a change of a file is visible in its modification time, with the clock of any kernel."""
_NO_LOCKS = "unix-none"
"""The VFS of SQLite that takes no locks."""
Written = dict[tuple[int, int], list[apsw.Connection]]
"""Device and inode of segments that a process writes to, with the connections to close afterwards."""
_written: Written = {}
"""Those of this process."""
_changing = threading.RLock()
"""Held while `_written` changes, and while a connection without locks is closed. A finalizer may run in between."""


def identity_of(path: Path) -> tuple[int, int] | None:
    """Device and inode of a file; None if it cannot be examined."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def take_writing(path: Path) -> tuple[int, int] | None:
    """Let readers in this process share the writer's index from now on, until `leave_writing`.

    Call it before the file is locked, so that no reader of this process drops the lock.
    """
    identity = identity_of(path)
    if identity is not None:
        with _changing:
            _written.setdefault(identity, [])
    return identity


def leave_writing(identity: tuple[int, int] | None) -> None:
    """End `take_writing`. Call it when the file is closed."""
    if identity is not None:
        with _changing:
            for db in _written.pop(identity, ()):
                _close(db)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Around a block that writes to this segment."""
    identity = take_writing(path)
    try:
        yield
    finally:
        leave_writing(identity)


def _close(db: apsw.Connection) -> None:
    with suppress(apsw.Error):  # a failing disk; nothing was written
        db.close(force=True)


@attrs.frozen
class _Mark:
    """Changes before a view without locks could mix two instants: identity, size and time of the main file."""

    main: tuple[int, int, int, int] | None
    header: bytes
    """The header of the WAL."""


class View:
    """A read-only connection to a segment. It is reopened when necessary.

    `written` are the segments that this process writes to; a view as of another process has none.
    """

    def __init__(self, path: Path, sealed: bool, written: Written = _written) -> None:
        self.path, self._written = path, written
        self._sealed = sealed
        self._db: apsw.Connection | None = None
        self._mark: _Mark | None = None
        """None for a connection that always shows one instant."""
        self._unlocked: tuple[int, int] | None = None
        """Device and inode of the file of a connection without locks."""
        self._wal: tuple[int, int] | None = None
        self._is_young = False
        self._opened_at = 0.0

    def open(self) -> apsw.Connection:
        """The connection, reopened if newer commits may exist. Raises `JournalError`."""
        if self._db is not None and self._is_outdated():
            self.close()
        if self._db is None:
            self._db = self._open()
        return self._db

    def _open(self) -> apsw.Connection:
        self._mark = self._unlocked = None
        if self._sealed:
            return guard.open_segment(self.path, immutable=True)
        identity = identity_of(self.path)
        if identity in self._written:
            return guard.open_segment(self.path, vfs=guard.WRITER_VFS)
        self._opened_at, self._wal = time.monotonic(), self._state_of_wal()
        if self._wal is not None:
            self._settle()
            self._is_young = abs(time.time_ns() - self._wal[1]) < SETTLED_S * 1e9
        self._mark = self._look()
        if self._mark.header:
            self._unlocked = identity
            return guard.open_segment(self.path, vfs=_NO_LOCKS, close=self._let_go)
        return guard.open_segment(self.path, immutable=True)

    def _settle(self) -> None:
        """Wait until a later change of the main file gets a different modification time."""
        with suppress(OSError):
            if abs(time.time_ns() - os.stat(self.path).st_mtime_ns) < SETTLED_S * 1e9:
                time.sleep(SETTLED_S)  # noqa: TID251 - in a thread, or a command

    def _look(self) -> _Mark:
        try:
            found = os.stat(self.path)
            main = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        except OSError:
            main = None
        try:
            file = os.open(f"{self.path}-wal", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return _Mark(main, b"")
        try:
            return _Mark(main, os.pread(file, HEADER, 0))
        except OSError:
            return _Mark(main, b"")
        finally:
            os.close(file)

    def _state_of_wal(self) -> tuple[int, int] | None:
        try:
            found = os.stat(f"{self.path}-wal")
        except OSError:
            return None
        return found.st_size, found.st_mtime_ns

    def _is_outdated(self) -> bool:
        """Whether newer commits may exist that this view does not show."""
        if self._mark is None or time.monotonic() < self._opened_at + REUSE_S:
            return False
        return self._is_young or self._state_of_wal() != self._wal

    def is_one_instant(self) -> bool:
        """Whether everything read since `open` is of one instant."""
        return self._mark is None or self._look() == self._mark

    def close(self) -> None:
        if self._db is not None:
            self._let_go(self._db)
            self._db = None

    __del__ = close

    def _let_go(self, db: apsw.Connection) -> None:
        """Close it, or leave that to the writer of the file."""
        if self._unlocked is None:
            _close(db)
            return
        with _changing:
            waiting = self._written.get(self._unlocked)
            if waiting is None:
                _close(db)
            else:
                waiting.append(db)
