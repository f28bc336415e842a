"""Lease holders: pages that acquire a lease, watch or not, renew it from any address, and release it or vanish."""

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

import trio

from supervisor.domain import commands as c
from supervisor.domain.ids import CameraId, DetectionId, LeaseId, lease_stream
from supervisor.domain.values import LeaseKind
from supervisor.ports.viewing import HEARTBEAT_S, Key, LeaseOver

from .viewers import OFFER, refusals

if TYPE_CHECKING:
    from .world import World


async def run_detector(client: str, cameras: Sequence[CameraId], world: "World", chance: random.Random) -> None:
    """Sees something now and then, and sometimes a lot of it, sometimes twice, sometimes in the future."""
    while True:
        await trio.sleep(chance.expovariate(1 / 40))
        camera = chance.choice(cameras)
        for number in range(chance.choice((1, 1, 1, 30))):
            at_ns = world.core.kernel.clock.wall_ns() + int(chance.choice((0, -1, -30, 3600)) * 1e9)
            seen = (at_ns, chance.choice(("person", "car", "cat")), chance.random(), client)
            key = f"{camera}/{number}" if chance.random() < 0.2 else ""
            async with refusals():
                await world.gateway.detect(
                    c.ReportDetection(DetectionId(""), LeaseId(""), camera, *seen, key=key), b"\xff\xd8\xff\xff\xd9"
                )


async def run_holder(client: str, cameras: Sequence[CameraId], world: "World", chance: random.Random) -> None:
    """One lease after the other, until cancelled."""
    while True:
        await trio.sleep(chance.expovariate(1 / 60))
        async with refusals():
            await hold(client, chance.choice(cameras), world, chance)


async def hold(client: str, camera: CameraId, world: "World", chance: random.Random) -> None:
    """From a grant to the end of the lease, or of its holder's attention."""
    gateway, kind = world.gateway, chance.choice((LeaseKind.VIEWER, LeaseKind.MODAL))
    wish = c.GrantLease(LeaseId(""), kind, camera, client, ttl_s=chance.choice((0.0, 10.0, 60.0)))
    wish = wish if chance.random() < 0.9 else c.GrantLease(LeaseId(""), kind, camera, client, exclusive=True)
    held = await gateway.grant(wish)
    key = Key(held.lease.lease, held.secret)
    idle_s = 0.0
    try:
        while chance.random() < 0.9:
            if chance.random() < 0.3:
                async with refusals():
                    await gateway.negotiate(camera, OFFER, client, key)
            await trio.sleep(chance.uniform(1, 1.2 * HEARTBEAT_S))
            idle_s += 60 if chance.random() < 0.5 else -idle_s
            await gateway.renew(key, idle_s, chance.choice((client, "192.0.2.99")))
            if lease_stream(key.lease) in world.watch.heard:
                world.watch.heard[lease_stream(key.lease)] = trio.current_time()
        if chance.random() < 0.5:
            await gateway.release(key, client)
    except LeaseOver:
        await trio.lowlevel.checkpoint()
