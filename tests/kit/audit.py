"""Invariants of a journal whose daemon was killed: pure, over the stored and the acknowledged events.

Rules of this file:
1. Faults are returned as texts; a fault never raises an exception.
2. It does not use `decide`: it counts beginnings and ends independently.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import attrs
import msgspec

from supervisor.domain import events as e
from supervisor.domain.errors import IllegalTransition
from supervisor.domain.evolve import fold
from web import json
from web.resources.events import event


@attrs.define
class Acknowledged:
    """Facts that a daemon has acknowledged to its clients, so that they must be stored."""

    opened: set[str] = attrs.field(factory=set)
    """Peers whose offer was answered with 201."""
    leaving: set[str] = attrs.field(factory=set)
    """Peers whose DELETE was answered with 200."""
    shown: dict[int, Any] = attrs.field(factory=dict)
    """Events as a WebSocket or the API returned them, by sequence number."""
    last: int = 0
    """The highest sequence number that was reported as the last one."""

    def show(self, event: Any) -> None:
        self.shown[event["seq"]] = event
        self.last = max(self.last, event["seq"])


def find_faults(rows: Sequence[e.Recorded], acknowledged: Acknowledged) -> list[str]:
    """Return all faults of a journal, whose newest run may have been cut short."""
    return [*_gaps(rows), *_lives(rows), *_lost(rows, acknowledged), *_folding(rows)]


def _gaps(rows: Sequence[e.Recorded]) -> list[str]:
    faults, streams = [], Counter[str]()
    for place, row in enumerate(rows, 1):
        streams[row.stream] += 1
        if row.seq != place:
            return [f"event {row.seq} stands where {place} should"]
        if row.stream_version != streams[row.stream]:
            faults.append(f"event {row.seq} is {row.stream} {row.stream_version}, not {streams[row.stream]}")
        if row.cause is not None and row.cause >= row.seq:
            faults.append(f"event {row.seq} is caused by {row.cause}, which was later")
    return faults


def _lives(rows: Sequence[e.Recorded]) -> list[str]:
    """Check that every run, child and peer begins once and ends once, and that a new run starts with none open."""
    faults: list[str] = []
    begun: set[str] = set()
    still_open: set[str] = set()

    def begin(row: e.Recorded, name: str) -> None:
        if name in begun:
            faults.append(f"event {row.seq}: {name} begins a second time")
        begun.add(name)
        still_open.add(name)

    def end(row: e.Recorded, name: str) -> None:
        if name not in still_open:
            faults.append(f"event {row.seq}: {row.type} of {name}, which is not open")
        still_open.discard(name)

    for row in rows:
        match row.event:
            case e.RunStarted(run=run):
                faults += [f"event {row.seq}: a new run, and {name} is still open" for name in sorted(still_open)]
                still_open.clear()
                begin(row, f"run/{run}")
            case e.RunAbandoned(run=run) | e.RunEnded(run=run):
                end(row, f"run/{run}")
            case e.ChildStarting() | e.LeaseGranted() | e.PeerOpened() | e.RoomOpened():
                begin(row, row.stream)
            case e.ChildEnded() | e.ChildAbandoned() | e.LeaseEnded() | e.PeerClosed() | e.RoomClosed():
                end(row, row.stream)
            case _:
                pass
    return faults


def _lost(rows: Sequence[e.Recorded], acknowledged: Acknowledged) -> list[str]:
    faults = []
    opened = {row.event.peer for row in rows if isinstance(row.event, e.PeerOpened)}
    leaving = {row.event.peer for row in rows if isinstance(row.event, e.PeerClosing | e.PeerClosed)}
    faults += [f"peer {peer} was answered with 201 and is not in the journal" for peer in acknowledged.opened - opened]
    faults += [f"peer {peer} was told it had left and is not closing" for peer in acknowledged.leaving - leaving]
    for seq, shown in sorted(acknowledged.shown.items()):
        if seq > len(rows):
            faults.append(f"event {seq}, a {shown['type']}, was shown and is lost")
        elif shown != msgspec.json.decode(json.encode(event(rows[seq - 1]))):
            faults.append(f"event {seq} was shown as a {shown['type']} and is another: {rows[seq - 1].event}")
    if acknowledged.last > len(rows):
        faults.append(f"{acknowledged.last} was named as the last event, but {len(rows)} is")
    return faults


def _folding(rows: Sequence[e.Recorded]) -> list[str]:
    try:
        fold(rows)
    except (IllegalTransition, KeyError) as error:
        return [f"the journal folds to no state: {error!r}"]
    return []
