"""Asks for snapshots of cameras that rest, and leaves before they come: each opens a camera."""

import trio

from .target import Target

RATE = 33


async def attack(target: Target) -> None:
    """Each request is dropped after 30 ms, as a page does that changes the address of an image."""
    while True:
        with target.counting():
            async with await target.connect() as stream:
                camera = target.rng.choice(target.cameras)
                line = f"GET /cameras/{camera}/snapshot.jpg?max_age=0 HTTP/1.1\r\nHost: localhost\r\n\r\n"
                await stream.send_all(line.encode())
                target.tally["asked"] += 1
                await trio.sleep(0.03)
        await trio.sleep(1 / RATE)
