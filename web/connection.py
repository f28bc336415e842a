"""One TCP connection: Hypercorn's server for it, with HTTP/1.1 only, ended soon after either side has ended it.

Rules of this file:
- Hypercorn by itself would keep a connection: for its timers, for a reader that waits until an earlier request is
  answered, and when closing is cancelled together with the request that asked for it. Here it ends `LINGER_S` after
  either side has ended it, whatever still waits in it.
- Bytes that a client still sends to a connection that we end are read and discarded for so long: a reset would take the
  answer from it.
- What a client has sent is read when it is its turn, and each piece is charged to it. It is not read before: what it
  sends more stays in the kernel.
- Hypercorn's choice among protocols is not used: there is one.
"""

import random
import socket
import struct
from contextlib import suppress

import trio
from hypercorn.config import Config as HypercornConfig
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import MAX_RECV, TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ConnectionState
from hypercorn.utils import parse_socket_addr

from .http1 import Http1Protocol
from .turns import METER, Meter

STAGGER = 0.2
"""Of the keep-alive timeout, at the most."""
LINGER_S = 0.5
"""Time for the rest of a connection once either side has ended it."""
MAX_DISCARDED = 1 << 20
"""Bytes that are read from a client that still sends after we have ended the connection."""


class Connection(TCPServer):
    """Serves one connection when awaited.

    Cancellation: at any time. Cleanup: the connection is closed.
    """

    def __init__(
        self, app: AppWrapper, config: HypercornConfig, context: WorkerContext, stream: trio.SocketStream, meter: Meter
    ) -> None:
        """`meter` charges what is read; a request from a proxy names its client."""
        super().__init__(app, config, context, ConnectionState({METER: meter}), stream)  # type: ignore[arg-type]
        self._meter, self._peer = meter, meter.client
        self._ending = trio.Event()
        self.idle_since: float | None = trio.current_time()
        """Since when no request is being answered; None while one is."""

    def end_soon(self) -> None:
        self._ending.set()

    async def run(self) -> None:
        try:
            await self._run()
        finally:
            self.stream.socket.close()

    async def _run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._end, nursery.cancel_scope)
            try:
                await self._serve()
            except OSError:
                pass
            nursery.cancel_scope.cancel(reason="the connection has ended")

    async def _serve(self) -> None:
        connected = self.stream.socket
        client = parse_socket_addr(connected.family, connected.getpeername())
        server = parse_socket_addr(connected.family, connected.getsockname())
        async with TaskGroup() as self._task_group:
            self.protocol = Http1Protocol(  # type: ignore[assignment]
                self.app, self.config, self.context, self._task_group, self.state, False, client, server,
                self.protocol_send, end_soon=self.end_soon, meter=self._meter,
            )  # fmt: skip
            await self.idle_task.restart(self._task_group, self._idle_timeout)
            await self._read_data()

    async def protocol_send(self, event: Event) -> None:
        match event:
            case Closed():
                self.end_soon()
                if not self.send_lock.locked():
                    self._send_no_more()
                await self.protocol.handle(Closed())
            case Updated():
                self.idle_since = trio.current_time() if event.idle else None
                if event.idle:
                    self._meter.client = self._peer  # the next request of a proxy may be another client's
                await super().protocol_send(event)
            case _:
                await super().protocol_send(event)

    def _send_no_more(self) -> None:
        """Without a checkpoint: the task that does it is about to be cancelled together with its request."""
        with suppress(OSError):
            self.stream.socket.shutdown(socket.SHUT_WR)

    async def _read_data(self) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            discarded = 0
            while discarded < MAX_DISCARDED and (data := await self.stream.receive_some(MAX_RECV)):
                if self._ending.is_set():
                    discarded += len(data)
                else:
                    await self._meter.take()
                    await self._meter.measure(self.protocol.handle(RawData(bytes(data))))
            if not self._ending.is_set():
                await self._meter.take()
                await self.protocol.handle(RawData(b""))
        await self.protocol.handle(Closed())
        self.end_soon()

    def look(self) -> bool:
        """Ask the kernel whether the client is there: Hypercorn may not be reading just now. Whether it has gone."""
        if is_open(self.stream.socket):
            return False
        self.end_soon()
        return True

    async def _idle_timeout(self) -> None:
        """As Hypercorn's, but later by chance: connections that were opened together do not end together."""
        with trio.move_on_after(random.uniform(0, STAGGER) * self.config.keep_alive_timeout):
            await self.context.terminated.wait()
        await super()._idle_timeout()

    async def _end(self, scope: trio.CancelScope) -> None:
        """A send of Hypercorn's is shielded from cancellation; it fails when its socket is closed."""
        await self._ending.wait()
        await trio.sleep(LINGER_S)
        self.stream.socket.close()
        scope.cancel(reason="the connection was ended")


def is_open(connected: trio.socket.SocketType) -> bool:
    """Whether neither side has ended it. The first byte of TCP_INFO (linux/tcp.h) is the state; 1 is ESTABLISHED."""
    try:
        return connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1
    except OSError:
        return False


def reset(stream: trio.SocketStream) -> None:
    """End it now; a shielded send in it fails at once."""
    if stream.socket.fileno() >= 0:
        with suppress(OSError):
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stream.socket.close()
