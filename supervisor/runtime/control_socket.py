"""The control socket: a Unix socket in the state folder, by which the owner of the machine reaches the daemon.

Rules of this file:
- One daemon serves one state folder. It holds a lock on `control.lock`, which the kernel releases when it ends; and a
  socket that still answers is never replaced, so deleting the lock file lets no second daemon in.
- The socket of a daemon that was killed is replaced. Anything else at its path, such as a file or a link, stays.
- The socket has mode 0600 from its first moment. The web layer checks the user of each connection as well.
- A folder that cannot be used does not stop the cameras: the daemon runs without the socket, `reading` says why, and
  `listener` tries again. Only another daemon on the same folder is a reason not to start.
- At the end, the socket is removed if it is still our own. The lock file stays.
"""

import errno
import fcntl
import os
import socket
import stat
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..config.state_folder import control_in
from ..domain.monitors import Reading

LOCK = "control.lock"
FOLDER_MODE, MODE = 0o700, 0o600
BACKLOG = 128
CLOSE_S = 1.0
"""The longest wait of `close` for a disk that does not answer."""
NO_LOCKS = (errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP)
"""Errors of a file system without locks. Then a socket that answers is the only sign of another daemon."""


class ControlInUse(Exception):
    """Another daemon serves the state folder."""


class ControlSocket:
    """The control socket in `folder`, which is made with mode 0700 if it is missing. All methods may block."""

    def __init__(self, folder: Path) -> None:
        self.path = control_in(folder)
        self._folder = folder
        self._lock = -1
        self._listener: socket.socket | None = None
        self._is_taken = False
        """Whether `listener` has returned it: then the caller closes it."""
        self._identity: tuple[int, int] | None = None
        """Device and inode of our socket's file."""
        self._busy = threading.Lock()
        """Held by `listener`, whose thread may be left behind when the daemon stops."""
        self._is_closed = False
        self._problem = "it has not been opened yet"

    def open(self) -> None:
        """Lock the folder and listen. Raises `ControlInUse`; any other failure is a problem that `reading` shows."""
        with self._noting_problems():
            self._open()

    def listener(self) -> socket.socket | None:
        """As `ControlPort`. Another daemon that has taken the folder meanwhile is a problem, and not an error."""
        with self._busy:
            if not self._is_closed and not self._is_intact():
                with suppress(ControlInUse):
                    self.open()
            self._is_taken = True
            return self._listener

    def reading(self) -> Reading:
        """The state of the socket, for a monitor: 0 if it listens, otherwise 1 and the reason."""
        if self._problem:
            return Reading(1.0, f"there is no control socket {self.path}: {self._problem}")
        return Reading(0.0, f"listens at {self.path}")

    def close(self) -> None:
        """Remove the socket, and release the lock. Then `listener` makes no other one."""
        self._is_closed = True
        is_idle = self._busy.acquire(timeout=CLOSE_S)
        if self._is_intact():
            with suppress(OSError):
                os.unlink(self.path)
        if self._listener is not None:
            self._listener.close()
        self._listener = self._identity = None
        self._unlock()
        if is_idle:
            self._busy.release()

    @contextmanager
    def _noting_problems(self) -> Iterator[None]:
        if self._listener is not None and not self._is_taken:
            self._listener.close()
        self._listener, self._is_taken = None, False
        try:
            yield
            self._problem = ""
        except ControlInUse as error:
            self._problem = str(error)
            raise
        except OSError as error:
            where = f"{error.filename}: " if error.filename not in (None, str(self.path)) else ""
            self._problem = f"{where}{error.strerror or error}; state.path can name another folder"

    def _open(self) -> None:
        self._folder.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        self._take_lock()
        self._clear_path()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            os.fchmod(listener.fileno(), MODE)  # its file gets this mode when it is made
            listener.bind(os.fspath(self.path))
            self._identity = _identity_of(self.path)
            listener.listen(BACKLOG)
        except BaseException:
            listener.close()
            raise
        self._listener = listener

    def _take_lock(self) -> None:
        """Raises `ControlInUse`, and `OSError` if the lock file cannot be used."""
        self._unlock()
        path = os.fspath(self._folder / LOCK)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        self._lock = os.open(path, flags, MODE)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(self._lock, 32, 0).decode(errors="replace").strip() or "unknown"
            self._unlock()
            raise self._in_use(pid) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        with suppress(OSError):  # the pid is for people only; the disk may be full
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def _unlock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1

    def _clear_path(self) -> None:
        """Remove the socket of a daemon that has ended. Raises `ControlInUse`, and `OSError` for anything else."""
        try:
            found = os.lstat(self.path)
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(found.st_mode):
            raise FileExistsError(errno.EEXIST, "something else has its name; remove that", os.fspath(self.path))
        if (pid := self._answering_pid()) is not None:
            raise self._in_use(pid)
        os.unlink(self.path)

    def _answering_pid(self) -> str | None:
        """The pid of the process that listens at the path, or "unknown"; None if nobody does. Raises `OSError`."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            try:
                probe.connect(os.fspath(self.path))
            except (ConnectionRefusedError, FileNotFoundError):
                return None
            except BlockingIOError:  # it has many connections to accept
                return "unknown"
            pid, user, _ = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if user != os.geteuid():
            raise PermissionError(errno.EPERM, f"user {user} listens there", os.fspath(self.path))
        return str(pid)

    def _is_intact(self) -> bool:
        """Whether the file at the path is our socket."""
        try:
            return self._listener is not None and _identity_of(self.path) == self._identity
        except OSError:
            return False

    def _in_use(self, pid: str) -> ControlInUse:
        return ControlInUse(
            f"{self._folder}: the state folder is in use by another daemon (the last daemon was pid {pid}); "
            "stop that daemon, or give this one another folder by state.path"
        )


def _identity_of(path: Path) -> tuple[int, int]:
    found = os.lstat(path)
    return found.st_dev, found.st_ino
