"""One POSIX shared memory segment of another program, opened for reading.

Rules of this file:
- Nothing is mapped. Reading a mapping beyond the end of a truncated segment kills the process (SIGBUS, mmap(2));
  pread(2) returns fewer bytes instead.
- A name is one component below `FOLDER`, and no link is followed: a configuration reaches no other file.
- Nothing is written to a segment, and no semaphore is waited for: a post that banken consumes is
  missing at another reader.
"""

import errno
import os
import re
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from supervisor.base.resource_errors import RESOURCE_ERRNOS
from supervisor.domain.values import Fault, Reason

FOLDER = Path("/dev/shm")
"""Where Linux keeps the segments (shm_overview(7))."""
PIECE = 512 * 1024
"""Bytes of one read: 0.1 ms."""
_NAME = re.compile(r"/[^/\0]{1,255}")


class SegmentError(Exception):
    """A segment cannot be opened, or no longer be read. `reason` says why, for people."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.text)
        self.reason = reason


def check_name(name: str) -> str | None:
    """Return the error in the name of a segment, or None (shm_open(3): one slash, and then at most 255 bytes)."""
    usable = _NAME.fullmatch(name) and name not in ("/.", "/..") and len(os.fsencode(name)) <= 256
    return None if usable else "must be one slash and a name without slashes, like /pet_camera_stream"


def is_there(name: str) -> bool:
    """Whether something of that name can be opened now, or refused: not an empty segment. Does not block."""
    try:
        about = os.lstat(_path(name))
    except OSError:
        return False
    return about.st_size > 0 or not stat.S_ISREG(about.st_mode)


def identity(name: str) -> tuple[int, int] | None:
    """Return the device and inode behind a name; None if there is no segment. Does not block."""
    try:
        about = os.lstat(_path(name))
    except OSError:
        return None
    return about.st_dev, about.st_ino


def remove(name: str) -> None:
    """Remove a segment that its dead program left behind. Does nothing if it may not, or without such a segment."""
    with suppress(OSError):
        os.unlink(_path(name))


class SharedSegment:
    """An open segment. A context manager, which closes its descriptor."""

    def __init__(self, name: str) -> None:
        """Open the segment `name`, which must have passed `check_name`. Raises `SegmentError`."""
        self.name = name
        try:
            self._file = os.open(_path(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise SegmentError(_not_opened(name, error)) from None
        about = os.fstat(self._file)
        self.size = about.st_size
        """Its bytes when it was opened."""
        self._identity = about.st_dev, about.st_ino
        if not stat.S_ISREG(about.st_mode):
            self.close()
            raise SegmentError(
                Reason("bad-data", f"{name} is not shared memory, but another kind of file", Fault.FATAL)
            )
        if self.size == 0:
            self.close()
            raise SegmentError(Reason("no-shared-memory", f"shared memory {name} has no size yet"))

    def __enter__(self) -> "SharedSegment":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the descriptor. Does nothing the second time."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def read(self, at: int, size: int) -> bytes:
        """Return `size` bytes, at most `PIECE`, from the offset `at`. Raises `SegmentError` if there are fewer."""
        data = os.pread(self._file, size, at)
        if len(data) < size:
            raise SegmentError(self._truncated())
        return data

    def read_into(self, view: memoryview, at: int) -> None:
        """Fill `view`, at most `PIECE` bytes, from the offset `at`. Raises `SegmentError` if there are fewer."""
        if os.preadv(self._file, [view], at) < len(view):
            raise SegmentError(self._truncated())

    def check(self) -> None:
        """Raise `SegmentError` if the name no longer leads to this segment, or its size has changed. Does not block."""
        try:
            there = os.lstat(_path(self.name))
        except OSError:
            raise SegmentError(Reason("shared-memory-gone", f"the shared memory {self.name} was removed")) from None
        if (there.st_dev, there.st_ino) != self._identity:
            raise SegmentError(Reason("shared-memory-gone", f"the shared memory {self.name} was replaced by a new one"))
        if there.st_size != self.size:
            raise SegmentError(self._truncated())

    def unknown_size(self, known: Iterable[int]) -> Reason:
        """Return the reason for a segment whose size selects no layout."""
        sizes = ", ".join(f"{size:,}" for size in sorted(known))
        text = f"shared memory {self.name} has {self.size:,} bytes, which is no known layout; known are {sizes}"
        return Reason("unknown-layout", text, Fault.FATAL)

    def _truncated(self) -> Reason:
        now = os.fstat(self._file).st_size
        return Reason(
            "shared-memory-gone", f"the shared memory {self.name} had {self.size:,} bytes, and now has {now:,}"
        )


def _path(name: str) -> str:
    return f"{FOLDER}{name}"


def _not_opened(name: str, error: OSError) -> Reason:
    """Return why a segment cannot be opened."""
    match error.errno:
        case errno.ENOENT:
            return Reason("no-shared-memory", f"shared memory {name} does not exist yet")
        case errno.EACCES | errno.EPERM:
            return Reason("forbidden", f"shared memory {name}{_owner(name)} may not be read by {_me()}", Fault.FATAL)
        case errno.ELOOP:
            return Reason("bad-data", f"{name} is not shared memory, but a symbolic link", Fault.FATAL)
        case _:
            pass
    fault = Fault.TEMPORARY if error.errno in RESOURCE_ERRNOS else Fault.FATAL
    return Reason("not-opened", f"shared memory {name} cannot be opened: {error.strerror}", fault)


def _owner(name: str) -> str:
    try:
        about = os.lstat(_path(name))
    except OSError:
        return ""
    return f" of user {about.st_uid} (mode {stat.S_IMODE(about.st_mode):04o})"


def _me() -> str:
    return f"user {os.geteuid()}, as whom banken runs"
