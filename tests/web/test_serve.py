"""The server: one connection's trouble is that connection's, and stopping takes as long as we say."""

import logging
import socket

import h11
import pytest
import trio

from tests.kit.http import request
from tests.kit.processes import wait_until
from tests.kit.site import Site, open_site
from web import app, serve
from web.serve import listen

H2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
H2_BAD_PATH = bytes([0x82, 0x86, 0x04, 3]) + b"/\xff\xfe" + bytes([0x41, 1]) + b"x"
"""HPACK: method GET, scheme http, a path that is not ASCII, an authority."""
H2_REQUEST = len(H2_BAD_PATH).to_bytes(3) + bytes([1, 5, 0, 0, 0, 1]) + H2_BAD_PATH
UPGRADE = (
    b"GET /ws/events HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


@pytest.mark.parametrize(
    "data",
    [
        H2_PREFACE + H2_REQUEST,
        b"\x00" * 1000,
        b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 100_000,
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /whep/gate HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nhalf",
    ],
    ids=["a path that crashes hypercorn", "zeros", "a huge header", "a bad path", "half a body"],
)
async def test_a_hostile_connection_harms_nobody_else(data: bytes) -> None:
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
        with trio.fail_after(5):
            try:
                assert await refused.receive_some() == b""
            except trio.BrokenResourceError:
                pass
        for stream in (*streams, refused):
            await stream.aclose()

        await served_again(site)


async def served_again(site: Site) -> None:
    """There is room for one more client."""

    async def served() -> bool:
        try:
            return (await request(site.port, "GET", "/healthz", within=1)).status == 200
        except (OSError, trio.BrokenResourceError, trio.TooSlowError, h11.RemoteProtocolError):
            return False

    with trio.fail_after(5):
        while not await served():
            await trio.lowlevel.checkpoint()


async def unread(site: Site) -> trio.SocketStream:
    """A client that has asked for much and takes nothing of it."""
    client = trio.socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    await client.connect(("127.0.0.1", site.port))
    await client.send(b"GET /dashboard/main.js HTTP/1.1\r\nHost: x\r\n\r\n" * 200)
    return trio.SocketStream(client)


async def test_who_asks_for_much_reads_nothing_and_goes_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
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


async def test_who_asks_for_much_reads_nothing_and_stays_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "MAX_PER_CLIENT", 1)
    monkeypatch.setattr(serve, "UNREAD_MS", 500)
    async with open_site() as site, await unread(site):
        await trio.testing.wait_all_tasks_blocked(0.05)
        await served_again(site)


async def test_a_websocket_that_answers_no_ping_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although it takes all that is sent, and nobody has ended the connection: as a proxy does for who has gone."""
    monkeypatch.setattr(serve, "SILENT_MS", 200)
    monkeypatch.setattr(serve, "LOOK_EVERY_S", 0.05)
    async with open_site() as site, await trio.open_tcp_stream("127.0.0.1", site.port) as stream:
        await stream.send_all(UPGRADE)
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 101")
        with trio.fail_after(10):
            try:
                while await stream.receive_some():
                    pass
            except trio.BrokenResourceError:
                pass
            while site.sockets.statistics().open:
                await trio.lowlevel.checkpoint()


async def test_who_only_asks_now_and_then_is_not_asked_for_a_ping(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is kept for the next request has its own end."""
    looked: list[int | None] = []
    silence_ms = serve._silence_ms

    def look(connected: trio.socket.SocketType) -> int | None:
        looked.append(silence_ms(connected))
        return looked[-1] and 10**6

    monkeypatch.setattr(serve, "_silence_ms", look)
    monkeypatch.setattr(serve, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(serve, "LINGER_S", 0.01)
    async with open_site() as site, await trio.open_tcp_stream("127.0.0.1", site.port) as stream:
        for turn in range(2):
            await stream.send_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while not answer.endswith(b'{"alive":true}'):
                part = await stream.receive_some()
                assert part, "ended"
                answer += part
            await wait_until(lambda turn=turn: len(looked) > 20 * (turn + 1), 10)  # type: ignore[misc]


async def test_whatever_comes_from_a_client_is_a_sign_of_life() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()) as client:
        accepted, _ = listener.accept()
        with trio.socket.from_stdlib_socket(accepted) as connected:
            client.send(b"one")
            await wait_until(lambda: (serve._silence_ms(connected) or 0) > 300, 10)
            client.send(b"two")
            await wait_until(lambda: (serve._silence_ms(connected) or 0) < 300, 10)
            client.close()
            await wait_until(lambda: serve._silence_ms(connected) is None, 10)


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
        with trio.fail_after(5):
            while part := await stream.receive_some():
                answer += part
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert (await site.get("/healthz")).status == 200


async def test_who_does_not_wait_for_the_upgrade_is_refused_without_noise(caplog: pytest.LogCaptureFixture) -> None:
    async with open_site() as site:
        for behind in (b"\x81\x85abcdabcde", b"\x00" * 10, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 9):
            async with await trio.open_tcp_stream("127.0.0.1", site.port) as stream:
                await stream.send_all(UPGRADE + behind)
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 400")
                with trio.fail_after(5):
                    while await stream.receive_some():
                        pass
        assert (await site.get("/healthz")).status == 200
    assert len(caplog.records) <= 3
    assert not [record.getMessage() for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]


async def test_stopping_does_not_wait_for_who_does_not_read() -> None:
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
    with listen("127.0.0.1", 0) as first, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", first.getsockname()[1])
