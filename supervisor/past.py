"""The past: the daemon as it was after any event, from the journal alone. Blocking; for a thread of its own."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Never

import attrs
import trio

from .detections import Judged
from .domain import commands as c
from .domain.describe import TROUBLES
from .domain.errors import IllegalTransition, Refusal, Rejected
from .domain.events import Recorded
from .domain.health import health
from .domain.ids import CameraId, DetectionId, LeaseId, PeerId
from .domain.state import State
from .gateway import JournalReader, Jpeg, Key, Lent, Opened, Snapshot
from .journal.errors import JournalError
from .journal.reader import Query, Reader
from .journal.writer import JournalStatistics
from .kernel import Origin, Receipt
from .rooms import Session

THE_PAST = "this is the past: it can be looked at, and not changed"


@attrs.frozen
class Moment:
    """How things stood after `event`, and between which events of the journal it lies."""

    now_ns: int
    event: Recorded
    first: Recorded
    last: Recorded
    state: State

    @property
    def snapshot(self) -> Snapshot:
        """Without what cameras send: that is in no journal."""
        return _snapshot(self.now_ns, self.state)


def _snapshot(now_ns: int, state: State) -> Snapshot:
    return Snapshot(now_ns, state, {}, {}, JournalStatistics(state.seq, 0, 0, 0, None), health(state, None))


def look_back(reader: Reader, seq: int | None = None, wall_ns: int | None = None) -> Moment:
    """The moment after event `seq`, or at `wall_ns`; with neither, the last one.

    A time before the first event is taken for the first event's, one after the last for the last event's.
    Raises `Rejected` where the journal has no such event, and `JournalError` for damage.
    """
    low, high = reader.bounds()
    if high < low:
        raise Rejected(Refusal.UNKNOWN, "the journal holds no event yet")
    if seq is not None and not low <= seq <= high:
        raise Rejected(Refusal.UNKNOWN, f"the journal holds events {low} to {high}, and not {seq}")
    if wall_ns is not None:
        seq = min(max(low, reader.seq_at(wall_ns)), high)
    chosen = high if seq is None else seq
    first, last = _event(reader, low), _event(reader, high)
    event = _event(reader, chosen)
    now_ns = event.wall_ns if wall_ns is None else max(event.wall_ns, min(wall_ns, last.wall_ns))
    try:
        return Moment(now_ns, event, first, last, reader.state_at(event.seq))
    except (KeyError, IllegalTransition) as error:
        raise JournalError(f"{reader.path}: the journal's events do not follow from each other: {error}") from None


def _event(reader: Reader, seq: int) -> Recorded:
    """Event `seq`; where it was never stored, the one before it."""
    return reader.page(Query(before=seq + 1), 1, newest=True)[0]


def find_trouble(reader: Reader, after: int | None, before: int | None) -> Recorded | None:
    """The next event after `after`, or the last one before `before`, that was a warning or an error."""
    if before is not None:
        found = reader.page(Query(before=before, types=TROUBLES), 1, newest=True)
    else:
        found = reader.page(Query(after=after or 0, types=TROUBLES), 1)
    return found[0] if found else None


class PastGateway:
    """A gateway without a daemon: everything can be seen as the journal has it, and nothing can be done."""

    def __init__(self, reader: JournalReader, moment: Moment) -> None:
        self.replay = moment.now_ns
        self.read = reader.search
        self.ask = reader.ask
        self.first = reader.first
        self._last = moment.last
        self._moment = moment

    @property
    def last_seq(self) -> int:
        return self._last.seq

    @property
    def state(self) -> State:
        return self._moment.snapshot.state

    def snapshot(self, *, cameras: bool = True, peers: bool = False) -> Snapshot:
        """No journal has the media that viewers were sent."""
        return self._moment.snapshot

    async def next_events(self, after: int) -> Sequence[Recorded]:
        """What a daemon adds meanwhile is found by who asks for a later moment."""
        await trio.sleep_forever()
        raise AssertionError("it slept for ever")

    async def submit(self, command: c.Command, origin: Origin) -> Receipt:
        _refuse()

    async def negotiate(self, camera: CameraId, offer: str, client: str, key: Key | None = None) -> Opened:
        _refuse()

    async def detect(self, seen: c.ReportDetection, jpeg: bytes) -> Judged:
        _refuse()

    def thumbnail(self, detection: DetectionId) -> bytes | None:
        return None

    def has_thumbnail(self, detection: DetectionId) -> bool:
        return False

    async def grant(self, wish: c.GrantLease) -> Lent:
        _refuse()

    async def renew(self, key: Key, idle_s: float, client: str) -> Lent:
        _refuse()

    def expiries(self) -> Mapping[LeaseId, int]:
        return {}

    async def release(self, key: Key, client: str) -> None:
        _refuse()

    async def revoke(self, lease: LeaseId, client: str) -> None:
        _refuse()

    async def add_candidates(self, peer: PeerId, secret: str, fragment: str) -> None:
        _refuse()

    async def take_picture(
        self, camera: CameraId, client: str, max_age_s: float | None, *, open_it: bool = True
    ) -> Jpeg:
        _refuse()

    async def watch_pictures(self, camera: CameraId, client: str) -> AsyncGenerator[Jpeg, None]:
        _refuse()
        yield

    def open_session(self, client: str) -> AbstractContextManager[Session]:
        _refuse()


def _refuse() -> Never:
    raise Rejected(Refusal.CONFLICT, THE_PAST)
