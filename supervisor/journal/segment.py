"""Writes a segment: makes it with its initial state, appends to it, seals it. Blocking.

Rules of this file:
- A batch is one transaction, synced before `append` returns (WAL, `synchronous=FULL`).
- After an error the connection is discarded: SQLite cannot report what a failed sync left behind.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

import apsw
import msgspec

from ..domain.state import RULE, State, state_hash
from ..ports.errors import JournalDamaged, JournalError
from . import checkpoint, codec, guard
from .codec import Encoded
from .copied import look_at_copied
from .errors import JournalReplaced
from .files import (
    BESIDE,
    DRAFT,
    INDEXES,
    MODE,
    SCHEMA,
    ChainStart,
    kind_of,
    naming,
    number_of,
    refuse_foreign,
    segment_path,
    shorten,
    sync_folder,
)
from .guard import refuse_foreign_schema, require_regular
from .live import leave_writing, take_writing, writing
from .manifest import Sealed
from .wal import Wal

HASH_EVERY = 1000
"""Events between two hashes of the live state, which prove a replay."""
CHECKPOINT_EVERY = 5000
"""Events between two checkpoints, so that every instant has one nearby."""
SYNCHRONOUS = "full"
"""A commit is on the disk when it returns. `normal` would leave that to the operating system."""
CHUNK = 1024 * 1024
CHECKPOINT_BYTES = 4 * 1024**2
"""Size of a WAL from which its content is copied to the main file: by `empty_wal`, not by a commit."""
_LAST = "SELECT last, digest FROM batch ORDER BY first DESC LIMIT 1"


def make_segment(
    folder: Path, head: State, after: int, digest: bytes, now_ns: int, start: ChainStart | None = None
) -> Path:
    """Make the segment that continues after `head`, durably and atomically, with mode 0600. Returns its path.

    `after` is the last event stored before it: it differs from `head.seq` only if events were lost.
    With `start`, a new chain begins with it, and `digest` is `GENESIS`. Raises `apsw.Error`, `OSError` and
    `JournalError`.
    """
    path = segment_path(folder, head.seq + 1)
    if number_of(path.name) is None:
        raise JournalError(f"{path}: this is not a valid name of a segment")
    for suffix in BESIDE[:-1]:
        if os.path.lexists(beside := path.with_name(f"{path.name}{suffix}")):
            raise JournalError(
                f"{beside}: it lies beside a segment that is not made yet, and would be taken for its own"
            )
    draft = path.with_name(path.name + DRAFT)
    remove_file(draft)  # left by a failed attempt
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, MODE))
    db = apsw.Connection(str(draft))
    try:
        with db:
            db.execute(SCHEMA)
            values = (head.seq + 1, after, digest, now_ns, start and msgspec.json.encode(start).decode())
            db.execute("INSERT INTO segment VALUES (?, ?, ?, ?, ?)", values)
            db.execute("INSERT INTO checkpoint VALUES (?, ?)", (head.seq, checkpoint.pack(head)))
            db.execute("INSERT INTO state_hash VALUES (?, ?, ?)", (head.seq, RULE, state_hash(head)))
        db.pragma("journal_mode", "wal")  # here, so that under its final name a segment never has a rollback journal
    finally:
        db.close(force=True)
    draft.replace(path)
    sync_folder(folder)
    return path


def remove_file(path: Path) -> None:
    """Remove a file of SQLite after the files that SQLite keeps beside it. Raises `OSError`."""
    for suffix in BESIDE:
        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)


class Rows:
    """Inserts rows into a segment, with numbers for recurring texts. Do not use it after an error."""

    _INSERT = f"INSERT INTO event VALUES ({','.join('?' * 14)})"

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._words: dict[str, int] = dict(db.execute("SELECT text, id FROM word"))

    def insert(self, rows: Iterable[codec.Row]) -> None:
        self._db.executemany(self._INSERT, map(self._stored, rows))

    def _stored(self, row: codec.Row) -> tuple[object, ...]:
        (
            seq, wall_ns, mono_ns, node, run, stream, stream_version, kind, version, cause, correlation, principal,
            body, crc,
        ) = row  # fmt: skip
        word = self._word
        return (
            seq, wall_ns, mono_ns, word(node), word(run), stream, stream_version, word(kind), version, cause,
            shorten(correlation), word(principal), body, crc,
        )  # fmt: skip

    def _word(self, text: str) -> int:
        number = self._words.get(text)
        if number is None:
            number = self._words[text] = len(self._words) + 1
            self._db.execute("INSERT INTO word VALUES (?, ?)", (number, text))
        return number


class SegmentWriter:
    """The only read-write connection to the last segment. Raises `JournalError` if the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        require_regular(path)
        self._written = take_writing(path)
        try:
            self._db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=guard.WRITER_VFS)
            self._db.set_busy_timeout(1000)
        except apsw.Error as error:
            leave_writing(self._written)
            raise kind_of(error)(f"{path}: the journal cannot be opened: {error}") from None
        try:
            self._read()
        except BaseException:
            self.close()
            raise

    def _read(self) -> None:
        """Read and check the stored content."""
        with naming(self.path):
            refuse_foreign(self._db, self.path)
            refuse_foreign_schema(self._db, self.path)
            self._db.pragma("journal_mode", "wal")
            self._db.pragma("synchronous", SYNCHRONOUS)
            self._db.pragma("wal_autocheckpoint", 0)
            self.format: int = self._db.pragma("user_version")
            found = self._db.execute("SELECT first, previous, created_ns FROM segment").fetchall()
            last = self._db.execute(_LAST).fetchone()
            stored = self._db.execute("SELECT max(seq) FROM event").get
            self._rows = Rows(self._db)
            self._hashed: int = self._db.execute("SELECT coalesce(max(seq), 0) FROM state_hash").get
            self.states = checkpoint.digests(self._db.execute(checkpoint.STORED))
            """SHA-256 of each state in the file, as known to this writer."""
            self._page_size = self._db.pragma("page_size")
        if len(found) != 1:
            raise JournalDamaged(f"{self.path}: it does not state where it begins")
        first, previous, created_ns = cast(tuple[int, bytes, int], found[0])
        acknowledged, end = cast(tuple[int, bytes], last) if last else (None, previous)
        if (type(first), type(previous), type(created_ns), type(end)) != (int, bytes, int, bytes):
            raise JournalDamaged(f"{self.path}: the head of the segment is damaged")
        self.begins, self.created_ns = first, created_ns
        self._wal = Wal(self.path)
        if stored != acknowledged:
            raise JournalDamaged(f"{self.path}: the last event is {stored}, but {acknowledged} were acknowledged")
        self._last = last
        self.last_seq: int = acknowledged or first - 1
        self.digest: bytes = end
        self.attempted: tuple[int, bytes] | None = None
        """The last event and the digest of the last batch that was passed to SQLite, stored or not."""

    @property
    def size(self) -> int:
        """Bytes of the main file."""
        return int(self._db.pragma("page_count") * self._page_size)

    def append(self, batch: Sequence[Encoded], state: State) -> None:
        """Store `batch`, which follows `last_seq` without a gap, and sync it. `state` is the state after it."""
        rows = [row for row, _ in batch]
        first_seq, last_seq = rows[0][0], rows[-1][0]
        digest = codec.chain_forms(self.digest, (form for _, form in batch))
        self.attempted = last_seq, digest
        with self._db:
            if self._db.execute(_LAST).fetchone() != self._last:
                raise JournalReplaced(f"{self.path}: the last batch is not the one that was written; rolled back?")
            self._rows.insert(rows)
            self._db.execute("INSERT INTO batch VALUES (?, ?, ?)", (first_seq, last_seq, digest))
            if last_seq - self._hashed >= HASH_EVERY:
                self._insert_hash(last_seq, state)
                self._hashed = last_seq
            if last_seq - max(self.states, default=0) >= CHECKPOINT_EVERY:
                packed = checkpoint.pack(state)
                self._db.execute("INSERT INTO checkpoint VALUES (?, ?)", (last_seq, packed))
                self.states |= checkpoint.digests([(last_seq, packed)])
        self.last_seq, self.digest = last_seq, digest
        self._last = (last_seq, digest)

    def _insert_hash(self, seq: int, state: State) -> None:
        if self.format == 1:
            self._db.execute("INSERT INTO state_hash VALUES (?, ?)", (seq, state_hash(state, 1)))
        else:
            self._db.execute("INSERT INTO state_hash VALUES (?, ?, ?)", (seq, RULE, state_hash(state)))

    def look_at_commit(self) -> None:
        """Raise `JournalReplaced` if a recovery after a crash would not find the appended batch."""
        self._wal.look_at_commit()

    def look_at_wal(self) -> None:
        """Raise `JournalReplaced` if the WAL no longer holds the commits that were read back."""
        self._wal.look_again()

    @property
    def has_long_wal(self) -> bool:
        return self._wal.end >= CHECKPOINT_BYTES

    def empty_wal(self, take: Callable[[], None]) -> None:
        """Copy the WAL to the main file, as far as readers allow it. Then the next commit restarts the WAL.

        `take` is called after the main file was written, before it is read back.
        """
        self.look_at_wal()
        busy, frames, copied = self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").get
        take()
        if self.path.stat().st_size < self.size:
            raise JournalReplaced(f"{self.path}: another program shortened this file")
        if not busy and copied == frames:
            look_at_copied(self.path, self._wal.pages())
            self._wal.may_begin_again()

    def sync_again(self) -> None:
        """Copy the WAL to the main file. A failed sync may have lost its content, although it is still readable.

        Linux discards pages that it could not write. The next sync covers only pages that are written again. Frames
        after a lost frame of the WAL are lost with it, so the WAL restarts.
        """
        busy, *_ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() or (1,)
        if busy:
            raise JournalError(f"{self.path}: a reader prevents the repair after a failed sync")
        self._wal = Wal(self.path)

    def abandon(self) -> None:
        """Close without changing the files, which are not ours any more."""
        with suppress(apsw.Error):
            self._db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        self.close()

    def close(self) -> None:
        """Close the file. If a disk hangs during a commit, the file stays open until the process ends."""
        with suppress(apsw.Error):  # a failing disk: the next opening finds the content of the WAL
            self._db.close(force=True)
        leave_writing(self._written)


def seal(path: Path, previous: str) -> Sealed | None:
    """Complete a segment that is no longer written, and return its line of the manifest; None while a reader blocks it.

    Raises `JournalError` and `OSError`.
    """
    with writing(path), naming(path):
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=guard.WRITER_VFS)
        try:
            refuse_foreign(db, path)
            make_indexes(db)
            busy, *_ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() or (1,)
            if busy:
                return None
            first, after, digest, created_ns = db.execute("SELECT first, after, previous, created_ns FROM segment").get
            last = db.execute("SELECT last, digest FROM batch ORDER BY first DESC LIMIT 1").fetchone()
            times = db.execute("SELECT min(wall_ns), max(wall_ns) FROM event").get
        finally:
            db.close(force=True)
    began_ns, ended_ns = times if times[0] is not None else (created_ns, created_ns)
    return Sealed(
        segment=path.name,
        first=first,
        last=last[0] if last else first - 1,
        after=after,
        began_ns=began_ns,
        ended_ns=ended_ns,
        bytes=path.stat().st_size,
        sha256=file_digest(path),
        digest=(last[1] if last else digest).hex(),
        previous=previous,
    )


def make_indexes(db: apsw.Connection) -> None:
    """Make the missing indexes: all indexes, in an unsealed segment of format 2."""
    found = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'index'")}
    with db:
        for statement in INDEXES:
            if statement.split()[2] not in found:
                db.execute(statement)


def file_digest(path: Path) -> str:
    """SHA-256 of a sealed segment's file, in hex.

    Never call it for a segment that is being written: closing the file would drop its locks. Raises `OSError`.
    """
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return digest.hexdigest()
