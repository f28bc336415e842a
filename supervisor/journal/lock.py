"""The lock of one daemon on a journal's folder.

Rules of this file:
- The lock is on the folder (`flock` on its descriptor), so deleting files in it does not release the lock.
- The file `lock` is locked as well, because releases up to 0.1.0 check only that. It contains the holder's pid.
- Any program that can read the folder can lock it, as a backup may. Only the lock of a daemon prevents a start, so
  another program's lock does not stop the cameras.
"""

import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path

from ..ports.errors import JournalError
from .errors import JournalInUse
from .files import MODE, set_aside

NAME = "lock"
FOLDER_MODE = 0o700
PROCESSES = Path("/proc")
NO_LOCKS = (errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP)
"""Errors of a network file system that cannot lock folders. Then only the file is locked."""


class FolderLock:
    """Locks `folder` until `close`. With `make`, a missing folder is created.

    Raises `JournalInUse`, and `JournalError` if the folder cannot be used. `aside` is the new name of an object that
    had the name of the lock file, if there was one.
    """

    def __init__(self, folder: Path, *, make: bool) -> None:
        self.folder = folder
        self.aside: str | None = None
        try:
            if make and not folder.exists():
                folder.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
            self.descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            raise JournalError(f"{str(folder)!r}: the journal folder cannot be used: {error}") from None
        self.file = -1
        try:
            self._lock_folder()
            self.file = self._open_file()
            if not self._try(self.file):
                raise self._in_use()
            self._write_pid()
        except OSError as error:
            self.close()
            raise JournalError(f"{str(folder)!r}: the journal folder cannot be used: {error}") from None
        except BaseException:
            self.close()
            raise

    def _lock_folder(self) -> None:
        try:
            if not self._try(self.descriptor):
                raise self._in_use()
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise

    def _try(self, descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _open_file(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        if self._is_in_the_way():
            self.aside = set_aside(self.folder, NAME)
        try:
            return os.open(NAME, flags, MODE, dir_fd=self.descriptor)
        except OSError as error:
            if error.errno != errno.EROFS:
                raise
            return os.open(NAME, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.descriptor)

    def _is_in_the_way(self) -> bool:
        """Whether an object other than a regular file has the name: a folder, a link, a pipe or a socket."""
        try:
            found = os.stat(NAME, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return not stat.S_ISREG(found.st_mode)

    def _in_use(self) -> JournalInUse:
        return JournalInUse(
            f"{self.folder}: the journal is in use by another daemon, or another program has locked its folder "
            f"(the last daemon was pid {_noted_pid(self.folder)}); stop that daemon, or give this one another journal"
        )

    def _write_pid(self) -> None:
        if fcntl.fcntl(self.file, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            return
        os.fchmod(self.file, MODE)
        os.ftruncate(self.file, 0)
        os.pwrite(self.file, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        for descriptor in (self.file, self.descriptor):
            if descriptor >= 0:
                with suppress(OSError):  # a network file system may have lost it; it is closed anyway
                    os.close(descriptor)
        self.file = self.descriptor = -1


def is_used(folder: Path) -> bool:
    """Whether a running daemon holds `folder`. Slow: it reads all processes that it can see."""
    if not PROCESSES.is_dir():
        return True  # unknown on this system
    return any(is_held_by(int(pid), folder) for pid in filter(str.isdigit, os.listdir(PROCESSES)))


def is_held_by(pid: int, folder: Path) -> bool:
    """Whether the process `pid` holds `folder` as a daemon does: it has both the folder and its lock file open.

    The lock file may have been removed since. A release up to 0.1.0 has only the lock file open, with its pid in it.
    False for a process of another user or another container, whose files cannot be seen.
    """
    held = str(folder.resolve())
    opened = _opened(PROCESSES / str(pid) / "fd")
    return f"{held}/{NAME}" in opened and (held in opened or str(pid) == _noted_pid(folder))


def _opened(descriptors: Path) -> set[str]:
    """The paths of a process's open files; empty if it has ended or belongs to another user."""
    names = set()
    with suppress(OSError):
        for number in os.listdir(descriptors):
            with suppress(FileNotFoundError):
                names.add(os.readlink(descriptors / number).removesuffix(" (deleted)"))
    return names


def _noted_pid(folder: Path) -> str:
    """The pid that the last daemon wrote, or "unknown"."""
    try:
        with open(os.open(folder / NAME, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            return file.read(32).decode(errors="replace").strip() or "unknown"
    except OSError:
        return "unknown"
