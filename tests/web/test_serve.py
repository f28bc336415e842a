"""The server: one connection's trouble is that connection's, and stopping takes as long as we say."""

import errno
import logging
import socket
from contextlib import AsyncExitStack

import h11
import pytest
import trio
import trio.testing
from hypercorn.events import Event, RawData
from quart_trio import QuartTrio

from supervisor.domain.clients import network_of
from tests.kit.http import request
from tests.kit.patience import give_up_after
from tests.kit.processes import wait_until
from tests.kit.site import Site, open_site
from web import app, refusals, serve
from web.http1 import Http1Protocol
from web.refusals import Refusal
from web.serve import listen

UPGRADE = (
    b"GET /ws/events HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


@pytest.mark.parametrize(
    "data",
    [
        b"\x00" * 1000,
        b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 100_000,
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /whep/gate HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nhalf",
    ],
    ids=["zeros", "a huge header", "a bad path", "half a body"],
)
async def test_hostile_connection_does_not_affect_other_clients(data: bytes) -> None:
    """After zeros, a huge header, a bad path or half a body, another client gets 200."""
    async with open_site() as site:
        async with await trio.open_tcp_stream("127.0.0.1", site.port) as stream:
            await stream.send_all(data)
            await stream.send_eof()
            with trio.move_on_after(5):
                while await stream.receive_some():
                    pass
        assert (await site.get("/healthz")).status == 200


async def test_connections_are_bounded_for_each_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one is closed at once, and served again when another has gone."""
    monkeypatch.setattr(serve, "MAX_PER_CLIENT", 3)
    async with open_site() as site:
        streams = [await trio.open_tcp_stream("127.0.0.1", site.port) for _ in range(3)]
        await trio.testing.wait_all_tasks_blocked(0.05)
        refused = await trio.open_tcp_stream("127.0.0.1", site.port)
        with give_up_after(5):
            try:
                assert await refused.receive_some() == b""
            except trio.BrokenResourceError:
                pass
        for stream in (*streams, refused):
            await stream.aclose()

        await served_again(site)


async def connect(site: Site, host: str, data: bytes = b"") -> trio.SocketStream:
    """A connection from `host`, on which `data` has been sent."""
    client = trio.socket.socket()
    await client.bind((host, 0))
    await client.connect(("127.0.0.1", site.port))
    await client.send(data)
    return trio.SocketStream(client)


async def ended(stream: trio.SocketStream) -> bool:
    """Whether the server ends it, whatever it sends before."""
    with trio.move_on_after(5):
        try:
            while await stream.receive_some():
                pass
        except trio.BrokenResourceError:
            pass
        return True
    return False


async def test_trusted_proxy_may_hold_more_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """448 instead of 128: many people come through it. Other peers keep their share."""
    assert (serve.MAX_CONNECTIONS, serve.MAX_PER_CLIENT, serve.MAX_PER_PROXY) == (512, 128, 448)
    monkeypatch.setattr(serve, "MAX_PER_CLIENT", 2)
    monkeypatch.setattr(serve, "MAX_PER_PROXY", 4)
    async with open_site(is_proxy=lambda peer: peer == "127.0.0.2") as site, AsyncExitStack() as stack:
        for host, share in (("127.0.0.2", 4), ("127.0.0.3", 2)):
            for _ in range(share):
                await stack.enter_async_context(await connect(site, host))
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert await ended(await stack.enter_async_context(await connect(site, host)))
        assert refusals.totals() == {Refusal.PEER_HAS_ITS_SHARE: 2}


async def test_half_requests_of_few_peers_do_not_block_other_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """When all connections are taken, a new one replaces the oldest idle one of the peer that holds most of these."""
    monkeypatch.setattr(serve, "MAX_CONNECTIONS", 8)
    monkeypatch.setattr(serve, "MAX_PER_CLIENT", 5)
    async with open_site() as site, AsyncExitStack() as stack:
        small = await stack.enter_async_context(await connect(site, "127.0.0.3", b"GET / HTTP/1.1\r\nHost: x"))
        many = [await stack.enter_async_context(await connect(site, "127.0.0.2", b"GET / HT")) for _ in range(5)]
        busy = [await stack.enter_async_context(await connect(site, "127.0.0.4", UPGRADE)) for _ in range(2)]
        for socket_of_page in busy:
            assert (await socket_of_page.receive_some()).startswith(b"HTTP/1.1 101")
        for _ in range(3):
            assert (await site.get("/healthz")).status == 200
        assert await ended(many[0])
        await small.send_all(b"\r\nConnection: close\r\n\r\n")
        assert (await small.receive_some()).startswith(b"HTTP/1.1 200")
        assert refusals.totals()[Refusal.REPLACED] >= 1
        assert site.sockets.statistics().open == 2


async def test_connections_that_are_all_in_use_are_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only an idle connection is closed; without one, the new connection is refused."""
    monkeypatch.setattr(serve, "MAX_CONNECTIONS", 2)
    async with open_site() as site, AsyncExitStack() as stack:
        for _ in range(2):
            page = await stack.enter_async_context(await connect(site, "127.0.0.4", UPGRADE))
            assert (await page.receive_some()).startswith(b"HTTP/1.1 101")
        assert await ended(await stack.enter_async_context(await connect(site, "127.0.0.5")))
        assert refusals.totals() == {Refusal.ALL_ARE_TAKEN: 1}
        assert site.sockets.statistics().open == 2


async def test_refusals_are_logged_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A hundred refusals are one line, with the client and the number; the metric counts them."""
    monkeypatch.setattr(serve, "MAX_PER_CLIENT", 1)
    async with open_site() as site, AsyncExitStack() as stack:
        await stack.enter_async_context(await connect(site, "127.0.0.2"))
        await trio.testing.wait_all_tasks_blocked(0.05)
        for _ in range(100):
            async with await connect(site, "127.0.0.2") as refused:
                assert await ended(refused)
        assert not caplog.records
        refusals.log_now()
        refusals.log_now()
        assert [record.getMessage() for record in caplog.records] == [
            "connections refused: peer has its share: 100 (127.0.0.2 100)"
        ]
        text = (await site.get("/metrics")).text
        assert 'banken_connections_refused_total{reason="peer_has_its_share"} 100.0' in text
        assert 'banken_connections_refused_total{reason="no_resources"} 0.0' in text


async def test_addresses_of_one_network_share_its_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere, an IPv6 client is its /64; whether it is a proxy is asked of its address."""
    monkeypatch.setattr(serve, "network_of", lambda peer: network_of(peer.replace("127.0.0.", "2001:db8::")))
    monkeypatch.setattr(serve, "MAX_PER_CLIENT", 2)
    asked: list[str] = []

    def is_proxy(peer: str) -> bool:
        asked.append(peer)
        return False

    async with open_site(is_proxy=is_proxy) as site, AsyncExitStack() as stack:
        for host in ("127.0.0.2", "127.0.0.3"):
            await stack.enter_async_context(await connect(site, host, b"GET"))
        async with await connect(site, "127.0.0.4", b"GET") as stream:
            assert await ended(stream)
        assert asked == ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
        assert refusals.totals() == {Refusal.PEER_HAS_ITS_SHARE: 1}


async def test_refusals_of_many_clients_take_bounded_memory() -> None:
    """Clients beyond the table's size are counted together; the sum stays right."""
    for number in range(1000):
        refusals.count(Refusal.ALL_ARE_TAKEN, f"192.0.2.{number}")
    table = refusals._here()
    assert len(table.minute) <= refusals.MAX_CLIENTS + len(Refusal)
    assert (table.minute.total(), table.total.total()) == (1000, 1000)


class Exhausted(trio.abc.Listener[trio.SocketStream]):
    """A listener without descriptors, as often as `refusals` says, then for ever without connections."""

    def __init__(self, refusals: list[int]) -> None:
        self.refusals = refusals
        self.over = trio.Event()

    async def accept(self) -> trio.SocketStream:
        await trio.lowlevel.checkpoint()
        if self.refusals:
            raise OSError(self.refusals.pop(), "none left")
        self.over.set()
        return await trio.sleep_forever()

    async def aclose(self) -> None:
        pass


async def test_accept_without_descriptors_is_counted_and_tried_again(
    caplog: pytest.LogCaptureFixture, autojump_clock: trio.testing.MockClock
) -> None:
    """No traceback and no busy loop: ten attempts a second. Another error is a bug, and ends the server."""
    listener = Exhausted([errno.EMFILE, errno.ENFILE, errno.ENOMEM] * 10)
    async with trio.open_nursery() as nursery:
        connections = serve.Connections(QuartTrio("nothing"), lambda peer: False)
        began = trio.current_time()
        nursery.start_soon(connections.accept, listener, nursery)
        await listener.over.wait()
        assert 2.8 < trio.current_time() - began < 3.1
        assert refusals.totals() == {Refusal.NO_RESOURCES: 30}
        assert not caplog.records
        nursery.cancel_scope.cancel()
    with pytest.raises(OSError, match="none left"):
        await connections.accept(Exhausted([errno.EINVAL]), nursery)


async def test_crash_of_the_http_server_ends_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is counted; the server and the other connections go on."""

    async def crash(self: Http1Protocol, event: Event) -> None:
        if isinstance(event, RawData) and event.data.startswith(b"GET /crash"):
            raise RuntimeError("too much")
        await handle(self, event)

    handle = Http1Protocol.handle
    monkeypatch.setattr(Http1Protocol, "handle", crash)
    async with open_site() as site:
        async with await connect(site, "127.0.0.2", b"GET /crash HTTP/1.1\r\nHost: x\r\n\r\n") as stream:
            assert await ended(stream)
        assert (await site.get("/healthz")).status == 200
        assert refusals.totals() == {Refusal.CRASHED: 1}


async def test_bad_websocket_handshake_ends_the_connection() -> None:
    """Hypercorn answers 400 and would then keep the connection for ever."""
    bad = UPGRADE.replace(b"Sec-WebSocket-Key", b"X-Key")
    async with open_site() as site, await connect(site, "127.0.0.2", bad) as stream:
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 400")
        assert await ended(stream)


async def served_again(site: Site) -> None:
    """There is room for one more client."""

    async def served() -> bool:
        try:
            return (await request(site.port, "GET", "/healthz", within=1)).status == 200
        except (OSError, trio.BrokenResourceError, trio.TooSlowError, h11.RemoteProtocolError):
            return False

    with give_up_after(5):
        while not await served():
            await trio.lowlevel.checkpoint()


async def unread(site: Site) -> trio.SocketStream:
    """A client that has asked for much and takes nothing of it."""
    client = trio.socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    await client.connect(("127.0.0.1", site.port))
    await client.send(b"GET /dashboard/main.js HTTP/1.1\r\nHost: x\r\n\r\n" * 200)
    return trio.SocketStream(client)


async def test_client_that_reads_nothing_and_leaves_frees_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its requests wait for their turn, and nobody reads that it has gone; the listening socket lives on."""
    monkeypatch.setattr(serve, "MAX_PER_CLIENT", 3)
    monkeypatch.setattr(serve, "LOOK_EVERY_S", 0.2)
    async with open_site() as site:
        for _ in range(2):
            clients = [await unread(site) for _ in range(3)]
            await trio.testing.wait_all_tasks_blocked(0.05)
            for client in clients:
                await client.aclose()
            await served_again(site)


async def test_client_that_reads_nothing_and_stays_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection is closed after UNREAD_MS, and the next client of the same address is served."""
    monkeypatch.setattr(serve, "MAX_PER_CLIENT", 1)
    monkeypatch.setattr(serve, "UNREAD_MS", 500)
    async with open_site() as site, await unread(site):
        await trio.testing.wait_all_tasks_blocked(0.05)
        await served_again(site)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST /whep/gate HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\nContent-Length: 500", b"408"),
        (b"POST /whep/gate HTTP/1.1\r\nHost: x\r\nContent-Length: 500", b"415"),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 500", b"200"),
    ],
    ids=["is waited for", "is not wanted", "is not looked at"],
)
async def test_a_body_that_comes_too_slowly_is_not_waited_for(
    head: bytes, status: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer comes, and then the end, although the client would go on."""
    monkeypatch.setattr(app, "BODY_TIMEOUT_S", 0.2)
    async with open_site() as site, await trio.open_tcp_stream("127.0.0.1", site.port) as stream:
        await stream.send_all(head + b"\r\n\r\nv=0")
        answer = b""
        with give_up_after(5):
            while part := await stream.receive_some():
                answer += part
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert (await site.get("/healthz")).status == 200


async def test_bytes_before_the_upgrade_get_400_without_a_log(caplog: pytest.LogCaptureFixture) -> None:
    """Bytes sent before the handshake is answered get 400, and no error is logged."""
    async with open_site() as site:
        for behind in (b"\x81\x85abcdabcde", b"\x00" * 10, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 9):
            async with await trio.open_tcp_stream("127.0.0.1", site.port) as stream:
                await stream.send_all(UPGRADE + behind)
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 400")
                with give_up_after(5):
                    while await stream.receive_some():
                        pass
        assert (await site.get("/healthz")).status == 200
    assert len(caplog.records) <= 3
    assert not [record.getMessage() for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]


async def test_stop_resets_clients_that_do_not_read() -> None:
    """Clients that ask for much and read nothing, sockets that say nothing: all are reset, within the grace."""
    async with open_site() as site:
        sleepers = [await unread(site) for _ in range(20)]
        sleepers.append(await trio.open_tcp_stream("127.0.0.1", site.port))
        await trio.testing.wait_all_tasks_blocked(0.05)
        began = trio.current_time()
        site.stop.set()
        await wait_until(site.stopped.is_set, 10)
        assert trio.current_time() - began < serve.DRAIN_S + serve.GRACE_S + 1
        for sleeper in sleepers:
            await sleeper.aclose()


def test_an_address_in_use_is_an_error_at_once() -> None:
    """`listen` raises OSError before the server starts."""
    with listen("127.0.0.1", 0) as first, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", first.getsockname()[1])
