"""The daemon as it was after any event, from the journal alone."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Never

import trio
from msgspec.structs import replace

from ..domain import commands as c
from ..domain.availability import Availability
from ..domain.errors import Refusal, Rejected
from ..domain.events import Recorded
from ..domain.ids import CameraId, DetectionId, LeaseId, PeerId
from ..domain.state import State
from ..ports.archives import ArchiveRoom
from ..ports.decisions import Origin, Receipt
from ..ports.facts import CameraFacts
from ..ports.footage import FootagePort
from ..ports.gateway import DetectionResult, ReloadResult, SessionPort
from ..ports.hls import HlsRequest
from ..ports.past import Instant, TooLong
from ..ports.snapshot import Snapshot
from ..ports.viewing import HeldLease, Jpeg, Key, Opened
from .journal_reader import JournalReader

MOST_ADDED = 200_000
"""Events that are added up while somebody waits: some ten seconds."""
READ_ONLY = "this is the past: it can be looked at, and not changed"


class PastGateway:
    """A gateway without a daemon: everything can be seen as the journal has it, and nothing can be done."""

    def __init__(self, reader: JournalReader, moment: Instant) -> None:
        self.replay = moment.now_ns
        self.read = reader.search
        self.ask = reader.ask
        self.first = reader.first
        self._last = moment.last
        self._moment = moment
        self._availability: Availability | None = None
        self._adding = trio.Lock()
        self.accounts = self.setup = self.shares = self.pins = self.provider = None

    @property
    def last_seq(self) -> int:
        return self._last.seq

    @property
    def state(self) -> State:
        return self._moment.snapshot.state

    def archive_rooms(self) -> Sequence[ArchiveRoom]:
        """No journal has them."""
        return ()

    def has_camera(self, camera: CameraId) -> bool:
        return camera in self._moment.state.cameras

    def snapshot(self, *, cameras: bool = True, peers: bool = False) -> Snapshot:
        """No journal has the media that viewers were sent."""
        return self._moment.snapshot

    async def availability(self, cameras: Collection[CameraId] | None = None) -> Availability:
        """Added up once, however many ask; raises `JournalError`, and the next call tries again."""
        first, moment = self._moment.first, self._moment
        if moment.event.seq - first.seq >= MOST_ADDED:
            raise TooLong("the journal is too long to be added up as a whole: choose from and to")
        async with self._adding:
            if self._availability is None:
                self._availability = await self.ask(lambda past: past.whole(first.wall_ns, moment.now_ns))
        found = self._availability
        if cameras is None:
            return found
        return replace(found, cameras=tuple(one for one in found.cameras if one.camera in cameras))

    async def next_events(self, after: int) -> Sequence[Recorded]:
        """Wait for ever: events that a daemon adds meanwhile are found by a query for a later moment."""
        await trio.sleep_forever()
        raise AssertionError("it slept for ever")

    async def submit(self, command: c.Command, origin: Origin) -> Receipt:
        _refuse()

    def note_refused(self, principal: str, client: str, what: str, camera: CameraId | None = None) -> None:
        """Nothing is journaled."""

    async def reload(self, client: str) -> ReloadResult:
        _refuse()

    async def negotiate(self, camera: CameraId, offer: str, client: str, key: Key | None = None) -> Opened:
        _refuse()

    async def detect(self, seen: c.ReportDetection, jpeg: bytes) -> DetectionResult:
        _refuse()

    async def footage(self) -> FootagePort:
        _refuse()

    def about(self, camera: CameraId) -> CameraFacts | None:
        return None

    def thumbnail(self, detection: DetectionId) -> bytes | None:
        return None

    def has_thumbnail(self, detection: DetectionId) -> bool:
        return False

    def pictured(self, detection: DetectionId) -> CameraId | None:
        return None

    async def grant(self, wish: c.GrantLease) -> HeldLease:
        _refuse()

    async def renew(self, key: Key, idle_s: float, client: str) -> HeldLease:
        _refuse()

    def expiries(self) -> Mapping[LeaseId, int]:
        return {}

    async def release(self, key: Key, client: str) -> None:
        _refuse()

    async def revoke(self, lease: LeaseId, client: str) -> None:
        _refuse()

    async def add_candidates(self, peer: PeerId, owner: str, fragment: str) -> None:
        _refuse()

    async def take_picture(
        self, camera: CameraId, client: str, max_age_s: float | None, *, open_it: bool = True
    ) -> Jpeg:
        _refuse()

    async def watch_pictures(self, camera: CameraId, client: str) -> AsyncGenerator[Jpeg, None]:
        _refuse()
        yield

    async def hls(self, camera: CameraId, client: str, request: HlsRequest) -> bytes:
        _refuse()

    def open_session(self, client: str) -> AbstractContextManager[SessionPort]:
        _refuse()


def _refuse() -> Never:
    raise Rejected(Refusal.CONFLICT, READ_ONLY)
