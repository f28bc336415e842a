"""What there is of a journal at a start, whatever has become of it. Blocking.

Rules of this file:
- Nothing but another daemon in the folder refuses a start. What cannot be read or written is a fault, and is retried;
  so is a lock that anybody else holds.
- Only what is proven to be damaged or not ours is set aside. A disk that does not answer proves nothing.
- A number that an event may have had is not given to another one: behind a damaged segment, and where nothing could be
  read, the numbers go on far above.
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
from . import codec, manifest
from .codec import GENESIS
from .errors import JournalDamaged, JournalError, JournalInUse
from .files import MAX_FIRST, ChainStart, Segment, list_segments, number_of
from .lock import is_used
from .reader import NEVER, PAGE, Part, Query
from .retention import Retention
from .store import Aside, Chain, End, Store, end_of

SPAN = 2**24
"""More events than a segment can hold."""
ROOM = 2**32
"""Numbers below the largest one in a name that are left for events, whatever names are found."""


@attrs.frozen
class Found:
    """The newest state that can be read, and the end of the chain that led to it. `damaged` are the segments after it.

    `start` says of the old chain what an unfinished new one began with; `end` is none where nothing could be read.
    """

    state: State
    end: End | None
    damaged: tuple[Aside, ...] = ()
    start: ChainStart | None = None
    fault: str | None = None


@attrs.frozen
class Recovered:
    """A journal that is ours now, and what its events add up to.

    `fault` says why it cannot be written to yet, `chain` which chain begins first; `start` and the store's `asides`
    are to be told.
    """

    store: Store
    state: State
    fault: str | None = None
    chain: Chain | None = None
    start: ChainStart | None = None


def find(folder: Path) -> Found:
    """What can be read, and what of it is damaged. Changes nothing, raises nothing."""
    try:
        segments = list_segments(folder)
        if not segments:
            return Found(State(), End(0, GENESIS))
        return _newest(segments)
    except (JournalError, OSError, apsw.Error, MemoryError) as error:
        return Found(State(seq=time.time_ns() // 10**6), None, fault=str(error) or "no memory")


def _newest(segments: Sequence[Segment]) -> Found:
    """From the newest segment that is whole. Raises `JournalError` where it cannot be said what is whole."""
    damaged: list[Aside] = []
    beyond = 0
    for index, segment in reversed(list(enumerate(segments))):
        try:
            state, end, start = _read(segment, segments[:index])
        except JournalDamaged as error:
            damaged.append(Aside(segment.path.name, "", str(error)))
            if segment.first <= MAX_FIRST - ROOM:  # otherwise no event had such a number, and none would be left
                beyond = max(beyond, segment.first + SPAN)
        else:
            return Found(replace(state, seq=max(state.seq, beyond)), end, tuple(damaged), start)
    return Found(State(seq=beyond), End(0, b""), tuple(damaged))


def _after_lost(found: Found, asides: Sequence[Aside]) -> Found:
    """`found`, behind all numbers of segments that are missing, and whose WAL was there."""
    names = [aside.file.removesuffix("-wal") for aside in asides if aside.file.endswith("-wal")]
    lost = {name: first for name in names if found.state.seq < (first := number_of(name) or 0) <= MAX_FIRST - ROOM}
    if found.end is None or not lost:
        return found
    state = replace(found.state, seq=max(lost.values()) + SPAN)
    missing = tuple(Aside(name, "", f"{name} is missing, and its WAL was there") for name in lost)
    end = found.end if found.end.seq else End(0, b"")
    return Found(state, end, (*missing, *found.damaged))


def _read(segment: Segment, older: Sequence[Segment]) -> tuple[State, End, ChainStart | None]:
    """Without a WAL beside it, and nobody else to write, a file is all there is: also on a read-only disk."""
    part = Part(segment, sealed=not segment.path.with_name(f"{segment.path.name}-wal").exists())
    try:
        if part.first != segment.first:
            raise JournalDamaged(f"{segment.path}: it begins with event {part.first}, and its name says another one")
        if _is_foreign(part, older):
            raise JournalDamaged(f"{segment.path}: it is of another journal, and follows from no segment of this one")
        end = End(*end_of(part))
        return _fold(part, end.seq), end, part.start if end.seq < part.first else None
    except (KeyError, IllegalTransition) as error:
        raise JournalDamaged(f"{segment.path}: the journal's events do not follow from each other: {error}") from None
    finally:
        part.close()


def _is_foreign(part: Part, older: Sequence[Segment]) -> bool:
    """Whether the segment follows from no older one and no line of the manifest, and was written by another node.

    One that follows from nothing, and is of the same node, is ours: what was before it is missing or damaged.
    """
    if part.start is not None or not older:
        return False
    with suppress(JournalError, OSError):
        before = (part.after, part.previous.hex())
        if before in {(line.last, line.digest) for line in manifest.read(part.path.parent)}:
            return False
    nodes = set[str]()
    for segment in reversed(older):  # the one before it, as a rule
        with suppress(JournalError), closing(Part(segment, sealed=False)) as other:
            if part.follows(*end_of(other)):
                return False
            nodes |= _node_of(other)
    mine = _node_of(part)
    return bool(nodes and mine) and nodes.isdisjoint(mine)


def _node_of(part: Part) -> set[str]:
    """The node that wrote the first event of a segment; none where there is no event."""
    return {row[3] for row in part.select(Query(after=part.first - 1, before=NEVER), 1, False)}


def _fold(part: Part, last: int) -> State:
    """The state after event `last`, from the newest checkpoint of the segment."""
    state = part.checkpoint(last)
    while state.seq < last:
        rows = part.select(Query(after=state.seq, before=last + 1), PAGE, False)
        if not rows or rows[0][0] != state.seq + 1 or rows[-1][0] != state.seq + len(rows):
            raise JournalDamaged(f"{part.path}: events after {state.seq} are missing")
        state = fold(map(codec.decode, rows), state)
    return state


def recover(folder: Path, retention: Retention = Retention()) -> Recovered:  # noqa: B008
    """Take the folder and fold what is in it. Raises `JournalInUse` for another daemon, and then holds nothing.

    Damage is set aside when the new chain begins; a folder that cannot be written to is tried again by `reconnect`.
    """
    store = Store(folder, retention=retention, expect=End(0, GENESIS))
    try:
        store.clear_if_possible()  # and make the folder if there is none
        found = _after_lost(find(folder), store.asides)
        store.end = found.end or store.end
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
