"""STUN servers: one that answers adds an address, and none delays an answer for long."""

import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio_asyncio
from aioice import stun
from aiortc import RTCIceGatherer, RTCIceTransport
from trio.testing import MockClock
from trio_asyncio import aio_as_trio

from actors.rtc import reflexive
from actors.rtc.endpoint import Endpoints
from actors.rtc.pacing import Pacer
from actors.rtc.path import Path
from actors.rtc.reflexive import gather_reflexive
from tests.kit.processes import wait_until

SEEN = ("203.0.113.9", 40404)


@asynccontextmanager
async def open_agent() -> AsyncIterator[tuple[RTCIceTransport, Path]]:
    """ICE with its host addresses gathered."""
    async with trio_asyncio.open_loop() as loop, trio.open_nursery() as nursery:
        endpoints = Endpoints(loop, nursery)
        ice = RTCIceTransport(RTCIceGatherer([]))
        endpoints.path = path = Path(ice, lambda: None, Pacer(trio.current_time))
        await aio_as_trio(ice.iceGatherer.gather)()
        yield ice, path
        await aio_as_trio(ice.stop)()
        endpoints.close()


@asynccontextmanager
async def open_server(answers: bool = True) -> AsyncIterator[str]:
    """A STUN server on this machine, which sees all clients at `SEEN`."""
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("0.0.0.0", 0))
        server.setblocking(False)

        async def serve() -> None:
            while True:
                await trio.lowlevel.wait_readable(server)
                data, source = server.recvfrom(2000)
                request = stun.parse_message(data)
                answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=request.transaction_id)
                answer.attributes["XOR-MAPPED-ADDRESS"] = SEEN
                server.sendto(bytes(answer), source)

        async with trio.open_nursery() as nursery:
            if answers:
                nursery.start_soon(serve)
            yield f"127.0.0.1:{server.getsockname()[1]}"
            nursery.cancel_scope.cancel()


def reflexive_of(ice: RTCIceTransport) -> list[tuple[str, int]]:
    found = ice.iceGatherer.getLocalCandidates()
    return [(c.ip, c.port) for c in found if c.type == "srflx"]


async def test_address_that_a_server_sees_is_in_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, however many servers see it, and whatever else is listed."""
    monkeypatch.setattr(reflexive, "BUDGET_S", 10.0)
    async with open_agent() as (ice, path), open_server() as one, open_server() as two, open_server(False) as mute:
        monkeypatch.setattr(reflexive, "_known", {})
        urls = ("stuns:192.0.2.1:5349", "stun:no port:x", f"stun:{one}", f"stun:{two}")
        await gather_reflexive(ice, path, urls)
        assert reflexive_of(ice) == [SEEN]
        monkeypatch.setattr(reflexive, "BUDGET_S", 0.04)
        await gather_reflexive(ice, path, (f"stun:{mute}",))
        assert reflexive_of(ice) == [SEEN]


@pytest.mark.parametrize("servers", [1, 4, 20])
async def test_server_that_does_not_answer_delays_an_answer_by_50_ms_at_most(
    servers: int, autojump_clock: MockClock
) -> None:
    """By the clock of the scheduler: the time that the machine itself needs is not counted."""
    async with open_agent() as (ice, path), open_server(False) as mute:
        began = trio.current_time()
        await gather_reflexive(ice, path, (f"stun:{mute}",) * servers)
        assert reflexive_of(ice) == []
        assert trio.current_time() - began <= 0.05
        assert len(ice._connection._protocols[0].transactions) == 0, "no request is left"


async def test_resolver_that_hangs_delays_no_answer_and_helps_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread is not waited for. The name that it finds in the end is there for the next viewer."""
    go = threading.Event()
    monkeypatch.setattr(reflexive, "_known", {})
    monkeypatch.setattr(reflexive, "_resolvers", trio.CapacityLimiter(2))

    def look_up(host: str, *_: object) -> list[tuple[object, ...]]:
        go.wait(20)
        return [(0, 0, 0, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    async with open_agent() as (ice, path), open_server() as server:
        url = f"stun:stun.example:{server.rpartition(':')[2]}"
        for _ in range(5):
            with trio.fail_after(10):
                await gather_reflexive(ice, path, (url,))
        assert reflexive_of(ice) == []
        go.set()
        await wait_until(lambda: "stun.example" in reflexive._known, what="the name")
        monkeypatch.setattr(reflexive, "BUDGET_S", 10.0)
        await gather_reflexive(ice, path, (url,))
        assert reflexive_of(ice) == [SEEN]


async def test_without_servers_nothing_is_asked(autojump_clock: MockClock) -> None:
    """A LAN has none, and loses no time."""
    ice = RTCIceTransport.__new__(RTCIceTransport)
    began = trio.current_time()
    await gather_reflexive(ice, Path.__new__(Path), ())
    assert trio.current_time() == began
