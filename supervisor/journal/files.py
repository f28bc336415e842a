"""The files of a journal: their names, their contents, and which files are rejected.

A journal is a folder of segments. A segment is one SQLite file, named after the number of its first event. Every
segment except the last is sealed: complete, listed in the manifest, and never written again.
"""

import errno
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

import apsw
import msgspec

from ..ports.errors import JournalDamaged, JournalError

APPLICATION_ID = 0x62616E6B
""""bank", in the header of the file."""
FORMAT = 2
"""The format of new files. A newer format is rejected; a file of an older one is read, and written until it is full."""
SAFE_SQLITE = (3, 51, 3)
"""Older releases can corrupt a database when the WAL is reset."""
MODE = 0o600
"""Mode of every file of a journal, because it records who watched when. A folder that we make has 0700."""
MAX_LOCKS = 1024**2
"""Bytes read at most of the system's list of locks."""
_HEX = frozenset("0123456789abcdef")
_NUMBER = re.compile(r"[0-9]{1,18}")
MAX_FIRST = 2**53 - 2**32
"""The largest number in a name. Every number that follows it in this journal is exact in all JSON readers."""
BESIDE = ("-journal", "-wal", "-shm", "")
"""Endings of the names of a segment's files: those that SQLite keeps beside it, then the segment itself."""
PREFIX, SUFFIX, DRAFT, ASIDE = "segment-", ".sqlite", ".new", "damaged-"

INTERNAL_PRINCIPALS = ("system", "actor")
"""Principals of most events. Nobody searches for them: they are the first words, so that the index can omit them."""

INDEXES = (
    "CREATE INDEX event_stream ON event (stream)",
    "CREATE INDEX event_type ON event (type)",
    "CREATE INDEX event_camera ON event (body ->> 'camera')",
    "CREATE INDEX event_correlation ON event (correlation)",
    f"CREATE INDEX event_principal ON event (principal) WHERE principal > {len(INTERNAL_PRINCIPALS)}",
)
"""Since format 2 the indexes are made when a segment is sealed. In the live one they would take half of each commit."""

_TABLES = """
CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE event (
    seq INTEGER PRIMARY KEY, wall_ns INTEGER NOT NULL, mono_ns INTEGER NOT NULL, node INTEGER NOT NULL,
    run INTEGER NOT NULL, stream TEXT NOT NULL, stream_version INTEGER NOT NULL, type INTEGER NOT NULL,
    version INTEGER NOT NULL, cause INTEGER, correlation ANY NOT NULL, principal INTEGER NOT NULL,
    body TEXT NOT NULL, crc INTEGER NOT NULL
) STRICT;
CREATE TABLE batch (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, digest BLOB NOT NULL) STRICT;
CREATE TABLE checkpoint (seq INTEGER PRIMARY KEY, state BLOB NOT NULL) STRICT;
CREATE VIEW events AS
    SELECT seq, datetime(wall_ns / 1000000000, 'unixepoch') AS time, t.text AS type, stream, cause,
        iif(typeof(correlation) = 'integer', printf('%016x', correlation), correlation) AS correlation,
        p.text AS principal, body
    FROM event JOIN word t ON t.id = event.type JOIN word p ON p.id = event.principal;
"""
"""Tables: `word` holds recurring texts (node, run, type, principal); `segment` has one row. It is the first event that
may be in the segment, the last event before it, and the digest that the chain continues. A correlation of 64 bits in
hex is stored as an integer. The view `events` is for people."""

SCHEMA_1 = f"""
CREATE TABLE segment (
    first INTEGER NOT NULL, after INTEGER NOT NULL, previous BLOB NOT NULL, created_ns INTEGER NOT NULL
) STRICT;
CREATE TABLE state_hash (seq INTEGER PRIMARY KEY, hash TEXT NOT NULL) STRICT;
{_TABLES}{";".join(INDEXES)};
"""
"""Schema of format 1: the indexes exist from the beginning, and every state hash is by rule 1."""

SCHEMA = f"""
CREATE TABLE segment (
    first INTEGER NOT NULL, after INTEGER NOT NULL, previous BLOB NOT NULL, created_ns INTEGER NOT NULL,
    start TEXT
) STRICT;
CREATE TABLE state_hash (seq INTEGER PRIMARY KEY, rule INTEGER NOT NULL, hash TEXT NOT NULL) STRICT;
{_TABLES}
INSERT INTO word (text) VALUES {", ".join(f"('{insider}')" for insider in INTERNAL_PRINCIPALS)};
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
"""
"""Schema of format 2: `start` is a `ChainStart` as JSON if a new chain begins with the segment, otherwise null."""


SCHEMA_SEALED = SCHEMA + ";".join(INDEXES)
"""Schema of a sealed segment of format 2."""


class ChainStart(msgspec.Struct, frozen=True):
    """The start of a new chain after an old one: the end of the old chain as its writer knew it, and the reason.

    `last` is 0 and `digest` is empty if the old chain could not be read.
    """

    last: int
    digest: str
    why: str
    asides: tuple[tuple[str, str, str], ...] = ()
    """Files that were set aside for it: name, new name, reason."""


def shorten(correlation: str) -> int | str:
    """The stored form of a correlation, usually half as many bytes."""
    if len(correlation) != 16 or not _HEX.issuperset(correlation):
        return correlation
    number = int(correlation, 16)
    return number - 2**64 if number >= 2**63 else number


def lengthen(stored: int | str) -> str:
    """The inverse of `shorten`."""
    return stored if isinstance(stored, str) else f"{stored % 2**64:016x}"


class Segment(NamedTuple):
    """A segment's file and the number of its first event."""

    first: int
    path: Path


def segment_path(folder: Path, first: int) -> Path:
    return folder / f"{PREFIX}{first:010}{SUFFIX}"


def list_segments(folder: Path) -> list[Segment]:
    """The segments of a journal, the oldest first. Raises `JournalError` if the folder cannot be listed."""
    found = ((number_of(name), name) for name in _names(folder))
    return sorted(Segment(number, folder / name) for number, name in found if number is not None)


def list_strangers(folder: Path) -> list[tuple[str, str]]:
    """Names that look like our files' but belong to no file that we make, each with the reason.

    Raises `JournalError` if the folder cannot be listed.
    """
    names = set(_list(folder))
    return [(name, why) for name in sorted(names) if (why := _strange(name, names)) is not None]


def _strange(name: str, names: set[str]) -> str | None:
    segment, suffix, beside = name.rpartition(SUFFIX)
    if not name.startswith(PREFIX) or not suffix or beside not in BESIDE:
        return None
    if beside == "-journal":
        return "no segment has such a file: SQLite would take it for a change of the segment that it must undo"
    if beside:
        return None if f"{segment}{SUFFIX}" in names else "its segment is missing: SQLite would add it to the next one"
    return "its name is that of no segment: no journal has such a number" if number_of(name) is None else None


def number_of(name: str) -> int | None:
    """The number of the first event in the name of a segment; None unless it is the canonical name of a segment."""
    number = name.removeprefix(PREFIX).removesuffix(SUFFIX)
    if not _NUMBER.fullmatch(number) or not 1 <= int(number) <= MAX_FIRST:
        return None
    return int(number) if segment_path(Path(), int(number)).name == name else None


def list_drafts(folder: Path) -> list[str]:
    """Only the files of segments that were never completed. Raises `OSError`."""
    return sorted(name for name in os.listdir(folder) if any(_is_draft(name, suffix) for suffix in BESIDE))


def _is_draft(name: str, suffix: str) -> bool:
    end = f"{SUFFIX}{DRAFT}{suffix}"
    return name.endswith(end) and number_of(name.removesuffix(f"{DRAFT}{suffix}")) is not None


def _names(folder: Path) -> list[str]:
    return [name for name in _list(folder) if name.startswith(PREFIX) and name.endswith(SUFFIX)]


def _list(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError as error:
        raise JournalError(f"{folder}: the journal cannot be read: {error.strerror}") from None


def refuse_unsafe_sqlite() -> None:
    """Raise `JournalError` if this process's SQLite can corrupt a database."""
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < SAFE_SQLITE:
        wanted = ".".join(map(str, SAFE_SQLITE))
        raise JournalError(f"SQLite {apsw.sqlite_lib_version()} can corrupt a journal; {wanted} or newer is needed")


def refuse_foreign(db: apsw.Connection, path: Path) -> None:
    """Raise `JournalDamaged` for a file that is not ours, and `JournalError` for one of a newer release."""
    if db.pragma("application_id") != APPLICATION_ID:
        raise JournalDamaged(f"{path}: this SQLite file is not a banken journal")
    version = db.pragma("user_version")
    if version > FORMAT:
        raise JournalError(
            f"{path}: the journal has format {version}, written by a newer banken; this one reads up to {FORMAT}"
        )


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Raise SQLite's errors in the block as a `JournalError` that names the file; also for text that is not UTF-8."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise JournalDamaged(f"{path}: the journal cannot be read: {error}") from None
    except apsw.BusyError:
        raise JournalError(f"{path}: {_holder(path)} has this file open, and keeps it locked; end it") from None
    except apsw.Error as error:
        raise kind_of(error)(f"{path}: the journal cannot be read: {error}") from None


def _holder(path: Path) -> str:
    """The other process that holds a lock on a file, if the system shows it."""
    try:
        found = path.stat()
        hidden = ("-1", "0", str(os.getpid()))  # of another namespace, or ours
        file = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
        with open("/proc/locks", "rb") as locks:
            lines = [line.split() for line in locks.read(MAX_LOCKS).decode(errors="replace").splitlines()]
        return next(f"process {line[4]}" for line in lines if line[5:6] == [file] and line[4] not in hidden)
    except (OSError, StopIteration):
        return "another process"


def kind_of(error: apsw.Error) -> type[JournalError]:
    """The error class for an error of SQLite: `JournalDamaged` if the file is damaged, `JournalError` otherwise."""
    is_damage = isinstance(error, apsw.CorruptError | apsw.NotADBError | apsw.SQLError | apsw.MismatchError)
    return JournalDamaged if is_damage else JournalError


def set_aside(folder: Path, name: str) -> str:
    """Rename a file that cannot be used, with SQLite's files beside it; return its new name. Raises `OSError`.

    The new name is in the same folder, and no reader treats it as a segment. `Reader` can still open the file.
    """
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    numbered = (f"{ASIDE}{stamp}{f'-{number}' if number else ''}-{name}" for number in range(1000))
    aside = next((new for new in numbered if _is_free(folder, new)), None)
    if aside is None:
        raise FileExistsError(errno.EEXIST, "too many files were set aside", str(folder))
    for suffix in ("-wal", "-shm", ""):
        if os.path.lexists(folder / f"{name}{suffix}"):
            os.rename(folder / f"{name}{suffix}", folder / f"{aside}{suffix}")
    sync_folder(folder)
    return aside


def _is_free(folder: Path, name: str) -> bool:
    """Whether the name and those beside it are free. Otherwise unrelated files would seem to belong together."""
    bare = next(name.removesuffix(beside) for beside in BESIDE if name.endswith(beside))
    return not any(os.path.lexists(folder / f"{bare}{beside}") for beside in BESIDE)


def make_private(folder: Path) -> None:
    """Set the mode 0600 for the journal's files, not for other files. Releases up to 0.1.0 left it to the umask."""
    for name in os.listdir(folder):
        if name.startswith((PREFIX, ASIDE)) or name in ("manifest.jsonl", "pins.json"):
            with suppress(PermissionError, FileNotFoundError):
                if stat.S_ISREG((path := folder / name).lstat().st_mode) and path.lstat().st_mode & 0o077:
                    path.chmod(MODE)


@contextmanager
def private_file(path: Path) -> Iterator[IO[bytes]]:
    """A new file of mode 0600 to write to. It is synced when the block ends. Raises `OSError`."""
    with suppress(FileNotFoundError):
        path.unlink()
    with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, MODE), "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Sync `folder`, so that new and renamed files in it survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
