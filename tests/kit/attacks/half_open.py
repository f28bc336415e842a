"""Half-closes its connection in the middle of a request, and keeps it open."""

import trio

from .target import Target

SOCKETS, HELD_S = 20, 20.0


async def attack(target: Target) -> None:
    """`SOCKETS` at once."""
    async with trio.open_nursery() as nursery:
        for _ in range(SOCKETS):
            nursery.start_soon(_one, target)


async def _one(target: Target) -> None:
    while True:
        with target.counting():
            async with await target.connect() as stream:
                await stream.send_all(b"POST /api/leases HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90\r\n\r\n{")
                await stream.send_eof()
                target.tally["held"] += 1
                await trio.sleep(HELD_S)
        await trio.sleep(1)
