"""A peer's sockets: each datagram reaches its receiver, and nothing of them is left."""

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

from actors.cpu_share import CpuShare
from actors.webrtc.endpoint import AT_ONCE, MAX_HELD, OF_CHECK, Endpoints
from tests.kit.processes import descriptors, wait_until

REPORT, MEDIA, HELLO = b"\x81\xc9report", b"\x80\x60a medium", b"\x16\xfehello, you"
CHECK = b"\x00\x01\x00\x00\x21\x12\xa4\x42check"


@attrs.define
class Addresses:
    """Fakes the addresses that ICE knows of one viewer."""

    known: bool = False
    validated: bool = False
    paced: bool = False

    ours: bool = True

    def watch(self, protocol: Any) -> None: ...

    def may_be_ours(self, protocol: Any, data: bytes) -> bool:
        return self.ours

    def take_dtls(self, protocol: Any, address: Any) -> None: ...

    def is_known(self, protocol: Any, address: Any) -> bool:
        return self.known

    def is_validated(self, protocol: Any, address: Any) -> bool:
        return self.validated

    def may_check(self, protocol: Any, address: Any) -> bool:
        return not self.paced


class Protocol(asyncio.DatagramProtocol):
    """Fakes aioice: records its calls."""

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
    """A socket that is connected to the endpoint."""


@asynccontextmanager
async def open_line() -> AsyncIterator[Line]:
    async with trio_asyncio.open_loop() as loop, trio.open_nursery() as nursery:
        endpoints = Endpoints(loop, nursery)

        async def create() -> tuple[asyncio.DatagramTransport, Protocol]:
            made: tuple[asyncio.DatagramTransport, Protocol] = await loop.create_datagram_endpoint(
                Protocol, local_addr=("127.0.0.1", 0)
            )
            return made

        transport, protocol = await aio_as_trio(create)()
        with socket.socket(type=socket.SOCK_DGRAM) as far:
            far.connect(transport.get_extra_info("sockname"))
            yield Line(endpoints, transport, protocol, far)
        endpoints.close()


async def test_before_it_is_connected_ice_and_dtls_are_taken_and_nothing_else() -> None:
    """Nothing in a queue comes from a packet that cannot be decrypted yet."""
    async with open_line() as line:
        for data in (REPORT, MEDIA, CHECK, HELLO):
            line.far.send(data)
        await wait_until(lambda: HELLO in line.protocol.received, what="the last of them")
        assert line.protocol.received == [CHECK, HELLO]


async def test_dtls_of_a_stranger_is_dropped() -> None:
    """DTLS and RTCP from an address that ICE does not know are dropped; STUN authenticates itself."""
    async with open_line() as line:
        line.endpoints.path = Addresses()  # type: ignore[assignment]
        reports: list[bytes] = []
        line.endpoints.take_rtcp(lambda data, *_: reports.append(data))
        for data in (HELLO, REPORT, CHECK):
            line.far.send(data)
        await wait_until(lambda: CHECK in line.protocol.received, what="the last of them")
        assert (line.protocol.received, reports, list(line.endpoints.held)) == ([CHECK], [], [])


async def test_stun_that_is_not_for_this_viewer_is_dropped() -> None:
    """It is dropped before it is parsed: a stranger's datagrams cost a microsecond each."""
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
    """Answers and DTLS are never paced."""
    async with open_line() as line:
        line.endpoints.path = addresses = Addresses(paced=True)  # type: ignore[assignment]
        line.transport.sendto(CHECK, line.far.getsockname())
        line.transport.sendto(HELLO, line.far.getsockname())
        assert line.far.recv(100) == HELLO
        addresses.paced = False
        line.transport.sendto(CHECK, line.far.getsockname())
        assert line.far.recv(100) == CHECK


async def test_reports_reach_their_reader_and_media_is_dropped() -> None:
    """With a reader of RTCP set, only ICE and DTLS still reach the protocol."""
    async with open_line() as line:
        reports: list[bytes] = []
        line.endpoints.take_rtcp(lambda data, *_: reports.append(data))
        for data in (REPORT, MEDIA, CHECK, HELLO):
            line.far.send(data)
        await wait_until(lambda: line.protocol.received == [CHECK, HELLO], what="ICE and DTLS")
        assert reports == [REPORT]


async def test_a_datagram_that_is_shorter_than_any_packet_or_of_no_kind_is_dropped() -> None:
    """aiortc reads the first byte of an empty datagram, and aioice queues all that is not STUN."""
    async with open_line() as line:
        for data in (b"", b"\x80", b"\x16\xfe", CHECK[:6], b"\x00\x01 no cookie", b"\x40 a channel", b"\x14", CHECK):
            line.far.send(data)
        await wait_until(lambda: line.protocol.received == [CHECK], what="the one that is something")


async def test_datagram_that_cannot_be_delivered_does_not_end_the_endpoint() -> None:
    """An impossible and a closed UDP port; the next datagram is sent and received as usual."""
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
    """Of 128 DTLS datagrams, at most eight are read between two steps of another task."""
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
    """Its own valid checks count as well: 3,000 a second of one viewer blocked the loop for all others."""
    async with open_line() as line:
        spent = 0.0

        def work(data: bytes, addr: Any) -> None:
            nonlocal spent
            spent += 0.05
            line.protocol.received.append(data)

        line.protocol.datagram_received = work  # type: ignore[method-assign]
        line.endpoints.share = CpuShare(trio.current_time(), lambda: spent, rate=1.0, burst_s=0.2)
        began, count = trio.current_time(), 16
        for _ in range(count):
            line.far.send(CHECK)
        await wait_until(lambda: len(line.protocol.received) == count, what="all of them")
        assert trio.current_time() - began >= 0.05 * (count - AT_ONCE // OF_CHECK) - 0.2 - 0.01


async def test_a_socket_may_be_closed_by_what_it_brings() -> None:
    """It may also be closed in the step in which it becomes readable: its reader ends without an error."""
    async with open_line() as line:
        line.protocol.datagram_received = lambda data, addr: line.transport.close()  # type: ignore[method-assign]
        for _ in range(2):
            line.far.send(HELLO)
        await wait_until(lambda: line.protocol.lost == 1, what="its protocol to know")
        assert line.protocol.errors == []


async def test_closing_leaves_nothing_however_often() -> None:
    """Closed and aborted: the protocol hears of it once, and no descriptor is left."""
    before = descriptors(os.getpid())
    async with open_line() as line:
        line.transport.close()
        line.transport.abort()
        assert line.transport.is_closing()
        await wait_until(lambda: line.protocol.lost == 1, what="its protocol to know")
    assert (descriptors(os.getpid()), line.protocol.lost) == (before, 1)
