"""Speaks HTTP/2 from the first byte (prior knowledge), with many streams."""

import trio

from .target import Target

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)


async def attack(target: Target) -> None:
    """Ten times a second; `switched` counts those that were answered in frames of HTTP/2."""
    while True:
        with target.counting(), trio.move_on_after(1):
            async with await target.connect() as stream:
                await stream.send_all(PREFACE)
                answer = bytes(await stream.receive_some(4096))
                target.tally["switched" if answer[3:4] == b"\x04" else answer[9:12].decode("ascii", "replace")] += 1
        await trio.sleep(0.1)
