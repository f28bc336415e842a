"""The index of an archive: one row for each sealed file. Blocking.

Rules of this file:
- Everything in it can be read from the files again, so it is removed and made again if it is damaged.
- A row is added after its file is sealed, and removed before its file is.
- Losing the last rows in a power failure costs nothing: at the next start, their files are read.
"""

import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw
import attrs

from actors.media.media import CLOCK_RATE

from .archive_writer import SealedFile, path_of, second_of

NAME = "index.sqlite"
APPLICATION_ID, FORMAT = 0x62616E72, 1
SCHEMA = f"""
CREATE TABLE camera (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE file (
    camera INTEGER NOT NULL, began_ns INTEGER NOT NULL, number INTEGER NOT NULL, recording INTEGER NOT NULL,
    duration INTEGER NOT NULL, size INTEGER NOT NULL, digest BLOB NOT NULL, keys BLOB NOT NULL,
    eventful INTEGER NOT NULL,
    PRIMARY KEY (camera, began_ns, number)
) STRICT, WITHOUT ROWID;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
"""
"""`number` is that in the file's name, from 1; `recording` its id as a number; `keys` as `pack_keys` makes it.
`eventful` is 1 if something was detected in its time."""
MAX_FILE_NS = 3600 * 10**9
"""No file lasts longer: a look-up need not go back further."""
_ID = struct.Struct(">q")
_COLUMNS = "began_ns, number, recording, duration, size, digest, keys, eventful"
_OVERLAPS = "camera = ? AND began_ns > ? AND began_ns < ? AND began_ns + duration * 100000 / 9 > ?"


@attrs.frozen
class IndexedFile:
    """A sealed file in the index."""

    camera: str
    began_ns: int
    number: int
    recording: str
    duration: int
    """In 1/90000 s."""
    size: int
    digest: bytes
    keys: bytes
    eventful: bool = False
    """Whether something was detected in its time."""

    @property
    def path(self) -> str:
        """Relative to the archive."""
        return path_of(self.camera, self.began_ns, self.number)

    @property
    def ended_ns(self) -> int:
        return self.began_ns + self.duration * 10**9 // CLOCK_RATE

    def key_fragments(self) -> Iterator[tuple[int, int]]:
        """Yield time, in 1/90000 s from the file's beginning, and offset of each fragment with a key frame."""
        return unpack_keys(self.keys)


class Index:
    """The index in a folder. It is made if it does not exist. Raises `apsw.Error`."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        """`read_only`: for readers beside the writer; a damaged or missing index is an error."""
        self._path = folder / NAME
        if read_only:
            self._db = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READONLY)
            self._db.set_busy_timeout(1000)
            return
        try:
            self._db = self._open()
        except (apsw.CorruptError, apsw.NotADBError):
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(NAME + suffix).unlink(missing_ok=True)
            self._db = self._open()

    def _open(self) -> apsw.Connection:
        db = apsw.Connection(str(self._path))
        try:
            db.set_busy_timeout(1000)
            db.pragma("journal_mode", "wal")
            db.pragma("synchronous", 1)
            if db.pragma("application_id") == 0 and db.pragma("user_version") == 0:
                with db:
                    db.execute(SCHEMA)
            if db.pragma("application_id") != APPLICATION_ID or db.pragma("user_version") != FORMAT:
                raise apsw.NotADBError(f"{self._path} is not an index that this banken knows")
            if db.pragma("quick_check") != "ok":
                raise apsw.CorruptError(f"{self._path} is damaged")
        except BaseException:
            db.close()
            raise
        os.chmod(self._path, 0o600)
        return db

    def close(self) -> None:
        self._db.close()

    def add(self, files: Iterable[SealedFile]) -> None:
        """Add rows, in one transaction. A row that is there already is replaced."""
        with self._db:
            for file in files:
                camera = self._camera(file.camera, make=True)
                recording = _ID.unpack(bytes.fromhex(file.recording))[0]
                self._db.execute(
                    "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)",
                    (camera, file.began_ns, number_of(file.path), recording, file.duration, file.size, file.digest,
                     pack_keys(file)),
                )  # fmt: skip

    def remove(self, rows: Iterable[IndexedFile]) -> None:
        """Remove rows, in one transaction, before their files are removed."""
        with self._db:
            for row in rows:
                self._db.execute(
                    "DELETE FROM file WHERE camera = ? AND began_ns = ? AND number = ?",
                    (self._camera(row.camera), row.began_ns, row.number),
                )

    def cameras(self) -> Sequence[str]:
        return [name for (name,) in self._db.execute("SELECT name FROM camera ORDER BY name")]

    def files(self, camera: str, from_ns: int, to_ns: int, limit: int = 10_000) -> list[IndexedFile]:
        """The files of a camera that have something of a time, the oldest first."""
        found = self._db.execute(
            f"SELECT {_COLUMNS} FROM file WHERE {_OVERLAPS} ORDER BY began_ns, number LIMIT ?",
            (self._camera(camera), from_ns - MAX_FILE_NS, to_ns, from_ns, limit),
        )
        return [_row(camera, values) for values in found]

    def oldest(self, limit: int) -> list[IndexedFile]:
        """The oldest files of each camera, at most `limit` of each, and so many of those without and with events."""
        found = list[IndexedFile]()
        for camera in self.cameras():
            for eventful in (False, True):
                rows = self._db.execute(
                    f"SELECT {_COLUMNS} FROM file WHERE camera = ? AND eventful = ? ORDER BY began_ns, number LIMIT ?",
                    (self._camera(camera), eventful, limit),
                )
                found += (_row(camera, values) for values in rows)
        return sorted(found, key=lambda row: (row.began_ns, row.camera, row.number))

    def mark_eventful(self, camera: str, from_ns: int, to_ns: int) -> None:
        """Note that something was detected in this time."""
        with self._db:
            self._db.execute(
                f"UPDATE file SET eventful = 1 WHERE eventful = 0 AND {_OVERLAPS}",
                (self._camera(camera), from_ns - MAX_FILE_NS, to_ns, from_ns),
            )

    def at(self, camera: str, at_ns: int) -> IndexedFile | None:
        """The file of a camera that has this moment."""
        return next(iter(self.files(camera, at_ns, at_ns + 1, 1)), None)

    def newest_ns(self, camera: str) -> int:
        """When the newest file of a camera began; 0 without one."""
        found = self._db.execute("SELECT max(began_ns) FROM file WHERE camera = ?", (self._camera(camera),)).get
        return found or 0

    def ends(self) -> dict[str, int]:
        """When the newest file of each camera ended."""
        found = dict[str, int]()
        for camera in self.cameras():
            rows = self._db.execute(
                f"SELECT {_COLUMNS} FROM file WHERE camera = ? ORDER BY began_ns DESC, number DESC LIMIT 1",
                (self._camera(camera),),
            )
            for values in rows:
                found[camera] = _row(camera, values).ended_ns
        return found

    def has(self, path: str) -> bool:
        """Whether a file has its row."""
        second = second_of(path) * 10**9
        found = self._db.execute(
            "SELECT 1 FROM file WHERE camera = ? AND began_ns >= ? AND began_ns < ? AND number = ?",
            (self._camera(path.partition("/")[0]), second, second + 10**9, number_of(path)),
        ).get
        return found is not None

    def sizes(self) -> dict[str, tuple[int, int]]:
        """For each camera, the number of its files and their bytes."""
        counts = self._db.execute(
            "SELECT name, count(*), sum(size) FROM file JOIN camera ON id = camera GROUP BY camera"
        )
        return {name: (count, size) for name, count, size in counts}

    def _camera(self, name: str, *, make: bool = False) -> int:
        """The number of a camera; -1 if it has none."""
        if make:
            self._db.execute("INSERT OR IGNORE INTO camera (name) VALUES (?)", (name,))
        found = self._db.execute("SELECT id FROM camera WHERE name = ?", (name,)).get
        return -1 if found is None else int(found)


def _row(camera: str, values: tuple[Any, ...]) -> IndexedFile:
    began_ns, number, recording, duration, size, digest, keys, eventful = values
    name = _ID.pack(recording).hex()
    return IndexedFile(camera, began_ns, number, name, duration, size, digest, keys, bool(eventful))


def number_of(path: str) -> int:
    """The number in the name of a file: `recording_20261129_044500_2.mp4` is the second one of its second."""
    parts = path.rpartition("/")[2].removesuffix(".mp4").split("_")
    return int(parts[3]) if len(parts) > 3 else 1


def pack_keys(file: SealedFile) -> bytes:
    """The fragments of a file that begin with a key frame: milliseconds and bytes since the last one, as varints."""
    packed, at_ms, offset, ticks = bytearray(), 0, 0, 0
    for found in file.fragments:
        if found.place.key:
            now_ms = ticks * 1000 // CLOCK_RATE
            _put(packed, now_ms - at_ms)
            _put(packed, found.offset - offset)
            at_ms, offset = now_ms, found.offset
        ticks += found.place.duration
    return bytes(packed)


def unpack_keys(packed: bytes) -> Iterator[tuple[int, int]]:
    """The inverse of `pack_keys`: time in 1/90000 s, to the millisecond, and offset. Raises `ValueError` for damage."""
    numbers = iter(_numbers(packed))
    at_ms = offset = 0
    for milliseconds in numbers:
        at_ms, offset = at_ms + milliseconds, offset + next(numbers, 0)
        yield at_ms * CLOCK_RATE // 1000, offset


def _put(packed: bytearray, number: int) -> None:
    while number >= 0x80:
        packed.append(number & 0x7F | 0x80)
        number >>= 7
    packed.append(number)


def _numbers(packed: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in packed:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield number
            number = shift = 0
