"""WebSockets: no compression, bounded messages, and an end for who does not answer."""

import socket
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio

from tests.kit.hostile.web import frame
from tests.kit.patience import give_up_after
from tests.kit.processes import wait_until
from tests.kit.site import Site, open_site
from web import refusals, serve, websocket_stream

UPGRADE = (
    b"GET /ws/events?after=99 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)
OFFERS = [
    b"permessage-deflate",
    b"PERMESSAGE-DEFLATE; client_max_window_bits",
    b"permessage-deflate; server_no_context_takeover, x-webkit-deflate-frame",
    b"x\r\nSec-WebSocket-Extensions: permessage-deflate",
]


@asynccontextmanager
async def open_socket(
    site: Site, offer: bytes = b"", room: int | None = None
) -> AsyncIterator[tuple[trio.SocketStream, bytes]]:
    """A WebSocket as bytes, and the head of the answer to it. `room` bounds what the kernel takes in for it."""
    extensions = b"Sec-WebSocket-Extensions: " + offer + b"\r\n" if offer else b""
    client = trio.socket.socket()
    if room is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    await client.connect(("127.0.0.1", site.port))
    async with trio.SocketStream(client) as stream:
        await stream.send_all(UPGRADE + extensions + b"\r\n")
        answer = b""
        while b"\r\n\r\n" not in answer:
            part = await stream.receive_some()
            assert part
            answer += part
        assert answer.startswith(b"HTTP/1.1 101")
        yield stream, answer.partition(b"\r\n\r\n")[0]


async def read_to_the_end(stream: trio.SocketStream, within: float = 10) -> bytes:
    data = b""
    with give_up_after(within):
        try:
            while part := await stream.receive_some():
                data += part
        except trio.BrokenResourceError:
            pass
    return data


def close_code(data: bytes) -> int:
    """The code of the last frame, which is a close frame."""
    at = data.rindex(b"\x88")
    return int.from_bytes(data[at + 2 : at + 4])


@pytest.mark.parametrize("offer", OFFERS)
async def test_compression_is_never_negotiated(offer: bytes) -> None:
    """No form of the offer leads to `Sec-WebSocket-Extensions` in the answer."""
    async with open_site() as site, open_socket(site, offer) as (_, head):
        assert b"sec-websocket-extensions" not in head.lower()


@pytest.mark.parametrize("flags", [0x40, 0x20, 0x10, 0x70])
@pytest.mark.parametrize("opcode", [1, 2, 0, 9, 10])
async def test_frame_with_a_reserved_bit_ends_the_websocket(flags: int, opcode: int) -> None:
    """A compressed frame is a protocol error (1002), and nothing is inflated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(b"a" * 2**16) + packer.flush(zlib.Z_SYNC_FLUSH)
    async with open_site() as site, open_socket(site, b"permessage-deflate") as (stream, _):
        await stream.send_all(frame(opcode, packed[:100], flags=flags))
        assert close_code(await read_to_the_end(stream)) == 1002
        await wait_until(lambda: not site.sockets.statistics().open, 5)


async def test_large_message_ends_the_websocket() -> None:
    """Beyond 64 KiB: 1009, the place is free again, and what else the client sends is not looked at."""
    async with open_site() as site, open_socket(site) as (stream, _):
        await stream.send_all(frame(1, b"x" * 65_000, fin=False))
        await stream.send_all(frame(0, b"x" * 65_000, fin=False))
        assert close_code(await read_to_the_end(stream)) == 1009
        await wait_until(lambda: not site.sockets.statistics().open, 5)


async def test_message_of_many_fragments_ends_the_websocket() -> None:
    """Also when they are empty; a message of a few fragments is read as one."""
    async with open_site() as site:
        async with open_socket(site) as (stream, _):
            await stream.send_all(frame(1, b"", fin=False) + frame(0, b"", fin=False) * 1000)
            assert close_code(await read_to_the_end(stream)) == 1009
        async with open_socket(site) as (stream, _):
            await stream.send_all(frame(1, b"{", fin=False) + frame(0, b"", fin=False) * 100 + frame(0, b"}"))
            with give_up_after(5):
                data = b""
                while b'"reply"' not in data:
                    data += await stream.receive_some()


async def test_many_small_frames_leave_other_tasks_their_turns() -> None:
    """Ten thousand frames in one packet: others run in between."""
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with open_site() as site, open_socket(site) as (stream, _), trio.open_nursery() as nursery:
        before = websocket_stream.EVENTS_AT_ONCE
        pongs = frame(10) * 10_000
        nursery.start_soon(count_turns)
        await stream.send_all(pongs + frame(8, (1000).to_bytes(2)))
        await read_to_the_end(stream)
        assert turns >= 10_000 // before
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("talks", [False, True], ids=["silent", "sends messages"])
async def test_websocket_without_pongs_is_closed_after_two_pings(talks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although it reads, and whether it sends data or not: a client that is alive answers pings."""
    monkeypatch.setattr(serve, "PING_EVERY_S", 0.1)
    async with open_site() as site, open_socket(site) as (stream, _), trio.open_nursery() as nursery:

        async def talk() -> None:
            try:
                while True:
                    await stream.send_all(frame(1, b"{}"))
                    await trio.sleep(0.01)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass

        if talks:
            nursery.start_soon(talk)
        data = await read_to_the_end(stream)
        nursery.cancel_scope.cancel()
        assert data.count(b"\x89\x00") == 2
        assert (close_code(data), b"2 pings without an answer" in data) == (1008, True)
        await wait_until(lambda: not site.sockets.statistics().open, 5)
        assert refusals.totals() == {refusals.Refusal.UNANSWERED_PINGS: 1}


async def test_websocket_with_pongs_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pong counts, also one that nobody asked for; ten pings later it is still open."""
    monkeypatch.setattr(serve, "PING_EVERY_S", 0.05)
    async with open_site() as site, open_socket(site) as (stream, _):
        pings = 0
        with give_up_after(10):
            while pings < 10:
                data = await stream.receive_some()
                assert data
                pings += data.count(b"\x89\x00")
                await stream.send_all(frame(10, b"anything"))
        assert site.sockets.statistics().open == 1


async def test_websocket_that_reads_nothing_and_answers_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pings wait behind what it does not read; the count goes on all the same."""
    monkeypatch.setattr(serve, "PING_EVERY_S", 0.2)
    async with open_site() as site, open_socket(site, room=2048) as (stream, _):
        with suppress(trio.BrokenResourceError), give_up_after(5):
            await stream.send_all(frame(9, b"x" * 100) * 100_000)  # each asks for an answer that it does not read
        await wait_until(lambda: not site.sockets.statistics().open, 5)
