"""The gateway: the daemon's side of the interface that the web uses (`ports/gateway.py`)."""

import os
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs
import trio
from msgspec.structs import replace

from ..base.processors import processors
from ..domain import commands as c
from ..domain.availability import Availability
from ..domain.errors import Refusal, Rejected
from ..domain.events import LeaseEnded, Recorded
from ..domain.health import health
from ..domain.ids import CameraId, DetectionId, LeaseId, PeerId
from ..domain.lifecycle import LOST, CameraPhase
from ..domain.monitors import Reading
from ..domain.rendition import RENDITION_CODEC, camera_for
from ..domain.rights import PEOPLE
from ..domain.state import Camera, Lease, State
from ..domain.substreams import tried
from ..domain.values import Fault, Reason, Transcode, name_of
from ..journal.writer import Journal
from ..ports.accounts import AccountsPort
from ..ports.actors import ActorsPort
from ..ports.asking import origin_of
from ..ports.decisions import Origin, Receipt
from ..ports.facts import CameraFacts
from ..ports.gateway import DetectionResult, ReloadResult, SessionPort
from ..ports.login_provider import LoginProviderPort
from ..ports.questions import Query
from ..ports.setup import SetupPort
from ..ports.shares import SharesPort
from ..ports.snapshot import Snapshot
from ..ports.statistics import RoomStatistics
from ..ports.viewing import HeldLease, Jpeg, Key, LeaseOver, NoCommonCodec, Opened, hash_secret
from ..runtime.feed import Feed
from ..runtime.kernel import Kernel
from .journal_reader import JournalReader
from .leases import Leases
from .pins import Pins
from .reload import Reloads

if TYPE_CHECKING:
    from .detections import Detections
    from .rooms import Rooms

REVOKED = Reason("kicked", "an operator ended this lease", Fault.NONE)
RETRY_S = 2.0
"""After which a viewer that was refused may ask again, where nothing better is known."""
NO_CODEC = "no H.264 up to the High profile, and no H.265"
AT_ONCE = 50
"""Cameras whose figures are made in one turn of the loop."""
LOOKED_BACK = 1000
"""Events before this run in which the ends of leases are looked for: a run that stops ends its leases last."""


def new_secret() -> str:
    """A secret for the owner of a connection: 128 random bits."""
    return secrets.token_urlsafe(16)


class Gateway:
    """Made once by the daemon. Every method may be called by any number of tasks.

    `new_secret` makes the owners' secrets; a simulation hands in a seeded one. `readings` are the monitors', and grow.
    `refuse_not_live`: a viewer whose camera fails or has no slot gets 409, instead of waiting for it.
    """

    def __init__(
        self,
        kernel: Kernel,
        journal: Journal,
        feed: Feed,
        reader: JournalReader,
        actors: ActorsPort[Any],
        leases: Leases,
        detections: "Detections | None",
        new_secret: Callable[[], str] = new_secret,
        readings: Mapping[str, Reading] = MappingProxyType({}),
        *,
        reloads: Reloads | None = None,
        accounts: AccountsPort | None = None,
        setup: SetupPort | None = None,
        shares: SharesPort | None = None,
        provider: LoginProviderPort | None = None,
        refuse_not_live: bool = False,
        off: Collection[str] = (),
    ) -> None:
        self._kernel, self._refuse_not_live = kernel, refuse_not_live
        self._new_secret = new_secret
        self._journal = journal
        self._feed = feed
        self._actors, self._detections, self.leases = actors, detections, leases
        self._readings = readings
        self._reloads = reloads
        self.accounts, self.setup, self.shares = accounts, setup, shares
        self.pins = Pins(kernel, actors, self.submit)
        self.archive_rooms = actors.archive_rooms
        self.provider = provider
        self.replay: int | None = None
        self.read = reader.search
        self._page = reader.page
        self._begin = kernel.state.seq
        self._ended_before: dict[LeaseId, Reason] | None = None
        """How leases of the run before this one ended; read when somebody first asks."""
        self._looking_back = trio.Lock()
        self.first = reader.first
        self.ask = reader.ask
        self.watch_pictures, self.hls, self.footage = actors.watch_pictures, actors.hls, actors.footage
        self._rooms = None if "rooms" in off else _make_rooms(kernel)

    @property
    def last_seq(self) -> int:
        """Number of the last durable event."""
        return self._feed.last_seq

    async def submit(self, command: c.Command, origin: Origin) -> Receipt:
        """Decide and wait until it is durable. Raises `Rejected`, with 503 while nothing can be acknowledged.

        Privacy does not wait for a journal that cannot write: the camera is hidden at once, and the access file says so
        before the journal does (`Accounts.run_privacy`).
        """
        hides = isinstance(command, c.SetPrivacy) and command.private
        if not hides:
            self._require_journal()
        receipt = await self._kernel.submit(command, origin=origin)
        if not receipt.durable and not hides:
            self._require_journal()
        return receipt

    async def reload(self, client: str) -> ReloadResult:
        """Read the configuration again, for `client`, and wait until what came of it is durable. Raises `Rejected`."""
        if self._reloads is None:
            raise Rejected(Refusal.CONFLICT, "this banken runs without a configuration file")
        self._require_journal()
        reloaded = await self._reloads.reload(origin_of(client))
        if not await self._journal.wait_committed(reloaded.seq):
            self._require_journal()
        return reloaded

    def _require_journal(self) -> None:
        if self._journal.fault is not None:
            raise Rejected(Refusal.UNAVAILABLE, f"the journal cannot write: {self._journal.fault}", 5.0)

    @property
    def state(self) -> State:
        return self._kernel.state

    def has_camera(self, camera: CameraId) -> bool:
        return camera in self._kernel.state.cameras

    def snapshot(self, *, cameras: bool = True, peers: bool = False) -> Snapshot:
        state = self._kernel.state
        return Snapshot(
            now_ns=self._kernel.clock.wall_ns(),
            state=state,
            cameras=self._actors.statistics() if cameras else {},
            peers=self._actors.peer_statistics() if peers else {},
            journal=self._journal.statistics(),
            daemons=self._actors.daemon_statistics(),
            health=health(state, self._journal.fault, self._readings),
            detectors=self._actors.detector_statistics(),
            readings=dict(self._readings),
            rooms=RoomStatistics() if self._rooms is None else self._rooms.statistics(),
            archives=self._actors.archive_statistics(),
            gaps=self._kernel.gaps.seconds(),
            pid=os.getpid(),
        )

    def about(self, camera: CameraId) -> CameraFacts | None:
        return self._actors.about(camera)

    async def take_picture(
        self, camera: CameraId, client: str, max_age_s: float | None, *, open_it: bool = True
    ) -> Jpeg:
        """The picture of a camera, which is counted for the audit. Raises `Rejected`."""
        jpeg = await self._actors.take_picture(camera, client, max_age_s, open_it=open_it)
        now = self._kernel.clock.mono_ns() / 1e9
        self._kernel.traces.picture(origin_of(client).principal, client, camera, len(jpeg.data), now)
        return jpeg

    def note_refused(self, principal: str, client: str, what: str, camera: CameraId | None = None) -> None:
        """Count a refusal for the audit, if it is of somebody who has logged in."""
        if principal.startswith(PEOPLE):
            self._kernel.traces.refused(principal, client, what, camera)

    def thumbnail(self, detection: DetectionId) -> bytes | None:
        """The JPEG of a detection, while it is kept and its camera is not private."""
        private = self._kernel.state.private_cameras()
        return self._detections.thumbnails.find(detection, private) if self._detections is not None else None

    def has_thumbnail(self, detection: DetectionId) -> bool:
        if self._detections is None:
            return False
        return self._detections.thumbnails.has(detection, self._kernel.state.private_cameras())

    def pictured(self, detection: DetectionId) -> CameraId | None:
        """The camera of a detection whose JPEG is kept."""
        return self._detections.thumbnails.camera_of(detection) if self._detections is not None else None

    def open_session(self, client: str) -> AbstractContextManager[SessionPort]:
        """A session for rooms."""
        assert self._rooms is not None, "the part is off, so no route leads here"
        return self._rooms.open_session(client)

    async def availability(self, cameras: Collection[CameraId] | None = None) -> Availability:
        ledger, clock, found = self._kernel.availability, self._kernel.clock, []
        now_ns, mono_ns = clock.wall_ns(), clock.mono_ns()
        whole = ledger.found(now_ns, (), mono_ns)
        for number, one in enumerate(ledger.each(now_ns, cameras, mono_ns)):
            if number % AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
            found.append(one)
        return replace(whole, cameras=tuple(found))

    async def next_events(self, after: int) -> Sequence[Recorded]:
        """The durable events that follow `after`, at least one, without a gap; waits until there is one."""
        return await self._feed.next_page(after)

    async def grant(self, wish: c.GrantLease) -> HeldLease:
        """Grant a lease; its name, owner and time to live are filled in where `wish` leaves them open. Raises
        `Rejected`."""
        secret, ttl_s = self._new_secret(), wish.ttl_s or self._kernel.state.limits.lease_ttl_s
        name = LeaseId(self._kernel.new_id())
        command = replace(wish, lease=name, owner=hash_secret(secret), ttl_s=ttl_s)
        self._require_journal()
        granted = self.leases.grant(command)
        if not await self._journal.wait_committed(granted.seq):
            self._require_journal()
        lease = self._kernel.state.leases.get(name)
        if lease is None:
            raise await self._why_over(name)
        return attrs.evolve(self._held(lease), secret=secret)

    async def renew(self, key: Key, idle_s: float, client: str) -> HeldLease:
        """Hear of a lease's holder, wherever he is now. Raises `LeaseOver`, and `Rejected` for a stranger."""
        origin = origin_of(client)
        await trio.lowlevel.checkpoint()
        if key.lease in self._kernel.state.leases:
            return self._held(self.leases.renew(key.lease, hash_secret(key.secret), idle_s, origin))
        raise await self._why_over(key.lease)

    def expiries(self) -> Mapping[LeaseId, int]:
        """When each lease ends if nothing more is heard of its holder, in wall nanoseconds."""
        return self.leases.expiries_ns(self._kernel.state.leases.values())

    async def release(self, key: Key, client: str) -> None:
        """End a lease that is not needed any more. Raises as `renew`."""
        if key.lease not in self._kernel.state.leases:
            raise await self._why_over(key.lease)
        released = Reason("released", "released by its holder", Fault.NONE)
        await self.submit(c.EndLease(key.lease, released, hash_secret(key.secret)), origin_of(client))

    async def revoke(self, lease: LeaseId, client: str) -> None:
        """End anybody's lease, as an operator; its viewers are notified. Raises `LeaseOver` and `Rejected`."""
        if lease not in self._kernel.state.leases:
            raise await self._why_over(lease)
        await self.submit(c.EndLease(lease, REVOKED), origin_of(client))

    def _held(self, lease: Lease) -> HeldLease:
        peers = tuple(peer.peer for peer in self._kernel.state.peers_of(lease.lease))
        return HeldLease(lease, self.leases.expires_ns(lease), peers)

    async def _why_over(self, lease: LeaseId) -> LeaseOver:
        """The error for a lease that is not live. Anybody may invent an id: the journal is not searched for it."""
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

    async def detect(self, seen: c.ReportDetection, jpeg: bytes) -> DetectionResult:
        """Decide about what a detector has seen; its picture, if there is one, is kept. Raises `Rejected`."""
        self._require_journal()
        assert self._detections is not None, "the part is off, so no route leads here"
        judged = self._detections.report(seen, jpeg, origin_of(seen.by))
        if judged.last is not None and not await self._journal.wait_committed(judged.last.seq):
            self._require_journal()
        return judged

    async def negotiate(self, camera: CameraId, offer: str, client: str, key: Key | None = None) -> Opened:
        """Open a peer for `client` (an address), of `camera` or of the first of its substreams that suits the offer.

        It lives under the lease that `key` names, or under a new one. Raises `Rejected`, `LeaseOver`, `NoCommonCodec`,
        and `OfferError` for what is not a good offer.
        """
        if key is not None and key.lease not in self._kernel.state.leases:
            raise await self._why_over(key.lease)
        understood = self._actors.read_offer(offer)
        chosen = self._suitable(camera, understood.codecs)
        self._require_live(chosen)
        peer, secret = PeerId(self._kernel.new_id()), self._new_secret()
        command = c.OpenPeer(peer=peer, camera=chosen, client=client, owner=hash_secret(secret))
        if key is not None:
            command = replace(command, lease=key.lease, holder=hash_secret(key.secret))
        self._require_journal()
        opened = self.leases.grant(command)
        with self._kernel.following(opened):
            try:
                if not await self._journal.wait_committed(opened.seq):
                    self._require_journal()
                answer = await self._actors.open_peer(chosen, peer, understood)
            except BaseException:
                # After any error the slot is released; where the peer's actor has done so, this does nothing.
                left = Reason("not-opened", "the connection could not be made", Fault.NONE)
                self._kernel.emit(c.ReportPeerClosed(peer=peer, reason=left))
                raise
        return Opened(peer, secret, answer, chosen)

    def _suitable(self, camera: CameraId, codecs: Collection[str]) -> CameraId:
        state = self._kernel.state
        names = tried(state, camera)
        if not names:
            return camera  # unknown: the decision rejects it
        found = camera_for(state, camera, codecs, processors()) if codecs else None
        if found is not None:
            return found
        sent = {name: picture.codec for name in names if (picture := state.cameras[name].picture)}
        sends = " and ".join(f"{name} sends {name_of(codec)}" for name, codec in sent.items())
        offered = f"only {', '.join(map(name_of, sorted(codecs)))}" if codecs else NO_CODEC
        sends = sends or f"{camera} has not sent a picture yet"
        never = [name for name in sent if state.cameras[name].settings.transcode is Transcode.NEVER]
        helps = "; `transcode: auto` transcodes it" if never and RENDITION_CODEC in codecs else ""
        raise NoCommonCodec(camera, sent.get(camera, ""), f"{sends}, but the viewer offered {offered}{helps}")

    def _require_live(self, camera: CameraId) -> None:
        """Raises `Rejected` (409) for a camera that fails or has no slot, where the configuration says so."""
        known = self._kernel.state.cameras.get(camera)
        if not self._refuse_not_live or known is None or not _is_failing(known):
            return
        why = f": {known.reason.text}" if known.reason else ""
        wait_s = max(RETRY_S, ((known.retry_at_ns or 0) - self._kernel.clock.wall_ns()) / 1e9)
        raise Rejected(Refusal.CONFLICT, f"{camera} is {known.phase.value}{why}", wait_s)

    async def add_candidates(self, peer: PeerId, owner: str, fragment: str) -> None:
        """Trickle ICE. Raises `Rejected` for a stranger or a peer that is gone."""
        known = self._kernel.state.peers.get(peer)
        if known is None:
            raise Rejected(Refusal.UNKNOWN, "there is no such viewer, or it has left")
        if known.owner != owner:
            raise Rejected(Refusal.FORBIDDEN, "only the owner of this connection may change it")
        await self._actors.add_candidates(peer, fragment)


def _is_failing(known: Camera) -> bool:
    """Whether a camera is lost or has no slot, or is being opened again after it was lost.

    One at rest is opened by its viewers. One that is opened from rest, or is silent, may be live in a moment.
    """
    if known.phase is CameraPhase.CONNECTING:
        if known.reason is None:  # it has waited for a slot, or has not been opened before
            return known.attempts > 0 or known.failures > 0
        return known.reason.fault is not Fault.NONE
    return known.phase in LOST or known.phase is CameraPhase.QUEUED


def _make_rooms(kernel: Kernel) -> "Rooms":
    """Import the module only if the part is on."""
    from .rooms import Rooms

    return Rooms(kernel)
