"""The web layer on a real port, over a core in memory and fake I/O actors without cameras."""

import json
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio
from trio_websocket import WebSocketConnection, wrap_client_stream

from actors.media.decoder.client import Decoder
from actors.media.hub import Still
from actors.recorder.review import Review
from supervisor.config.login_provider import LoginProvider
from supervisor.domain import commands as c
from supervisor.domain.access import Principal
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.ids import CameraId, LeaseId, PeerId
from supervisor.domain.monitors import Reading
from supervisor.domain.values import LeaseKind, Limits
from supervisor.ports.archives import ArchiveRoom, CameraTime
from supervisor.ports.asking import origin_of
from supervisor.ports.control import ControlPort
from supervisor.ports.facts import CameraFacts, MetOddity
from supervisor.ports.footage import FootagePort
from supervisor.ports.hls import HlsRequest
from supervisor.ports.statistics import (
    ArchiveStatistics,
    CameraStatistics,
    DaemonStatistics,
    DetectorStatistics,
    PeerStatistics,
)
from supervisor.ports.viewing import Jpeg, OfferError, ParsedOffer
from supervisor.runtime.kernel import Kernel
from supervisor.services.accounts import Accounts
from supervisor.services.detections import Detections
from supervisor.services.gateway import Gateway
from supervisor.services.leases import Leases
from supervisor.services.oidc import Oidc
from supervisor.services.reload import Reloads
from supervisor.services.setup import Setup
from supervisor.services.shares import Shares
from web.app import WebSettings, create_app
from web.limited import limited
from web.serve import listen, run_web
from web.sockets import Sockets
from web.tls import Tls

from .accounts import PlainHasher
from .core import Core, MemoryReader, open_core
from .domain import ASKED, GATE, SECOND
from .http import Answer, request

OFFER = "v=0 a good offer"
ANSWER = "v=0 an answer"
FACTS = CameraFacts(
    server="Hipcam RealServer/V1.0", transport="RTP over TCP", codec="h264", profile="High", level="4.1", width=64,
    oddities=(MetOddity(code="cseq", does="answers with another CSeq", handled="taken in order", count=3),),
)  # fmt: skip


@attrs.frozen
class FakeOffer:
    codecs: tuple[str, ...]


class FakeDecoder(Decoder):
    """Its JPEG has the bytes of the key frame."""

    async def jpeg(self, camera: CameraId, still: Still) -> bytes:
        await trio.lowlevel.checkpoint()
        return still.data


@attrs.define
class FakeActors:
    """Answers the valid offer while `answers` is true. Snapshots cause uses as in the real gateway."""

    kernel: Kernel
    answers: bool = True
    codecs: tuple[str, ...] = ("h264",)
    """The codecs that the offer accepts."""
    picture: bytes = b"a picture"
    pictures: float = math.inf
    """The number of images that each MJPEG viewer receives; then the camera is silent."""
    pictured: bool = True
    """Whether an image is available already."""
    taken: list[bool] = attrs.field(factory=list)
    """For each requested image, whether its camera was permitted to open."""
    candidates: list[tuple[PeerId, str]] = attrs.field(factory=list)
    detectors: Sequence[DetectorStatistics] = ()
    daemons: tuple[DaemonStatistics, ...] = ()
    archive: Path = Path("/nowhere")
    """The folder of the recordings."""
    review: Review | None = None
    archives: Mapping[str, ArchiveStatistics] = attrs.field(factory=dict)
    rooms: Sequence[ArchiveRoom] = ()
    sizes: dict[CameraId, int] = attrs.field(factory=dict)
    """The bytes of each camera's footage, whatever its time is."""

    def archive_rooms(self) -> Sequence[ArchiveRoom]:
        return self.rooms

    async def footage_bytes(
        self, stretches: Sequence[CameraTime], *, of_all: tuple[int, int] | None = None
    ) -> Mapping[str, Mapping[CameraId, int]]:
        await trio.lowlevel.checkpoint()
        cameras = set(self.sizes) if of_all is not None else {each.camera for each in stretches}
        return {"recordings": {name: size for name, size in self.sizes.items() if name in cameras}}

    def read_offer(self, text: str) -> FakeOffer:
        if text != OFFER:
            raise OfferError(400, "the offer does not begin with v=0")
        return FakeOffer(self.codecs)

    async def open_peer(self, camera: CameraId, peer: PeerId, offer: ParsedOffer) -> str:
        await trio.lowlevel.checkpoint()
        if not self.answers:
            raise Rejected(Refusal.UNAVAILABLE, "only just starting", 1.0)
        return ANSWER

    async def add_candidates(self, peer: PeerId, fragment: str) -> None:
        self.candidates.append((peer, fragment))

    async def take_picture(
        self, camera: CameraId, client: str, max_age_s: float | None, *, open_it: bool = True
    ) -> Jpeg:
        await trio.lowlevel.checkpoint()
        self.taken.append(open_it)
        if camera != GATE:
            raise Rejected(Refusal.UNKNOWN, f"there is no camera {camera!r}")
        if not self.answers:
            raise Rejected(Refusal.UNAVAILABLE, "gate is waiting: connection refused", 2.0)
        if not open_it and not self.pictured:
            raise Rejected(Refusal.UNKNOWN, "there is no picture of gate yet")
        return Jpeg(self.picture, SECOND, 1.5 if max_age_s is None else max_age_s)

    async def watch_pictures(self, camera: CameraId, client: str) -> AsyncGenerator[Jpeg, None]:
        lease, shown = LeaseId(self.kernel.new_id()), 0
        self.kernel.emit(c.GrantLease(lease, LeaseKind.VIEWER, camera, client), origin=origin_of(client))
        try:
            while shown < self.pictures:
                yield await self.take_picture(camera, client, None)
                shown += 1
                await trio.sleep(0.01)
            await trio.sleep_forever()
        finally:
            self.kernel.emit(c.EndLease(lease, ASKED))

    async def hls(self, camera: CameraId, client: str, request: HlsRequest) -> bytes:
        await self.take_picture(camera, client, None)
        return str(request).encode()

    async def footage(self) -> FootagePort:
        await trio.lowlevel.checkpoint()
        kernel = self.kernel
        self.review = self.review or Review((self.archive,), FakeDecoder(), lambda name: name in kernel.state.cameras)
        return self.review

    def statistics(self) -> Mapping[CameraId, CameraStatistics]:
        return {GATE: CameraStatistics(25.0, 1_000_000, 100, 12345, 2, 0.04)}

    def detector_statistics(self) -> Sequence[DetectorStatistics]:
        return self.detectors

    def daemon_statistics(self) -> tuple[DaemonStatistics, ...]:
        return self.daemons

    def archive_statistics(self) -> Mapping[str, ArchiveStatistics]:
        return self.archives

    def peer_statistics(self) -> Mapping[PeerId, PeerStatistics]:
        return {}

    def about(self, camera: CameraId) -> CameraFacts | None:
        return FACTS if camera == GATE else None


@attrs.frozen
class Site:
    core: Core
    gateway: Gateway
    actors: FakeActors
    port: int
    stop: trio.Event
    stopped: trio.Event
    sockets: Sockets
    readings: dict[str, Reading]
    """The monitors', which do not run here."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    async def get(self, path: str, **headers: str) -> Answer:
        return await request(self.port, "GET", path, headers=headers)

    async def offer(self, camera: str = GATE, body: str | bytes = OFFER, **headers: str) -> Answer:
        return await request(self.port, "POST", f"/whep/{camera}", body, {"Content-Type": "application/sdp", **headers})

    async def delete(self, location: str) -> Answer:
        return await request(self.port, "DELETE", location)

    async def handshake(self, query: str = "", path: str = "/ws/events", **headers: str) -> Answer:
        """Ask for a WebSocket, and be content with the answer: 101 when it would be opened."""
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        key = {"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
        return await request(self.port, "GET", f"{path}{query}", headers={**upgrade, **key, **headers})

    @asynccontextmanager
    async def socket(self, query: str = "", **headers: str) -> AsyncIterator[WebSocketConnection]:
        """A WebSocket to the events. The stream is ours: trio-websocket leaves it open when the server closes first."""
        fields = [(name.encode(), value.encode()) for name, value in headers.items()]
        host = f"127.0.0.1:{self.port}"
        async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream, trio.open_nursery() as nursery:
            opened = await wrap_client_stream(nursery, stream, host, f"/ws/events{query}", extra_headers=fields)
            yield opened
            nursery.cancel_scope.cancel()


async def message(socket: WebSocketConnection) -> Any:
    """The next message, as what its JSON says."""
    return json.loads(await socket.get_message())


@asynccontextmanager
async def open_site(
    *cameras: CameraId,
    limits: Limits | None = None,
    settings: WebSettings | None = None,
    make_actors: Callable[[Kernel], FakeActors] = FakeActors,
    is_proxy: Callable[[str], bool] = lambda peer: False,
    tls: Tls | None = None,
    refuse_not_live: bool = False,
    make_reloads: Callable[[Kernel], Reloads | None] = lambda kernel: None,
    access: Path | None = None,
    control: ControlPort | None = None,
    who: Principal | None = None,
    provider: LoginProvider | None = None,
) -> AsyncIterator[Site]:
    """`access` is the access file; without one, the site has no accounts. `who`: the principal of all requests."""
    async with open_core(*cameras, limits=limits) as core, trio.open_nursery() as nursery:
        accounts = None if access is None else Accounts(core.kernel, access, PlainHasher)
        shares = None if accounts is None else Shares(core.kernel, accounts)
        if accounts is not None:
            await accounts.restore()
        oidc = None if provider is None or accounts is None else Oidc(provider, core.kernel, accounts)
        actors, sockets, stop, stopped = make_actors(core.kernel), Sockets(), trio.Event(), trio.Event()
        reader, readings = MemoryReader(core.disk), dict[str, Reading]()
        gateway = Gateway(
            core.kernel,
            core.journal,
            core.feed,
            reader,
            actors,
            Leases(core.kernel),
            Detections(core.kernel),
            readings=readings,
            reloads=make_reloads(core.kernel),
            accounts=accounts,
            setup=None if accounts is None else Setup(core.kernel, accounts),
            shares=shares,
            provider=oidc,
            refuse_not_live=refuse_not_live,
        )
        port = gateway if who is None else limited(gateway, who)
        app = create_app(port, settings or WebSettings(), sockets)
        listener = listen("127.0.0.1", 0)

        async def serve(task_status: trio.TaskStatus[None]) -> None:
            await run_web(app, sockets, listener, stop, task_status, is_proxy=is_proxy, tls=tls, control=control)
            stopped.set()

        await nursery.start(partial(serve))
        yield Site(core, gateway, actors, listener.getsockname()[1], stop, stopped, sockets, readings)
        nursery.cancel_scope.cancel()
