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

from actors.rtc.endpoint import AT_ONCE, MAX_HELD, OF_CHECK, Endpoints
from actors.share import Share
from tests.kit.processes import descriptors, wait_until

REPORT, MEDIA, HELLO = b"\x81\xc9report", b"\x80\x60a medium", b"\x16\xfehello, you"
CHECK = b"\x00\x01\x00\x00\x21\x12\xa4\x42check"


@attrs.define
class Addresses:
    """Plays what ICE knows of the addresses of one viewer."""

    known: bool = False
    validated: bool = False
    paced: bool = False

    ours: bool = True

    def watch(self, protocol: Any) -> None: ...

    def may_be_ours(self, protocol: Any, data: bytes) -> bool:
        return self.ours

    def is_known(self, protocol: Any, address: Any) -> bool:
        return self.known

    def is_validated(self, protocol: Any, address: Any) -> bool:
        return self.validated

    def may_check(self, protocol: Any, address: Any) -> bool:
        return not self.paced


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


async def test_before_it_is_connected_ice_and_dtls_are_taken_and_nothing_else() -> None:
    """Nothing that waits in a queue comes from a packet that nobody can read yet."""
    async with open_line() as line:
        for data in (REPORT, MEDIA, CHECK, HELLO):
            line.far.send(data)
        await wait_until(lambda: HELLO in line.protocol.received, what="the last of them")
        assert line.protocol.received == [CHECK, HELLO]


async def test_dtls_of_a_stranger_is_dropped() -> None:
    """From an address that ICE does not know, DTLS and RTCP reach nobody; STUN proves itself."""
    async with open_line() as line:
        line.endpoints.path = Addresses()  # type: ignore[assignment]
        reports: list[bytes] = []
        line.endpoints.take_rtcp(reports.append)
        for data in (HELLO, REPORT, CHECK):
            line.far.send(data)
        await wait_until(lambda: CHECK in line.protocol.received, what="the last of them")
        assert (line.protocol.received, reports, list(line.endpoints.held)) == ([CHECK], [], [])


async def test_stun_that_is_not_for_this_viewer_is_dropped() -> None:
    """It reaches nobody who would parse it: a stranger's datagrams cost a microsecond each."""
    async with open_line() as line:
        line.endpoints.path = addresses = Addresses(ours=False)  # type: ignore[assignment]
        line.far.send(CHECK)
        addresses.validated = True
        line.far.send(HELLO)
        await wait_until(lambda: HELLO in line.protocol.received, what="the last of them")
        assert line.protocol.received == [HELLO]


async def test_dtls_before_validation_is_held_and_released_in_order() -> None:
    """The newest `MAX_HELD` datagrams of a known address wait; then they are passed on once."""
    async with open_line() as line:
        line.endpoints.path = addresses = Addresses(known=True)  # type: ignore[assignment]
        hellos = [HELLO + bytes([number]) for number in range(MAX_HELD + 3)]
        for data in (*hellos, CHECK):
            line.far.send(data)
        await wait_until(lambda: CHECK in line.protocol.received, what="the last of them")
        line.endpoints.release()
        assert line.protocol.received == [CHECK], "nothing is validated yet"
        addresses.validated = True
        line.endpoints.release()
        line.endpoints.release()
        assert line.protocol.received == [CHECK, *hellos[3:]]


async def test_a_check_that_is_paced_is_not_sent() -> None:
    """Answers and DTLS are never held back."""
    async with open_line() as line:
        line.endpoints.path = addresses = Addresses(paced=True)  # type: ignore[assignment]
        line.transport.sendto(CHECK, line.far.getsockname())
        line.transport.sendto(HELLO, line.far.getsockname())
        assert line.far.recv(100) == HELLO
        addresses.paced = False
        line.transport.sendto(CHECK, line.far.getsockname())
        assert line.far.recv(100) == CHECK


async def test_then_reports_are_for_their_reader_and_media_for_nobody() -> None:
    async with open_line() as line:
        reports: list[bytes] = []
        line.endpoints.take_rtcp(reports.append)
        for data in (REPORT, MEDIA, CHECK, HELLO):
            line.far.send(data)
        await wait_until(lambda: line.protocol.received == [CHECK, HELLO], what="ICE and DTLS")
        assert reports == [REPORT]


async def test_a_datagram_that_is_shorter_than_any_packet_or_of_no_kind_is_dropped() -> None:
    """aiortc looks at the first byte of a datagram that has none, and aioice queues all that is not STUN."""
    async with open_line() as line:
        for data in (b"", b"\x80", b"\x16\xfe", CHECK[:6], b"\x00\x01 no cookie", b"\x40 a channel", b"\x14", CHECK):
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
        assert max(after - before for before, after in pairwise(turns)) <= 2 * AT_ONCE // OF_CHECK, (
            "two of its turns to one of ours"
        )


async def test_a_viewer_that_floods_is_read_with_pauses() -> None:
    """Its own valid checks, too: 3,000 a second of one viewer took the loop from everybody."""
    async with open_line() as line:
        spent = 0.0

        def work(data: bytes, addr: Any) -> None:
            nonlocal spent
            spent += 0.05
            line.protocol.received.append(data)

        line.protocol.datagram_received = work  # type: ignore[method-assign]
        line.endpoints.share = Share(trio.current_time(), lambda: spent, rate=1.0, burst_s=0.2)
        began, count = trio.current_time(), 16
        for _ in range(count):
            line.far.send(CHECK)
        await wait_until(lambda: len(line.protocol.received) == count, what="all of them")
        assert trio.current_time() - began >= 0.05 * (count - AT_ONCE // OF_CHECK) - 0.2 - 0.01


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
