"""Whether the files that a journal writes are still those under their names.

Rules of this file:
- A look changes nothing: it compares device, inode, size, time of change and mode with what was there after our own
  last write. Whatever another process does to a file, in its place or instead of it, changes one of them.
- Nobody can put back the time of the last change of a file's entry (`ctime`). Where only that is another one, `is_ours`
  looks at the content: a backup that links a file changes it, and so does whoever sets its mode or its owner.
- A file that we may not read and write any more is not ours.
- A reader changes none of them: the times of access are not compared.
- A segment that is being sealed grows by our own writes: of it, only the inode and the least size are compared.
- A look that fails for want of resources, or by a fault of the disk, raises that `OSError`: it says nothing of a file.
- Older segments are compared by `look` only. There may be more than a hundred, too many for each commit.
"""

import os
from collections.abc import Callable

import attrs

from .errors import JournalReplaced, replaced_unless
from .files import MODE
from .lock import NAME as LOCK
from .lock import FolderLock


@attrs.frozen
class Mark:
    """A file as we left it."""

    device: int
    inode: int
    size: int
    changed_ns: int
    mode: int
    entry_changed_ns: int


class Watch:
    """Looks after the files of the folder that `lock` holds. Not for several threads at once, but for `manifest`."""

    def __init__(self, lock: FolderLock, is_ours: Callable[[str], bool] = lambda name: False) -> None:
        self._lock = lock
        self._is_ours = is_ours
        self._exact: dict[str, Mark | None] = {}
        """Files that nobody but we changes; none for one that is not there."""
        self._older: dict[str, Mark | None] = {}
        """The same, for segments that no commit writes to."""
        self._shared: dict[str, Mark] = {}

    def take(self, *names: str) -> None:
        """From now on these files must stay as they are."""
        for name in names:
            self._exact[name] = self._mark(name)

    def take_older(self, *names: str) -> None:
        """From now on these segments must stay as they are."""
        for name in names:
            self.forget(name)
            self._older[name] = self._mark(name)

    def take_shared(self, name: str) -> None:
        """From now on this file must stay the same one, and must not shrink."""
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
        """Raise `JournalReplaced` if anything is not as we left it."""
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

    def _compare(self, marks: dict[str, Mark | None]) -> None:
        for name, mark in marks.items():
            found = self._mark(name)
            if found == mark:
                continue
            if mark is None or found is None or not self._is_same(name, mark, found):
                self._complain(name, mark, found)
            marks[name] = found

    def _is_same(self, name: str, mark: Mark, found: Mark) -> bool:
        """Whether only the entry of a file was changed, and not what it holds."""
        alike = attrs.evolve(found, mode=mark.mode, entry_changed_ns=mark.entry_changed_ns) == mark
        return alike and not _is_closed(mark, found) and self._is_ours(name)

    def take_written(self, name: str) -> None:
        """As `take`, after a write of ours: raise `JournalReplaced` if the name means another file now."""
        mark, found = self._exact.get(name), self._mark(name)
        if mark and (found is None or (found.device, found.inode) != (mark.device, mark.inode)):
            self._complain(name, mark, found)
        self._exact[name] = found

    def look_at_folder(self) -> None:
        folder = self._lock.folder
        try:
            there = os.stat(folder)
        except OSError as error:
            text = f"{folder}: the journal's folder is gone ({error.strerror}); make or mount it again"
            raise replaced_unless(error, text) from None
        if not os.path.samestat(there, self._held(self._lock.descriptor)):
            raise JournalReplaced(f"{folder}: another folder stands under the journal's name")
        held, found = self._held(self._lock.file), self._stat(LOCK)
        if found is None or not os.path.samestat(found, held):
            raise JournalReplaced(f"{folder / LOCK}: the journal's lock was removed or replaced")

    def _complain(self, name: str, mark: Mark | None, found: Mark | None) -> None:
        path = self._lock.folder / name
        if found is None:
            raise JournalReplaced(f"{path}: the file is gone")
        if mark is None or (found.device, found.inode) != (mark.device, mark.inode):
            raise JournalReplaced(f"{path}: another file stands under this name")
        if _is_closed(mark, found):
            raise JournalReplaced(f"{path}: its owner may not read and write this file any more")
        raise JournalReplaced(f"{path}: somebody else changed this file ({mark.size} bytes before, {found.size} now)")

    def _held(self, descriptor: int) -> os.stat_result:
        """A file that is held open. A network file system may have lost it."""
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

    def _mark(self, name: str) -> Mark | None:
        found = self._stat(name)
        if found is None:
            return None
        return Mark(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode, found.st_ctime_ns)


def _is_closed(mark: Mark, found: Mark) -> bool:
    """Whether the mode has lost what its owner needs."""
    return bool(mark.mode & ~found.mode & MODE)
