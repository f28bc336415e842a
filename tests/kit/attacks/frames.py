"""Floods a WebSocket: fragments of a message without end, pings, and empty messages."""

import trio

from ..hostile.web import frame
from .target import Target, drain

FLOODS = (
    frame(1, b"x", fin=False) + frame(0, b"x" * 100, fin=False) * 50,
    frame(9, b"p" * 100) * 50,
    frame(1, b"") * 100,
    frame(1, b'{"type":"lease.renew","id":1,"lease":"nobody","secret":"s","idle_s":1}') * 20,
    frame(1, b"[" * 4000),
)


async def attack(target: Target) -> None:
    """One socket for each kind, twenty portions a second."""
    async with trio.open_nursery() as nursery:
        for flood in FLOODS:
            nursery.start_soon(_one, target, flood)


async def _one(target: Target, flood: bytes) -> None:
    while True:
        opened = await target.websocket(target.rng.choice(("/ws/events", "/ws/signaling")))
        if opened is not None:
            async with opened.stream, trio.open_nursery() as nursery:
                nursery.start_soon(drain, opened.stream)
                with target.counting():
                    while True:
                        await opened.stream.send_all(flood)
                        target.tally["portions"] += 1
                        await trio.sleep(0.05)
                nursery.cancel_scope.cancel()
        await trio.sleep(0.5)
