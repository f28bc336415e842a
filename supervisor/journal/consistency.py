"""Cheap checks of the parts of a journal that no digest of the chain covers, each with its own message.

No check covers:

- `created_ns` of the last segment, which only decides when the next one is due;
- the files that the start of its chain names (events name them as well);
- other files in the journal's folder.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..domain.events import ChainBegan, Event, EventsLost
from ..domain.words import plural
from ..ports.errors import JournalError
from ..ports.questions import NEVER, Query
from . import codec, manifest
from .files import Segment, number_of
from .reader import SegmentReader
from .retention import read_pins
from .segment import CHECKPOINT_EVERY, HASH_EVERY

MOST_UNSEALED = 2
"""Segments that may lack a line in the manifest: the last one, and for a minute the one before it."""


def compare_line(
    part: SegmentReader, sealed: manifest.Sealed, size: int, last: int, digest: bytes | None
) -> str | None:
    """How a line of the manifest differs from its segment, which ends with `last` and `digest`; None if it does not."""
    begin, end = part.rows("SELECT min(wall_ns), max(wall_ns) FROM event")[0]
    found: dict[str, object] = {
        "first": part.first,
        "last": last,
        "after": part.after,
        "bytes": size,
        "digest": sealed.digest if digest is None else digest.hex(),
    }
    if begin is not None:
        found |= {"began_ns": begin, "ended_ns": end}
    other = [name for name, value in found.items() if getattr(sealed, name) != value]
    return f"its line in the manifest has another {' and another '.join(other)}" if other else None


def misplaced(part: SegmentReader, is_oldest: bool, before: manifest.Sealed | None) -> str | None:
    """The error in the position that a segment records, or None. `SegmentReader.follows` checks its neighbour.

    The oldest segment has no neighbour. It is compared with `before`, the line of the segment removed before it.
    """
    event, start = _first_event(part), part.start
    if number_of(part.path.name) not in (None, part.first) or not 0 <= part.after < part.first:
        return "it begins with another event than it says"
    if start is not None and (part.previous != codec.GENESIS or start.last not in (part.after, 0)):
        return "a new chain begins, and it goes on from an old one"
    begun = (event.last, event.digest, event.why) if isinstance(event, ChainBegan) else None
    if event is not None and begun != (start and (start.last, start.digest, start.why)):
        return "the start of its chain is another one than that of its first event"
    if not is_oldest or start is not None:
        return None
    if before is not None:
        is_known = (part.after, part.previous.hex()) == (before.last, before.digest)
        return None if is_known else "it does not follow from the segment that the manifest names before it"
    if (part.after == 0) != (part.previous == codec.GENESIS):
        return "it says of no event that the chain goes on from it"
    is_gap = event is not None and part.after != part.first - 1
    if is_gap and not (isinstance(event, EventsLost) and (event.first, event.last) == (part.after + 1, part.first - 1)):
        return f"events {part.after + 1} to {part.first - 1} are not here, and its first event does not name them"
    return None


def _first_event(part: SegmentReader) -> Event | None:
    """The first event; None if it is missing or cannot be read. The fold reports that error."""
    try:
        rows = part.select(Query(after=part.first - 1, before=NEVER), 1, False)
        return codec.decode(rows[0]).event if rows else None
    except JournalError:
        return None


def trailing_bytes(part: SegmentReader, size: int) -> int:
    """Bytes after the last page of a segment whose file had `size` bytes a moment ago."""
    pages, page_size = part.rows("PRAGMA page_count")[0][0], part.rows("PRAGMA page_size")[0][0]
    return max(0, size - int(pages) * int(page_size))


def unsealed(segments: Sequence[Segment], sealed: Mapping[str, manifest.Sealed]) -> Iterator[tuple[Segment, str]]:
    """Segments that lack a line in the manifest although they should have one, each with the reason."""
    names = [segment.path.name for segment in segments]
    known = [index for index, name in enumerate(names) if name in sealed]
    without = [index for index, name in enumerate(names) if name not in sealed]
    if names and names[-1] in sealed:
        yield segments[-1], "it is sealed, and the segment that was begun after it is missing"
    for index in without:
        if known and index < known[-1]:
            yield segments[index], "a later segment is in the manifest, and this one is not"
        elif len(without) > MOST_UNSEALED and index < len(names) - MOST_UNSEALED:
            yield segments[index], "it is complete for long, and the manifest does not name it"


def strays(part: SegmentReader) -> Iterator[tuple[int, int, str]]:
    """Rows that do not belong to this segment: first, last, reason. Readers skip them. A daemon may be writing."""
    end = "(SELECT coalesce(max(last), ?1) FROM batch)"
    for table, what, column, outside in (
        ("event", "an event", "seq", "seq <= ?1 OR seq >= ?2"),
        ("batch", "a batch", "first", "first <= ?1 OR last >= ?2"),
        ("checkpoint", "a state", "seq", f"seq < ?1 OR seq > {end} OR seq >= ?2"),
        ("state_hash", "a state hash", "seq", f"seq < ?1 OR seq > {end} OR seq >= ?2"),
    ):
        sql = f"SELECT min({column}), max({column}) FROM {table} WHERE {outside}"
        first, last = part.rows(sql, (part.first - 1, part.ends))[0]
        if first is not None:
            yield first, last, f"it holds {what} that belongs to another segment"


def overdue(part: SegmentReader) -> Iterator[tuple[int, int, str]]:
    """Places that lack a state hash or a state that the daemon writes with a batch and at the head."""
    for table, what, every in (("state_hash", "state hash", HASH_EVERY), ("checkpoint", "state", CHECKPOINT_EVERY)):
        ends = part.rows("SELECT last FROM batch ORDER BY first")  # first: a daemon may be writing
        there = {seq for (seq,) in part.rows(f"SELECT seq FROM {table}")}
        before = part.first - 1
        if before not in there:
            yield before, before, f"its {what} is missing"
        for (last,) in ends:
            if last in there:
                before = last
            elif last - before >= every:
                yield before + 1, last, f"no {what} is there, though one is due after {plural(every, 'event')}"
                before = last


def removed(after: int, named: int) -> str | None:
    """The error if the first segment follows event `after` and retention reported removals up to `named`, or None.

    Retention reports a removal before it removes anything. So the reports in a journal cover everything it removed.
    """
    if named and after > named:
        return f"events up to {after} are not here, and retention reported to have removed those up to {named} only"
    return None


def damage_of_pins(folder: Path) -> str | None:
    """Why the pins cannot be read; None if they can."""
    try:
        read_pins(folder)
    except JournalError as error:
        return str(error)
    return None
