"""Misbehaving viewers against real peer actors: each cycle opens a peer, lets it fail, and waits for its end.

Rules of this file:
- All randomness comes from the seed; a cycle is one kind of failure with one seed.
- A cycle that returns has seen exactly one `PeerClosed`, and all its resources are free again.
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

from actors.addresses import tcp_probe
from actors.media.hub import Hub
from actors.media.media import CLOCK_RATE
from actors.tools import Tools
from actors.webrtc import connection
from actors.webrtc.fanout import Fanout
from actors.webrtc.offer import parse_offer
from actors.webrtc.peer import PeerActor
from supervisor.base.clock import SystemClock
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.errors import Rejected
from supervisor.domain.ids import PeerId
from supervisor.domain.values import Fault, Reason
from tests.kit.tools import make_tools

from .core import Core, open_core
from .domain import ASKED, GATE
from .media import FPS, access_units
from .patience import give_up_after
from .processes import descriptors, thread_names
from .viewer import open_viewer
from .world import FakeProcess

CONNECT_S = 1.0
"""Seconds in which a viewer must connect here; a viewer that does not is not waited for any longer."""
WITHIN_S = 15.0
LEFT = Reason("left", "the viewer left", Fault.NONE)

Way = Callable[["Rig", random.Random, PeerId], Awaitable[None]]


@attrs.frozen
class Rig:
    """The fan-out of a camera with pictures, and the core to which its peers report."""

    core: Core
    fanout: Fanout
    tools: Tools
    offer: str
    """The offer of a viewer that has gone."""

    async def run_cycle(self, way: str, seed: int) -> str:
        """One misbehaving viewer from offer to end; returns the code of the reason its end was given."""
        rng, peer = random.Random(f"{way}/{seed}"), PeerId(f"{way}-{seed}")
        before = len(self.core.disk.rows)
        self.core.kernel.emit(c.OpenPeer(peer, GATE, "192.0.2.9", "owner"))
        with give_up_after(WITHIN_S):
            await WAYS[way](self, rng, peer)
            rows = (await self.core.stored())[before:]
        closed = [row.event for row in rows if row.stream == f"peer/{peer}" and isinstance(row.event, e.PeerClosed)]
        assert len(closed) == 1, f"{way} {seed}: {len(closed)} ends are recorded"
        assert peer not in self.core.kernel.state.peers, f"{way} {seed}: its place is still taken"
        return str(closed[0].reason.code)

    async def serve(self, actor: PeerActor, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the actor of a peer; without an answer the offer counts as refused, which is reported to the viewer."""
        try:
            await actor.run(self.fanout, task_status)
        except Rejected:
            pass


async def cancelled(rig: Rig, rng: random.Random, peer: PeerId) -> None:
    """Ended after a number of steps of the scheduler: while gathering, answering, waiting, or already over."""
    actor = PeerActor(peer, parse_offer(rig.offer), rig.tools)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rig.serve, actor)
        for _ in range(rng.randrange(250)):
            await trio.lowlevel.checkpoint()
        if rng.randrange(2):
            actor.stop(ASKED)
        else:
            nursery.cancel_scope.cancel()


async def never_connects(rig: Rig, rng: random.Random, peer: PeerId) -> None:
    """It sends an offer, receives the answer, and never connects."""
    await rig.serve(PeerActor(peer, parse_offer(rig.offer), rig.tools))


async def vanishes(rig: Rig, rng: random.Random, peer: PeerId) -> None:
    """A real viewer that goes in the middle of the handshake, or a little later, without waiting for anything."""
    async with trio.open_nursery() as nursery:
        async with open_viewer() as viewer:
            actor = PeerActor(peer, parse_offer(viewer.offer), rig.tools)
            answer: str = await nursery.start(actor.run, rig.fanout)
            with trio.move_on_after(rng.random() * 0.1):
                await viewer.accept(answer)
                await trio.sleep_forever()
        with trio.move_on_after(1):
            while peer in rig.core.kernel.state.peers:
                await rig.core.kernel.wait_change(rig.core.kernel.state.seq)
        actor.stop(ASKED)  # one that had connected is lost only after a while


async def closed_twice(rig: Rig, rng: random.Random, peer: PeerId) -> None:
    """Its owner closes it, an operator closes it, the actor is stopped twice, and all of that once more at the end."""
    actor = PeerActor(peer, parse_offer(rig.offer), rig.tools)

    def close() -> None:
        for command in (c.ClosePeer(peer, LEFT, "owner"), c.ClosePeer(peer, ASKED)):
            try:
                rig.core.kernel.emit(command)
            except Rejected:
                pass  # it has gone
            actor.stop(ASKED)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(rig.serve, actor)
        for _ in range(rng.randrange(100)):
            await trio.lowlevel.checkpoint()
        close()
        await trio.lowlevel.checkpoint()
        close()
    close()
    rig.core.kernel.emit(c.ReportPeerClosed(peer, ASKED))


async def crashes(rig: Rig, rng: random.Random, peer: PeerId) -> None:
    """Raise an unexpected error: in a callback of its loop, or while its answer is reported."""
    place = rng.choice(("a callback", "the answer"))

    class Careless(PeerActor):
        def answered(self, answer: str) -> None:
            if place == "the answer":
                raise ZeroDivisionError(place)
            super().answered(answer)
            trio_asyncio.current_loop.get().call_later(rng.random() * 0.02, _boom)

    await rig.serve(Careless(peer, parse_offer(rig.offer), rig.tools))


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
"""The kind of failure of each cycle, in order."""


@asynccontextmanager
async def open_rig() -> AsyncIterator[Rig]:
    async with open_viewer() as viewer:
        offer = viewer.offer
    stock, connection.CONNECT_S = connection.CONNECT_S, CONNECT_S
    try:
        async with open_core() as core, trio.open_nursery() as keep:
            tools = make_tools(core.kernel, keep, open_process=FakeProcess, tcp_probe=tcp_probe)
            hub = Hub(SystemClock())
            hub.begin()
            for index in range(3):
                hub.publish(access_units()[index], index * CLOCK_RATE // FPS)
            fanout = Fanout(hub, SystemClock())
            keep.start_soon(fanout.run)
            yield Rig(core, fanout, tools, offer)
            keep.cancel_scope.cancel()
    finally:
        connection.CONNECT_S = stock


async def run_cycles(rig: Rig, indices: range, at_once: int = 6) -> list[str]:
    """Run the cycles of these numbers, some at the same time; the codes of their ends."""
    ends: list[str] = []
    turns = iter(indices)

    async def one() -> None:
        for index in turns:
            ends.append(await rig.run_cycle(OFTEN[index % len(OFTEN)], index))

    async with trio.open_nursery() as nursery:
        for _ in range(at_once):
            nursery.start_soon(one)
    return ends


@attrs.frozen
class Resources:
    """The resources that a process holds. `tasks` are unfinished asyncio tasks of any loop."""

    descriptors: int
    threads: int
    loops: int
    tasks: int


def count_resources() -> Resources:
    gc.collect()
    loops = [thing for thing in gc.get_objects() if isinstance(thing, trio_asyncio._base.BaseTrioEventLoop)]
    tasks = [thing for thing in gc.get_objects() if isinstance(thing, asyncio.Task)]
    return Resources(
        len(descriptors(os.getpid())),
        len(thread_names(os.getpid())),
        sum(not loop.is_closed() for loop in loops),
        sum(not task.done() for task in tasks),
    )
