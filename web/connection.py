"""One connection, by TCP or the control socket: Hypercorn's server for it, closed soon after either side has ended it.

Rules of this file:
- Hypercorn alone would keep a connection open for its timers and for a reader that waits until an earlier request is
  answered. It would also stay open if closing is cancelled together with the request that caused it. Here the
  connection closes `LINGER_S` after either side has ended it, whatever is still pending.
- Bytes that a client sends after we have ended the connection are read and discarded during that time: a reset would
  destroy the answer.
- Data of a client is read only when the client is scheduled (`web/loop_scheduler.py`), and each read is charged to it.
  Data beyond that stays in the kernel.
- Hypercorn's protocol selection is not used: there is only one protocol, HTTP/1.1.
"""

import random
import select
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

from supervisor.domain.clients import network_of

from . import refusals
from .control import CONTROL
from .http1 import Headers, Http1Protocol
from .loop_scheduler import METER, Meter
from .tls import HandshakeError, TlsPort, TlsStream

STAGGER = 0.2
"""Maximum random extension, as a share of the keep-alive timeout."""
LINGER_S = 0.5
"""Seconds until a connection is closed after either side has ended it."""
MAX_DISCARDED = 1 << 20
"""Maximum number of bytes that are read and discarded after we have ended the connection."""


class Connection(TCPServer):
    """Serves one connection when awaited.

    Cancellation: at any time. Cleanup: the connection is closed.
    """

    def __init__(
        self,
        app: AppWrapper,
        config: HypercornConfig,
        context: WorkerContext,
        stream: trio.SocketStream,
        meter: Meter,
        port: TlsPort | None = None,
    ) -> None:
        """`meter` charges reads to the client; behind a proxy, the request names the client. `port`: it speaks TLS."""
        state = ConnectionState({METER: meter, CONTROL: stream.socket.family == socket.AF_UNIX})
        super().__init__(app, config, context, state, stream)  # type: ignore[arg-type]
        self._tcp, self._port = stream, port
        self._secured: TlsStream | None = None
        self._meter, self._peer = meter, meter.client
        self._ending = trio.Event()
        self.idle_since: float | None = trio.current_time()
        """Start of the idle time; None while a request is being answered."""

    def end_soon(self) -> None:
        self._ending.set()

    async def run(self) -> None:
        try:
            await self._run()
        finally:
            self._tcp.socket.close()
            if self._secured is not None:
                self._secured.free()

    async def _run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._end, nursery.cancel_scope)
            try:
                await self._serve()
            except OSError:
                pass
            nursery.cancel_scope.cancel(reason="the connection has ended")

    async def _serve(self) -> None:
        connected = self._tcp.socket
        client = parse_socket_addr(connected.family, connected.getpeername())
        server = parse_socket_addr(connected.family, connected.getsockname())
        headers: Headers = ()
        if self._port is not None:
            try:
                self._secured = await self._port.open(self._tcp, self._meter)
            except HandshakeError as error:
                if error.reason is not None:
                    refusals.count(error.reason, network_of(str(connected.getpeername()[0])))
                return
            if self._secured is not None:
                self.stream, headers = self._secured, self._port.headers  # type: ignore[assignment]
            elif self._peer is not None:
                self.app = self._port.redirect
        async with TaskGroup() as self._task_group:
            self.protocol = Http1Protocol(  # type: ignore[assignment]
                self.app, self.config, self.context, self._task_group, self.state, self._secured is not None,
                client, server, self.protocol_send, end_soon=self.end_soon, meter=self._meter, headers=headers,
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
                    self._meter.client = self._peer  # the next request through a proxy may be from another client
                await super().protocol_send(event)
            case _:
                await super().protocol_send(event)

    def _send_no_more(self) -> None:
        """Close without a trio checkpoint: the calling task is about to be cancelled together with its request."""
        with suppress(OSError):
            self._tcp.socket.shutdown(socket.SHUT_WR)

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
        """Return whether the client has gone, according to the kernel: Hypercorn may not be reading at the moment."""
        if is_open(self._tcp.socket):
            return False
        self.end_soon()
        return True

    def reset(self) -> None:
        """Reset the connection; a shielded send in it fails immediately."""
        if self._tcp.socket.fileno() >= 0:
            with suppress(OSError):
                self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._tcp.socket.close()

    async def _idle_timeout(self) -> None:
        """Like Hypercorn's, with a random delay, so that connections opened together do not end together."""
        with trio.move_on_after(random.uniform(0, STAGGER) * self.config.keep_alive_timeout):
            await self.context.terminated.wait()
        await super()._idle_timeout()

    async def _end(self, scope: trio.CancelScope) -> None:
        """Hypercorn shields its sends from cancellation; a send fails when its socket is closed."""
        await self._ending.wait()
        await trio.sleep(LINGER_S)
        self._tcp.socket.close()
        scope.cancel(reason="the connection was ended")


def is_open(connected: trio.socket.SocketType) -> bool:
    """Whether the connection is open in both directions.

    The first byte of TCP_INFO (linux/tcp.h) is the state; 1 is ESTABLISHED. A Unix socket has no such state.
    """
    try:
        if connected.family == socket.AF_UNIX:
            ended = select.poll()
            ended.register(connected.fileno(), select.POLLRDHUP)
            return not ended.poll(0)
        return connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1
    except (OSError, ValueError):  # the latter for a socket that is closed
        return False
