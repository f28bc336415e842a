"""A viewer's sockets: what comes is given to whom it is for, and nothing of them is left."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import attrs
import trio
import trio_asyncio
from trio_asyncio import aio_as_trio

from actors.rtc.endpoint import AT_ONCE, Endpoints
from tests.kit.processes import descriptors, wait_until

REPORT, MEDIA, CHECK, HELLO = b"\x81\xc9report", b"\x80\x60media", b"\x00\x01check", b"\x16\xfehello"


class Protocol(asyncio.DatagramProtocol):
    """Plays aioice: writes down what it is told."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.errors: list[Exception] = []
        self.lost = 0

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.append(data)

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost += 1


@attrs.frozen
class Line:
    endpoints: Endpoints
    transport: asyncio.DatagramTransport
    protocol: Protocol
    far: socket.socket
    """Connected to the endpoint."""


@asynccontextmanager
async def open_line() -> AsyncIterator[Line]:
    async with trio_asyncio.open_loop() as loop, trio.open_nursery() as nursery:
        endpoints = Endpoints(loop, nursery)

        async def create() -> tuple[asyncio.DatagramTransport, Protocol]:
            return await loop.create_datagram_endpoint(Protocol, local_addr=("127.0.0.1", 0))

        transport, protocol = await aio_as_trio(create)()
        with socket.socket(type=socket.SOCK_DGRAM) as far:
            far.connect(transport.get_extra_info("sockname"))
            yield Line(endpoints, transport, protocol, far)
        endpoints.close()


async def test_until_it_is_connected_all_is_for_ice_and_dtls() -> None:
    async with open_line() as line:
        for data in (CHECK, HELLO, REPORT):
            line.far.send(data)
        await wait_until(lambda: line.protocol.received == [CHECK, HELLO, REPORT], what="all of it")


async def test_then_reports_are_for_their_reader_and_media_for_nobody() -> None:
    async with open_line() as line:
        reports: list[bytes] = []
        line.endpoints.take_rtcp(reports.append)
        for data in (REPORT, MEDIA, CHECK, HELLO):
            line.far.send(data)
        await wait_until(lambda: line.protocol.received == [CHECK, HELLO], what="ICE and DTLS")
        assert reports == [REPORT]


async def test_what_is_shorter_than_any_packet_is_nothing() -> None:
    """aiortc looks at the first byte of a datagram that has none."""
    async with open_line() as line:
        for data in (b"", b"\x80", CHECK):
            line.far.send(data)
        await wait_until(lambda: line.protocol.received == [CHECK], what="the one that is something")


async def test_an_answer_that_nobody_takes_is_an_error_and_no_end() -> None:
    async with open_line() as line:
        with socket.socket(type=socket.SOCK_DGRAM) as gone:
            gone.bind(("127.0.0.1", 0))
            nowhere = gone.getsockname()
        line.transport.sendto(CHECK, ("127.0.0.1", 0))
        assert line.protocol.errors
        line.transport.sendto(CHECK, nowhere)
        line.transport.sendto(CHECK, line.far.getsockname())
        line.far.send(HELLO)
        await wait_until(lambda: line.protocol.received == [HELLO], what="what came after it")
        assert line.far.recv(100) == CHECK


async def test_a_flood_leaves_others_their_turn() -> None:
    async with open_line() as line:
        for _ in range(8 * AT_ONCE):
            line.far.send(HELLO)
        turns = [0]
        while turns[-1] < 8 * AT_ONCE:
            await trio.lowlevel.checkpoint()
            turns.append(len(line.protocol.received))
        assert max(after - before for before, after in pairwise(turns)) <= 2 * AT_ONCE, (
            "two of its turns to one of ours"
        )


async def test_a_socket_may_be_closed_by_what_it_brings() -> None:
    """Or in the turn in which it has become readable: its reader ends, and has met no trouble."""
    async with open_line() as line:
        line.protocol.datagram_received = lambda data, addr: line.transport.close()  # type: ignore[method-assign]
        for _ in range(2):
            line.far.send(HELLO)
        await wait_until(lambda: line.protocol.lost == 1, what="its protocol to know")
        assert line.protocol.errors == []


async def test_closing_leaves_nothing_however_often() -> None:
    before = descriptors(os.getpid())
    async with open_line() as line:
        line.transport.close()
        line.transport.abort()
        assert line.transport.is_closing()
        await wait_until(lambda: line.protocol.lost == 1, what="its protocol to know")
    assert (descriptors(os.getpid()), line.protocol.lost) == (before, 1)
