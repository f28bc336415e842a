"""The gateway: all that the web layer is handed, and all it knows of the daemon.

What crosses here are values that could be sent as JSON, so that a camera may one day live in another process.
"""

import hashlib
import secrets
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, TypeVar

import attrs
import trio
from msgspec.structs import replace

from .detections import Detections, Judged
from .domain import commands as c
from .domain.errors import Refusal, Rejected
from .domain.events import LeaseEnded, Recorded
from .domain.health import Health, health
from .domain.ids import CameraId, DetectionId, LeaseId, PeerId
from .domain.monitors import Reading
from .domain.state import Lease, State
from .domain.substreams import takes, tried
from .domain.values import Fault, Reason, name_of
from .feed import Feed
from .journal.errors import SearchTooLong
from .journal.guard import search_limit
from .journal.reader import Query, Reader
from .journal.writer import Journal, JournalStatistics
from .kernel import Kernel, Origin, Receipt
from .leases import LeaseOver, Leases
from .rooms import Rooms, RoomStatistics, Session
from .threads import run_in_thread

Answer = TypeVar("Answer")

REVOKED = Reason("kicked", "an operator ended this lease", Fault.NONE)
LOOKED_BACK = 1000
"""Events before this run in which the ends of leases are looked for: a run that stops ends its leases last."""


@attrs.frozen
class CameraStatistics:
    """What a camera's hub has measured; rates over the last two seconds."""

    fps: float
    bitrate: int
    """Bits per second."""
    frames: int
    bytes: int
    skipped: int
    """Access units that viewers missed because they fell behind."""
    last_frame_age_s: float | None
    cut_groups: int = 0
    """Groups of pictures that were too long to be kept whole: their viewers waited for the next key frame."""
    lost_packets: int = 0
    """On the way from the camera, by their sequence numbers; 0 for a source that cannot tell, as the four below."""
    late_packets: int = 0
    """That came twice, or too late."""
    reordered_packets: int = 0
    """That came late, and were put back in their place."""
    malformed_packets: int = 0
    broken_pictures: int = 0
    """That were not whole, or depend on one that was not, and were not shown."""


@attrs.frozen
class PeerStatistics:
    """What has been sent to one viewer over WebRTC, and what it reports of it."""

    packets: int
    """Of video, repeats not counted."""
    bytes: int
    sound_packets: int
    repeated: int
    """Packets that were sent again because they were lost."""
    nacks: int
    plis: int
    """How often it asked for a key frame."""
    skipped: int
    """Access units that it missed, because it fell behind or its path is too narrow."""
    refused: int
    """Sends that its socket did not take."""
    loss: float
    """The share of packets that was lost, by its newest report: 0 to 1."""
    rtt_s: float | None
    remb: int | None
    """What it estimates its path to carry, in bits per second."""
    thin: bool
    """It gets key frames only: its path carries no more."""


@attrs.frozen
class SocketStatistics:
    """WebSockets of the path that most are connected to, and how many each path may have."""

    open: int
    most: int


@attrs.frozen
class Snapshot:
    """One instant of the daemon."""

    now_ns: int
    state: State
    cameras: Mapping[CameraId, CameraStatistics]
    """Empty where nobody asked for it."""
    peers: Mapping[PeerId, PeerStatistics]
    """Empty where nobody asked for it."""
    journal: JournalStatistics
    health: Health
    readings: Mapping[str, Reading] = MappingProxyType({})
    """What the monitors found last; nothing where there is no daemon."""
    rooms: RoomStatistics = attrs.field(factory=RoomStatistics)


@attrs.frozen
class OfferError(Exception):
    """What a viewer sent cannot be answered: 400 when it is no offer, 406 when it asks for what we lack."""

    status: int
    reason: str

    def __str__(self) -> str:
        return self.reason


@attrs.frozen
class Opened:
    """A viewer's new connection. `secret` is the owner's; only its hash is kept."""

    peer: PeerId
    secret: str
    answer: str
    camera: CameraId
    """Whose stream it gets: that of the camera it asked for, or of a substream of it."""


@attrs.frozen
class Lent:
    """A lease as its holder sees it. `secret` is only there when it was just granted; only its hash is kept."""

    lease: Lease
    expires_ns: int
    peers: tuple[PeerId, ...]
    secret: str = ""


@attrs.frozen
class Key:
    """What names a lease and shows that it is one's own."""

    lease: LeaseId
    secret: str


@attrs.frozen
class NoCommonCodec(Exception):
    """The viewer takes none of the codecs that the camera sends, or its substreams."""

    camera: CameraId
    codec: str
    reason: str

    def __str__(self) -> str:
        return self.reason


class Understood(Protocol):
    """An offer that can be answered."""

    @property
    def codecs(self) -> Collection[str]:
        """Of video, as `Picture` names them."""
        ...


@attrs.frozen
class Jpeg:
    """A picture of a camera."""

    data: bytes
    taken_ns: int
    """When its key frame came."""
    age_s: float


class Hands(Protocol):
    """What the actors offer to those who decide."""

    leases: Leases
    """Who holds what; whoever lends a camera does so there."""
    detections: Detections
    """Where detectors report, theirs and others."""

    def read_offer(self, text: str) -> Understood:
        """An SDP offer as the actors understand it. Raises `OfferError` for what none of them could answer."""
        ...

    async def open_peer(self, camera: CameraId, peer: PeerId, offer: Understood) -> str:
        """Start the peer's actor and return its SDP answer. Raises `Rejected` when the camera is not running."""
        ...

    async def add_candidates(self, peer: PeerId, fragment: str) -> None:
        """Give a peer more of the viewer's candidates (RFC 8840). Raises `Rejected` when it is gone."""
        ...

    async def take_picture(
        self, camera: CameraId, client: str, max_age_s: float | None, *, open_it: bool = True
    ) -> Jpeg:
        """The camera's picture; one that rests is opened for it, if it may be. Raises `Rejected` within `PICTURE_S`."""
        ...

    def watch_pictures(self, camera: CameraId, client: str) -> AsyncGenerator[Jpeg, None]:
        """The camera's pictures, one after the other, until the caller closes it. Raises `Rejected`."""
        ...

    def statistics(self) -> Mapping[CameraId, CameraStatistics]: ...

    def peer_statistics(self) -> Mapping[PeerId, PeerStatistics]:
        """Of the viewers that are connected."""
        ...


class Gates(Protocol):
    """What the web layer may ask and do, of a daemon that runs (`Gateway`) or of a journal alone (`PastGateway`)."""

    @property
    def replay(self) -> int | None:
        """The moment that a journal without a daemon is opened at; none over a daemon."""
        ...

    @property
    def last_seq(self) -> int: ...

    @property
    def state(self) -> State:
        """As the last event left it. This costs nothing, however many cameras there are."""
        ...

    def snapshot(self, *, cameras: bool = True, peers: bool = False) -> Snapshot:
        """One instant. `cameras` and `peers`: with what each has sent, and each viewer was sent.

        That takes a while where there are many.
        """
        ...

    async def read(self, query: Query, limit: int, *, newest: bool = False) -> list[Recorded]: ...

    async def first(self) -> Recorded | None: ...

    async def ask(self, question: Callable[[Reader], Answer]) -> Answer: ...

    async def next_events(self, after: int) -> Sequence[Recorded]: ...

    async def submit(self, command: c.Command, origin: Origin) -> Receipt: ...

    async def negotiate(self, camera: CameraId, offer: str, client: str, key: Key | None = None) -> Opened: ...

    async def grant(self, wish: c.GrantLease) -> Lent: ...

    async def renew(self, key: Key, idle_s: float, client: str) -> Lent: ...

    def expiries(self) -> Mapping[LeaseId, int]: ...

    async def release(self, key: Key, client: str) -> None: ...

    async def revoke(self, lease: LeaseId, client: str) -> None: ...

    async def detect(self, seen: c.ReportDetection, jpeg: bytes) -> Judged: ...

    def thumbnail(self, detection: DetectionId) -> bytes | None: ...

    def has_thumbnail(self, detection: DetectionId) -> bool: ...

    async def add_candidates(self, peer: PeerId, secret: str, fragment: str) -> None: ...

    async def take_picture(
        self, camera: CameraId, client: str, max_age_s: float | None, *, open_it: bool = True
    ) -> Jpeg: ...

    def watch_pictures(self, camera: CameraId, client: str) -> AsyncGenerator[Jpeg, None]: ...

    def open_session(self, client: str) -> AbstractContextManager[Session]: ...


class JournalReader:
    """A journal folder read without blocking the loop, and without a thread while idle.

    What may take long has a reader and a thread of its own, so that who follows the events does not wait for it. Each
    of the three readers is used by one thread at a time: its limiter is the rule, whoever calls.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader: Reader | None = None
        self._limiter = trio.CapacityLimiter(1)
        self._past: Reader | None = None
        self._asking = trio.CapacityLimiter(1)
        self._searcher: Reader | None = None
        self._searching = trio.CapacityLimiter(1)

    async def page(self, query: Query, limit: int, *, newest: bool = False) -> list[Recorded]:
        """As `Reader.page`. Raises `JournalError` for damage, and where there is no journal yet."""
        return await run_in_thread(partial(self._page, query, limit, newest), limiter=self._limiter)

    def _page(self, query: Query, limit: int, newest: bool) -> list[Recorded]:
        reader = self._reader = self._reader or Reader(self._path)
        return reader.page(query, limit, newest=newest)

    async def search(self, query: Query, limit: int, *, newest: bool = False) -> list[Recorded]:
        """As `page`, for what a client asks: in a thread of its own, and for `SEARCH_S` at most.

        Raises `Rejected` (503) for a search that takes longer, and as `page`.
        """
        return await run_in_thread(partial(self._search, query, limit, newest), limiter=self._searching)

    def _search(self, query: Query, limit: int, newest: bool) -> list[Recorded]:
        try:
            with search_limit():
                searcher = self._searcher = self._searcher or Reader(self._path)
                return searcher.page(query, limit, newest=newest)
        except SearchTooLong as error:
            raise Rejected(Refusal.UNAVAILABLE, str(error), 5.0) from None

    async def first(self) -> Recorded | None:
        """The oldest event that is kept."""
        found = await self.page(Query(), 1)
        return found[0] if found else None

    async def ask(self, question: Callable[[Reader], Answer]) -> Answer:
        """What `question` finds, in a thread; one question at a time. Raises what it raises."""
        return await run_in_thread(partial(self._answer, question), limiter=self._asking)

    def _answer(self, question: Callable[[Reader], Answer]) -> Answer:
        past = self._past = self._past or Reader(self._path)
        return question(past)

    def reset(self) -> None:
        """Other files are the journal now: open them at the next question."""
        self._reader = self._past = self._searcher = None

    def close(self) -> None:
        for reader in (self._reader, self._past, self._searcher):
            if reader is not None:
                reader.close()


def new_secret() -> str:
    """What only the owner of a connection knows: 128 random bits."""
    return secrets.token_urlsafe(16)


class Gateway:
    """Made once by the daemon. Every method may be called by any number of tasks.

    `new_secret` makes the owners' secrets; a simulation hands in a seeded one. `readings` are the monitors', and grow.
    """

    def __init__(
        self,
        kernel: Kernel,
        journal: Journal,
        feed: Feed,
        reader: JournalReader,
        hands: Hands,
        new_secret: Callable[[], str] = new_secret,
        readings: Mapping[str, Reading] = MappingProxyType({}),
    ) -> None:
        self._kernel = kernel
        self._new_secret = new_secret
        self._journal = journal
        self._feed = feed
        self._hands = hands
        self._readings = readings
        self.leases = hands.leases
        self.replay: int | None = None
        self.read = reader.search
        self._page = reader.page
        self._begin = kernel.state.seq
        self._ended_before: dict[LeaseId, Reason] | None = None
        """How leases of the run before this one ended; read when somebody first asks."""
        self._looking_back = trio.Lock()
        self.first = reader.first
        self.ask = reader.ask
        self.take_picture = hands.take_picture
        self.thumbnail = hands.detections.thumbnails.find
        self.has_thumbnail = hands.detections.thumbnails.has
        self.watch_pictures = hands.watch_pictures
        self._rooms = Rooms(kernel)
        self.open_session = self._rooms.open_session

    @property
    def last_seq(self) -> int:
        """Number of the last durable event."""
        return self._feed.last_seq

    async def submit(self, command: c.Command, origin: Origin) -> Receipt:
        """Decide and wait until it is durable. Raises `Rejected`, with 503 when nothing can be promised."""
        self._require_journal()
        receipt = await self._kernel.submit(command, origin=origin)
        if not receipt.durable:
            self._require_journal()
        return receipt

    def _require_journal(self) -> None:
        if self._journal.fault is not None:
            raise Rejected(Refusal.UNAVAILABLE, f"the journal cannot write: {self._journal.fault}", 5.0)

    @property
    def state(self) -> State:
        return self._kernel.state

    def snapshot(self, *, cameras: bool = True, peers: bool = False) -> Snapshot:
        state = self._kernel.state
        return Snapshot(
            now_ns=self._kernel.clock.wall_ns(),
            state=state,
            cameras=self._hands.statistics() if cameras else {},
            peers=self._hands.peer_statistics() if peers else {},
            journal=self._journal.statistics(),
            health=health(state, self._journal.fault, self._readings),
            readings=dict(self._readings),
            rooms=self._rooms.statistics(),
        )

    async def next_events(self, after: int) -> Sequence[Recorded]:
        """The durable events that follow `after`, at least one, without a gap; waits until there is one."""
        return await self._feed.next_page(after)

    async def grant(self, wish: c.GrantLease) -> Lent:
        """Lend a camera; what `wish` leaves open, its name, owner and time to live, is filled in. Raises `Rejected`."""
        secret, ttl_s = self._new_secret(), wish.ttl_s or self._kernel.state.limits.lease_ttl_s
        name = LeaseId(self._kernel.new_id())
        command = replace(wish, lease=name, owner=hash_secret(secret), ttl_s=ttl_s)
        self._require_journal()
        granted = self.leases.lend(command)
        if not await self._journal.wait_committed(granted.seq):
            self._require_journal()
        lease = self._kernel.state.leases.get(name)
        if lease is None:
            raise await self._why_over(name)
        return attrs.evolve(self._lent(lease), secret=secret)

    async def renew(self, key: Key, idle_s: float, client: str) -> Lent:
        """Hear of a lease's holder, wherever he is now. Raises `LeaseOver`, and `Rejected` for a stranger."""
        origin = Origin(f"client:{client}")
        await trio.lowlevel.checkpoint()
        if key.lease in self._kernel.state.leases:
            return self._lent(self.leases.renew(key.lease, hash_secret(key.secret), idle_s, origin))
        raise await self._why_over(key.lease)

    def expiries(self) -> Mapping[LeaseId, int]:
        """When each lease ends if nothing more is heard of its holder, in wall nanoseconds."""
        return self.leases.expiries_ns(self._kernel.state.leases.values())

    async def release(self, key: Key, client: str) -> None:
        """End a lease that is not needed any more. Raises as `renew`."""
        if key.lease not in self._kernel.state.leases:
            raise await self._why_over(key.lease)
        released = Reason("released", "its holder gave it back", Fault.NONE)
        await self.submit(c.EndLease(key.lease, released, hash_secret(key.secret)), Origin(f"client:{client}"))

    async def revoke(self, lease: LeaseId, client: str) -> None:
        """End anybody's lease, as an operator: whoever watches under it is told. Raises `LeaseOver` and `Rejected`."""
        if lease not in self._kernel.state.leases:
            raise await self._why_over(lease)
        await self.submit(c.EndLease(lease, REVOKED), Origin(f"client:{client}"))

    def _lent(self, lease: Lease) -> Lent:
        peers = tuple(peer.peer for peer in self._kernel.state.peers_of(lease.lease))
        return Lent(lease, self.leases.expires_ns(lease), peers)

    async def _why_over(self, lease: LeaseId) -> LeaseOver:
        """What to raise for a lease that is not live. Anybody may invent an id: the journal is not searched for it."""
        why = self._kernel.ended.get(lease)
        if why is None:
            return LeaseOver(lease, (await self._look_back()).get(lease))
        await self._journal.wait_committed(self._kernel.state.seq)
        return LeaseOver(lease, why)

    async def _look_back(self) -> Mapping[LeaseId, Reason]:
        """How leases of the last run ended. Read once; raises `JournalError`, and is then tried again."""
        async with self._looking_back:
            if self._ended_before is None:
                end = Query(after=max(0, self._begin - LOOKED_BACK), before=self._begin + 1, types=("LeaseEnded",))
                found = [recorded.event for recorded in await self._page(end, LOOKED_BACK)]
                self._ended_before = {event.lease: event.reason for event in found if isinstance(event, LeaseEnded)}
            return self._ended_before

    async def detect(self, seen: c.ReportDetection, jpeg: bytes) -> Judged:
        """Decide about what a detector has seen; its picture, if there is one, is kept. Raises `Rejected`."""
        self._require_journal()
        judged = self._hands.detections.report(seen, jpeg)
        if judged.last is not None and not await self._journal.wait_committed(judged.last.seq):
            self._require_journal()
        return judged

    async def negotiate(self, camera: CameraId, offer: str, client: str, key: Key | None = None) -> Opened:
        """Open a peer for `client` (an address), of `camera` or of the first of its substreams that suits the offer.

        It lives under the lease that `key` names, or under one of its own.
        Raises `Rejected`, `LeaseOver`, `NoCommonCodec`, and `OfferError` for what is not a good offer.
        """
        if key is not None and key.lease not in self._kernel.state.leases:
            raise await self._why_over(key.lease)
        understood = self._hands.read_offer(offer)
        shown = self._suitable(camera, understood.codecs)
        peer, secret = PeerId(self._kernel.new_id()), self._new_secret()
        command = c.OpenPeer(peer=peer, camera=shown, client=client, owner=hash_secret(secret))
        if key is not None:
            command = replace(command, lease=key.lease, holder=hash_secret(key.secret))
        self._require_journal()
        opened = self.leases.lend(command)
        try:
            if not await self._journal.wait_committed(opened.seq):
                self._require_journal()
            answer = await self._hands.open_peer(shown, peer, understood)
        except BaseException:
            # Whatever went wrong, the place is given back; where the peer's actor has done so, this does nothing.
            left = Reason("not-opened", "the connection could not be made", Fault.NONE)
            self._kernel.emit(c.ReportPeerClosed(peer=peer, reason=left), after=opened)
            raise
        return Opened(peer, secret, answer, shown)

    def _suitable(self, camera: CameraId, codecs: Collection[str]) -> CameraId:
        state = self._kernel.state
        names = tried(state, camera)
        for name in names:
            if takes(state, name, codecs):
                return name
        sent = {name: picture.codec for name in names if (picture := state.cameras[name].picture)}
        if not sent:
            return camera  # which is none: deciding says so
        told = " and ".join(f"{name} sends {name_of(codec)}" for name, codec in sent.items())
        offered = ", ".join(map(name_of, sorted(codecs)))
        raise NoCommonCodec(camera, sent[camera], f"{told}, but the viewer offered only {offered}")

    async def add_candidates(self, peer: PeerId, secret: str, fragment: str) -> None:
        """Trickle ICE. Raises `Rejected` for a stranger or a peer that is gone."""
        known = self._kernel.state.peers.get(peer)
        if known is None:
            raise Rejected(Refusal.UNKNOWN, "there is no such viewer, or it has left")
        if known.owner != hash_secret(secret):
            raise Rejected(Refusal.FORBIDDEN, "only the one who opened this connection may change it")
        await self._hands.add_candidates(peer, fragment)


def hash_secret(secret: str) -> str:
    """What is kept of an owner's secret: SHA-256 of its 128 random bits, in hex."""
    return hashlib.sha256(secret.encode()).hexdigest()
