"""Recovers a journal at a start, in any condition. Blocking.

Rules of this file:
- Only another daemon in the folder prevents a start. A failure to read or write is a fault, and is retried. The same
  applies to a lock that another program holds.
- Only files that are proven to be damaged or not ours are set aside. A disk that does not answer proves nothing.
- No number is used for two events: after a damaged segment, and if nothing could be read, the numbers continue far
  above.
"""

import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

import apsw
import attrs
from msgspec.structs import replace

from ..domain.errors import IllegalTransition
from ..domain.evolve import fold
from ..domain.state import State
from ..ports.errors import JournalDamaged, JournalError
from ..ports.questions import NEVER, Query
from . import codec, manifest
from .codec import GENESIS
from .errors import JournalInUse
from .files import MAX_FIRST, ChainStart, Segment, list_segments, number_of
from .lock import is_used
from .reader import PAGE, SegmentReader
from .retention import Retention
from .store import Chain, End, SetAsideFile, Store

SPAN = 2**24
"""More events than a segment can hold."""
ROOM = 2**32
"""Numbers below the largest one in a name that are reserved for events, whatever names are found."""


@attrs.frozen
class Recoverable:
    """The newest readable state, and the end of the chain that led to it. `damaged` are the segments after it.

    `start` belongs to a new chain whose first event is not stored yet. Without a readable segment, `end` is `None`.
    """

    state: State
    end: End | None
    damaged: tuple[SetAsideFile, ...] = ()
    start: ChainStart | None = None
    fault: str | None = None


@attrs.frozen
class Recovered:
    """A journal that is ours now, and the state after its events.

    `fault` is why it cannot be written yet, `chain` the chain that must begin first. `start` and the store's `asides`
    have to be reported.
    """

    store: Store
    state: State
    fault: str | None = None
    chain: Chain | None = None
    start: ChainStart | None = None


def find(folder: Path) -> Recoverable:
    """The readable part of a journal, and the damaged segments. Changes nothing and raises nothing."""
    try:
        segments = list_segments(folder)
        if not segments:
            return Recoverable(State(), End(0, GENESIS))
        return _newest(segments)
    except (JournalError, OSError, apsw.Error, MemoryError) as error:
        return Recoverable(State(seq=time.time_ns() // 10**6), None, fault=str(error) or "no memory")


def _newest(segments: Sequence[Segment]) -> Recoverable:
    """Read the newest intact segment. Raises `JournalError` if it cannot be decided which segments are intact."""
    damaged: list[SetAsideFile] = []
    beyond = 0
    for index, segment in reversed(list(enumerate(segments))):
        try:
            state, end, start = _read(segment, segments[:index])
        except JournalDamaged as error:
            damaged.append(SetAsideFile(segment.path.name, "", str(error)))
            if segment.first <= MAX_FIRST - ROOM:  # otherwise no event had such a number, and no number would be left
                beyond = max(beyond, segment.first + SPAN)
        else:
            return Recoverable(replace(state, seq=max(state.seq, beyond)), end, tuple(damaged), start)
    return Recoverable(State(seq=beyond), End(0, b""), tuple(damaged))


def _after_lost(found: Recoverable, asides: Sequence[SetAsideFile]) -> Recoverable:
    """`found`, with its number moved past all missing segments whose WAL exists."""
    names = [aside.file.removesuffix("-wal") for aside in asides if aside.file.endswith("-wal")]
    lost = {name: first for name in names if found.state.seq < (first := number_of(name) or 0) <= MAX_FIRST - ROOM}
    if found.end is None or not lost:
        return found
    state = replace(found.state, seq=max(lost.values()) + SPAN)
    missing = tuple(SetAsideFile(name, "", f"{name} is missing, and its WAL was there") for name in lost)
    end = found.end if found.end.seq else End(0, b"")
    return Recoverable(state, end, (*missing, *found.damaged))


def _read(segment: Segment, older: Sequence[Segment]) -> tuple[State, End, ChainStart | None]:
    """The state, the end of the chain, and the start of an unfinished one.

    Without a WAL and without another writer, the file is complete, so it is read as sealed; also on a read-only disk.
    """
    part = SegmentReader(segment, sealed=not segment.path.with_name(f"{segment.path.name}-wal").exists())
    try:
        if part.first != segment.first:
            raise JournalDamaged(f"{segment.path}: it begins with event {part.first}, and its name says another one")
        if _is_foreign(part, older):
            raise JournalDamaged(f"{segment.path}: it is of another journal than the other segments")
        end = End(*part.end())
        return _fold(part, end.seq), end, part.start if end.seq < part.first else None
    except (KeyError, IllegalTransition) as error:
        raise JournalDamaged(f"{segment.path}: the journal's events do not follow from each other: {error}") from None
    finally:
        part.close()


def _is_foreign(part: SegmentReader, older: Sequence[Segment]) -> bool:
    """Whether the segment follows no older segment and no line of the manifest, and was written by another node.

    A segment of the same node that follows nothing is ours: the segments before it are missing or damaged.
    """
    if part.start is not None or not older:
        return False
    with suppress(JournalError, OSError):
        before = (part.after, part.previous.hex())
        if before in {(line.last, line.digest) for line in manifest.read(part.path.parent)}:
            return False
    nodes = set[str]()
    for segment in reversed(older):  # usually the one before it
        with suppress(JournalError), closing(SegmentReader(segment, sealed=False)) as other:
            if part.follows(*other.end()):
                return False
            nodes |= _node_of(other)
    mine = _node_of(part)
    return bool(nodes and mine) and nodes.isdisjoint(mine)


def _node_of(part: SegmentReader) -> set[str]:
    """The node that wrote the first event of a segment; empty if there is no event."""
    return {row[3] for row in part.select(Query(after=part.first - 1, before=NEVER), 1, False)}


def _fold(part: SegmentReader, last: int) -> State:
    """The state after event `last`, from the newest checkpoint of the segment."""
    state = part.checkpoint(last)
    while state.seq < last:
        rows = part.select(Query(after=state.seq, before=last + 1), PAGE, False)
        if not rows or rows[0][0] != state.seq + 1 or rows[-1][0] != state.seq + len(rows):
            raise JournalDamaged(f"{part.path}: events after {state.seq} are missing")
        state = fold(map(codec.decode, rows), state)
    return state


def recover(folder: Path, retention: Retention = Retention()) -> Recovered:  # noqa: B008
    """Take the folder and fold its events. Raises `JournalInUse` for another daemon; then it holds nothing.

    Damaged files are set aside when the new chain begins. For a folder that cannot be written, `reconnect` retries.
    """
    store = Store(folder, retention=retention, expect=End(0, GENESIS))
    try:
        store.clear_if_possible()  # and create a missing folder
        found = _after_lost(find(folder), store.asides)
        store.end, store.recovered = found.end or store.end, found.state
        if found.damaged or found.end is None:
            why = found.damaged[0].why if found.damaged else found.fault or "it could not be read"
            return Recovered(store, found.state, why, Chain(found.state, found.end, why, found.damaged))
        try:
            store.reconnect()
        except (JournalError, OSError, apsw.Error, MemoryError) as error:
            if isinstance(error, JournalInUse) and is_used(folder):
                raise
            return Recovered(store, found.state, str(error) or "no memory", start=found.start)
        return Recovered(store, found.state, start=found.start)
    except BaseException:
        store.close()
        raise
