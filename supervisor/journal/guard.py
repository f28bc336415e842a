"""Opens an untrusted segment: nothing in it may run code, fill the memory, or block a reader for long.

Rules of this file:
- A segment and the files that SQLite would read beside it are regular files: a pipe would block its reader forever.
  No segment has a rollback journal: SQLite would apply it to the file.
- Its tables and views are exactly those of our schema, its indexes are a subset of the schema's, and it has no
  triggers.
- A value has at most `MAX_VALUE` bytes, and a statement takes at most `STATEMENT_S` seconds.
"""

import errno
import math
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from pathlib import Path

import apsw

from ..domain.words import size
from ..ports.errors import JournalDamaged, JournalError
from .errors import SearchTooLong
from .files import BESIDE, SCHEMA_1, SCHEMA_SEALED, kind_of, naming, refuse_foreign

WRITER_VFS = "unix-excl"
"""A VFS of SQLite: the WAL index is in memory, shared within this process, and other processes are locked out."""
MAX_VALUE = 16 * 1024**2
"""Bytes of one text or blob. The longest that is written is a state: some 50 kB for each thirty cameras."""
MAX_PAGE = 64 * 1024**2
"""Total bytes of the texts and blobs that one statement may return."""
MAX_ROWS = 2_000_000
"""Rows that one statement may return. A full segment has fewer batches."""
STATEMENT_S = 30.0
SEARCH_S = 5.0
"""Time limit over all segments, in seconds, of a search that a client of the API waits for."""
LOOK_EVERY, SEARCH_LOOKS_EVERY = 100_000, 2000
"""Instructions of SQLite's virtual machine between two checks of the clock: some milliseconds. In a search each
instruction may be slow."""
_DEADLINE = ContextVar("_DEADLINE", default=math.inf)
"""When the search in this thread must end, on the monotonic clock."""
_MAX_OBJECTS = 64
_SCHEMA_OF = "SELECT type, name, tbl_name, sql FROM sqlite_schema LIMIT ?"

Object = tuple[str, str, str, str | None]
"""Type, name, table and SQL of a table, view, index or trigger."""


def require_regular(path: Path) -> None:
    """Raise `JournalError` if a segment, or a file that SQLite keeps beside it, is not a regular file."""
    for suffix in BESIDE:
        beside = path.with_name(path.name + suffix)
        try:
            found = os.stat(beside)
        except FileNotFoundError:
            if beside.is_symlink():
                raise JournalDamaged(f"{beside}: this is not a file of a journal, but a link to nothing") from None
            continue
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise JournalDamaged(f"{beside}: this is not a file of a journal, but a link to itself") from None
            raise JournalError(f"{beside}: the journal cannot be opened: {error.strerror}") from None
        is_regular = stat.S_ISREG(found.st_mode)
        if suffix == "-journal" and (found.st_size or not is_regular):  # the segment itself may be whole
            raise JournalError(f"{beside}: no segment has such a file; banken repair sets it aside")
        if not is_regular:
            raise JournalDamaged(f"{beside}: this is not a file of a journal, but {_kind(found.st_mode)}")


def _kind(mode: int) -> str:
    kinds = {stat.S_IFIFO: "a pipe", stat.S_IFDIR: "a folder", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def read_bounded(path: Path, most: int) -> bytes:
    """The content of a small file of a journal's folder, at most `most` bytes.

    Raises `OSError`, and `JournalDamaged` if the file is larger or not a regular file.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise JournalDamaged(f"{path}: this is not a file of a journal, but {_kind(found.st_mode)}")
        data = file.read(most + 1)
    if len(data) > most:
        raise JournalDamaged(f"{path}: it has more than {size(most)}, the read limit")
    return data


def _close(db: apsw.Connection) -> None:
    db.close(force=True)


def open_segment(
    path: Path,
    *,
    immutable: bool = False,
    vfs: str | None = None,
    close: Callable[[apsw.Connection], None] = _close,
) -> apsw.Connection:
    """A read-only connection to a segment whose schema was checked. For `vfs` see `live.py`. Raises `JournalError`.

    `close` is called with a rejected connection.
    """
    require_regular(path)
    uri = path.absolute().as_uri() + ("?immutable=1" if immutable else "")
    access = apsw.SQLITE_OPEN_READWRITE if vfs == WRITER_VFS else apsw.SQLITE_OPEN_READONLY
    try:
        db = apsw.Connection(uri, flags=access | apsw.SQLITE_OPEN_URI, vfs=vfs)
    except apsw.Error as error:
        raise kind_of(error)(f"{path}: the journal cannot be opened: {error}") from None
    try:
        db.set_busy_timeout(1000)
        db.pragma("query_only", True)
        db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        if vfs == "unix-none":
            db.pragma("locking_mode", "exclusive")  # concerns only its index in memory; no lock is taken
        _harden(db)
        with naming(path), time_limit(db, path):
            refuse_foreign(db, path)
            refuse_foreign_schema(db, path)
    except BaseException:
        close(db)
        raise
    return db


def _harden(db: apsw.Connection) -> None:
    """Distrust the schema and bound the sizes, before the content is read."""
    for option, value in (
        (apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0),
        (apsw.SQLITE_DBCONFIG_DEFENSIVE, 1),
        (apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0),
        (apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0),
    ):
        db.config(option, value)
    db.limit(apsw.SQLITE_LIMIT_LENGTH, MAX_VALUE)
    db.limit(apsw.SQLITE_LIMIT_ATTACHED, 0)


def refuse_foreign_schema(db: apsw.Connection, path: Path) -> None:
    """Raise `JournalDamaged` if tables, views or triggers differ from those of a segment. Indexes may be missing."""
    found = set(db.execute(_SCHEMA_OF, (_MAX_OBJECTS,)))
    known = _objects(_schema(db))
    if found - known or {each for each in known - found if each[0] != "index"}:
        raise JournalDamaged(f"{path}: it has other tables than a segment of a journal")


def missing_indexes(db: apsw.Connection) -> list[str]:
    """The names of the indexes of this format that the segment lacks."""
    found = set(db.execute(_SCHEMA_OF, (_MAX_OBJECTS,)))
    return sorted(name for kind, name, _, _ in _objects(_schema(db)) - found if kind == "index")


def _schema(db: apsw.Connection) -> str:
    """The full schema that a segment of this format may have."""
    return SCHEMA_1 if db.pragma("user_version") == 1 else SCHEMA_SEALED


@cache
def _objects(schema: str) -> frozenset[Object]:
    db = apsw.Connection(":memory:")
    try:
        db.execute(schema)
        return frozenset(db.execute(_SCHEMA_OF, (_MAX_OBJECTS,)))
    finally:
        db.close()


@contextmanager
def search_limit() -> Iterator[None]:
    """Limit all statements of the block together to `SEARCH_S`, in this thread. Raises `SearchTooLong`."""
    token = _DEADLINE.set(time.monotonic() + SEARCH_S)
    try:
        yield
    finally:
        _DEADLINE.reset(token)


@contextmanager
def time_limit(db: apsw.Connection, path: Path) -> Iterator[None]:
    """Limit all statements of the block together to `STATEMENT_S`. Raises `JournalError`."""
    search_ends = _DEADLINE.get()
    _refuse_late(search_ends)
    ends = min(search_ends, time.monotonic() + STATEMENT_S)
    db.set_progress_handler(partial(_is_late, ends), LOOK_EVERY if search_ends == math.inf else SEARCH_LOOKS_EVERY)
    try:
        yield
    except apsw.InterruptError:
        _refuse_late(search_ends)
        raise JournalError(f"{path}: the journal gave no answer within {STATEMENT_S:g} s; it may be damaged") from None
    finally:
        db.set_progress_handler(None)


def _refuse_late(search_ends: float) -> None:
    if time.monotonic() > search_ends:
        raise SearchTooLong(f"the search took longer than {SEARCH_S:g} s; ask for fewer events, by before= and after=")


def _is_late(deadline: float) -> bool:
    return time.monotonic() > deadline
