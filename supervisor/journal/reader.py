"""Reads a journal: a folder, even while a daemon writes to it, or the file of one segment. Blocking; never writes.

Rules of this file:
- Damage is never ignored: it raises, or, with `salvage`, it is reported.
- SQLite may end a statement early, and without an error, at a damaged page. So the numbers of rows must be consecutive,
  up to the acknowledged end of the segment. A query with a filter counts all rows first.
- No query holds a segment for long: rows are read in pages, so that the writer's WAL can be emptied in between.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import apsw
import attrs
import msgspec

from ..domain.events import Recorded
from ..domain.evolve import fold
from ..domain.state import State
from ..ports.errors import JournalDamaged, JournalError
from ..ports.questions import NEVER, Query
from . import checkpoint, codec, manifest
from .files import (
    INTERNAL_PRINCIPALS,
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
_COLUMNS = (
    "seq, wall_ns, mono_ns, node, run, stream, stream_version, type, version, cause, correlation, principal, body, crc"
)
AT_ONCE = 64
"""Rows that are read before their size is checked, if no value is longer than `SHORT`."""
SHORT = 64 * 1024
"""Bytes of a text or blob. A statement that meets a longer one runs again, and is measured row by row."""
ATTEMPTS = 20
"""Attempts at a statement while another process writes to the segment: each 4 MiB of commits costs one."""
LOOKED_AT = 1000
"""Segments that are searched in subfolders of a folder that is not a journal."""
ALL = Query()
"""Matches every event."""
Found = TypeVar("Found")
_packed = msgspec.msgpack.Encoder().encode


@attrs.frozen
class Damage:
    """Damage at events `first` to `last` of a segment."""

    segment: str
    first: int
    last: int
    text: str

    def __str__(self) -> str:
        which = f"event {self.first}" if self.first == self.last else f"events {self.first} to {self.last}"
        if self.last >= NEVER - 1:
            which = f"event {self.first} and all after it"
        return f"{self.segment}: {which}: {self.text}"


class SegmentReader:
    """One segment for reading. It may be closed at any time; the next access opens it again."""

    def __init__(self, segment: Segment, sealed: bool) -> None:
        self.path = segment.path
        self._view = View(segment.path, sealed)
        self._words: dict[int, str] = {}
        self.format: int = self.rows("PRAGMA user_version")[0][0]
        self.first, self.after, self.previous = self._head()
        self.ends = NEVER
        """The first event of the next segment, if known. Rows from there on do not belong to this segment."""
        self._counted = self.first - 1
        """All events up to this one were counted: a filter meets each of them."""
        self.start = self._start()
        """The start of a new chain, if one begins with this segment."""

    def _start(self) -> ChainStart | None:
        if self.format == 1:
            return None
        try:
            (stored,) = self.rows("SELECT start FROM segment")[0]
            return None if stored is None else msgspec.json.decode(stored, type=ChainStart)
        except msgspec.MsgspecError as error:
            raise JournalDamaged(f"{self.path}: the start of its chain cannot be read: {error}") from None

    def node(self) -> str | None:
        """The node of its journal; None if it holds no event."""
        found = self.rows("SELECT text FROM word WHERE id = (SELECT node FROM event ORDER BY seq LIMIT 1)")
        return str(found[0][0]) if found else None

    def hashes(self) -> list[tuple[int, int, str]]:
        """The hashes of the live state that the daemon wrote, each as (sequence number, rule, hash)."""
        rule = "1" if self.format == 1 else "rule"
        return [(seq, by, digest) for seq, by, digest in self.rows(f"SELECT seq, {rule}, hash FROM state_hash")]

    def follows(self, last: int, digest: bytes) -> bool:
        """Whether this segment continues a chain that ends with event `last` and `digest`, or names that end."""
        if self.start is not None:
            return (self.start.last, self.start.digest) == (last, digest.hex())
        return (self.after, self.previous) == (last, digest)

    def acknowledged(self) -> int:
        """The last event that a batch names, below `ends`; `first - 1` without one. Raises `JournalError`."""
        found = self.rows("SELECT last FROM batch WHERE first < ? ORDER BY first DESC LIMIT 1", (self.ends,))
        return min(found[0][0], self.ends - 1) if found else self.first - 1

    def has_all(self, after: int, last: int) -> bool:
        """Whether each event after `after`, up to `last`, is there once. Raises `JournalError`."""
        count = last - after
        sql = "SELECT count(*), sum(seq - ?1) FROM event WHERE seq > ?1 AND seq <= ?2"
        return count <= 0 or self.rows(sql, (after, last))[0] == (count, count * (count + 1) // 2)

    def end(self) -> tuple[int, bytes]:
        """Its last event, and the digest of the chain after it. Raises `JournalError`."""
        last = self.rows("SELECT last, digest FROM batch ORDER BY first DESC LIMIT 1")
        ((stored,),) = self.rows("SELECT max(seq) FROM event")
        acknowledged = last[0][0] if last else None
        if stored != acknowledged:
            raise JournalDamaged(f"{self.path}: the last event is {stored}, but {acknowledged} were acknowledged")
        return (last[0][0], last[0][1]) if last else (self.first - 1, self.previous)

    def _head(self) -> tuple[int, int, bytes]:
        """The first event that may be in here, the last one before it, and the digest that the chain continues."""
        found = self.rows("SELECT first, after, previous FROM segment LIMIT 2")
        if len(found) != 1 or list(map(type, found[0])) != [int, int, bytes]:
            raise JournalDamaged(f"{self.path}: the head of the segment is damaged")
        first, after, previous = found[0]
        return first, after, previous

    def bounds(self) -> tuple[int, int]:
        """First and last sequence number; (first, first - 1) without an event."""
        within = "FROM event WHERE seq >= ?1 AND seq < ?2"
        sql = f"SELECT (SELECT min(seq) {within}), (SELECT max(seq) {within})"
        first, last = self.rows(sql, (self.first, self.ends))[0]
        return (first, last) if first is not None else (self.first, self.first - 1)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a statement. Their total size is bounded.

        Raises `JournalError` if the rows cannot be read, take too long, or are more than any journal holds.
        """
        return self._read(lambda db: self._rows(db, sql, values))

    def _read(self, read: Callable[[apsw.Connection], Found]) -> Found:
        """The result of `read` over one instant. Raises what `read` raises, and `JournalError`."""
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
        raise JournalError(f"{self.path}: a program writes to this file all the time; copy it, and read the copy")

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
        """The rows. Each chunk of `at_once` rows is measured, by its length in MessagePack, before the next is read."""
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

    def read(self, query: Query, limit: int, newest: bool) -> list[codec.Row]:
        """As `select`. Raises `JournalDamaged` if a row is missing."""
        if attrs.evolve(query, after=0, before=NEVER) != ALL:
            last = self.acknowledged()
            if not self.has_all(self._counted, last):
                raise self._incomplete(self._first_missing(self._counted, last), last)
            self._counted = max(self._counted, last)
            return self.select(query, limit, newest)
        rows = self.select(query, limit, newest)
        first, last = max(query.after + 1, self.first), min(query.before, self.ends) - 1
        if not _are_all(rows, first, last, limit, newest):
            last = min(last, self.acknowledged())
            rows = self.select(query, limit, newest)  # a daemon may have written meanwhile
            if not _are_all(rows, first, max(last, rows[0 if newest else -1][0] if rows else last), limit, newest):
                numbers = sorted(row[0] for row in rows)
                low = numbers[0] if newest and len(rows) >= limit else first
                lost = next((low + at for at, seq in enumerate(numbers) if seq != low + at), low + len(rows))
                raise self._incomplete(lost, min([last, *(seq - 1 for seq in numbers if seq > lost)]))
        return rows

    def _first_missing(self, after: int, last: int) -> int:
        """The first event after `after` that is missing, of those up to `last`, where one is."""
        low, high = after + 1, last
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self.has_all(after, middle) else (low, middle)
        return low

    def _incomplete(self, first: int, last: int) -> JournalDamaged:
        text = f"{self.path}: events {first} to {last} are missing, or some of them: banken verify names each place"
        return JournalDamaged(text)

    def select(self, query: Query, limit: int, newest: bool) -> list[codec.Row]:
        """Up to `limit` rows of this segment in order; with `newest`, the last ones in reverse order.

        Of a damaged file it may return fewer. `read` compares them with the known end.
        """
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
            if found[0][0] > len(INTERNAL_PRINCIPALS):
                where.append(f"principal > {len(INTERNAL_PRINCIPALS)}")  # the condition of the partial index
        if query.principals:
            globs = " OR ".join(["text GLOB ?"] * len(query.principals))
            found = self.rows(f"SELECT id FROM word WHERE {globs}", query.principals)
            if not found:
                return []
            ids = ", ".join(str(int(number)) for (number,) in found)
            where.append(f"principal IN ({ids}) AND principal > {len(INTERNAL_PRINCIPALS)}")
        if query.streams:
            where.append(f"stream IN ({', '.join('?' * len(query.streams))})")
            values += query.streams
        if query.types:
            # with a plus, its index is not used: streams have fewer events than a type has
            column = "+type" if query.streams else "type"
            where.append(f"{column} IN (SELECT id FROM word WHERE {' OR '.join(['text GLOB ?'] * len(query.types))})")
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
        """The row with its recurring texts filled in. It handles two million rows a second, so it makes no calls."""
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
        else:  # queries search for the short form only
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
        """The first error that SQLite finds in the file, above all an index that differs from its table."""
        ((text, *_), *_) = self.rows("PRAGMA integrity_check(1)")
        return None if text == "ok" else str(text).splitlines()[-1]

    def checkpoint(self, seq: int) -> State:
        """The newest stored state at or before event `seq`. Raises `JournalError` if it is missing or damaged."""
        found = self.rows("SELECT seq, state FROM checkpoint WHERE seq <= ? ORDER BY seq DESC LIMIT 1", (seq,))
        if not found:
            raise JournalDamaged(f"{self.path}: the checkpoint of the segment is missing")
        number, stored = found[0]
        try:
            state = checkpoint.unpack(stored)
        except JournalError as error:
            raise type(error)(f"{self.path}: the state of event {number}: {error}") from None
        if state.seq != number:
            raise JournalDamaged(f"{self.path}: the state of event {number} says that it is that of event {state.seq}")
        return state

    def states(self) -> dict[int, bytes]:
        """SHA-256 of each stored state, by sequence number."""
        return checkpoint.digests(self.rows(checkpoint.STORED))

    def missing_indexes(self) -> list[str]:
        """Indexes of this format that the segment lacks."""
        return self._read(missing_indexes)

    def close(self) -> None:
        self._view.close()


def _are_all(rows: Sequence[codec.Row], first: int, last: int, limit: int, newest: bool) -> bool:
    """Whether these are the events from `first` to `last`: the first `limit` ones, or with `newest` the last ones."""
    count = min(limit, max(0, last - first + 1))
    numbers = range(last, last - count, -1) if newest else range(first, first + count)
    return len(rows) == count and all(row[0] == seq for row, seq in zip(rows, numbers, strict=True))


def _is_zip(path: Path) -> bool:
    """Whether a file that is no segment begins as a zip file does. False if it cannot be read."""
    with suppress(OSError), open(path, "rb") as file:
        return file.read(4) == b"PK\x03\x04"
    return False


def _below(path: Path) -> str:
    """A hint that names the journals in subfolders of this folder, or an empty text."""
    found = sorted({segment.parent.name for segment in islice(path.glob(f"*/{PREFIX}*{SUFFIX}"), LOOKED_AT)})
    return f"; there are journals in {', '.join(found[:10])}: name one of these folders" if found else ""


def _stretches(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """The first and the last of each run of consecutive numbers, which ascend."""
    ends = [at for at, seq in enumerate(numbers) if at + 1 == len(numbers) or numbers[at + 1] != seq + 1]
    return [(numbers[begin], numbers[end]) for begin, end in zip([0, *(at + 1 for at in ends)], ends, strict=False)]


def _stream_condition(stream: str | None) -> str:
    """The condition for a stream or a glob.

    The index finds one stream, or a few; for many, a scan in order is faster than sorting them.
    """
    if stream is None or not _WILD.search(stream):
        return "stream = ?"
    return "stream GLOB ?" if _WILD.split(stream)[0].partition("/")[2] else "+stream GLOB ?"


class Reader:
    """Reads the journal at `path`: its folder, or a single segment.

    With `salvage`, damage is reported to it once and skipped; without, it raises `JournalError`. A segment that does
    not continue the chain of the previous one is damage, too, unless `linked` is false (`check.py` compares them).
    Raises `JournalError` if `path` is not a journal. For one thread at a time.
    """

    def __init__(self, path: Path, salvage: Callable[[Damage], None] | None = None, *, linked: bool = True) -> None:
        refuse_unsafe_sqlite()
        self.path = path
        self._salvage = salvage
        self._linked = linked
        self._told: set[Damage] = set()
        self._open: dict[Path, SegmentReader] = {}
        self._sealed: frozenset[str] = frozenset()
        self._owner: tuple[str, str] | None = None
        """The node that the journal belongs to, and the segment from which this is known."""
        self._ours: dict[str, bool] = {}
        """Whether the segments of another node belong to it, by node."""
        segments = self.segments()
        if not segments:
            raise JournalError(f"{path}: there is no journal here (no {PREFIX}…{SUFFIX}){_below(path)}")
        try:
            self._part(segments[-1])
        except JournalError:
            if path.is_file() and _is_zip(path):
                text = (
                    f"{path}: this is an incident bundle, or another zip file; banken incident import unpacks a bundle"
                )
                raise JournalError(text) from None
            if salvage is None:
                raise

    @property
    def salvages(self) -> bool:
        """Whether damage is reported and skipped instead of raised."""
        return self._salvage is not None

    def segments(self) -> list[Segment]:
        """The segments, the oldest first."""
        if self.path.is_file():
            return [Segment(1, self.path)]
        found = list_segments(self.path)
        for path in self._open.keys() - {segment.path for segment in found}:
            self._open.pop(path).close()  # retention removed it; the system frees its bytes when no process has it open
        return found

    def _part(self, segment: Segment) -> SegmentReader:
        part = self._open.pop(segment.path, None)
        if part is None:
            part = SegmentReader(segment, segment.path.name in self._sealed_names(segment))
            self._require_one_journal(part)
            self._require_link(segment, part)
            while len(self._open) >= OPEN:
                self._open.pop(next(iter(self._open))).close()
        self._open[segment.path] = part
        return part

    def _require_one_journal(self, part: SegmentReader) -> None:
        """Reject segments of several daemons in one folder, whose events would be mixed.

        A daemon that cannot read its journal at a start continues as another node, in a chain that names the end of
        the previous one.
        """
        node = part.node()
        if node is None:
            return
        self._owner = owner, name = self._owner or (node, part.path.name)
        if owner != node and node not in self._ours:
            self._ours[node] = node in self._joined(owner)
        if owner != node and not self._ours[node]:
            part.close()
            raise JournalError(
                f"{self.path}: {part.path.name} is of another daemon (node {node}) than {name} (node {owner}); "
                "each journal needs its own folder"
            )

    def _require_link(self, segment: Segment, part: SegmentReader) -> None:
        """Raise `JournalDamaged` for a segment that was renamed, or that is of another journal.

        With `salvage`, a segment with the right number is reported and read: it may be ours, and changed. Events that
        are missing between two segments are reported when they are read.
        """
        if not self._linked or self.path.is_file():
            return
        if part.first != segment.first:
            part.close()
            raise JournalDamaged(
                f"{part.path}: its first event is {part.first}, and its name says {segment.first}: it was renamed, or "
                "is of another journal; each journal needs its own folder"
            )
        end = self._end_before(segment) if part.start is None else None
        if end is None or part.after > end[0] or part.follows(*end):
            return
        wrong = "it does not go on from the segment before it: one of them was changed, or is of another journal"
        if self._salvage is None:
            part.close()
            raise JournalDamaged(f"{part.path}: {wrong}")
        self._tell(Damage(part.path.name, part.first, part.first, wrong))

    def _end_before(self, segment: Segment) -> tuple[int, bytes] | None:
        """The end of the chain of the previous segment; None if there is no such segment, or it cannot be read."""
        before = [each for each in self.segments() if each.first < segment.first][-1:]
        with suppress(JournalError):  # its damage is reported when it is read
            for each in before:
                known = self._open.get(each.path)
                if known is not None:
                    return known.end()
                with closing(SegmentReader(each, sealed=False)) as part:
                    return part.end()
        return None

    def _joined(self, owner: str) -> set[str]:
        """All nodes whose chains are linked to those of `owner`: a later chain continues the end of an earlier one."""
        ends: list[tuple[str, tuple[int, bytes]]] = []
        links: list[set[str]] = []
        for segment in self.segments():
            with suppress(JournalError), closing(SegmentReader(segment, sealed=False)) as part:
                node = part.node()
                if node is None:
                    continue
                if ends and ends[-1][0] != node:
                    links += ({node, before} for before, end in reversed(ends) if part.follows(*end))
                ends.append((node, part.end()))
        joined = {owner}
        while more := [link for link in links if link & joined and not link <= joined]:
            joined.update(*more)
        return joined

    def _sealed_names(self, segment: Segment) -> frozenset[str]:
        if segment.path.name not in self._sealed and not self.path.is_file():
            try:
                self._sealed = frozenset(sealed.segment for sealed in manifest.read(self.path))
            except JournalError as error:
                if self._salvage is None:
                    raise
                self._tell(Damage(manifest.NAME, 0, 0, str(error)))
        return self._sealed

    def parts(self, after: int = 0, before: int = NEVER) -> Iterator[SegmentReader]:
        """The segments that may hold events between `after` and `before`, both exclusive, oldest first."""
        found = self.segments()
        for segment, following in zip(found, [*found[1:], None], strict=True):
            ends = NEVER if following is None else following.first
            if ends > after + 1 and (segment.first < before or len(found) == 1):
                try:
                    part = self._part(segment)
                except JournalError as error:
                    if not segment.path.exists() and segment.first < self.segments()[0].first:
                        continue  # retention removed it meanwhile
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
            part = self._part(segment)
            least = part.acknowledged()
            first, last = part.bounds()
            if not least <= last <= part.acknowledged():
                raise JournalDamaged(f"{part.path}: the last event is {last}, but {least} were acknowledged")
            return first, last
        except JournalError as error:
            if self._salvage is None:
                raise
            self._tell(Damage(segment.path.name, segment.first, segment.first, str(error)))
            return segment.first, segment.first - 1

    def page(self, query: Query = ALL, limit: int = PAGE, *, newest: bool = False) -> list[Recorded]:
        """Up to `limit` matching events, oldest first: the first ones, or with `newest` the last ones."""
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

    def _backwards(self, query: Query) -> Iterator[SegmentReader]:
        for segment in reversed(self.segments()):
            if segment.first < query.before:
                yield from self.parts(max(query.after, segment.first - 1), segment.first + 1)
            if segment.first <= query.after + 1:
                return

    def _select(self, part: SegmentReader, query: Query, limit: int, newest: bool) -> list[codec.Row]:
        try:
            return part.read(query, limit, newest)
        except JournalError:
            if self._salvage is None:
                raise
        last = self._last_of(part)
        end = min(query.before, part.first + 2**24 if last is None else last + 1)  # more than any segment holds
        lost: list[int] = []
        part_of = attrs.evolve(query, after=max(query.after, part.first - 1), before=end)
        rows = self._salvaged(part, part_of, None if last is None else lost)
        for first, until in _stretches(lost):
            self._tell(Damage(part.path.name, first, until, "are missing"))
        return rows[::-1][:limit] if newest else rows[:limit]

    def _last_of(self, part: SegmentReader) -> int | None:
        """The last event of a damaged segment; None if that cannot be read."""
        try:
            return part.acknowledged()
        except JournalError as error:
            self._tell(Damage(part.path.name, part.first, part.first, str(error)))
            return None

    def _salvaged(self, part: SegmentReader, query: Query, lost: list[int] | None) -> list[codec.Row]:
        """The readable rows of a damaged file, found by bisection. Numbers of events that are missing go to `lost`."""
        if query.before - query.after < 2:
            return []
        is_one = query.before - query.after == 2
        try:
            rows = part.select(query, NEVER, False)
            if lost is None or part.has_all(query.after, query.before - 1):
                return rows
            if is_one:
                lost.append(query.after + 1)
        except JournalError as error:
            if is_one:
                self._tell(Damage(part.path.name, query.after + 1, query.after + 1, str(error)))
        if is_one:
            return []
        middle = (query.after + query.before) // 2
        return [
            *self._salvaged(part, attrs.evolve(query, before=middle + 1), lost),
            *self._salvaged(part, attrs.evolve(query, after=middle), lost),
        ]

    def _decode(self, part: SegmentReader, row: codec.Row) -> Recorded | None:
        try:
            return codec.decode(row)
        except JournalError as error:
            if self._salvage is None:
                raise type(error)(f"{part.path.name}: {error}") from None
            self._tell(Damage(part.path.name, row[0], row[0], str(error)))
            return None

    def events(self, first: int = 1, last: int = NEVER - 1) -> Iterator[Recorded]:
        """The events from `first` to `last`, oldest first.

        Raises `JournalError` at the first missing or damaged event. Events that retention removed, or that were never
        stored because the disk failed, do not count as missing: the journal itself records them.
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

    def _complain(self, part: SegmentReader, first: int, last: int, what: str) -> None:
        damage = Damage(part.path.name, first, last, what)
        if self._salvage is None:
            raise JournalDamaged(f"{part.path}: events {first} to {last} {what}")
        self._tell(damage)

    def seq_at(self, wall_ns: int) -> int:
        """The last event that was decided at or before `wall_ns`; the number before the first event otherwise.

        A binary search: if the wall clock was set back, it finds one of the matching places.
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
        """The state after event `seq`: the nearest checkpoint, folded with the later events. Raises `JournalError`."""
        found = self.segments()
        at_or_before = [segment for segment in found if segment.first <= seq + 1] or found[:1]
        state = self._part(at_or_before[-1]).checkpoint(seq)
        return fold(self.events(state.seq + 1, seq), state)

    def state_hashes(self) -> dict[int, tuple[int, str]]:
        """The rule and the hash of each live state that the daemon hashed, by sequence number."""
        return {seq: (rule, digest) for part in self.parts() for seq, rule, digest in part.hashes()}

    def close(self) -> None:
        for part in self._open.values():
            part.close()
        self._open.clear()
