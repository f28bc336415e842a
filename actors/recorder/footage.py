"""Reads the recordings of an archive: which there are of a time, and where their fragments are. Blocking.

Rules of this file:
- Nothing is written, locked or repaired: a daemon may write to the archive meanwhile.
- A fragment is believed by its head, and by the size of its file. Only `verify` reads its content for its checksum.
- Files are found by their names. The index only answers quicker, for many files at once.
"""

import errno
import heapq
import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Protocol

import apsw
import attrs

from actors.media.bitstream import BitstreamError
from actors.media.media import CLOCK_RATE
from supervisor.ports.footage import FootageStretch

from .archive_writer import DAY, NAME, path_of
from .disk import FOLDER_FLAGS
from .index import Index
from .recording_file import MOST_FRAGMENTS, About, StoredFragment, fragments_of, read_beginning

SECOND_NS = 1_000_000_000
USUAL_S = 120
"""Nearly every file is shorter. Of those that began earlier, only the newest may reach into a time."""
BETWEEN_NS = SECOND_NS
"""Two files of one recording follow each other if no more lies between them."""
MAX_NS = 2**63 - 1
FILE_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Spanning(Protocol):
    """A file of which the index, or its content, tells these."""

    @property
    def recording(self) -> str: ...

    @property
    def began_ns(self) -> int: ...

    @property
    def ended_ns(self) -> int: ...

    @property
    def size(self) -> int: ...


@attrs.frozen
class FootageFile:
    """A recording file, sealed or growing."""

    camera: str
    path: str
    """Relative to its archive."""
    about: About
    initialization: bytes
    """`ftyp` and `moov`."""
    fragments: tuple[StoredFragment, ...]
    """At least one."""
    size: int
    """Bytes of the whole file."""

    @property
    def recording(self) -> str:
        return self.about.recording

    @property
    def began_ns(self) -> int:
        return self.fragments[0].place.wall_ns

    @property
    def ended_ns(self) -> int:
        return ended_ns(self.fragments[-1])

    def playable(self, from_ns: int, to_ns: int) -> Sequence[StoredFragment]:
        """The fragments of a time, from the last key frame at or before its beginning on."""
        first = 0
        for number, found in enumerate(self.fragments):
            if found.place.key and found.place.wall_ns <= from_ns:
                first = number
        if self.ended_ns <= from_ns:
            return []
        return [found for found in self.fragments[first:] if found.place.wall_ns < to_ns]


class Footage:
    """Made for each question, or kept: it holds the folder open. Used by one thread at a time. Raises `OSError`."""

    def __init__(self, folder: Path, *others: Path) -> None:
        """`others`: further archives, which are left out if they cannot be opened."""
        self._path, self._folder = folder, os.open(folder, FOLDER_FLAGS & ~os.O_NOFOLLOW)
        self._index: Index | None = None
        self._others = list[Footage]()
        for other in others:
            with suppress(OSError):
                self._others.append(Footage(other))

    def close(self) -> None:
        for other in self._others:
            other.close()
        os.close(self._folder)
        if self._index is not None:
            self._index.close()

    def cameras(self) -> list[str]:
        """The cameras that have a folder here."""
        with os.scandir(self._folder) as found:
            names = {each.name for each in found if each.is_dir(follow_symlinks=False)}
        return sorted(names.union(*(other.cameras() for other in self._others)))

    def open(self, path: str) -> BinaryIO:
        """Open a file to read it. It can be read until it is closed, also when it is removed meanwhile."""
        *first, last = (self._folder, *(other._folder for other in self._others))
        for folder in first:
            with suppress(FileNotFoundError):
                return open(os.open(path, FILE_FLAGS, dir_fd=folder), "rb", buffering=0)
        return open(os.open(path, FILE_FLAGS, dir_fd=last), "rb", buffering=0)

    def files(self, camera: str, from_ns: int, to_ns: int) -> Iterator[FootageFile]:
        """Yield the files of a camera that have something of a time, the oldest first.

        A file that cannot be read, or that is removed meanwhile, is left out.
        """
        found = [each._files(camera, from_ns, to_ns) for each in (self, *self._others)]
        return heapq.merge(*found, key=lambda file: file.began_ns)

    def _files(self, camera: str, from_ns: int, to_ns: int) -> Iterator[FootageFile]:
        for path in self._paths(camera, from_ns, to_ns):
            found = self.read(path)
            if found is not None and found.began_ns < to_ns and found.ended_ns > from_ns:
                yield found

    def read(self, path: str) -> FootageFile | None:
        """The fragments of a file; None if it has none that can be read, or is gone."""
        try:
            with self.open(path) as file:
                return _read(path, file)
        except (OSError, BitstreamError):
            return None

    def stretches(self, camera: str, from_ns: int, to_ns: int) -> list[FootageStretch]:
        """The stretches of a time. With an index, not every file is opened."""
        return merge(each for place in (self, *self._others) for each in place._spans(camera, from_ns, to_ns))

    def _spans(self, camera: str, from_ns: int, to_ns: int) -> Sequence[Spanning]:
        rows = list[Spanning](self._rows(camera, from_ns, to_ns))
        newest_ns = max((row.ended_ns for row in rows), default=from_ns)
        known = {row.began_ns for row in rows}
        rows += (file for file in self._files(camera, newest_ns, to_ns) if file.began_ns not in known)
        return rows

    def _rows(self, camera: str, from_ns: int, to_ns: int) -> Sequence[Spanning]:
        try:
            self._index = self._index or Index(self._path, read_only=True)
            if not self._index.is_whole:
                return ()
            return self._index.files(camera, max(0, from_ns), min(to_ns, MAX_NS))
        except apsw.Error:
            return ()

    def paths(self, camera: str, from_ns: int, to_ns: int) -> Iterator[str]:
        """Yield the files of a camera that may have something of a time, by their names, the oldest first."""
        found = [each._paths(camera, from_ns, to_ns) for each in (self, *self._others)]
        return heapq.merge(*found, key=lambda path: _order(path.rpartition("/")[2]))

    def _paths(self, camera: str, from_ns: int, to_ns: int) -> Iterator[str]:
        """Yield the files of a camera that may have something of a time, by their names, the oldest first."""
        if "/" in camera or "\0" in camera or camera in {"", ".", ".."}:
            return
        first, last = _stamp(from_ns - USUAL_S * SECOND_NS), _stamp(to_ns)
        days = sorted(name for name in self._list(camera) if DAY.fullmatch(name))
        earlier = ""
        for day in days[max(0, bisect_right(days, first[:8]) - 2) : bisect_right(days, last[:8])]:
            names = (name for name in self._list(f"{camera}/{day}") if NAME.fullmatch(name))
            for name in sorted(names, key=_order):
                path, stamp = f"{camera}/{day}/{name}", _stamp_of(name)
                if stamp < first:
                    earlier = path
                    continue
                if earlier:
                    yield earlier
                    earlier = ""
                if stamp > last:
                    return
                yield path
        if earlier:
            yield earlier

    def _list(self, path: str) -> list[str]:
        try:
            folder = os.open(path, FOLDER_FLAGS, dir_fd=self._folder)
        except OSError:
            return []
        try:
            return os.listdir(folder)
        finally:
            os.close(folder)


def is_path(path: str) -> bool:
    """Whether it is the path of a recording file in the folder of its camera."""
    day, _, name = path.partition("/")
    return bool(DAY.fullmatch(day) and NAME.fullmatch(name))


def open_archives(folders: Sequence[Path]) -> Footage:
    """The footage of several archives as one. Raises the `OSError` of the first one if none can be opened."""
    fault: OSError | None = None
    for number, folder in enumerate(folders, 1):
        try:
            return Footage(folder, *folders[number:])
        except OSError as error:
            fault = fault or error
    raise fault or FileNotFoundError(errno.ENOENT, "no archive")


def merge(files: Iterable[Spanning]) -> list[FootageStretch]:
    """The times without a gap that files make together."""
    found = list[FootageStretch]()
    for file in sorted(files, key=lambda file: file.began_ns):
        last = found[-1] if found else None
        if last is not None and last.recording == file.recording and file.began_ns - last.ended_ns <= BETWEEN_NS:
            until_ns = max(last.ended_ns, file.ended_ns)
            found[-1] = attrs.evolve(last, ended_ns=until_ns, size=last.size + file.size)
        else:
            found.append(FootageStretch(file.recording, file.began_ns, file.ended_ns, file.size))
    return found


def ended_ns(fragment: StoredFragment) -> int:
    """When a fragment ended, in nanoseconds since 1970."""
    return fragment.place.wall_ns + fragment.place.duration * SECOND_NS // CLOCK_RATE


def _read(path: str, file: BinaryIO) -> FootageFile | None:
    size = os.fstat(file.fileno()).st_size
    about, initialization, at = read_beginning(file)
    found = list[StoredFragment]()
    with suppress(BitstreamError):
        found.extend(islice(fragments_of(file, at, size, about.recording, heads=True), MOST_FRAGMENTS))
    return FootageFile(path.partition("/")[0], path, about, initialization, tuple(found), size) if found else None


def _stamp(wall_ns: int) -> str:
    """A time as in the name of a file."""
    return path_of("", min(max(0, wall_ns), MAX_NS), 1)[-19:-4]


def _stamp_of(name: str) -> str:
    return name[10:25]


def _order(name: str) -> tuple[str, int, str]:
    """Sorts the names of files by their time."""
    return _stamp_of(name), len(name), name
