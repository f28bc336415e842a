"""The hold of one daemon on a journal's folder.

Rules of this file:
- The lock belongs to the folder (`flock` on its descriptor): deleting files in it lets nobody else in.
- The file `lock` is locked as well: releases up to 0.1.0 look only there. It holds the pid of the holder.
- Whoever can read the folder can lock it, as a backup may. That stops nobody's cameras: only a daemon refuses a start.
"""

import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path

from .errors import JournalError, JournalInUse
from .files import MODE, set_aside

NAME = "lock"
FOLDER_MODE = 0o700
PROCESSES = Path("/proc")
NO_LOCKS = (errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP)
"""A network file system that locks no folders; then the file alone is locked."""


class FolderLock:
    """Holds `folder` until `close`. With `make`, the folder is made if it is missing.

    Raises `JournalInUse`, and `JournalError` where the folder cannot be used. `aside` is the new name of whatever stood
    in the place of the lock file.
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
        """Whether something else than a file has the name: a folder, a link, a pipe or a socket."""
        try:
            found = os.stat(NAME, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return not stat.S_ISREG(found.st_mode)

    def _in_use(self) -> JournalInUse:
        return JournalInUse(
            f"{self.folder}: the journal is in use by another daemon, or another program has locked its folder "
            f"(the last daemon was pid {_noted_pid(self.folder)}); stop that one, or give this one a journal of its own"
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
                with suppress(OSError):  # a network file system that has lost it: it is closed all the same
                    os.close(descriptor)
        self.file = self.descriptor = -1


def is_used(folder: Path) -> bool:
    """Whether a living daemon holds `folder`: a process that has both it and its lock open, which may be removed.

    A release up to 0.1.0 has only the lock open, and its pid in there. Slow: it looks at all processes. Those of other
    users are not seen, and neither are those of another container.
    """
    if not PROCESSES.is_dir():
        return True  # this system does not say
    held, noted = str(folder.resolve()), _noted_pid(folder)
    for pid in filter(str.isdigit, os.listdir(PROCESSES)):
        opened = _opened(PROCESSES / pid / "fd")
        if f"{held}/{NAME}" in opened and (held in opened or pid == noted):
            return True
    return False


def _opened(descriptors: Path) -> set[str]:
    """The names of what a process has open; none of one that has ended or is somebody else's."""
    names = set()
    with suppress(OSError):
        for number in os.listdir(descriptors):
            with suppress(FileNotFoundError):
                names.add(os.readlink(descriptors / number).removesuffix(" (deleted)"))
    return names


def _noted_pid(folder: Path) -> str:
    """As the last daemon has left it."""
    try:
        with open(os.open(folder / NAME, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            return file.read(32).decode(errors="replace").strip() or "unknown"
    except OSError:
        return "unknown"
