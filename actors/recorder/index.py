"""The index of an archive: one row for each sealed file. Blocking.

Rules of this file:
- Everything in it can be read from the files again, so it is removed and made again if it is damaged.
- A row is added after its file is sealed, and removed before its file is.
- Losing rows in a power failure costs nothing: their files are found again, by `reconciler.py`.
- A look-up of a start, or of each minute, reads no more rows than it returns: there may be millions.
"""

import os
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import apsw
import attrs

from actors.media.media import CLOCK_RATE

from .archive_writer import SealedFile, number_of, path_of, second_of
from .disk import MODE
from .recording_file import StoredFragment

NAME = "index.sqlite"
APPLICATION_ID, FORMAT = 0x62616E72, 3
SCHEMA = f"""
CREATE TABLE camera (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
    files INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE progress (is_whole INTEGER NOT NULL) STRICT;
INSERT INTO progress VALUES (0);
CREATE TABLE file (
    camera INTEGER NOT NULL, began_ns INTEGER NOT NULL, number INTEGER NOT NULL, recording INTEGER NOT NULL,
    duration INTEGER NOT NULL, size INTEGER NOT NULL, digest BLOB NOT NULL, keys BLOB NOT NULL,
    eventful INTEGER NOT NULL, journaled INTEGER NOT NULL,
    PRIMARY KEY (camera, began_ns, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX by_class ON file (camera, eventful, began_ns, number);
CREATE INDEX by_seal ON file (camera, began_ns, number) WHERE journaled = 0;
CREATE TRIGGER added AFTER INSERT ON file BEGIN
    UPDATE camera SET files = files + 1, bytes = bytes + new.size WHERE id = new.camera;
END;
CREATE TRIGGER removed AFTER DELETE ON file BEGIN
    UPDATE camera SET files = files - 1, bytes = bytes - old.size WHERE id = old.camera;
END;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
"""
"""`number` is that in the file's name, from 1; `recording` its id as a number; `keys` as `pack_keys` makes it.
`is_whole` is 1 once all files have been compared with their rows. `eventful` is 1 if something was detected in its
time, and `journaled` if a seal of the journal has its digest."""
DAY_NS = 86_400 * 10**9
MAX_FILE_NS = 3600 * 10**9
"""No file lasts longer: a look-up need not go back further."""
DAMAGED = (apsw.CorruptError, apsw.NotADBError)
_ID = struct.Struct(">q")
_COLUMNS = "began_ns, number, recording, duration, size, digest, keys, eventful"
_ENDED = "began_ns + duration * 100000 / 9"
_OVERLAPS = f"camera = ? AND began_ns > ? AND began_ns < ? AND {_ENDED} > ?"
_FIRST_NS, _LAST_NS = -(2**63), 2**63 - 1


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
    """SHA-256 of the whole file; empty if the row was made from a file that was not read as a whole."""
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


class Named(Protocol):
    """A file of the archive."""

    @property
    def camera(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def began_ns(self) -> int: ...


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
        except DAMAGED:
            remove_index(folder)
            self._db = self._open()

    def _open(self) -> apsw.Connection:
        with suppress(OSError):  # SQLite names what is wrong; it gives the mode of this file to those beside it
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE))
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
        except BaseException:
            db.close()
            raise
        return db

    def close(self) -> None:
        self._db.close()

    @property
    def is_whole(self) -> bool:
        """Whether all files that there were at some time have their rows: it is not just being made again."""
        return bool(self._db.execute("SELECT is_whole FROM progress").get)

    def mark_whole(self) -> None:
        self._db.execute("UPDATE progress SET is_whole = 1")

    def add(self, files: Iterable[SealedFile]) -> None:
        """Add rows of files that no seal of the journal has, in one transaction. A row that is there is replaced."""
        self.add_rows(map(row_of, files), journaled=False)

    def add_rows(self, rows: Iterable[IndexedFile], *, journaled: bool) -> None:
        """Add rows, in one transaction. A row that is there already is replaced."""
        with self._db:
            for row in rows:
                camera, recording = self._camera(row.camera, make=True), _ID.unpack(bytes.fromhex(row.recording))[0]
                self._remove(camera, row)
                self._db.execute(
                    "INSERT INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (camera, row.began_ns, row.number, recording, row.duration, row.size, row.digest, row.keys,
                     row.eventful, journaled),
                )  # fmt: skip

    def remove(self, rows: Iterable[IndexedFile]) -> None:
        """Remove rows, in one transaction, before their files are removed."""
        with self._db:
            for row in rows:
                self._remove(self._camera(row.camera), row)

    def _remove(self, camera: int, row: IndexedFile) -> None:
        key = camera, row.began_ns, row.number
        self._db.execute("DELETE FROM file WHERE camera = ? AND began_ns = ? AND number = ?", key)

    def not_journaled(self, limit: int) -> list[IndexedFile]:
        """The oldest files of each camera that no seal of the journal has, at most `limit` in all."""
        found = list[IndexedFile]()
        for camera in self.cameras():
            rows = self._db.execute(
                f"SELECT {_COLUMNS} FROM file WHERE camera = ? AND journaled = 0 ORDER BY began_ns, number LIMIT ?",
                (self._camera(camera), limit - len(found)),
            )
            found += (_row(camera, values) for values in rows)
        return found

    def mark_journaled(self, files: Iterable[Named]) -> None:
        """Note that the journal has the digests of these files."""
        with self._db:
            for file in files:
                self._db.execute(
                    "UPDATE file SET journaled = 1 WHERE camera = ? AND began_ns = ? AND number = ?",
                    (self._camera(file.camera), file.began_ns, number_of(file.path)),
                )

    def of_day(self, camera: str, day_ns: int) -> list[IndexedFile]:
        """The files of a camera that began in the day that begins then."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM file WHERE camera = ? AND began_ns >= ? AND began_ns < ?",
            (self._camera(camera), day_ns, day_ns + DAY_NS),
        )
        return [_row(camera, values) for values in rows]

    def days(self, camera: str) -> list[int]:
        """When each day begins in which a file of a camera began, in nanoseconds since 1970."""
        found, since_ns, number = list[int](), -(2**63), self._camera(camera)
        while True:
            began_ns = self._db.execute(
                "SELECT min(began_ns) FROM file WHERE camera = ? AND began_ns >= ?", (number, since_ns)
            ).get
            if began_ns is None:
                return found
            found.append(began_ns // DAY_NS * DAY_NS)
            since_ns = found[-1] + DAY_NS

    def cameras(self) -> Sequence[str]:
        return [name for (name,) in self._db.execute("SELECT name FROM camera ORDER BY name")]

    def files(self, camera: str, from_ns: int, to_ns: int, limit: int = 10_000) -> list[IndexedFile]:
        """The files of a camera that have something of a time, the oldest first."""
        found = self._db.execute(
            f"SELECT {_COLUMNS} FROM file WHERE {_OVERLAPS} ORDER BY began_ns, number LIMIT ?",
            (self._camera(camera), from_ns - MAX_FILE_NS, to_ns, from_ns, limit),
        )
        return [_row(camera, values) for values in found]

    def oldest(
        self, limit: int, pinned: Mapping[str, Sequence[tuple[int, int]]] = MappingProxyType({})
    ) -> list[IndexedFile]:
        """The oldest files of each camera, at most `limit` of each, and so many of those without and with events.

        Files of a pinned time are left out: they may be the oldest for ever.
        """
        found = list[IndexedFile]()
        for camera in self.cameras():
            for eventful in (False, True):
                found += self._oldest(camera, eventful, limit, pinned.get(camera, ()))
        return sorted(found, key=lambda row: (row.began_ns, row.camera, row.number))

    def _oldest(
        self, camera: str, eventful: bool, limit: int, pinned: Sequence[tuple[int, int]]
    ) -> Iterator[IndexedFile]:
        begins = (_FIRST_NS, *(to_ns for _, to_ns in pinned))
        ends = (*(from_ns for from_ns, _ in pinned), _LAST_NS)
        for from_ns, to_ns in zip(begins, ends, strict=True):
            if limit == 0:
                return
            rows = self._db.execute(
                f"SELECT {_COLUMNS} FROM file WHERE camera = ? AND eventful = ? AND began_ns >= ? AND began_ns < ? "
                f"AND {_ENDED} <= ? ORDER BY began_ns, number LIMIT ?",
                (self._camera(camera), eventful, from_ns, to_ns, to_ns, limit),
            )
            for values in rows:
                yield _row(camera, values)
                limit -= 1

    def bytes_of(self, camera: str, from_ns: int, to_ns: int) -> int:
        """The bytes of the files of a camera that have something of a time."""
        values = (self._camera(camera), from_ns - MAX_FILE_NS, to_ns, from_ns)
        found = self._db.execute(f"SELECT sum(size) FROM file WHERE {_OVERLAPS}", values).get
        return found or 0

    def since(self, camera: str, from_ns: int) -> dict[bool, int]:
        """The bytes of the files that began since a time, without and with events."""
        rows = self._db.execute(
            "SELECT eventful, sum(size) FROM file WHERE camera = ? AND began_ns >= ? GROUP BY eventful",
            (self._camera(camera), from_ns),
        )
        return {bool(eventful): size for eventful, size in rows}

    def oldest_ns(self, camera: str) -> int | None:
        """When the oldest file of a camera began; None without one."""
        found: int | None = self._db.execute(
            "SELECT min(began_ns) FROM file WHERE camera = ?", (self._camera(camera),)
        ).get
        return found

    def mark_eventful(self, camera: str, from_ns: int, to_ns: int) -> None:
        """Note that something was detected in this time."""
        with self._db:
            self._db.execute(
                f"UPDATE file SET eventful = 1 WHERE eventful = 0 AND {_OVERLAPS}",
                (self._camera(camera), from_ns - MAX_FILE_NS, to_ns, from_ns),
            )

    def at(self, camera: str, at_ns: int) -> IndexedFile | None:
        """The file of a camera that has this moment."""
        found = self._db.execute(
            f"SELECT {_COLUMNS} FROM file WHERE {_OVERLAPS} ORDER BY began_ns DESC, number DESC LIMIT 1",
            (self._camera(camera), at_ns - MAX_FILE_NS, at_ns + 1, at_ns),
        )
        return next((_row(camera, values) for values in found), None)

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
        counts = self._db.execute("SELECT name, files, bytes FROM camera WHERE files > 0 ORDER BY name")
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


def row_of(file: SealedFile) -> IndexedFile:
    keys = pack_keys(key_times(file.fragments))
    return IndexedFile(
        file.camera, file.began_ns, number_of(file.path), file.recording, file.duration, file.size, file.digest, keys
    )


def remove_index(folder: Path) -> None:
    """Remove an index that is damaged. It is made again from the files."""
    for suffix in ("", "-wal", "-shm"):
        folder.joinpath(NAME + suffix).unlink(missing_ok=True)


def key_times(fragments: Iterable[StoredFragment]) -> Iterator[tuple[int, int]]:
    """Yield time, in 1/90000 s from the first one, and offset of each fragment with a key frame."""
    ticks = 0
    for found in fragments:
        if found.place.key:
            yield ticks, found.offset
        ticks += found.place.duration


def pack_keys(keys: Iterable[tuple[int, int]]) -> bytes:
    """Times in 1/90000 s and offsets of fragments: milliseconds and bytes since the one before, as varints."""
    packed, at_ms, last = bytearray(), 0, 0
    for ticks, offset in keys:
        now_ms = ticks * 1000 // CLOCK_RATE
        _put(packed, now_ms - at_ms)
        _put(packed, offset - last)
        at_ms, last = now_ms, offset
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
