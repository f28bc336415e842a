"""Opens connections up to its share, and sends nothing."""

import trio

from .target import Target

SOCKETS = 160
"""More connections than one client may have."""


async def attack(target: Target) -> None:
    """`held` counts connections; those beyond the cap are closed by the daemon, and opened again a second later."""
    async with trio.open_nursery() as nursery:
        for _ in range(SOCKETS):
            nursery.start_soon(_one, target)


async def _one(target: Target) -> None:
    while True:
        with target.counting():
            async with await target.connect() as stream:
                target.tally["held"] += 1
                await stream.receive_some(100)
                target.tally["closed"] += 1
        await trio.sleep(1 + target.rng.random())
