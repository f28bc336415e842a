"""Copies a stretch of a journal to a separate journal: unchanged rows, with everything that proves them. Blocking.

Rules of this file:
- Only whole batches are copied, so that the chain's digests stay the same.
- The batch of another run that ends right before the stretch, or begins right after it, is copied, too: the copy alone
  shows that no daemon ran between.
- The copy begins with the state before its first event. A new segment begins only where events were lost.
- With the same release of SQLite, the same stretch gives the same bytes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw
import attrs

from ..domain.events import Recorded
from ..domain.state import State, state_hash
from ..ports.errors import JournalError
from ..ports.questions import Query
from . import codec, manifest
from .files import naming
from .reader import PAGE, Reader, SegmentReader
from .segment import Rows, make_indexes, make_segment

Batch = tuple[int, int, bytes]
"""First, last, digest."""


@attrs.frozen
class BatchRange:
    """Events `first` to `last`: whole batches, which hold those from `asked_first` to `asked_last`."""

    first: int
    last: int
    asked_first: int
    asked_last: int


@attrs.frozen
class Excerpt:
    """The result of a copy."""

    events: int
    batches: int
    previous: bytes
    """The end of the chain before the first batch."""
    digest: bytes
    """The end of the chain after the last batch."""


def find_stretch(
    reader: Reader, since_ns: int, until_ns: int, events: tuple[int, int] | None = None
) -> BatchRange | None:
    """The whole batches that hold all events of this time, both ends inclusive, and the ends of other runs beside them;
    None if there are no events.

    `events` are the first and the last event, if known: a search by time misses them if the clock was set back.
    """
    query = Query(since_ns=since_ns, until_ns=until_ns)
    if events is not None:
        query = Query(after=events[0] - 1, before=events[1] + 1)
    begin, end = reader.page(query, 1), reader.page(query, 1, newest=True)
    if not begin or not end:
        return None
    asked_first, asked_last = begin[0].seq, end[0].seq
    needed = _with_other_runs(reader, begin[0], end[0])
    found = [(first, last) for _, batches in _batches(reader, *needed) for first, last, _ in batches]
    if not found or found[0][0] > asked_first or found[-1][1] < asked_last:
        raise JournalError(f"{reader.path}: events {asked_first} to {asked_last} are not all in batches; verify it")
    return BatchRange(found[0][0], found[-1][1], asked_first, asked_last)


def widen(reader: Reader, stretch: BatchRange, seqs: Iterable[int]) -> BatchRange:
    """The stretch with all that is between it and these events, in whole batches; for the same question."""
    needed = [stretch.first, stretch.last, *seqs]
    ends = [reader.page(Query(after=seq - 1, before=seq + 1), 1)[0] for seq in (min(needed), max(needed))]
    found = [
        (first, last) for _, batches in _batches(reader, *_with_other_runs(reader, *ends)) for first, last, _ in batches
    ]
    return attrs.evolve(stretch, first=found[0][0], last=found[-1][1])


def _with_other_runs(reader: Reader, first: Recorded, last: Recorded) -> tuple[int, int]:
    """The first and the last event that are needed: a neighbour that is of another run is one of them."""
    before = reader.page(Query(before=first.seq), 1, newest=True)
    after = reader.page(Query(after=last.seq), 1)
    return (
        before[0].seq if before and before[0].run != first.run else first.seq,
        after[0].seq if after and after[0].run != last.run else last.seq,
    )


def copy(
    reader: Reader, stretch: BatchRange, folder: Path, progress: Callable[[int], None] = lambda events: None
) -> Excerpt:
    """Write the stretch into the existing, empty `folder`. `progress` is called with the number of events copied.

    Raises `JournalError` if the journal is not what was written, and `OSError`.
    """
    copying = _Copying(reader, folder, progress)
    try:
        for part, batches in _batches(reader, stretch.first, stretch.last):
            copying.take(part, batches)
    finally:
        copying.close()
    return Excerpt(copying.events, copying.batches, copying.previous, copying.digest)


def seq_of_digest(reader: Reader, prefix: str) -> int | None:
    """The last event of the newest batch whose end has this digest, of which the beginning in hex is given."""
    found = None
    for part in reader.parts():
        for (seq,) in part.rows("SELECT last FROM batch WHERE hex(digest) LIKE ? ORDER BY first", (f"{prefix}%",)):
            found = seq
    return found


def sealed_lines(folder: Path, stretch: BatchRange) -> list[manifest.Sealed]:
    """The manifest lines of the journal in `folder` for the segments with events of the stretch."""
    if folder.is_file():
        return []
    return [line for line in manifest.read(folder) if line.first <= stretch.last and line.last >= stretch.first]


def _batches(reader: Reader, first: int, last: int) -> Iterator[tuple[SegmentReader, list[Batch]]]:
    """For each segment, its batches that contain any of these events."""
    for part in reader.parts(first - 1, last + 1):
        sql = "SELECT first, last, digest FROM batch WHERE last >= ? AND first <= ? ORDER BY first"
        found: list[Any] = part.rows(sql, (first, last))
        if found:
            yield part, found


class _Copying:
    def __init__(self, reader: Reader, folder: Path, progress: Callable[[int], None]) -> None:
        self._reader, self._folder, self._progress = reader, folder, progress
        self._db: apsw.Connection | None = None
        self._path = folder
        self._last = 0
        self._head = State()
        self.events = self.batches = 0
        self.previous = self.digest = b""

    def take(self, part: SegmentReader, batches: Sequence[Batch]) -> None:
        """Copy these batches of a segment."""
        first, last = batches[0][0], batches[-1][1]
        lost = first == part.first and (part.after != first - 1 or part.start is not None)
        if self._db is None or lost:
            self._begin(part, first, part.after if lost else first - 1)
        elif first != self._last + 1:
            raise JournalError(f"{part.path}: events {self._last + 1} to {first - 1} are missing")
        assert self._db is not None
        with naming(self._path), self._db:
            for batch in batches:
                self._copy_batch(self._db, part, *batch)
            self._copy_states(self._db, part, first - 1, last)
        self._last = last

    def _begin(self, part: SegmentReader, first: int, after: int) -> None:
        """Begin a segment whose first event is `first`, which follows `after`."""
        self.close()
        before = part.rows("SELECT digest FROM batch WHERE first < ? ORDER BY first DESC LIMIT 1", (first,))
        digest = before[0][0] if before else part.previous
        (created_ns,) = part.rows("SELECT created_ns FROM segment")[0]
        if self._path == self._folder:
            self.previous = self.digest = digest
        else:
            self.digest = digest
        self._head = head = self._reader.state_at(first - 1)
        start = part.start if first == part.first else None
        try:
            self._path = make_segment(self._folder, head, after, digest, created_ns, start)
        except apsw.Error as error:
            raise JournalError(f"{self._folder}: the journal cannot be copied: {error}") from None
        with naming(self._path):
            self._db = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READWRITE)
            self._db.pragma("journal_mode", "off")  # an unfinished copy is discarded
            self._db.pragma("synchronous", "off")
            self._rows = Rows(self._db)

    def _copy_batch(self, db: apsw.Connection, part: SegmentReader, first: int, last: int, digest: bytes) -> None:
        chained, after = self.digest, first - 1
        rows: list[codec.Row] = []
        while after < last and (page := part.select(Query(after, last + 1), PAGE, False)):
            rows += page
            after = page[-1][0]
        chained = codec.chain(chained, rows)
        if len(rows) != last - first + 1 or chained != digest:
            raise JournalError(f"{part.path}: events {first} to {last} are not what was written: the chain breaks here")
        self._rows.insert(rows)
        db.execute("INSERT INTO batch VALUES (?, ?, ?)", (first, last, digest))
        self.digest = digest
        self.events += len(rows)
        self.batches += 1
        self._progress(self.events)

    def _copy_states(self, db: apsw.Connection, part: SegmentReader, first: int, last: int) -> None:
        """Copy the states and hashes that the daemon wrote. The first of them may exist already."""
        between = (first, last)
        hashes = [row for row in part.hashes() if first <= row[0] <= last]
        for seq, rule, digest in hashes:
            if seq == self._head.seq and state_hash(self._head, rule) != digest:
                raise JournalError(f"{part.path}: the state of event {seq} is not the live state")
        states = part.rows("SELECT seq, state FROM checkpoint WHERE seq BETWEEN ? AND ?", between)
        db.executemany("INSERT OR IGNORE INTO state_hash VALUES (?, ?, ?)", hashes)
        db.executemany("INSERT OR IGNORE INTO checkpoint VALUES (?, ?)", states)

    def close(self) -> None:
        """Complete the current segment with its indexes."""
        if self._db is not None:
            with naming(self._path):
                make_indexes(self._db)
            self._db.close(force=True)
            self._db = None
