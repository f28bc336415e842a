"""Holders of leases: pages that take one, look under it or not, renew it from here or there, and go, or just vanish."""

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

import trio

from supervisor.domain import commands as c
from supervisor.domain.ids import CameraId, LeaseId, lease_stream
from supervisor.domain.values import LeaseKind
from supervisor.gateway import Key
from supervisor.leases import HEARTBEAT_S, LeaseOver

from .viewers import OFFER, refusals

if TYPE_CHECKING:
    from .world import World


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
    lent = await gateway.grant(wish)
    key = Key(lent.lease.lease, lent.secret)
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
