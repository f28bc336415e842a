"""Hostile clients, all together, against a real daemon: no other client is affected, and it stops on request.

One daemon for all of it: the clients come, a viewer of the API is served among them, they go and leave nothing; they
come again, and SIGTERM ends the daemon in time.
"""

import json
import re
import resource
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import attrs
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from tests.kit.daemon import Daemon, open_daemon
from tests.kit.http import request
from tests.kit.processes import cpu_s, descriptors, wait_until
from web import serve

IDLE = 200
STOP_S = 5.0
ANSWER_S = 2.0
"""Maximum seconds for an answer to a healthy client, on a machine with other work."""
UPGRADE = (
    b"GET /ws/events?after=0 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
OFFER = (Path(__file__).parents[1] / "kit" / "chromium.sdp").read_text()


@attrs.define
class Crowd:
    """The connected clients, each kind on its own address: no address may exceed its share."""

    port: int
    nursery: trio.Nursery
    sockets: list[trio.socket.SocketType] = attrs.field(factory=list)
    fed: int = 0
    """Bytes that the slow ones have got rid of."""

    async def connect(self, host: str, room: int | None = None) -> trio.socket.SocketType:
        """A connection from `host`; `room` bounds what the kernel takes in for it."""
        client = trio.socket.socket()
        if room is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        await client.bind((host, 0))
        await client.connect(("127.0.0.1", self.port))
        self.sockets.append(client)
        return client

    async def never_reads(self) -> None:
        """Requests large answers repeatedly, and reads none of them."""
        for _ in range(10):
            client = await self.connect("127.0.1.1", room=2048)
            await client.send(b"GET /dashboard/main.js HTTP/1.1\r\nHost: x\r\n\r\n" * 200)

    async def half_open(self) -> None:
        """Half-closes its connection in the middle of a request, and keeps it open."""
        for data in (b"", b"GET / HT", b"POST /whep/bars HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nv=0"):
            client = await self.connect("127.0.1.2")
            await client.send(data)
            client.shutdown(socket.SHUT_WR)

    async def resets(self) -> None:
        """Vanishes in the middle of a request, of an answer, of a WebSocket."""
        for data in (b"GET / HTTP/1.1\r\nHo", b"GET /dashboard/main.js HTTP/1.1\r\nHost: x\r\n\r\n" * 9, UPGRADE):
            client = await self.connect("127.0.1.3", room=2048)
            await client.send(data)
            if data is UPGRADE:
                await client.recv(100)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()

    async def slow_headers(self) -> None:
        client = await self.connect("127.0.1.4")
        self.nursery.start_soon(self._drip, client, b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"y" * 500)

    async def slow_body(self) -> None:
        client = await self.connect("127.0.1.5")
        await client.send(
            b"POST /whep/bars HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\nContent-Length: 500\r\n\r\n"
        )
        self.nursery.start_soon(self._drip, client, b"v" * 500)

    async def _drip(self, client: trio.socket.SocketType, data: bytes) -> None:
        try:
            for at in range(len(data)):
                self.fed += await client.send(data[at : at + 1])
                await trio.sleep(1)
        except OSError:
            pass  # it was closed on request

    async def unread_websockets(self) -> None:
        """Subscribe to all events, and read none."""
        for _ in range(20):
            client = await self.connect("127.0.1.6", room=2048)
            await client.send(UPGRADE)

    async def silent_websockets(self) -> None:
        """Upgrade, read, and send nothing: no pong, no close."""
        for _ in range(5):
            client = await self.connect("127.0.1.7")
            await client.send(UPGRADE)
            self.nursery.start_soon(_swallow, client)

    async def idle(self) -> None:
        for number in range(IDLE):
            await self.connect(f"127.0.2.{1 + number % 4}")

    async def half_request(self, host: str) -> None:
        """It may have been ended before it could send, to make room."""
        client = await self.connect(host)
        with suppress(OSError):
            await client.send(b"GET / HTTP/1.1\r\nHost: lo")

    async def arrive(self) -> None:
        for come in WAYS:
            await come(self)


WAYS: tuple[Callable[[Crowd], Awaitable[None]], ...] = (
    Crowd.half_open,
    Crowd.resets,
    Crowd.slow_headers,
    Crowd.slow_body,
    Crowd.unread_websockets,
    Crowd.silent_websockets,
    Crowd.idle,
)


async def _swallow(client: trio.socket.SocketType) -> None:
    try:
        while await client.recv(65536):
            pass
    except OSError:
        pass


@asynccontextmanager
async def open_crowd(port: int) -> AsyncIterator[Crowd]:
    """All of them, until the end of the block: then each is gone at once."""
    async with trio.open_nursery() as nursery:
        crowd = Crowd(port, nursery)
        try:
            await crowd.arrive()
            yield crowd
        finally:
            nursery.cancel_scope.cancel()
            for client in crowd.sockets:
                client.close()


@asynccontextmanager
async def open_follower(port: int) -> AsyncIterator[WebSocketConnection]:
    """A healthy page."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream, trio.open_nursery() as nursery:
        yield await wrap_client_stream(nursery, stream, f"127.0.0.1:{port}", "/ws/events")
        nursery.cancel_scope.cancel()


async def follow(page: WebSocketConnection, kinds: list[str]) -> int | None:
    """Read until it is closed; returns the code."""
    try:
        while True:
            kinds.append(json.loads(await page.get_message())["type"])
    except ConnectionClosed as closed:
        return closed.reason.code if closed.reason else None


async def healthy(daemon: Daemon) -> None:
    """Send the requests of a healthy client, and check the time of each answer."""
    for path in ("/healthz", "/api/cameras/bars", "/api/events?after=0&limit=1000", "/"):
        answer = await request(daemon.port, "GET", path, within=ANSWER_S)
        assert answer.status == 200
    answer = await request(daemon.port, "POST", "/whep/bars", "no offer", {"Content-Type": "application/sdp"})
    assert answer.status == 400


async def make_events(daemon: Daemon, viewers: int) -> None:
    """Viewers that come and go, each some lines in the journal."""
    for _ in range(viewers):
        opened = await daemon.offer("bars", OFFER)
        assert opened.status == 201, opened.text
        assert (await request(daemon.port, "DELETE", opened.location)).status == 200


async def test_hostile_clients_change_nothing_for_others_and_do_not_keep_the_daemon(tmp_path: Path) -> None:
    """Events arrive, descriptors return, and the daemon stops within 5 s with code 1001 for readers."""
    async with open_daemon(tmp_path, {"bars": "test:64x64@5"}) as daemon:
        await daemon.wait_camera("bars", "live")
        await make_events(daemon, 3)
        await healthy(daemon)
        async with open_follower(daemon.port) as page:
            await page.get_message()
        before = await _settled(daemon)

        async with open_crowd(daemon.port) as crowd:
            await make_events(daemon, 30)
            for _ in range(5):
                await healthy(daemon)
            assert crowd.fed > 0
            assert len(descriptors(daemon.pid)) >= before + IDLE
        await wait_until(
            lambda: len(descriptors(daemon.pid)) <= before, 20, what=f"back to {before} descriptors, once they are gone"
        )
        assert daemon.process.poll() is None, daemon.output
        camera = await daemon.camera("bars")
        assert (camera["state"], camera["last_frame_age_ms"] < 2000) == ("live", True)

        kinds: list[str] = []
        codes: list[int | None] = []
        async with open_crowd(daemon.port), open_follower(daemon.port) as page, trio.open_nursery() as nursery:

            async def stay() -> None:
                codes.append(await follow(page, kinds))

            nursery.start_soon(stay)
            await make_events(daemon, 10)
            await wait_until(lambda: "events" in kinds, what="events for the page that reads")
            assert await daemon.end(within=STOP_S) == 0
            await wait_until(lambda: codes, what="the end of the page")
        assert codes == [1001]
        assert "Traceback" not in daemon.output, daemon.output


async def test_descriptors_of_clients_that_left_unanswered_requests_are_released(tmp_path: Path) -> None:
    """The descriptors of connections with unsent answers are released within 12 s."""
    async with open_daemon(tmp_path, {"bars": "test:64x64@5"}) as daemon:
        await healthy(daemon)
        before = await _settled(daemon)
        async with trio.open_nursery() as nursery:
            crowd = Crowd(daemon.port, nursery)
            await crowd.never_reads()
            await healthy(daemon)
            for client in crowd.sockets:
                client.close()
        await wait_until(lambda: len(descriptors(daemon.pid)) <= before, 12, what="the end of their connections")
        assert "Traceback" not in daemon.output, daemon.output


async def test_daemon_without_descriptors_serves_on_in_silence(tmp_path: Path) -> None:
    """Idle connections are replaced and counted, without a traceback, a log line per attempt, or a busy loop."""
    async with open_daemon(tmp_path, {"bars": "test:64x64@5"}) as daemon:
        await daemon.wait_camera("bars", "live")
        await healthy(daemon)
        few = await _settled(daemon) + 12
        _, hard = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (few, hard))
        async with trio.open_nursery() as nursery:
            crowd = Crowd(daemon.port, nursery)
            for number in range(40):
                await crowd.half_request(f"127.0.2.{1 + number % 4}")
            began = cpu_s(daemon.pid)
            answer = await request(daemon.port, "GET", "/metrics", within=15)
            assert answer.status == 200
            assert metric(answer.text, "no_resources") > 0
            assert cpu_s(daemon.pid) - began < 10
            for client in crowd.sockets:
                client.close()
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (hard, hard))
        await healthy(daemon)
        assert daemon.process.poll() is None
        assert ("Traceback" in daemon.output, daemon.output.count("\n") < 20) == (False, True), daemon.output


async def test_half_requests_on_all_connections_do_not_block_other_clients(tmp_path: Path) -> None:
    """Five addresses hold the maximum number of connections; other clients are served meanwhile."""
    async with open_daemon(tmp_path, {"bars": "test:64x64@5"}) as daemon, trio.open_nursery() as nursery:
        await daemon.wait_camera("bars", "live")
        crowd = Crowd(daemon.port, nursery)
        for number in range(serve.MAX_CONNECTIONS + serve.MAX_PER_CLIENT):
            await crowd.half_request(f"127.0.3.{1 + number % 5}")
        for _ in range(5):
            await healthy(daemon)
        text = (await request(daemon.port, "GET", "/metrics")).text
        assert metric(text, "replaced") > 0
        assert (metric(text, "all_are_taken"), "Traceback" in daemon.output) == (0, False)
        for client in crowd.sockets:
            client.close()


def metric(text: str, reason: str) -> float:
    found = re.search(rf'banken_connections_refused_total{{reason="{reason}"}} (\S+)', text)
    assert found is not None
    return float(found[1])


async def _settled(daemon: Daemon) -> int:
    """Return the number of file descriptors once it is stable."""
    seen: list[int] = []

    def same() -> bool:
        seen.append(len(descriptors(daemon.pid)))
        return len(seen) > 50 and len(set(seen[-50:])) == 1

    await wait_until(same, 10, what="a number of descriptors that stays")
    return seen[-1]
