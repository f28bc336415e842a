"""Plays a camera by RTSP, and then never reads, reads one byte a second, or sends frames and requests without end."""

from collections.abc import Awaitable, Callable

import trio

from .rtsp_noise import FRAME
from .target import Target, drain

READERS, HELD_S, ROOM = 3, 20.0, 2048
FLOOD_S = 0.01
"""Between two writes of a flood."""
SMALL = b"$\xff\x00\x00$\x01\x00\x08\x80\xc9\x00\x01\x00\x00\x00\x01"
"""An empty frame, and a report."""
TCP = "RTP/AVP/TCP;unicast;interleaved=0-1"


def encode(method: str, url: str, headers: str = "", cseq: int = 1) -> bytes:
    return f"{method} {url} RTSP/1.0\r\nCSeq: {cseq}\r\n{headers}\r\n".encode()


def play(url: str, transport: str = TCP) -> bytes:
    """The requests of a player, in one piece."""
    set_up = encode("SETUP", f"{url}/trackID=0", f"Transport: {transport}\r\n")
    return encode("DESCRIBE", url) + set_up + encode("PLAY", url)


async def attack(target: Target) -> None:
    """`READERS` of each kind, that are held for `HELD_S`, again and again."""
    async with trio.open_nursery() as nursery:
        for kind in (_read_nothing, _read_slowly, _send_frames, _send_requests):
            for _ in range(READERS):
                nursery.start_soon(_one, target, kind)


async def _one(target: Target, kind: Callable[[Target, trio.SocketStream], Awaitable[None]]) -> None:
    while True:
        with target.counting():
            async with await target.connect(ROOM, target.rtsp) as stream:
                with trio.move_on_after(HELD_S):
                    await stream.send_all(play(target.url))
                    target.tally[kind.__name__.strip("_")] += 1
                    await kind(target, stream)
        await trio.sleep(0.5)


async def _read_nothing(target: Target, stream: trio.SocketStream) -> None:
    await trio.sleep_forever()


async def _read_slowly(target: Target, stream: trio.SocketStream) -> None:
    while await stream.receive_some(1):  # noqa: ASYNC110 - it is slow on purpose
        await trio.sleep(1)


async def _send_frames(target: Target, stream: trio.SocketStream) -> None:
    """On its channel and on others, of any size."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(drain, stream)
        with target.counting():
            while True:
                await stream.send_all(FRAME * 8 + SMALL * 100)
                target.tally["frames"] += 208
                await trio.sleep(FLOOD_S)
        nursery.cancel_scope.cancel()


async def _send_requests(target: Target, stream: trio.SocketStream) -> None:
    """Whose replies are not read."""
    while True:
        await stream.send_all(encode("GET_PARAMETER", target.url) * 20)
        target.tally["requests"] += 20
        await trio.sleep(FLOOD_S)
