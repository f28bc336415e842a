"""Journals on a real disk, written from stories of the domain."""

from collections.abc import Sequence
from pathlib import Path

import apsw
from msgspec.structs import replace

from supervisor.domain import commands as c
from supervisor.domain.events import ChainBegan, Event, Recorded
from supervisor.domain.evolve import evolve
from supervisor.domain.ids import PeerId
from supervisor.domain.state import State
from supervisor.journal.files import ChainStart, segment_path
from supervisor.journal.reader import Reader
from supervisor.journal.store import Rotation, Store

from .domain import ASKED, GATE, PICTURE, TEMPORARY, child, live, peer

TINY = Rotation(max_bytes=1)
"""Every append begins a new segment."""


def lively(rounds: int = 20) -> list[Recorded]:
    """Some of everything."""
    story = live().given(child(), peer(), c.ReportPeerConnected(PeerId("peer-1")), c.ReportLoss(GATE, TEMPORARY, 0.3))
    for number in range(rounds):
        story.after(1).given(c.ConnectCamera(GATE), c.ReportLive(GATE, PICTURE), peer(f"more-{number}"))
        story.given(c.ReportPeerClosed(PeerId(f"more-{number}"), ASKED), c.ReportLoss(GATE, TEMPORARY, 0.5))
    return story.recorded


def states(rows: Sequence[Recorded]) -> list[State]:
    """The states before the first of `rows`, and after each of them; rows that do not follow leave it as it was."""
    found = [State()]
    for row in rows:
        found.append(evolve(found[-1], row))
    return found


def of_journal(before: Recorded, event: Event) -> Recorded:
    """An event of the journal itself, which follows `before` and changes no state but its number."""
    return replace(before, seq=before.seq + 1, stream="journal", stream_version=1, event=event)


def chain_began(before: Recorded, start: ChainStart) -> Recorded:
    """The first event of a new chain."""
    return of_journal(before, ChainBegan(start.last, start.digest, start.why))


def append_all(store: Store, rows: Sequence[Recorded], batch: int) -> None:
    """Store what follows the last event, in batches."""
    after = states(rows)
    for begin in range(store.last_seq, len(rows), batch):
        end = min(begin + batch, len(rows))
        store.append(rows[begin:end], after[end])


def write_journal(
    folder: Path,
    rows: Sequence[Recorded],
    batch: int = 50,
    rotation: Rotation = Rotation(),  # noqa: B008
) -> Path:
    """A closed journal with these events in it, sealed as far as it can be."""
    store = Store(folder, rotation)
    append_all(store, rows, batch)
    store.keep(rows[-1].wall_ns)
    store.close()
    return folder


def read_all(path: Path) -> list[Recorded]:
    reader = Reader(path)
    try:
        return list(reader.events())
    finally:
        reader.close()


def change(folder: Path, statement: str, first: int = 1) -> None:
    """Change a segment as tampering or bit rot might."""
    db = apsw.Connection(str(segment_path(folder, first)))
    db.execute(statement)
    db.close()
