"""Writes recording files into the folder of an archive. Blocking; one thread at a time.

Rules of this file:
- A file gets its name with its first fragment: one without a fragment could not be played.
- A name is made once, also after a fault. It is in UTC, since an hour of local time may happen twice.
- A write alone is not durable. After a failed sync, nothing behind the last successful one is believed.
- After a fault, its descriptor is closed and never written again; the file is cut at its last synced fragment.
- An archive that is not the one of the start is not written: below a mount point, it would fill another disk.
"""

import calendar
import errno
import fcntl
import hashlib
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import attrs
import msgspec

from actors.media.bitstream import BitstreamError
from actors.media.media import CLOCK_RATE

from .cutter import Fragment, NewFile
from .disk import FOLDER_FLAGS, FOLDER_MODE, MODE, Disk
from .fragment import FragmentPlace
from .recording_file import About, StoredFragment, end_file, read_ended, walk


class Known(Protocol):
    """The index of an archive, for the repair."""

    def newest_ns(self, camera: str) -> int: ...

    def cameras(self) -> Sequence[str]: ...

    def has(self, path: str) -> bool: ...


logger = logging.getLogger("banken")
MARK, LOCK, PROBE, DAMAGED = "archive.json", "lock", "probe", ".damaged"
DAY = re.compile(r"\d{8}", re.ASCII)
NAME = re.compile(r"recording_\d{8}_\d{6}(_\d{1,3})?\.mp4", re.ASCII)
READ_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
NEWEST = 3
"""Files of each camera that are looked at before recording begins."""
MOST_NAMES = 1000
"""Files of one camera that begin in one second, at most."""


class ArchiveError(OSError):
    """The folder cannot be used as this archive."""


class ArchiveMark(msgspec.Struct, frozen=True):
    """The content of `archive.json`: by it, an archive is known as ours."""

    id: str
    node: str
    version: int = 1


@attrs.frozen
class SealedFile:
    """A file to which nothing will be added: one row of the index."""

    camera: str
    recording: str
    path: str
    """Relative to the archive."""
    began_ns: int
    duration: int
    """In 1/90000 s."""
    size: int
    digest: bytes
    """SHA-256 of the whole file."""
    fragments: tuple[StoredFragment, ...]
    is_repaired: bool = False
    """Whether it was not complete, and was cut."""

    @property
    def ended_ns(self) -> int:
        last = self.fragments[-1].place
        return last.wall_ns + last.duration * 10**9 // CLOCK_RATE


@attrs.define(eq=False)
class OpenFile:
    """A file that grows."""

    about: About
    beginning: bytes
    """Bytes in front of the first fragment, until they are written with it."""
    began_ns: int
    path: str = ""
    descriptor: int = -1
    size: int = 0
    synced: int = 0
    """Bytes that are on the disk for certain."""
    digest: Any = attrs.field(factory=hashlib.sha256)
    fragments: list[StoredFragment] = attrs.field(factory=list)


class ArchiveWriter:
    """The folder is opened, and made if its parent exists. Raises `ArchiveError`, and other errors of `OSError`."""

    def __init__(
        self,
        folder: Path,
        node: str,
        new_id: Callable[[], str],
        disk: Disk = Disk(),  # noqa: B008
        reserve: int = 0,
    ) -> None:
        """`reserve`: bytes of the file system that are left free."""
        self._path, self._node, self._new_id, self._disk, self._reserve = folder, node, new_id, disk, reserve
        self._folder = self._lock = self._inherited = -1
        self._device = (0, 0)
        self.mark = ArchiveMark("", "")
        self._open: dict[str, OpenFile] = {}
        self._folders: set[str] = set()
        """Folders that are known to be on the disk."""
        self.is_abandoned = False
        """Whether its thread has hung, and another one writes now."""
        self._broken: list[OpenFile] = []
        """Files that a fault has ended, and that were not cut yet."""

    # ── the folder ──────────────────────────────────────────────────────────────────────────────────────────────

    def open(self) -> None:
        """Take the folder. Raises `ArchiveError` if it belongs to somebody else, or is not the one of before."""
        self.close()
        if not self.mark.id:
            with suppress(FileExistsError):
                self._path.mkdir(FOLDER_MODE)
        self._folder = os.open(self._path, FOLDER_FLAGS)
        try:
            self._take()
        except BaseException:
            self.close()
            raise

    def successor(self) -> "ArchiveWriter":
        """Another writer of the same archive, for when a thread hangs in this one. It gets the lock.

        This one must only be closed, by its thread.
        """
        other = ArchiveWriter(self._path, self._node, self._new_id, self._disk, self._reserve)
        other.mark, other._inherited = self.mark, self._lock if self._lock >= 0 else self._inherited
        self._lock, self.is_abandoned = -1, True
        return other

    def _take(self) -> None:
        if self._inherited < 0:
            self._lock = lock_archive(self._path, self._folder)
        known, found = self.mark, self._read_mark()
        if known.id and found != known:
            raise self._other_folder()
        if found is None:
            found = ArchiveMark(self._new_id(), self._node)
            self._write_mark(found)
        if found.node != self._node:
            text = f"{self._path} belongs to another banken (node {found.node}); give this one another folder"
            raise ArchiveError(errno.EPERM, text)
        at = os.fstat(self._folder)
        self.mark, self._device = found, (at.st_dev, at.st_ino)

    def probe(self) -> None:
        """Raise `OSError` unless a file can be written: an archive that only seems to work would lose video."""
        with suppress(FileNotFoundError):
            self._disk.remove(PROBE, self._folder)
        self._require_room()
        descriptor = self._disk.create(PROBE, self._folder)
        try:
            self._disk.write(descriptor, bytes(4096))
            self._disk.sync(descriptor, done=0)
        finally:
            self._disk.close(descriptor)
            self._disk.remove(PROBE, self._folder)

    def lacking(self, margin: int = 0) -> int:
        """Bytes that must be removed so that the reserve, and `margin` more, are free; negative if there is room."""
        return self._reserve + margin - self._disk.free(self._folder)

    def remove(self, path: str) -> None:
        """Remove a file. Nothing happens if it is not there."""
        with suppress(FileNotFoundError):
            self._disk.remove(path, self._folder)

    def _require_room(self) -> None:
        free = self._disk.free(self._folder)
        if free < self._reserve:
            text = f"{self._path}: {free >> 20} MiB are free, and {self._reserve >> 20} MiB must stay free"
            raise OSError(errno.ENOSPC, text)

    def _other_folder(self) -> ArchiveError:
        text = f"{self._path} is not the archive that it was; was a disk unmounted or replaced?"
        return ArchiveError(errno.ESTALE, text)

    def _read_mark(self) -> ArchiveMark | None:
        try:
            descriptor = os.open(MARK, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self._folder)
        except FileNotFoundError:
            return None
        with open(descriptor, "rb") as file:
            data = file.read(4096)
        try:
            return msgspec.json.decode(data, type=ArchiveMark)
        except msgspec.MsgspecError as error:
            text = f"{self._path / MARK} cannot be read: {error}; if the archive is ours, remove this file"
            raise ArchiveError(errno.EINVAL, text) from None

    def _write_mark(self, mark: ArchiveMark) -> None:
        descriptor = self._disk.create(MARK, self._folder)
        try:
            self._disk.write(descriptor, msgspec.json.encode(mark) + b"\n")
            self._disk.sync(descriptor, done=0)
        finally:
            self._disk.close(descriptor)
        self._disk.sync_folder(".", self._folder)

    def require_same(self) -> None:
        """Raise `ArchiveError` unless the path still leads to the folder that was opened."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            found = None
        if found is None or (found.st_dev, found.st_ino) != self._device:
            raise self._other_folder()

    def close(self) -> None:
        """Give the folder back. Files that grow stay as they are."""
        for descriptor in (self._lock, self._folder, *(file.descriptor for file in self._open.values())):
            if descriptor >= 0:
                with suppress(OSError):
                    os.close(descriptor)
        self._folder = self._lock = -1
        self._open.clear()

    # ── files ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def growing(self) -> tuple[str, ...]:
        """The cameras whose newest file is not sealed."""
        return tuple(self._open)

    @property
    def paths(self) -> frozenset[str]:
        """The files that this writer has begun, and that it will seal or cut itself."""
        return frozenset(file.path for file in (*self._open.values(), *self._broken))

    def begin(self, camera: str, recording: str, new: NewFile) -> SealedFile | None:
        """Begin a file with the next fragment. Returns the file of this camera that it ends."""
        sealed = self.seal(camera)
        about = About(camera, recording, new.tracks.codec.name)
        self._open[camera] = OpenFile(about, new.data, new.wall_ns)
        return sealed

    def append(self, camera: str, fragment: Fragment) -> None:
        """Write a fragment to the newest file of this camera."""
        file = self._open[camera]
        data = fragment.data
        if file.descriptor < 0:
            self._create(file)
            data = file.beginning + data
            file.size = len(file.beginning)
            file.beginning = b""
        self._disk.write(file.descriptor, data)
        file.digest.update(data)
        place = FragmentPlace(file.about.recording, fragment.number, fragment.wall_ns, fragment.duration, fragment.key)
        file.fragments.append(StoredFragment(file.size, len(fragment.data), place))
        file.size += len(fragment.data)

    def _create(self, file: OpenFile) -> None:
        self.require_same()
        self._require_room()
        day = os.path.dirname(path_of(file.about.camera, file.began_ns, 1))
        for path in (file.about.camera, day):
            if path not in self._folders and self._disk.make_folder(path, self._folder):
                self._disk.sync_folder(os.path.dirname(path) or ".", self._folder)
            self._folders.add(path)
        for number in range(1, MOST_NAMES):
            path = path_of(file.about.camera, file.began_ns, number)
            try:
                file.descriptor = self._disk.create(path, self._folder)
            except FileExistsError:
                continue
            file.path = path
            return self._disk.sync_folder(day, self._folder)
        raise ArchiveError(errno.EEXIST, f"{self._path}: a camera has {MOST_NAMES} files of one second")

    def sync(self) -> None:
        """Return once everything that was written is on the disk."""
        for file in self._open.values():
            if file.size > file.synced:
                self._disk.sync(file.descriptor, done=file.size)
                file.synced = file.size

    def seal(self, camera: str) -> SealedFile | None:
        """End the file of a camera. Returns None if it has none with a fragment."""
        file = self._open.get(camera)
        if file is None or file.descriptor < 0:
            self._open.pop(camera, None)
            return None
        end = end_file(file.fragments)
        self._disk.write(file.descriptor, end)
        file.digest.update(end)
        self._disk.sync(file.descriptor, done=file.size + len(end))
        del self._open[camera]
        self._disk.close(file.descriptor)
        return sealed_file(file, file.size + len(end), file.digest.digest())

    def repair_newest(self, index: Known) -> Iterator[SealedFile | tuple[str, int]]:
        """Repair the file that each camera had begun last, at a start. The others can wait: see `reconciler.py`.

        Yields each file that was repaired; or, for one that was complete, its camera and when it ended. A file that
        cannot be read is left out.
        """
        for camera in self.cameras():
            known = path_of(camera, index.newest_ns(camera), 1)
            days = reversed(self.days(camera))
            paths = (path for day in days for path in reversed(self.paths_of(camera, day)))
            for path in islice(paths, NEWEST):
                if path < known or index.has(path):
                    break
                try:
                    with self.read(path) as file:
                        ended = read_ended(file)
                    yield camera, ended.began_ns + ended.duration * 10**9 // CLOCK_RATE
                    break
                except BitstreamError:
                    with suppress(OSError):
                        repaired = self.repair_file(path)
                        if repaired is not None:
                            yield repaired
                except OSError:
                    break

    def repair_file(self, path: str) -> SealedFile | None:
        """As the function `repair_file`. Also None for a file with the name of another time or camera."""
        file = repair_file(self._disk, self._folder, path)
        return file if file is not None and is_named(path, file.camera, file.began_ns) else None

    # ── its files ───────────────────────────────────────────────────────────────────────────────────────────────

    def read(self, path: str) -> BinaryIO:
        """Open a file to read it. Raises `OSError`."""
        return open(os.open(path, READ_FLAGS, dir_fd=self._folder), "rb")

    def cameras(self) -> list[str]:
        """The cameras that have a folder, and other folders beside them."""
        return cameras_of(self._path)

    def days(self, camera: str) -> list[str]:
        return days_of(self._path, camera)

    def paths_of(self, camera: str, day: str) -> list[str]:
        """The files of a camera that began in a day, the oldest first."""
        return paths_of(self._path, camera, day)

    # ── faults ──────────────────────────────────────────────────────────────────────────────────────────────────

    def give_up(self) -> None:
        """End all files after a fault, without a sync: their descriptors are closed and never written again."""
        for file in self._open.values():
            if file.descriptor >= 0:
                with suppress(OSError):  # the fault is known
                    self._disk.close(file.descriptor)
                self._broken.append(file)
        self._open.clear()

    def repair(self) -> Iterator[SealedFile]:
        """Cut the files that a fault has ended at their last synced fragment. One without a fragment is removed."""
        while self._broken:
            file = self._broken[0]
            whole = [found for found in file.fragments if found.offset + found.size <= file.synced]
            if whole:
                size, digest = cut(self._disk, self._folder, file.path, whole)
                file.fragments = whole
                del self._broken[0]
                yield sealed_file(file, size, digest, is_repaired=True)
            else:
                with suppress(FileNotFoundError):
                    self._disk.remove(file.path, self._folder)
                del self._broken[0]


def lock_archive(path: Path, folder: int) -> int:
    """Lock an archive for one writer, and return the descriptor that holds the lock. Raises `ArchiveError`."""
    lock = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, MODE, dir_fd=folder)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if not isinstance(error, BlockingIOError):
            raise
        text = f"another banken writes to {path}; stop it, or give one of them another folder"
        raise ArchiveError(errno.EBUSY, text) from None
    return lock


def path_of(camera: str, began_ns: int, number: int) -> str:
    """The path of a file in its archive; `number` is that among the files of one second, from 1."""
    at = time.gmtime(began_ns // 10**9)
    return f"{camera}/{time.strftime('%Y%m%d/recording_%Y%m%d_%H%M%S', at)}{f'_{number}' if number > 1 else ''}.mp4"


def second_of(path: str) -> int:
    """When a file began by its name, in seconds since 1970; -1 for a name that is no time."""
    name = path.rpartition("/")[2]
    try:
        return calendar.timegm(time.strptime(name[10:25], "%Y%m%d_%H%M%S"))
    except ValueError:
        return -1


def is_named(path: str, camera: str, began_ns: int) -> bool:
    """Whether a file of a camera that began then has this path, or one with another number."""
    return second_of(path) == began_ns // 10**9 and path_of(camera, began_ns, number_of(path)) == path


def number_of(path: str) -> int:
    """The number in the name of a file: `recording_20261129_044500_2.mp4` is the second one of its second."""
    parts = path.rpartition("/")[2].removesuffix(".mp4").split("_")
    return int(parts[3]) if len(parts) > 3 else 1


def day_ns(day: str) -> int:
    """When a day begins, by the name of its folder, in nanoseconds since 1970. Raises `ValueError` for another name."""
    return calendar.timegm(time.strptime(day, "%Y%m%d")) * 10**9


def day_of(wall_ns: int) -> str:
    """The name of the folder for files that begin then."""
    return time.strftime("%Y%m%d", time.gmtime(wall_ns // 10**9))


def sealed_file(file: OpenFile, size: int, digest: bytes, *, is_repaired: bool = False) -> SealedFile:
    about, fragments = file.about, tuple(file.fragments)
    duration = sum(found.place.duration for found in fragments)
    return SealedFile(
        about.camera, about.recording, file.path, file.began_ns, duration, size, digest, fragments, is_repaired
    )


def cut(disk: Disk, folder: int, path: str, whole: Sequence[StoredFragment]) -> tuple[int, bytes]:
    """Cut a file behind these fragments, and end it. Returns its size and its SHA-256."""
    at, end = whole[-1].offset + whole[-1].size, end_file(whole)
    with open(disk.open_again(path, folder), "r+b", buffering=0) as file:
        disk.truncate(file.fileno(), at)
        file.seek(at)
        disk.write(file.fileno(), end)
        disk.sync(file.fileno(), done=at + len(end))
        file.seek(0)
        return at + len(end), hashlib.file_digest(file, "sha256").digest()


def repair_file(disk: Disk, folder: int, path: str) -> SealedFile | None:
    """Cut a file that was not sealed behind its last whole fragment, and end it.

    Without a whole fragment it is removed, and with a damaged beginning it is renamed: nothing of it can be played.
    Then None is returned. Raises `OSError`.
    """
    with open(disk.open_again(path, folder), "rb") as file:
        found = walk(file)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").digest() if found.is_sealed else b""
    if found.about is None:
        disk.rename(path, path + DAMAGED, folder)
        logger.error("recording file %s cannot be played (%s); it is now %s", path, found.damage, path + DAMAGED)
        return None
    if not found.fragments:
        disk.remove(path, folder)
        return None
    size = found.size
    if not found.is_sealed:
        size, digest = cut(disk, folder, path, found.fragments)
    about, began_ns = found.about, found.fragments[0].place.wall_ns
    cut_now = not found.is_sealed
    return SealedFile(
        about.camera, about.recording, path, began_ns, found.duration, size, digest, found.fragments, cut_now
    )


def list_files(folder: Path) -> Iterator[str]:
    """Yield the recording files of an archive, the oldest of each camera first. Raises `OSError`."""
    for camera in cameras_of(folder):
        for day in days_of(folder, camera):
            yield from paths_of(folder, camera, day)


def cameras_of(folder: Path) -> list[str]:
    """The folders of an archive: those of its cameras, and others."""
    return sorted(each.name for each in os.scandir(folder) if each.is_dir(follow_symlinks=False))


def days_of(folder: Path, camera: str) -> list[str]:
    """The days on which a file of a camera began, as in the names of their folders, the oldest first."""
    names = (name for name in _names(folder / camera) if DAY.fullmatch(name))
    return sorted(name for name in names if second_of(f"recording_{name}_000000") >= 0)


def paths_of(folder: Path, camera: str, day: str) -> list[str]:
    """The files of a camera that began in a day, the oldest first."""
    return sorted(f"{camera}/{day}/{name}" for name in _names(folder / camera / day) if NAME.fullmatch(name))


def _names(folder: Path) -> list[str]:
    """The names in a folder; none if it is gone, or is not ours to read, as `lost+found`."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []
