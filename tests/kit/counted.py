"""A TCP proxy between a browser and the daemon that counts the traffic and keeps some of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import trio

from .process_group import open_background

KEPT = 8 * 1024 * 1024


@attrs.define
class Counted:
    port: int = 0
    sent: bytearray = attrs.field(factory=bytearray)
    """By the daemon, over all connections; the first `KEPT` bytes."""
    bytes: int = 0
    """In both directions."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


@asynccontextmanager
async def open_counted(port: int) -> AsyncIterator[Counted]:
    """A port that leads to `port` of this machine. Cleanup: every connection through it is cut."""
    counted = Counted()

    async def serve(near: trio.SocketStream) -> None:
        async with near, await trio.open_tcp_stream("127.0.0.1", port) as far, trio.open_nursery() as both:
            both.start_soon(carry, near, far, False)
            await carry(far, near, True)
            both.cancel_scope.cancel()

    async def carry(source: trio.SocketStream, sink: trio.SocketStream, keep: bool) -> None:
        try:
            while data := await source.receive_some(65536):
                counted.bytes += len(data)
                if keep and len(counted.sent) < KEPT:
                    counted.sent += data
                await sink.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # one of the two has gone

    async with open_background() as tasks:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        counted.port = listener.socket.getsockname()[1]
        tasks.start_soon(trio.serve_listeners, serve, [listener])
        yield counted
