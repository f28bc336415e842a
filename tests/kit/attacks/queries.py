"""Sends the most expensive queries."""

import trio

from .target import Target


async def attack(target: Target) -> None:
    """Ten a second, two at a time."""
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(_one, target)


async def _one(target: Target) -> None:
    while True:
        path = target.rng.choice(
            (
                f"/api/state?seq={target.rng.randrange(1, 2000)}",
                "/api/timeline",
                "/api/events?stream=*zzz*",
                "/api/events?limit=1000&type=*a*e*i*o*",
                "/api/events?after=0&limit=1000",
                "/metrics",
                "/api/peers",
            )
        )
        await target.ask("GET", path)
        await trio.sleep(0.2)
