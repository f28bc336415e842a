"""An RTSP server over a real kernel and a fake camera: what readers see of banken, in trio's virtual time."""

import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
import trio

from actors.media.hub import Hub
from actors.media.media import CLOCK_RATE, AudioFormat
from actors.media.rendition import Rendition
from actors.rtsp_server.actor import ReaderActor
from actors.rtsp_server.readers import Readers
from actors.rtsp_server.server import RtspServer
from supervisor.base.clock import TrioClock
from supervisor.domain.ids import CameraId, PeerId
from supervisor.domain.values import Limits, Reason
from supervisor.ports.reader_logins import ReaderLogins
from supervisor.ports.statistics import PeerStatistics
from supervisor.runtime.kernel import Kernel

from .core import Core, open_core
from .domain import GATE
from .media import FPS, access_units
from .tools import make_tools

MANY = Limits(journaled_burst=100_000, journaled_rate=1000.0, peers=1000, peers_per_camera=1000, peers_per_client=1000)


class TrustingLogins:
    """Every reader reads without a login."""

    def trusts(self, client: str) -> bool:
        return True

    def keys(self, token: str) -> None:
        return None

    def principal(self, token: str) -> str:
        return ""

    def fail(self, token: str, client: str) -> float:
        raise AssertionError("nobody logs in here")

    def advice(self) -> str:
        raise AssertionError("nobody logs in here")


@attrs.define
class Site:
    """A camera called `gate`, whose hub the test feeds, and a server for its readers."""

    core: Core
    hub: Hub
    readers: Readers
    port: int
    _nursery: trio.Nursery
    serving: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    """Ends the server."""
    clients: list[trio.SocketStream] = attrs.field(factory=list)
    """Closed at the end."""
    _actors: dict[PeerId, ReaderActor] = attrs.field(factory=dict)

    async def open_reader(self, camera: CameraId, actor: ReaderActor) -> Readers:
        self._actors[actor.peer] = actor
        readers: Readers = await self._nursery.start(actor.run, self.readers)
        return readers

    def stop(self, peer: PeerId, reason: Reason) -> None:
        """As reconciling does for a peer that is closing."""
        self._actors[peer].stop(reason)

    def statistics(self, peer: PeerId) -> PeerStatistics | None:
        return self._actors[peer].statistics()

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/gate"

    async def play(self, first: int, last: int, size: int = 0) -> None:
        """Publish access units at their pace, the first at once; each with a NAL unit of `size` bytes more."""
        for index in range(first, last):
            units = access_units()[index % 40]
            more = (b"\x06" + bytes([index % 251]) * size,) if size else ()
            self.hub.publish((*units, *more), index * CLOCK_RATE // FPS)
            await trio.sleep(1 / FPS)

    def hear(self, audio: AudioFormat) -> None:
        self.hub.set_audio(audio)


@asynccontextmanager
async def open_site(
    limits: Limits = MANY,
    kind: type[socket.socket] = socket.socket,
    make_logins: Callable[[Kernel], ReaderLogins] = lambda _: TrustingLogins(),
) -> AsyncIterator[Site]:
    """A server on 127.0.0.1. At the end no task, socket or peer may be left."""
    async with open_core(GATE, limits=limits) as core:
        hub = Hub(TrioClock())
        hub.begin()
        rendition = Rendition(hub, TrioClock())
        readers = Readers(hub, TrioClock(), Readers(rendition.hub, TrioClock(), made=rendition))
        with kind() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            listener.setblocking(False)
            async with trio.open_nursery() as nursery:
                site = Site(core, hub, readers, listener.getsockname()[1], nursery)
                server = RtspServer(listener, make_tools(core.kernel, core.nursery), site, make_logins(core.kernel))
                nursery.start_soon(readers.run)
                nursery.start_soon(_serve, server, site.serving)
                yield site
                for client in site.clients:
                    await trio.aclose_forcefully(client)
                nursery.cancel_scope.cancel()
        assert not core.kernel.state.peers
        assert not core.kernel.state.leases


async def _serve(server: RtspServer, scope: trio.CancelScope) -> None:
    with scope:
        await server.run()


@attrs.define
class Client:
    """A player that does what the test says."""

    stream: trio.SocketStream
    data: bytearray = attrs.field(factory=bytearray)
    sequence: int = 0
    session: str = ""

    @classmethod
    async def connect(cls, site: Site, room: int | None = None) -> "Client":
        """`room` bounds the bytes that the kernel takes in for it."""
        client = trio.socket.socket()
        if room is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        await client.connect(("127.0.0.1", site.port))
        stream = trio.SocketStream(client)
        site.clients.append(stream)
        return cls(stream)

    async def more(self) -> None:
        """Read what comes. Raises `EOFError` at the end."""
        chunk = await self.stream.receive_some(65_536)
        if not chunk:
            raise EOFError(bytes(self.data[:200]))
        self.data += chunk

    def encode(self, method: str, url: str, headers: dict[str, str] | None = None) -> bytes:
        self.sequence += 1
        fields = {"CSeq": str(self.sequence), **({"Session": self.session} if self.session else {}), **(headers or {})}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"{method} {url} RTSP/1.0\r\n{lines}\r\n".encode()

    async def ask(self, method: str, url: str, headers: dict[str, str] | None = None) -> "Answered":
        await self.stream.send_all(self.encode(method, url, headers))
        return await self.answer()

    async def answer(self) -> "Answered":
        """The next answer; frames before it are dropped."""
        while True:
            while self.data[:1] == b"$":
                await self.frame()
            end = self.data.find(b"\r\n\r\n")
            if end >= 0:
                break
            await self.more()
        first, *lines = self.data[:end].decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        size = int(headers.get("content-length", "0"))
        while len(self.data) < end + 4 + size:
            await self.more()
        body = self.data[end + 4 : end + 4 + size].decode()
        del self.data[: end + 4 + size]
        self.session = headers.get("session", self.session).partition(";")[0]
        return Answered(int(first.split()[1]), headers, body)

    async def frame(self) -> tuple[int, bytes]:
        """The next interleaved frame: its channel and its packet."""
        while len(self.data) < 4:
            await self.more()
        mark, channel, size = struct.unpack(">BBH", self.data[:4])
        assert mark == 0x24, bytes(self.data[:80])
        while len(self.data) < 4 + size:
            await self.more()
        packet = bytes(self.data[4 : 4 + size])
        del self.data[: 4 + size]
        return channel, packet

    async def play(self, site: Site, transport: str = "RTP/AVP/TCP;unicast;interleaved=0-1") -> "Answered":
        """DESCRIBE, SETUP of the video, and PLAY."""
        assert (await self.ask("DESCRIBE", site.url)).status == 200
        assert (await self.ask("SETUP", f"{site.url}/trackID=0", {"Transport": transport})).status == 200
        return await self.ask("PLAY", site.url)

    async def pictures(self, count: int) -> list[int]:
        """The RTP time stamps of the next `count` access units of channel 0."""
        stamps: list[int] = []
        while len(stamps) < count:
            channel, packet = await self.frame()
            if channel == 0 and packet[1] & 0x80:
                stamps.append(int.from_bytes(packet[4:8]))
        return stamps


@attrs.frozen
class Answered:
    status: int
    headers: dict[str, str]
    body: str
