"""The relay in its process, with plain sockets at both ends."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import pytest
import trio

from tests.kit.link import Link
from tests.kit.patience import give_up_after
from tests.kit.relay import Relay, open_relay

pytestmark = pytest.mark.alone

HOST = "127.0.0.1"
BURST, EVERY_S = 25, 0.02
"""Packets at a time, 1250 of them a second: 12.5 Mbit/s of 1250 bytes each."""


@attrs.frozen
class Ends:
    """A viewer, the port that it received, and the server behind it."""

    relay: Relay
    port: int
    server: trio.socket.SocketType


@asynccontextmanager
async def open_ends(up: Link = Link(), down: Link = Link()) -> AsyncIterator[Ends]:  # noqa: B008 - frozen
    with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        await server.bind((HOST, 0))
        async with open_relay(up, down, 1) as relay:
            yield Ends(relay, await relay.open(*server.getsockname()), server)


async def open_viewer() -> trio.socket.SocketType:
    viewer = trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    await viewer.bind((HOST, 0))
    return viewer


async def test_each_address_of_a_viewer_is_another_one_for_the_server() -> None:
    """And each gets its own answers, from the port it knows."""
    async with open_ends() as ends:
        viewers = [await open_viewer() for _ in range(3)]
        with give_up_after(5):
            for number, viewer in enumerate(viewers):
                await viewer.sendto(b"hello %d" % number, (HOST, ends.port))
            heard = [await ends.server.recvfrom(100) for _ in viewers]
            assert sorted(data for data, _ in heard) == [b"hello 0", b"hello 1", b"hello 2"]
            assert len({address for _, address in heard}) == 3
            for data, address in heard:
                await ends.server.sendto(b"answer to " + data, address)
            for number, viewer in enumerate(viewers):
                assert await viewer.recvfrom(100) == (b"answer to hello %d" % number, (HOST, ends.port))
                viewer.close()
        relayed = await ends.relay.statistics()
        assert (relayed.up.delivered, relayed.down.delivered, relayed.down.rtp) == (3, 3, 0)


async def test_a_server_that_has_gone_ends_nothing() -> None:
    """The ICMP errors of a closed UDP port are ignored: three datagrams are still forwarded."""
    async with open_ends() as ends:
        with await open_viewer() as viewer, give_up_after(5):
            ends.server.close()
            while (await ends.relay.statistics()).up.delivered < 3:
                await viewer.sendto(b"anybody?", (HOST, ends.port))


@pytest.mark.parametrize("loss", [0.0, 0.1])
async def test_it_keeps_up_with_ten_megabits_a_second(loss: float) -> None:
    """In bursts, as pictures are: nothing is spoiled, and what is not lost by chance arrives, 20 ms later."""
    down = Link(loss=loss, delay_s=0.02, jitter_s=0.005)
    packet = b"\x80\x60" + bytes(1248)
    bursts = 100
    async with open_ends(down=down) as ends:
        with await open_viewer() as viewer, give_up_after(20):
            await viewer.sendto(b"hello", (HOST, ends.port))
            _, address = await ends.server.recvfrom(100)
            received = 0

            async def receive() -> None:
                nonlocal received
                while True:
                    received += len(await viewer.recv(2000)) == len(packet)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(receive)
                began = trio.current_time()
                for number in range(bursts):
                    await trio.sleep_until(began + number * EVERY_S)
                    for _ in range(BURST):
                        await ends.server.sendto(packet, address)
                while True:
                    relayed = (await ends.relay.statistics()).down
                    arrived = relayed.delivered + relayed.lost == relayed.taken == bursts * BURST
                    if arrived and received == relayed.delivered:
                        break
                nursery.cancel_scope.cancel()
            assert (relayed.spoiled, relayed.dropped) == (0, 0)
            assert relayed.rtp == relayed.delivered == received
            assert (relayed.lost > 0) == (loss > 0)
            assert relayed.delivered_bytes == received * (1250 + 28)
            assert relayed.latest_s < 0.1
