"""STUN servers: one that answers adds an address, and none delays an answer for long."""

import math
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

from actors.addresses import Found, Resolver
from actors.webrtc import reflexive
from actors.webrtc.endpoint import Endpoints
from actors.webrtc.pacing import Pacer
from actors.webrtc.path import Path
from actors.webrtc.reflexive import gather_reflexive
from supervisor.base.threads import CANNOT_START
from tests.kit.patience import give_up_after

SEEN = ("203.0.113.9", 40404)


@asynccontextmanager
async def open_agent() -> AsyncIterator[tuple[RTCIceTransport, Path]]:
    """Open ICE with its host addresses gathered."""
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
    """Run a STUN server on this machine, which sees all clients at `SEEN`."""
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
    """It is listed once, regardless of the number of servers that see it, and of other entries."""
    monkeypatch.setattr(reflexive, "BUDGET_S", 10.0)
    async with open_agent() as (ice, path), open_server() as one, open_server() as two, open_server(False) as mute:
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
    """The time is that of the scheduler: the machine's own delays are not counted."""
    async with open_agent() as (ice, path), open_server(False) as mute:
        began = trio.current_time()
        await gather_reflexive(ice, path, (f"stun:{mute}",) * servers)
        assert reflexive_of(ice) == []
        assert trio.current_time() - began <= 0.05
        assert len(ice._connection._protocols[0].transactions) == 0, "no request is left"


async def test_resolver_that_hangs_delays_no_answer_and_helps_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer does not wait for its thread. The name that it finds later serves the next viewer."""
    go = threading.Event()

    def look_up(host: str) -> Found:
        go.wait(20)
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
        ]

    resolver = Resolver(look_up)
    monkeypatch.setattr(reflexive, "RESOLVER", resolver)
    async with open_agent() as (ice, path), open_server() as server:
        url = f"stun:stun.example:{server.rpartition(':')[2]}"
        for _ in range(5):
            with give_up_after(10):
                await gather_reflexive(ice, path, (url,))
        assert reflexive_of(ice) == []
        go.set()
        await resolver.resolve("stun.example", math.inf)
        monkeypatch.setattr(reflexive, "BUDGET_S", 10.0)
        await gather_reflexive(ice, path, (url,))
        assert reflexive_of(ice) == [SEEN]


async def test_resolver_that_hangs_again_leaves_time_for_a_server_that_is_known(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """Its last address is used within the rest of the time."""
    go, calls = threading.Event(), list[str]()

    def look_up(host: str) -> Found:
        calls.append(host)
        if len(calls) > 1:
            go.wait(20)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    resolver = Resolver(look_up)
    await resolver.resolve("stun.example", math.inf)
    monkeypatch.setattr(reflexive, "RESOLVER", resolver)
    asked: list[float] = []

    async def ask_all(connection: object, servers: object, within_s: float) -> None:
        asked.append(within_s)

    monkeypatch.setattr(reflexive, "ask_all", ask_all)
    async with open_agent() as (ice, path):
        await gather_reflexive(ice, path, ("stun:stun.example:3478",))
    go.set()
    assert path.servers == {("127.0.0.1", 3478)}
    assert asked == [pytest.approx(reflexive.BUDGET_S / 2, abs=0.002)]


@pytest.mark.parametrize("refused", [RuntimeError(CANNOT_START), socket.gaierror(socket.EAI_AGAIN, "no")])
async def test_name_that_cannot_be_looked_up_costs_its_candidate_only(
    monkeypatch: pytest.MonkeyPatch, refused: Exception
) -> None:
    """If no thread can be started, or the resolver fails, a server with a numeric address is used as usual."""

    def refuse(*_: object) -> Found:
        raise refused

    if isinstance(refused, RuntimeError):
        monkeypatch.setattr(trio.lowlevel, "start_thread_soon", refuse)
    monkeypatch.setattr(reflexive, "RESOLVER", Resolver(refuse))
    monkeypatch.setattr(reflexive, "BUDGET_S", 10.0)
    async with open_agent() as (ice, path), open_server() as server:
        await gather_reflexive(ice, path, ("stun:stun.example:3478", f"stun:{server}"))
        assert reflexive_of(ice) == [SEEN]


async def test_without_servers_nothing_is_asked(autojump_clock: MockClock) -> None:
    """A LAN has no servers, and loses no time."""
    ice = RTCIceTransport.__new__(RTCIceTransport)
    began = trio.current_time()
    await gather_reflexive(ice, Path.__new__(Path), ())
    assert trio.current_time() == began
