"""One segment of the journal as a SQLite file: append batches, read rows. Blocking; the writer calls it in a thread.

Rules of this file:
- One store owns the only read-write connection; a lock beside the file keeps other daemons out.
- A batch is one transaction, synced before `append` returns (WAL, `synchronous=FULL`).
- After an error the connection is thrown away, never used again: SQLite cannot say what a failed sync left behind.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import apsw

from ..domain.events import Recorded
from ..domain.ids import CameraId
from . import codec
from .errors import JournalError

APPLICATION_ID = 0x62616E6B
""""bank", in the header of the file."""
FORMAT = 1
"""Layout of the file. A newer one is refused, an older one is read."""
SAFE_SQLITE = (3, 51, 3)
"""Older releases can corrupt a database when the WAL is reset."""
SEGMENT = "segment-000001.sqlite"
PAGE = 500
"""Rows a reader takes in one step."""

_SCHEMA = f"""
CREATE TABLE event (
    seq INTEGER PRIMARY KEY, wall_ns INTEGER NOT NULL, mono_ns INTEGER NOT NULL, node TEXT NOT NULL,
    run TEXT NOT NULL, stream TEXT NOT NULL, stream_version INTEGER NOT NULL, type TEXT NOT NULL,
    version INTEGER NOT NULL, cause INTEGER, correlation TEXT NOT NULL, principal TEXT NOT NULL,
    body TEXT NOT NULL, crc INTEGER NOT NULL
) STRICT;
CREATE INDEX event_stream ON event (stream, seq);
CREATE INDEX event_type ON event (type, seq);
CREATE INDEX event_camera ON event (body ->> 'camera', seq);
CREATE TABLE batch (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, digest BLOB NOT NULL) STRICT;
CREATE TABLE state_hash (seq INTEGER PRIMARY KEY, hash TEXT NOT NULL) STRICT;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
"""


class Store:
    """The read-write side of a journal folder.

    Raises `JournalError` when the folder cannot be used: locked by another daemon, written by a newer version, not
    ours, not writable, or when this machine's SQLite is unsafe.
    """

    def __init__(self, folder: Path) -> None:
        _refuse_unsafe_sqlite()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except (OSError, ValueError) as error:
            raise JournalError(f"{str(folder)!r}: the journal folder cannot be used: {error}") from None
        self.folder = folder
        try:
            self._take_lock()
            self._connect()
        except BaseException:
            os.close(self._lock)
            raise

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._lock, 32, 0).decode(errors="replace").strip() or "unknown"
            raise JournalError(
                f"{self.folder}: the journal is in use by another daemon (pid {holder}); "
                "stop that one, or give this one a journal of its own"
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def _connect(self) -> None:
        path = self.folder / SEGMENT
        try:
            self._db = apsw.Connection(str(path))
            self._db.set_busy_timeout(1000)
            if self._db.pragma("user_version") == 0 and not self._db.pragma("schema_version"):
                self._db.pragma("journal_mode", "wal")
                with self._db:
                    self._db.execute(_SCHEMA)
            _refuse_foreign(self._db, path)
            self._db.pragma("synchronous", "full")
            last = self._db.execute("SELECT last, digest FROM batch ORDER BY first DESC LIMIT 1").fetchone()
            stored = self._db.execute("SELECT coalesce(max(seq), 0) FROM event").get
        except apsw.Error as error:
            raise JournalError(f"{path}: the journal cannot be opened: {error}") from None
        if stored != (last[0] if last else 0):
            raise JournalError(f"{path}: the last event is {stored}, but {last[0] if last else 0} were promised")
        self.last_seq: int = last[0] if last else 0
        self._digest: bytes = last[1] if last else codec.GENESIS

    def append(self, batch: Sequence[Recorded], state_hash: tuple[int, str] | None = None) -> None:
        """Store `batch`, which follows `last_seq` without a gap, and sync it. Raises `apsw.Error`."""
        rows = [codec.encode(recorded) for recorded in batch]
        digest = codec.chain(self._digest, rows)
        with self._db:
            self._db.executemany(f"INSERT INTO event VALUES ({','.join('?' * 14)})", rows)
            self._db.execute("INSERT INTO batch VALUES (?, ?, ?)", (batch[0].seq, batch[-1].seq, digest))
            if state_hash is not None:
                self._db.execute("INSERT INTO state_hash VALUES (?, ?)", state_hash)
        self.last_seq, self._digest = batch[-1].seq, digest

    def reconnect(self) -> None:
        """Open the file anew after an error; `last_seq` then says what had been stored, and synced.

        Raises `JournalError`, and `apsw.Error`; then it must be called again.
        """
        promised = self.last_seq
        with suppress(apsw.Error):  # closing writes, too, and the disk may still fail; closed it is all the same
            self._db.close(force=True)
        self._connect()
        if self.last_seq > promised:
            found, self.last_seq = self.last_seq, promised
            self._sync_again()
            self.last_seq = found

    def _sync_again(self) -> None:
        """Copy what is in the WAL to the main file. A sync that failed may have lost it, though it still reads well.

        Linux forgets what it could not write; only what is written again is synced by the next sync.
        """
        busy, size, copied = self._db.execute("PRAGMA wal_checkpoint(FULL)").fetchone() or (1, 0, 0)
        if busy or size != copied:
            raise JournalError(f"{self.folder}: a reader is in the way of what a failed sync has left behind")

    def close(self) -> None:
        """Also while a hung disk still holds a commit: then the file is left to the end of the process."""
        with suppress(apsw.Error):  # a disk that fails: what is in the WAL is found there at the next start
            self._db.close(force=True)
        os.close(self._lock)


class Reader:
    """Reads a journal folder, also while a daemon writes to it; never writes a byte of it itself."""

    def __init__(self, folder: Path) -> None:
        _refuse_unsafe_sqlite()
        self._path = path = folder / SEGMENT
        if not path.exists():
            raise JournalError(f"{folder}: there is no journal here (no {SEGMENT})")
        try:
            self._db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            self._db.set_busy_timeout(1000)
            _refuse_foreign(self._db, path)
        except apsw.Error as error:
            raise JournalError(f"{path}: the journal cannot be opened: {error}") from None

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """What SQLite finds wrong, as a `JournalError` that names the file."""
        try:
            yield
        except apsw.Error as error:
            raise JournalError(f"{self._path}: the journal cannot be read: {error}") from None

    def bounds(self) -> tuple[int, int]:
        """First and last sequence number; (1, 0) for an empty journal."""
        with self._reading():
            ends = "SELECT (SELECT coalesce(min(seq), 1) FROM event), (SELECT coalesce(max(seq), 0) FROM event)"
            first, last = self._db.execute(ends).get
            return first, last

    def page(
        self,
        after: int,
        *,
        limit: int = PAGE,
        camera: CameraId | None = None,
        types: Sequence[str] = (),
        since_ns: int | None = None,
        newest: bool = False,
    ) -> list[Recorded]:
        """Up to `limit` events with a number above `after`, oldest first.

        `camera` takes those of the camera and of its children and viewers; `types` are globs, any of which may fit;
        `since_ns` is the earliest wall time; `newest` takes the last `limit` rather than the first.
        """
        where, values = ["seq > ?"], [after]  # type: tuple[list[str], list[int | str]]
        if camera is not None:
            where.append("body ->> 'camera' = ?")
            values.append(camera)
        if types:
            where.append("(" + " OR ".join(["type GLOB ?"] * len(types)) + ")")
            values += types
        if since_ns is not None:
            where.append("wall_ns >= ?")
            values.append(since_ns)
        order = "DESC" if newest else "ASC"
        query = f"SELECT * FROM event WHERE {' AND '.join(where)} ORDER BY seq {order} LIMIT ?"
        with self._reading():
            found = [codec.decode(row) for row in self._db.execute(query, (*values, limit))]
        return found[::-1] if newest else found

    def all(self) -> Iterator[Recorded]:
        """Every event, oldest first. Raises `JournalError` at the first gap or damaged row."""
        expected = 1
        with self._reading():
            for row in self._db.execute("SELECT * FROM event ORDER BY seq"):
                recorded = codec.decode(row)
                if recorded.seq != expected:
                    raise JournalError(f"{self._path}: events {expected} to {recorded.seq - 1} are missing")
                expected = recorded.seq + 1
                yield recorded

    def state_hashes(self) -> dict[int, str]:
        """The hashes of the live state that the daemon wrote, by sequence number."""
        with self._reading():
            return dict(self._db.execute("SELECT seq, hash FROM state_hash"))

    def verify_chain(self) -> None:
        """Check every batch against the chain. Raises `JournalError` that names the first batch that does not fit."""
        with self._reading():
            digest, expected = codec.GENESIS, 1
            for first, last, stored in self._db.execute("SELECT first, last, digest FROM batch ORDER BY first"):
                rows = list(
                    self._db.execute("SELECT * FROM event WHERE seq BETWEEN ? AND ? ORDER BY seq", (first, last))
                )
                digest = codec.chain(digest, rows)
                if first != expected or len(rows) != last - first + 1 or digest != stored:
                    raise JournalError(f"events {first} to {last} are not what was written: the chain breaks there")
                expected = last + 1
            beyond = self._db.execute("SELECT count(*) FROM event WHERE seq >= ?", (expected,)).get
            if beyond:
                raise JournalError(f"{beyond} events from {expected} on belong to no batch")

    def close(self) -> None:
        self._db.close(force=True)


def _refuse_unsafe_sqlite() -> None:
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < SAFE_SQLITE:
        wanted = ".".join(map(str, SAFE_SQLITE))
        raise JournalError(f"SQLite {apsw.sqlite_lib_version()} can corrupt a journal; {wanted} or newer is needed")


def _refuse_foreign(db: apsw.Connection, path: Path) -> None:
    if db.pragma("application_id") != APPLICATION_ID:
        raise JournalError(f"{path}: this SQLite file is not a banken journal")
    version = db.pragma("user_version")
    if version > FORMAT:
        raise JournalError(
            f"{path}: the journal has format {version}, written by a newer banken; this one reads up to {FORMAT}"
        )
