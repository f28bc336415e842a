"""The gateway, without the cameras outside a principal's scope: the one place where answers are filtered.

Rules of this file:
- A camera outside the scope, and what belongs to it (a peer, a lease), is asked for under a name that nothing can have:
  the daemon's answer, its bytes and its time are those for one that does not exist.
- Lists are without them: states, events, statistics and answers about the past.
- An error about a visible camera may name others: its text is redacted.
- Answers that all principals of a scope get are made once for all of them, and bounded.
"""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, aclosing, contextmanager
from fnmatch import fnmatchcase
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import attrs
import trio
from msgspec.structs import replace

from supervisor.domain import commands as c
from supervisor.domain.access import Principal
from supervisor.domain.availability import Availability
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.events import Recorded
from supervisor.domain.health import health
from supervisor.domain.ids import CameraId, DetectionId, LeaseId, PeerId
from supervisor.domain.rights import ALL, Right, Scope
from supervisor.domain.scoped import NOBODY, Part, Visible, redacted, redacted_reason
from supervisor.domain.scoped_events import shown, shown_or_hidden
from supervisor.domain.state import State
from supervisor.ports.accounts import AccountsPort
from supervisor.ports.archives import ArchiveRoom
from supervisor.ports.decisions import Origin, Receipt
from supervisor.ports.facts import CameraFacts
from supervisor.ports.footage import ClipKind, ClipPort, FootagePort, FootageStretch
from supervisor.ports.gateway import DetectionResult, GatewayPort, ReloadResult, SessionPort
from supervisor.ports.hls import HlsRequest
from supervisor.ports.login_provider import LoginProviderPort
from supervisor.ports.past import Past
from supervisor.ports.pins import PinsPort
from supervisor.ports.questions import Query
from supervisor.ports.setup import SetupPort
from supervisor.ports.shares import SharesPort
from supervisor.ports.snapshot import Snapshot
from supervisor.ports.statistics import RoomStatistics
from supervisor.ports.viewing import HeldLease, Jpeg, Key, LeaseOver, Opened

from .limited_past import LimitedPast, as_asked

Answer = TypeVar("Answer")

Sight = tuple[Scope, str | None]
"""A scope; and the principal that sees only its own viewers, None for those who see all of the scope."""
MOST_SCOPES = 64
"""Scopes of which the part of the state is kept."""
FRESH_S = 0.2
"""For how long one snapshot of the daemon serves several scopes."""
LOOKED_AT = 20_000
"""Events among which those of a scope are looked for, for one answer."""
PAGE = 200
"""Events between two checkpoints: about 1 ms of work."""
TOO_FAR = f"none of {LOOKED_AT} events there is of your cameras: ask for those of one camera"
ALL_CAMERAS = "this needs all cameras in your scope"
BEFORE = "a detection with this key was reported before"


def limited(gateway: GatewayPort, who: Principal, client: str = "") -> GatewayPort:
    """The gateway as `who` may use it, from the address `client`: itself if all cameras are in the scope."""
    if who.scope.everything:
        return gateway
    return Limited(gateway, who, _shared(gateway), client)


def sight_of(gateway: object) -> Sight:
    """The sight of a gateway: an answer that is made for one principal may be shown to all with the same sight."""
    return getattr(gateway, "sight", (ALL, None))


@attrs.define(eq=False)
class _Shared:
    """Answers that are made once for all principals of a daemon."""

    parts: OrderedDict[Sight, Part] = attrs.field(factory=OrderedDict)
    snapshots: dict[tuple[bool, bool], tuple[State, float, Snapshot]] = attrs.field(factory=dict)

    def part(self, sight: Sight) -> Part:
        found = self.parts.get(sight)
        if found is None:
            found = self.parts[sight] = Part(*sight)
            if len(self.parts) > MOST_SCOPES:
                self.parts.popitem(last=False)
        else:
            self.parts.move_to_end(sight)
        return found

    def snapshot(self, gateway: GatewayPort, *, cameras: bool, peers: bool) -> Snapshot:
        """A snapshot of the daemon with the state of now; its figures may be `FRESH_S` old."""
        state, now, key = gateway.state, trio.current_time(), (cameras, peers)
        kept = self.snapshots.get(key)
        if kept is None or kept[0] is not state or now >= kept[1] + FRESH_S:
            kept = self.snapshots[key] = state, now, gateway.snapshot(cameras=cameras, peers=peers)
        return kept[2]


_SHARED: WeakKeyDictionary[GatewayPort, _Shared] = WeakKeyDictionary()


def _shared(gateway: GatewayPort) -> _Shared:
    found = _SHARED.get(gateway)
    if found is None:
        found = _SHARED[gateway] = _Shared()
    return found


class Limited:
    """A gateway through which nothing of a camera outside the scope of `who` can be learned."""

    def __init__(self, gateway: GatewayPort, who: Principal, shared: _Shared, client: str = "") -> None:
        self._gateway, self._who, self._all, self._client = gateway, who, shared, client
        self._skipped = (0, 0)
        """An event, and the last one of those behind it that are all hidden."""

    @property
    def sight(self) -> Sight:
        return self._who.scope, None if self._who.may(Right.INSPECT) else self._who.name

    @property
    def _visible(self) -> Visible:
        return self._all.part(self.sight).see(self._gateway.state)

    # ── read ────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def replay(self) -> int | None:
        return self._gateway.replay

    @property
    def accounts(self) -> AccountsPort | None:
        """Its operations check rights themselves."""
        return self._gateway.accounts

    @property
    def setup(self) -> SetupPort | None:
        return self._gateway.setup

    @property
    def shares(self) -> SharesPort | None:
        """Its operations check rights themselves."""
        return self._gateway.shares

    @property
    def pins(self) -> PinsPort | None:
        """Its operations check scopes themselves."""
        return self._gateway.pins

    def archive_rooms(self) -> Sequence[ArchiveRoom]:
        visible = self._visible
        return [
            attrs.evolve(room, cameras=tuple(each for each in room.cameras if each.camera in visible))
            for room in self._gateway.archive_rooms()
            if self._who.scope.everything or any(each.camera in visible for each in room.cameras)
        ]

    @property
    def provider(self) -> LoginProviderPort | None:
        """As `accounts`."""
        return self._gateway.provider

    @property
    def last_seq(self) -> int:
        return self._gateway.last_seq

    @property
    def state(self) -> State:
        return self._all.part(self.sight).of(self._gateway.state)

    def has_camera(self, camera: CameraId) -> bool:
        return camera in self._visible

    def snapshot(self, *, cameras: bool = True, peers: bool = False) -> Snapshot:
        whole, part = self._all.snapshot(self._gateway, cameras=cameras, peers=peers), self.state
        return attrs.evolve(
            whole,
            state=part,
            cameras={name: one for name, one in whole.cameras.items() if name in part.cameras},
            peers={name: one for name, one in whole.peers.items() if name in part.peers},
            health=health(part, whole.journal.fault),
            detectors=(),
            daemons=(),
            readings={},
            archives={},
            gaps={name: one for name, one in whole.gaps.items() if name in part.cameras},
            rooms=RoomStatistics(),
        )

    async def availability(self, cameras: Collection[CameraId] | None = None) -> Availability:
        visible = self._visible
        wanted = visible if cameras is None else visible.intersection(cameras)
        return await self._gateway.availability(wanted)

    async def read(self, query: Query, limit: int, *, newest: bool = False) -> list[Recorded]:
        """Raises `Rejected` (503) if no visible event is among many others, so that the caller asks otherwise.

        A stream may be named like a camera, so it is compared among visible events only.
        """
        visible = self._visible
        if query.camera is not None:
            query = attrs.evolve(query, camera=self._camera(query.camera))
        stream, query = query.stream, attrs.evolve(query, stream=None)
        found: list[Recorded] = []
        looked_at, size = 0, min(limit, PAGE)
        while len(found) < limit and looked_at < LOOKED_AT:
            page = await self._gateway.read(query, size, newest=newest)
            chosen = [
                event
                for each in page
                if (event := shown(each, visible)) is not None and (stream is None or _fits(each.stream, stream))
            ]
            found = chosen + found if newest else found + chosen
            looked_at += len(page)
            if len(page) < size:
                return found[-limit:] if newest else found[:limit]
            query = attrs.evolve(query, before=page[0].seq) if newest else attrs.evolve(query, after=page[-1].seq)
            size = PAGE
        if not found:
            raise Rejected(Refusal.UNAVAILABLE, TOO_FAR)
        return found[-limit:] if newest else found[:limit]

    async def first(self) -> Recorded | None:
        found = await self._gateway.first()
        return None if found is None else shown_or_hidden(found, self._visible)

    async def ask(self, question: Callable[[Past], Answer]) -> Answer:
        visible, outside = self._visible, set[CameraId]()
        try:
            return await self._gateway.ask(lambda past: question(LimitedPast(past, visible, outside)))
        finally:
            for camera in outside:
                self._note(camera)

    async def next_events(self, after: int) -> Sequence[Recorded]:
        """Without the right to read the journal, there are no events."""
        begin, end = self._skipped
        position = end if begin <= after < end else after
        while True:
            page = await self._gateway.next_events(position)
            if self._who.may(Right.READ):
                visible = self._visible
                found = [event for each in page if (event := shown(each, visible)) is not None]
                if found:
                    return found
            position = page[-1].seq
            self._skipped = (after, position)

    def expiries(self) -> Mapping[LeaseId, int]:
        leases = self.state.leases
        return {name: end for name, end in self._gateway.expiries().items() if name in leases}

    def about(self, camera: CameraId) -> CameraFacts | None:
        return self._gateway.about(self._camera(camera))

    def thumbnail(self, detection: DetectionId) -> bytes | None:
        return self._gateway.thumbnail(detection) if self.pictured(detection) is not None else None

    def has_thumbnail(self, detection: DetectionId) -> bool:
        return self.pictured(detection) is not None

    def pictured(self, detection: DetectionId) -> CameraId | None:
        camera = self._gateway.pictured(detection)
        return camera if camera in self._visible else None

    # ── act ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def submit(self, command: c.Command, origin: Origin) -> Receipt:
        """Whether the principal may send the command is decided with it, in the kernel."""
        asked, names = NOBODY, dict[str, Any]()
        for field, hide in (("camera", self._camera), ("peer", self._peer), ("lease", self._lease)):
            name = getattr(command, field, None)
            if name is not None:
                names[field] = hide(name)
                asked = name if field == "camera" else asked
        with self._errors(asked):
            return await self._gateway.submit(replace(command, **names) if names else command, origin)

    async def reload(self, client: str) -> ReloadResult:
        raise Rejected(Refusal.FORBIDDEN, ALL_CAMERAS)

    async def negotiate(self, camera: CameraId, offer: str, client: str, key: Key | None = None) -> Opened:
        with self._errors(camera):
            return await self._gateway.negotiate(self._camera(camera), offer, client, key and self._key(key))

    async def grant(self, wish: c.GrantLease) -> HeldLease:
        with self._errors(wish.camera):
            return await self._gateway.grant(replace(wish, camera=self._camera(wish.camera)))

    async def renew(self, key: Key, idle_s: float, client: str) -> HeldLease:
        with self._errors():
            return await self._gateway.renew(self._key(key), idle_s, client)

    async def release(self, key: Key, client: str) -> None:
        with self._errors():
            await self._gateway.release(self._key(key), client)

    async def revoke(self, lease: LeaseId, client: str) -> None:
        with self._errors():
            await self._gateway.revoke(self._lease(lease), client)

    async def detect(self, seen: c.ReportDetection, jpeg: bytes) -> DetectionResult:
        """A key that is repeated may be of another camera."""
        with self._errors(seen.camera):
            judged = await self._gateway.detect(replace(seen, camera=self._camera(seen.camera)), jpeg)
        return attrs.evolve(judged, why=BEFORE if judged.last is None else redacted(judged.why, self._visible))

    async def add_candidates(self, peer: PeerId, owner: str, fragment: str) -> None:
        with self._errors():
            await self._gateway.add_candidates(self._peer(peer), owner, fragment)

    async def take_picture(
        self, camera: CameraId, client: str, max_age_s: float | None, *, open_it: bool = True
    ) -> Jpeg:
        with self._errors(camera):
            return await self._gateway.take_picture(self._camera(camera), client, max_age_s, open_it=open_it)

    async def watch_pictures(self, camera: CameraId, client: str) -> AsyncGenerator[Jpeg, None]:
        async with aclosing(self._gateway.watch_pictures(self._camera(camera), client)) as row:
            while True:
                try:
                    with self._errors(camera):
                        jpeg = await anext(row)
                except StopAsyncIteration:
                    return
                yield jpeg

    async def hls(self, camera: CameraId, client: str, request: HlsRequest) -> bytes:
        with self._errors(camera):
            return await self._gateway.hls(self._camera(camera), client, request)

    async def footage(self) -> FootagePort:
        return LimitedFootage(await self._gateway.footage(), self._camera, self._errors)

    def open_session(self, client: str) -> AbstractContextManager[SessionPort]:
        return self._gateway.open_session(client)

    # ── names ───────────────────────────────────────────────────────────────────────────────────────────────────

    def note_refused(self, principal: str, client: str, what: str, camera: CameraId | None = None) -> None:
        self._gateway.note_refused(principal, client, what, camera)

    def _note(self, camera: CameraId) -> None:
        """A camera outside the scope was asked for, or one that does not exist: both are counted for the audit."""
        self._gateway.note_refused(self._who.name, self._client, "camera", camera)

    def _camera(self, asked: CameraId) -> CameraId:
        if asked in self._visible:
            return asked
        self._note(asked)
        return NOBODY

    def _peer(self, asked: PeerId) -> PeerId:
        return asked if asked in self.state.peers else PeerId(NOBODY)

    def _lease(self, asked: LeaseId) -> LeaseId:
        """The lease, unless it is one of another camera. How one has ended is known to whoever knows its id."""
        known = self._gateway.state.leases.get(asked)
        return asked if known is None or known.camera in self._visible else LeaseId(NOBODY)

    def _key(self, key: Key) -> Key:
        return attrs.evolve(key, lease=self._lease(key.lease))

    @contextmanager
    def _errors(self, asked: CameraId = NOBODY) -> Iterator[None]:
        """Errors name the camera that was asked for, and no other one that is not visible."""
        try:
            yield
        except Rejected as error:
            named = as_asked(error, asked)
            raise attrs.evolve(named, reason=redacted(named.reason, self._visible)) from None
        except LeaseOver as error:
            why = None if error.why is None else redacted_reason(error.why, self._visible)
            raise LeaseOver(error.lease, why) from None


@attrs.frozen
class LimitedFootage:
    """The footage of visible cameras. `FootagePort`."""

    footage: FootagePort
    camera: Callable[[CameraId], CameraId]
    errors: Callable[[CameraId], AbstractContextManager[None]]

    async def stretches(self, camera: CameraId, from_ns: int, to_ns: int) -> Sequence[FootageStretch]:
        with self.errors(camera):
            return await self.footage.stretches(self.camera(camera), from_ns, to_ns)

    async def clip(
        self, camera: CameraId, from_ns: int, to_ns: int, kind: ClipKind, *, again: bool = False
    ) -> ClipPort:
        with self.errors(camera):
            return await self.footage.clip(self.camera(camera), from_ns, to_ns, kind, again=again)

    async def playlist(self, camera: CameraId, from_ns: int, to_ns: int) -> str:
        with self.errors(camera):
            return await self.footage.playlist(self.camera(camera), from_ns, to_ns)

    async def segment(self, camera: CameraId, path: str, offset: int, size: int, shift: int) -> bytes:
        with self.errors(camera):
            return await self.footage.segment(self.camera(camera), path, offset, size, shift)

    async def beginning(self, camera: CameraId, path: str) -> bytes:
        with self.errors(camera):
            return await self.footage.beginning(self.camera(camera), path)

    async def picture(self, camera: CameraId, at_ns: int) -> Jpeg:
        with self.errors(camera):
            return await self.footage.picture(self.camera(camera), at_ns)


def _fits(stream: str, wanted: str) -> bool:
    """Whether a stream matches a pattern, as the journal matches it."""
    return fnmatchcase(stream, wanted.replace("[^", "[!"))
