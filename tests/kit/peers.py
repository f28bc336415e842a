"""Viewers that misbehave, against real peer actors: each cycle opens one, lets it fail in its way, and sees it gone.

Rules of this file:
- All chance comes from the seed; a cycle is one way, one seed.
- A cycle that returns has seen exactly one `PeerClosed`, and no place is taken any more.
"""

import asyncio
import gc
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import attrs
import trio
import trio_asyncio

from actors.hub import Hub
from actors.media import CLOCK_RATE
from actors.peer import Peer
from actors.process_table import RealProcessTable
from actors.rtc import connection
from actors.rtc.fanout import Fanout
from actors.rtc.offer import parse_offer
from actors.tools import Tools, knock
from supervisor.clock import SystemClock
from supervisor.domain import commands as c
from supervisor.domain.errors import Rejected
from supervisor.domain.ids import PeerId
from supervisor.domain.values import Fault, Reason
from supervisor.vault import Vault

from .core import Core, open_core
from .decoding import FakeDecoder
from .domain import ASKED, GATE
from .media import FPS, access_units
from .processes import descriptors, thread_names
from .viewer import open_viewer
from .world import FakeProcess

CONNECT_S = 1.0
"""What a viewer has to connect, here: who does not, need not be waited for."""
WITHIN_S = 15.0
LEFT = Reason("left", "the viewer left", Fault.NONE)

Way = Callable[["House", random.Random, PeerId], Awaitable[None]]


@attrs.frozen
class House:
    """The fan-out of a camera with pictures, and the core to which its peers report."""

    core: Core
    fanout: Fanout
    tools: Tools
    offer: str
    """Of a viewer that is not there any more."""

    async def run_cycle(self, way: str, seed: int) -> str:
        """One misbehaving viewer from offer to end; returns the code of the reason its end was given."""
        rng, peer = random.Random(f"{way}/{seed}"), PeerId(f"{way}-{seed}")
        before = len(self.core.disk.rows)
        self.core.kernel.emit(c.OpenPeer(peer, GATE, "192.0.2.9", "owner"))
        with trio.fail_after(WITHIN_S):
            await WAYS[way](self, rng, peer)
            rows = (await self.core.stored())[before:]
        closed = [row.event for row in rows if row.stream == f"peer/{peer}" and row.type == "PeerClosed"]
        assert len(closed) == 1, f"{way} {seed}: {len(closed)} ends are recorded"
        assert peer not in self.core.kernel.state.peers, f"{way} {seed}: its place is still taken"
        return str(closed[0].reason.code)  # type: ignore[union-attr]

    async def serve(self, actor: Peer, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
        """Run a peer's actor; one that came to no answer has been refused, as its viewer is told."""
        try:
            await actor.run(self.fanout, task_status)
        except Rejected:
            pass


async def cancelled(house: House, rng: random.Random, peer: PeerId) -> None:
    """Ended after a number of steps of the scheduler: while gathering, answering, waiting, or already over."""
    actor = Peer(peer, parse_offer(house.offer), house.tools)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(house.serve, actor)
        for _ in range(rng.randrange(250)):
            await trio.lowlevel.checkpoint()
        if rng.randrange(2):
            actor.stop(ASKED)
        else:
            nursery.cancel_scope.cancel()


async def never_connects(house: House, rng: random.Random, peer: PeerId) -> None:
    """It offers, is answered, and is never heard of."""
    await house.serve(Peer(peer, parse_offer(house.offer), house.tools))


async def vanishes(house: House, rng: random.Random, peer: PeerId) -> None:
    """A real viewer that goes in the middle of the handshake, or a little later, without waiting for anything."""
    async with trio.open_nursery() as nursery:
        async with open_viewer() as viewer:
            actor = Peer(peer, parse_offer(viewer.offer), house.tools)
            answer: str = await nursery.start(actor.run, house.fanout)
            with trio.move_on_after(rng.random() * 0.1):
                await viewer.accept(answer)
                await trio.sleep_forever()
        with trio.move_on_after(1):
            while peer in house.core.kernel.state.peers:
                await house.core.kernel.wait_change(house.core.kernel.state.seq)
        actor.stop(ASKED)  # one that had connected is lost only after a while


async def closed_twice(house: House, rng: random.Random, peer: PeerId) -> None:
    """Its owner closes it, an operator closes it, the actor is stopped twice, and all of that once more at the end."""
    actor = Peer(peer, parse_offer(house.offer), house.tools)

    def close() -> None:
        for command in (c.ClosePeer(peer, LEFT, "owner"), c.ClosePeer(peer, ASKED)):
            try:
                house.core.kernel.emit(command)
            except Rejected:
                pass  # it has gone
            actor.stop(ASKED)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(house.serve, actor)
        for _ in range(rng.randrange(100)):
            await trio.lowlevel.checkpoint()
        close()
        await trio.lowlevel.checkpoint()
        close()
    close()
    house.core.kernel.emit(c.ReportPeerClosed(peer, ASKED))


async def crashes(house: House, rng: random.Random, peer: PeerId) -> None:
    """An error where none is expected: in a callback of its loop, or in what is told of its answer."""
    place = rng.choice(("a callback", "the answer"))

    class Careless(Peer):
        def answered(self, answer: str) -> None:
            if place == "the answer":
                raise ZeroDivisionError(place)
            super().answered(answer)
            trio_asyncio.current_loop.get().call_later(rng.random() * 0.02, _boom)

    await house.serve(Careless(peer, parse_offer(house.offer), house.tools))


def _boom() -> None:
    raise ZeroDivisionError


WAYS: dict[str, Way] = {
    "cancelled": cancelled,
    "never-connects": never_connects,
    "vanishes": vanishes,
    "closed-twice": closed_twice,
    "crashes": crashes,
}
OFTEN = ("cancelled", "closed-twice", "cancelled", "crashes", "vanishes", "cancelled", "closed-twice", "never-connects")
"""Which way each of the cycles goes, in turn."""


@asynccontextmanager
async def open_house() -> AsyncIterator[House]:
    async with open_viewer() as viewer:
        offer = viewer.offer
    stock, connection.CONNECT_S = connection.CONNECT_S, CONNECT_S
    try:
        async with open_core() as core, trio.open_nursery() as keep:
            tools = Tools(
                kernel=core.kernel, sources=Vault(), open_process=FakeProcess, processes=RealProcessTable(),
                ffmpeg="ffmpeg", knock=knock, decoder=FakeDecoder(), ice_servers=(), jitter=lambda: 0.5, keep=keep,
            )  # fmt: skip
            hub = Hub(SystemClock())
            hub.begin()
            for index in range(3):
                hub.publish(access_units()[index], index * CLOCK_RATE // FPS)
            fanout = Fanout(hub, SystemClock())
            keep.start_soon(fanout.run)
            yield House(core, fanout, tools, offer)
            keep.cancel_scope.cancel()
    finally:
        connection.CONNECT_S = stock


async def run_cycles(house: House, indices: range, at_once: int = 6) -> list[str]:
    """Run the cycles of these numbers, some at the same time; the codes of their ends."""
    ends: list[str] = []
    turns = iter(indices)

    async def one() -> None:
        for index in turns:
            ends.append(await house.run_cycle(OFTEN[index % len(OFTEN)], index))

    async with trio.open_nursery() as nursery:
        for _ in range(at_once):
            nursery.start_soon(one)
    return ends


@attrs.frozen
class Held:
    """What a process holds. `tasks` are asyncio's, of any loop, that have not ended."""

    descriptors: int
    threads: int
    loops: int
    tasks: int


def held() -> Held:
    gc.collect()
    loops = [thing for thing in gc.get_objects() if isinstance(thing, trio_asyncio._base.BaseTrioEventLoop)]
    tasks = [thing for thing in gc.get_objects() if isinstance(thing, asyncio.Task)]
    return Held(
        len(descriptors(os.getpid())),
        len(thread_names(os.getpid())),
        sum(not loop.is_closed() for loop in loops),
        sum(not task.done() for task in tasks),
    )
