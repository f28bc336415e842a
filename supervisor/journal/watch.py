"""Checks that the journal's file names still lead to the files that the journal wrote.

Rules of this file:
- A check changes nothing. It compares device, inode, size, modification time and mode with the values after our last
  write. Any foreign change or replacement of a file changes one of them.
- No program can reset the time of the last change of a file's inode (`ctime`). If only that differs, `is_ours` reads
  the content: a backup that links a file changes it, and so does a change of its mode or owner.
- A file that we can no longer read and write is not ours.
- Readers do not matter: access times are not compared.
- A segment that is being sealed grows by our own writes, so only its inode and minimum size are compared.
- A check that fails for lack of resources, or by a fault of the disk, raises that `OSError`: it proves nothing.
- Only `look` compares older segments. There may be more than a hundred, too many for each commit.
"""

import os
from collections.abc import Callable

import attrs

from .errors import JournalReplaced, replaced_unless
from .files import MODE
from .lock import NAME as LOCK
from .lock import FolderLock


@attrs.frozen
class FileAttributes:
    """The attributes of a file after our last write."""

    device: int
    inode: int
    size: int
    changed_ns: int
    mode: int
    entry_changed_ns: int


class FileWatch:
    """Watches the files of the folder that `lock` holds. For one thread at a time, except for `manifest`."""

    def __init__(self, lock: FolderLock, is_ours: Callable[[str], bool] = lambda name: False) -> None:
        self._lock = lock
        self._is_ours = is_ours
        self._exact: dict[str, FileAttributes | None] = {}
        """Files that only we change; None for a missing file."""
        self._older: dict[str, FileAttributes | None] = {}
        """As `_exact`, for segments that no commit writes to."""
        self._shared: dict[str, FileAttributes] = {}

    def take(self, *names: str) -> None:
        """From now on these files must not change."""
        for name in names:
            self._exact[name] = self._mark(name)

    def take_older(self, *names: str) -> None:
        """From now on these older segments must not change."""
        for name in names:
            self.forget(name)
            self._older[name] = self._mark(name)

    def take_shared(self, name: str) -> None:
        """From now on this file must not be replaced and must not shrink."""
        self.forget(name)
        mark = self._mark(name)
        if mark is not None:
            self._shared[name] = mark

    def forget(self, *names: str) -> None:
        for name in names:
            self._exact.pop(name, None)
            self._older.pop(name, None)
            self._shared.pop(name, None)

    def look(self) -> None:
        """Raise `JournalReplaced` if any watched file was changed or replaced."""
        self.look_at_written()
        self._compare(self._older)

    def look_at_written(self) -> None:
        """As `look`, without the older segments."""
        self.look_at_folder()
        for name, mark in self._shared.items():
            found = self._mark(name)
            if (
                found is None
                or (found.device, found.inode) != (mark.device, mark.inode)
                or found.size < mark.size
                or _is_closed(mark, found)
            ):
                self._complain(name, mark, found)
        self._compare(self._exact)

    def _compare(self, marks: dict[str, FileAttributes | None]) -> None:
        for name, mark in marks.items():
            found = self._mark(name)
            if found == mark:
                continue
            if mark is None or found is None or not self._is_same(name, mark, found):
                self._complain(name, mark, found)
            marks[name] = found

    def _is_same(self, name: str, mark: FileAttributes, found: FileAttributes) -> bool:
        """Whether only the attributes of a file changed, not its content."""
        alike = attrs.evolve(found, mode=mark.mode, entry_changed_ns=mark.entry_changed_ns) == mark
        return alike and not _is_closed(mark, found) and self._is_ours(name)

    def take_written(self, name: str) -> None:
        """As `take`, after our own write. Raises `JournalReplaced` if the name now leads to another file."""
        mark, found = self._exact.get(name), self._mark(name)
        if mark and (found is None or (found.device, found.inode) != (mark.device, mark.inode)):
            self._complain(name, mark, found)
        self._exact[name] = found

    def look_at_folder(self) -> None:
        """Raise `JournalReplaced` if the folder or its lock file was removed or replaced.

        Raises `OSError` for a temporary failure.
        """
        folder = self._lock.folder
        try:
            there = os.stat(folder)
        except OSError as error:
            text = f"{folder}: the journal's folder is gone ({error.strerror}); make or mount it again"
            raise replaced_unless(error, text) from None
        if not os.path.samestat(there, self._held(self._lock.descriptor)):
            raise JournalReplaced(f"{folder}: the journal's path leads to another folder")
        held, found = self._held(self._lock.file), self._stat(LOCK)
        if found is None or not os.path.samestat(found, held):
            raise JournalReplaced(f"{folder / LOCK}: the journal's lock was removed or replaced")

    def _complain(self, name: str, mark: FileAttributes | None, found: FileAttributes | None) -> None:
        path = self._lock.folder / name
        if found is None:
            raise JournalReplaced(f"{path}: the file is gone")
        if mark is None or (found.device, found.inode) != (mark.device, mark.inode):
            raise JournalReplaced(f"{path}: another file is at this path")
        if _is_closed(mark, found):
            raise JournalReplaced(f"{path}: its owner may no longer read and write this file")
        raise JournalReplaced(f"{path}: another program changed this file ({mark.size} bytes before, {found.size} now)")

    def _held(self, descriptor: int) -> os.stat_result:
        """The attributes of an open file. A network file system may have lost it."""
        try:
            return os.fstat(descriptor)
        except OSError as error:
            text = f"{self._lock.folder}: the journal's lock is lost ({error.strerror}); it is taken again"
            raise replaced_unless(error, text) from None

    def _stat(self, name: str) -> os.stat_result | None:
        try:
            return os.stat(name, dir_fd=self._lock.descriptor)
        except FileNotFoundError:
            return None
        except OSError as error:
            text = f"{self._lock.folder / name}: the file cannot be looked at: {error}"
            raise replaced_unless(error, text) from None

    def _mark(self, name: str) -> FileAttributes | None:
        found = self._stat(name)
        if found is None:
            return None
        return FileAttributes(
            found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode, found.st_ctime_ns
        )


def _is_closed(mark: FileAttributes, found: FileAttributes) -> bool:
    """Whether the owner has lost a permission that it needs."""
    return bool(mark.mode & ~found.mode & MODE)
