"""Reads a journal: a folder, also while a daemon writes to it, or one segment's file. Blocking; never writes a byte.

Rules of this file:
- Damage is never passed over in silence: it raises, or, for those who salvage, it is told.
- No query holds a segment for long: rows are read in pages, so the writer's WAL can be emptied in between.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import apsw
import attrs
import msgspec

from ..domain.events import Recorded
from ..domain.evolve import fold
from ..domain.ids import CameraId
from ..domain.state import State
from . import checkpoint, codec, manifest
from .errors import JournalDamaged, JournalError
from .files import (
    INSIDERS,
    PREFIX,
    SUFFIX,
    ChainStart,
    Segment,
    list_segments,
    naming,
    refuse_unsafe_sqlite,
    shorten,
)
from .guard import MAX_PAGE, MAX_ROWS, MAX_VALUE, missing_indexes, time_limit
from .live import View

PAGE = 500
"""Rows that are read in one step."""
OPEN = 4
"""Segments that are held open at once."""
_WILD = re.compile(r"[*?[]")
NEVER = 2**62
"""Above every sequence number and every time."""
_COLUMNS = (
    "seq, wall_ns, mono_ns, node, run, stream, stream_version, type, version, cause, correlation, principal, body, crc"
)
AT_ONCE = 64
"""Rows that are read before their size is looked at, where no value is longer than `SHORT`."""
SHORT = 64 * 1024
"""Bytes of a text or blob. A statement that meets a longer one is run again, and is measured row by row."""
ATTEMPTS = 20
"""At a statement, where somebody else writes to the segment meanwhile: each 4 MiB of commits costs one."""
Found = TypeVar("Found")
_packed = msgspec.msgpack.Encoder().encode


@attrs.frozen
class Query:
    """Which events are wanted; a filter that is not set lets everything pass.

    `after` and `before` are sequence numbers, both exclusive; `since_ns` and `until_ns` are wall times, both inclusive.
    `camera` takes the events of the camera and of its children and viewers; `types` and `stream` are globs.
    """

    after: int = 0
    before: int = NEVER
    camera: CameraId | None = None
    types: Sequence[str] = ()
    stream: str | None = None
    correlation: str | None = None
    principal: str | None = None
    since_ns: int = 0
    until_ns: int = NEVER


@attrs.frozen
class Damage:
    """A place that cannot be read: events `first` to `last` of a segment."""

    segment: str
    first: int
    last: int
    text: str

    def __str__(self) -> str:
        which = f"event {self.first}" if self.first == self.last else f"events {self.first} to {self.last}"
        if self.last >= NEVER - 1:
            which = f"event {self.first} and all after it"
        return f"{self.segment}: {which}: {self.text}"


class Part:
    """One segment that is read. It may be closed at any time, and is opened anew when it is asked again."""

    def __init__(self, segment: Segment, sealed: bool) -> None:
        self.path = segment.path
        self._view = View(segment.path, sealed)
        self._words: dict[int, str] = {}
        self.format: int = self.rows("PRAGMA user_version")[0][0]
        self.first, self.after, self.previous = self._head()
        self.ends = NEVER
        """The first event of the next segment, as far as one is known: rows from there on do not belong to this one."""
        self.start = self._start()
        """Where a new chain begins with this segment."""

    def _start(self) -> ChainStart | None:
        if self.format == 1:
            return None
        try:
            (stored,) = self.rows("SELECT start FROM segment")[0]
            return None if stored is None else msgspec.json.decode(stored, type=ChainStart)
        except msgspec.MsgspecError as error:
            raise JournalDamaged(f"{self.path}: the start of its chain cannot be read: {error}") from None

    def hashes(self) -> list[tuple[int, int, str]]:
        """The hashes of the live state that the daemon wrote: sequence number, rule, hash."""
        rule = "1" if self.format == 1 else "rule"
        return [(seq, by, digest) for seq, by, digest in self.rows(f"SELECT seq, {rule}, hash FROM state_hash")]

    def follows(self, last: int, digest: bytes) -> bool:
        """Whether this segment goes on from a chain that ends with event `last` and `digest`, or names that end."""
        if self.start is not None:
            return (self.start.last, self.start.digest) == (last, digest.hex())
        return (self.after, self.previous) == (last, digest)

    def _head(self) -> tuple[int, int, bytes]:
        """The first event that may be in here, the last one before it, and the digest that the chain goes on from."""
        found = self.rows("SELECT first, after, previous FROM segment LIMIT 2")
        if len(found) != 1 or list(map(type, found[0])) != [int, int, bytes]:
            raise JournalDamaged(f"{self.path}: the head of the segment is damaged")
        first, after, previous = found[0]
        return first, after, previous

    def bounds(self) -> tuple[int, int]:
        """First and last sequence number; (first, first - 1) when it holds none."""
        within = "FROM event WHERE seq >= ?1 AND seq < ?2"
        sql = f"SELECT (SELECT min(seq) {within}), (SELECT max(seq) {within})"
        first, last = self.rows(sql, (self.first, self.ends))[0]
        return (first, last) if first is not None else (self.first, self.first - 1)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a statement. All their columns together have a bounded size.

        Raises `JournalError` for rows that cannot be read, take too long, or are more than any journal holds.
        """
        return self._read(lambda db: self._rows(db, sql, values))

    def _read(self, read: Callable[[apsw.Connection], Found]) -> Found:
        """What `read` finds in one instant. Raises what it raises, and `JournalError`."""
        for _ in range(ATTEMPTS):
            try:
                found = read(self._view.open())
            except JournalError:
                if self._view.is_one_instant():
                    raise
            else:
                if self._view.is_one_instant():
                    return found
            self._view.close()
        raise JournalError(f"{self.path}: somebody writes to this file all the time; copy it, and read the copy")

    def _rows(self, db: apsw.Connection, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            with naming(self.path), time_limit(db, self.path):
                try:
                    db.limit(apsw.SQLITE_LIMIT_LENGTH, SHORT)
                    return self._bounded(db.execute(sql, tuple(values)), AT_ONCE)
                except apsw.TooBigError:
                    db.limit(apsw.SQLITE_LIMIT_LENGTH, MAX_VALUE)
                    return self._bounded(db.execute(sql, tuple(values)), 1)
        except TypeError as error:
            raise JournalDamaged(f"{self.path}: the journal cannot be read: {error}") from None

    def _bounded(self, cursor: apsw.Cursor, at_once: int) -> list[tuple[Any, ...]]:
        """The rows, measured `at_once` at a time, before the next ones are read: by their length in MessagePack."""
        found: list[tuple[Any, ...]] = []
        size = 0
        try:
            while chunk := list(islice(cursor, at_once)):
                size += len(_packed(chunk))
                if size > MAX_PAGE or len(found) > MAX_ROWS:
                    raise JournalDamaged(f"{self.path}: it holds more than any journal does")
                found += chunk
        finally:
            cursor.close(True)
        return found

    def select(self, query: Query, limit: int, newest: bool) -> list[codec.Row]:
        """Up to `limit` rows in order; with `newest` the last ones, backwards. None that belong to another segment."""
        where = ["seq > ?", "seq < ?"]
        values: list[int | str] = [max(query.after, self.first - 1), min(query.before, self.ends)]
        for condition, value in (
            ("body ->> 'camera' = ?", query.camera),
            (_stream_condition(query.stream), query.stream),
            ("correlation = ?", query.correlation if query.correlation is None else shorten(query.correlation)),
        ):
            if value is not None:
                where.append(condition)
                values.append(value)
        if query.principal is not None:
            found = self.rows("SELECT id FROM word WHERE text = ?", (query.principal,))
            if not found:
                return []
            where.append("principal = ?")
            values.append(found[0][0])
            if found[0][0] > len(INSIDERS):
                where.append(f"principal > {len(INSIDERS)}")  # what the index asks for
        if query.types:
            where.append(f"type IN (SELECT id FROM word WHERE {' OR '.join(['text GLOB ?'] * len(query.types))})")
            values += query.types
        if (query.since_ns, query.until_ns) != (0, NEVER):
            where.append("wall_ns BETWEEN ? AND ?")
            values += (query.since_ns, query.until_ns)
        order = "DESC" if newest else "ASC"
        sql = f"SELECT {_COLUMNS} FROM event WHERE {' AND '.join(where)} ORDER BY seq {order} LIMIT ?"
        try:
            return [self._row(row) for row in self.rows(sql, (*values, limit))]
        except (TypeError, ValueError):  # the correlation, or a key into the words
            raise JournalDamaged(f"{self.path}: a value of an event has a type that is never written") from None

    def _row(self, stored: tuple[Any, ...]) -> codec.Row:
        """The row with its recurring texts in their places. Two million rows a second are read here: no calls."""
        (
            seq, wall_ns, mono_ns, node, run, stream, stream_version, kind, version, cause, correlation, principal,
            body, crc,
        ) = stored  # fmt: skip
        words = self._words
        if not (node in words and run in words and kind in words and principal in words):
            words = {number: self._word(number) for number in (node, run, kind, principal)}
        if correlation.__class__ is not str:
            text = f"{correlation % 2**64:016x}"
        elif shorten(correlation) == correlation:
            text = correlation
        else:  # questions look for the short form only
            raise JournalDamaged(
                f"{self.path}: the correlation of event {seq} is stored in a form that is never written"
            )
        return (
            seq, wall_ns, mono_ns, words[node], words[run], stream, stream_version, words[kind], version, cause, text,
            words[principal], body, crc,
        )  # type: ignore[return-value] # fmt: skip

    def _word(self, number: int) -> str:
        text = self._words.get(number)
        if text is None:
            self._words = dict(self.rows("SELECT id, text FROM word"))
            text = self._words.get(number, f"word {number}, which is missing")
        return text

    def fault_of_indexes(self) -> str | None:
        """The first thing that SQLite finds wrong with the file: above all, indexes that differ from their tables."""
        ((text, *_), *_) = self.rows("PRAGMA integrity_check(1)")
        return None if text == "ok" else str(text).splitlines()[-1]

    def checkpoint(self, seq: int) -> State:
        """The newest state that is stored, of an instant not after `seq`. Raises `JournalError` if there is none."""
        found = self.rows("SELECT seq, state FROM checkpoint WHERE seq <= ? ORDER BY seq DESC LIMIT 1", (seq,))
        if not found:
            raise JournalDamaged(f"{self.path}: the state at the head of the segment is missing")
        number, stored = found[0]
        try:
            state = checkpoint.unpack(stored)
        except JournalError as error:
            raise type(error)(f"{self.path}: the state of event {number}: {error}") from None
        if state.seq != number:
            raise JournalDamaged(f"{self.path}: the state of event {number} says that it is that of event {state.seq}")
        return state

    def states(self) -> dict[int, bytes]:
        """SHA-256 of each state that is stored, by sequence number."""
        return checkpoint.digests(self.rows(checkpoint.STORED))

    def missing_indexes(self) -> list[str]:
        """Indexes that the segment was made with, and has lost."""
        return self._read(missing_indexes)

    def close(self) -> None:
        self._view.close()


def _stream_condition(stream: str | None) -> str:
    """One stream, or few, are found by the index; for many, reading on in order is faster than sorting them."""
    if stream is None or not _WILD.search(stream):
        return "stream = ?"
    return "stream GLOB ?" if _WILD.split(stream)[0].partition("/")[2] else "+stream GLOB ?"


class Reader:
    """Reads the journal at `path`: its folder, or one of its segments alone.

    With `salvage`, what is damaged is told to it, once, and left out; without, it raises `JournalError`.
    Raises `JournalError` for what is no journal. One thread at a time.
    """

    def __init__(self, path: Path, salvage: Callable[[Damage], None] | None = None) -> None:
        refuse_unsafe_sqlite()
        self.path = path
        self._salvage = salvage
        self._told: set[Damage] = set()
        self._open: dict[Path, Part] = {}
        self._sealed: frozenset[str] = frozenset()
        segments = self.segments()
        if not segments:
            raise JournalError(f"{path}: there is no journal here (no {PREFIX}…{SUFFIX})")
        if salvage is None:
            self._part(segments[-1])

    @property
    def salvages(self) -> bool:
        """Whether damage is told and left out, rather than raised."""
        return self._salvage is not None

    def segments(self) -> list[Segment]:
        """The segments, the oldest first."""
        if self.path.is_file():
            return [Segment(1, self.path)]
        found = list_segments(self.path)
        for path in self._open.keys() - {segment.path for segment in found}:
            self._open.pop(path).close()  # retention let it go: its bytes are free only when nobody holds it
        return found

    def _part(self, segment: Segment) -> Part:
        part = self._open.pop(segment.path, None)
        if part is None:
            part = Part(segment, segment.path.name in self._sealed_names(segment))
            while len(self._open) >= OPEN:
                self._open.pop(next(iter(self._open))).close()
        self._open[segment.path] = part
        return part

    def _sealed_names(self, segment: Segment) -> frozenset[str]:
        if segment.path.name not in self._sealed and not self.path.is_file():
            try:
                self._sealed = frozenset(sealed.segment for sealed in manifest.read(self.path))
            except JournalError as error:
                if self._salvage is None:
                    raise
                self._tell(Damage(manifest.NAME, 0, 0, str(error)))
        return self._sealed

    def parts(self, after: int = 0, before: int = NEVER) -> Iterator[Part]:
        """The segments that may hold events between the two, oldest first."""
        found = self.segments()
        for segment, following in zip(found, [*found[1:], None], strict=True):
            ends = NEVER if following is None else following.first
            if ends > after + 1 and (segment.first < before or len(found) == 1):
                try:
                    part = self._part(segment)
                except JournalError as error:
                    if not segment.path.exists() and segment.first < self.segments()[0].first:
                        continue  # retention let it go meanwhile
                    if self._salvage is None:
                        raise
                    self._tell(Damage(segment.path.name, segment.first, min(ends, NEVER) - 1, str(error)))
                    continue
                part.ends = ends
                yield part

    def _tell(self, damage: Damage) -> None:
        assert self._salvage is not None
        if damage not in self._told:
            self._told.add(damage)
            self._salvage(damage)

    def bounds(self) -> tuple[int, int]:
        """First and last sequence number; (1, 0) for an empty journal."""
        found = self.segments()
        ends = [self._bounds(segment) for segment in (found[0], *found[-2:])]
        return ends[0][0], max(last for _, last in ends)

    def _bounds(self, segment: Segment) -> tuple[int, int]:
        try:
            return self._part(segment).bounds()
        except JournalError as error:
            if self._salvage is None:
                raise
            self._tell(Damage(segment.path.name, segment.first, segment.first, str(error)))
            return segment.first, segment.first - 1

    def page(self, query: Query = Query(), limit: int = PAGE, *, newest: bool = False) -> list[Recorded]:
        """Up to `limit` events, oldest first; `newest` takes the last rather than the first."""
        found: list[Recorded] = []
        for part in self._backwards(query) if newest else self.parts(query.after, query.before):
            rest = query
            while len(found) < limit:
                wanted = limit - len(found)
                rows = self._select(part, rest, wanted, newest)
                found += filter(None, (self._decode(part, row) for row in rows))
                if len(rows) < wanted:
                    break
                seq = rows[-1][0]
                rest = attrs.evolve(rest, before=seq) if newest else attrs.evolve(rest, after=seq)
            if len(found) >= limit:
                break
        return found[::-1] if newest else found

    def _backwards(self, query: Query) -> Iterator[Part]:
        for segment in reversed(self.segments()):
            if segment.first < query.before:
                yield from self.parts(max(query.after, segment.first - 1), segment.first + 1)
            if segment.first <= query.after + 1:
                return

    def _select(self, part: Part, query: Query, limit: int, newest: bool) -> list[codec.Row]:
        try:
            return part.select(query, limit, newest)
        except JournalError:
            if self._salvage is None:
                raise
        end = min(query.before, part.first + 2**24)  # more than any segment holds
        rows = self._salvaged(part, attrs.evolve(query, after=max(query.after, part.first - 1), before=end))
        return rows[::-1][:limit] if newest else rows[:limit]

    def _salvaged(self, part: Part, query: Query) -> list[codec.Row]:
        """What can be read of a damaged file, by halves."""
        try:
            return part.select(query, NEVER, False)
        except JournalError as error:
            if query.before - query.after <= 2:
                self._tell(Damage(part.path.name, query.after + 1, query.after + 1, str(error)))
                return []
        middle = (query.after + query.before) // 2
        return [
            *self._salvaged(part, attrs.evolve(query, before=middle + 1)),
            *self._salvaged(part, attrs.evolve(query, after=middle)),
        ]

    def _decode(self, part: Part, row: codec.Row) -> Recorded | None:
        try:
            return codec.decode(row)
        except JournalError as error:
            if self._salvage is None:
                raise type(error)(f"{part.path.name}: {error}") from None
            self._tell(Damage(part.path.name, row[0], row[0], str(error)))
            return None

    def events(self, first: int = 1, last: int = NEVER - 1) -> Iterator[Recorded]:
        """The events from `first` to `last`, oldest first.

        Raises `JournalError` at the first one that is missing or damaged. What retention has removed, and what was
        never stored because the disk did not write, is no such thing: the journal itself says so.
        """
        expected: int | None = None
        for part in self.parts(first - 1, last + 1):
            if expected is not None and part.after != expected - 1:
                self._complain(part, expected, part.after, "are missing")
            expected = max(first, part.first)
            while expected <= last:
                rows = self._select(part, Query(expected - 1, last + 1), PAGE, False)
                for row in rows:
                    if row[0] != expected:
                        self._complain(part, expected, row[0] - 1, "are missing")
                    recorded = self._decode(part, row)
                    expected = row[0] + 1
                    if recorded is not None:
                        yield recorded
                if not rows:
                    break

    def _complain(self, part: Part, first: int, last: int, what: str) -> None:
        damage = Damage(part.path.name, first, last, what)
        if self._salvage is None:
            raise JournalDamaged(f"{part.path}: events {first} to {last} {what}")
        self._tell(damage)

    def seq_at(self, wall_ns: int) -> int:
        """The last event that was decided at `wall_ns` or before; the one before the first if there is none.

        A search by halves: where the wall clock was set back, it finds one of the places.
        """
        low, high = self.bounds()
        low -= 1
        while low < high:
            middle = (low + high + 1) // 2
            found = self.page(Query(after=middle - 1), limit=1)
            if found and found[0].wall_ns <= wall_ns:
                low = max(middle, min(found[0].seq, high))
            else:
                high = middle - 1
        return low

    def state_at(self, seq: int) -> State:
        """The state after event `seq`: from the nearest checkpoint, and the events since. Raises `JournalError`."""
        found = self.segments()
        at_or_before = [segment for segment in found if segment.first <= seq + 1] or found[:1]
        state = self._part(at_or_before[-1]).checkpoint(seq)
        return fold(self.events(state.seq + 1, seq), state)

    def state_hashes(self) -> dict[int, tuple[int, str]]:
        """The hashes of the live state that the daemon wrote, by sequence number: rule and hash."""
        return {seq: (rule, digest) for part in self.parts() for seq, rule, digest in part.hashes()}

    def close(self) -> None:
        for part in self._open.values():
            part.close()
        self._open.clear()
