"""The HTTP server: Hypercorn's protocol on connections of our own, stopped in our order.

Rules of this file:
- What goes wrong in one connection ends that connection. Hypercorn's own `serve` would end the server with it.
- A connection that either side has ended is gone soon, whatever Hypercorn still waits for in it. So is a WebSocket
  whose client answers no ping: behind a proxy, or after a phone has gone to sleep, nobody else tells.
- The number of connections is bounded, in all and for each client.
- Stopping takes as long as we say. Hypercorn shields its sends, so a client that does not read would hold the server
  for ever: at the end what is still open is reset.
"""

import logging
import socket
import struct
import sys
from collections import Counter
from functools import partial

import trio
from hypercorn.config import Config as HypercornConfig
from hypercorn.events import Closed, Event
from hypercorn.protocol.ws_stream import WSStream
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import wrap_app
from quart_trio import QuartTrio

from .sockets import Sockets

logger = logging.getLogger("banken.web")

UNREAD_MS = 10_000
"""A client that acknowledges nothing for this long is gone."""
BACKLOG = 128
MAX_CONNECTIONS, MAX_PER_CLIENT = 512, 128
DRAIN_S = 1.0
LOOK_EVERY_S = 1.0
PING_EVERY_S = 20
SILENT_MS = 30_000
"""A WebSocket from which nothing came for so long has missed a ping by ten seconds."""
LINGER_S = 0.5
"""What the rest of a connection has once either side has ended it."""
GRACE_S = 0.5
"""What an open request still has after the drain."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `OSError` when the address is in use or is not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MS)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def address(listener: socket.socket) -> str:
    """The URL of the page, as a browser on this machine opens it."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}/"


async def run_web(
    app: QuartTrio,
    sockets: Sockets,
    listener: socket.socket,
    stop: trio.Event,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until `stop` is set: then WebSockets are closed with 1001, open requests get `GRACE_S`, and it returns.

    Cancellation: ends the server at once. Cleanup: every connection and the listening socket are closed in any case.
    """
    connections = Connections(app)
    listener.setblocking(False)
    async with trio.open_nursery() as handlers:
        try:
            async with trio.open_nursery() as accepting:
                serving = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
                accept = partial(trio.serve_listeners, connections.serve, [serving], handler_nursery=handlers)
                accepting.start_soon(accept, name="accept")
                task_status.started()
                await stop.wait()
                accepting.cancel_scope.cancel(reason="stopping")
            with trio.move_on_after(DRAIN_S):
                await sockets.drain()
            with trio.move_on_after(GRACE_S):
                await connections.terminate()
        finally:
            connections.reset()
            handlers.cancel_scope.cancel(reason="stopping")


class Connections:
    """The open connections."""

    def __init__(self, app: QuartTrio) -> None:
        self._config = _configuration()
        self._app = wrap_app(app, self._config.wsgi_max_body_size, None)
        self._context = WorkerContext(None)
        self._open: dict[trio.SocketStream, str] = {}
        self._clients: Counter[str] = Counter()
        self._closed = trio.lowlevel.ParkingLot()

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection to its end, or refuse it when there are too many."""
        try:
            client = str(stream.socket.getpeername()[0])
        except OSError:
            await trio.aclose_forcefully(stream)
            return
        if len(self._open) >= MAX_CONNECTIONS or self._clients[client] >= MAX_PER_CLIENT:
            logger.warning("refused a connection from %s: %d are open", client, len(self._open))
            await trio.aclose_forcefully(stream)
            return
        self._open[stream] = client
        self._clients[client] += 1
        try:
            await _Connection(self._app, self._config, self._context, ConnectionState({}), stream)  # type: ignore[arg-type]
        except* Exception as errors:  # what damaged HTTP does to Hypercorn: no stranger fills the log with tracebacks
            looked_for = logger.isEnabledFor(logging.DEBUG)
            logger.warning("a connection from %s crashed: %r", client, _first(errors), exc_info=looked_for)
        finally:
            del self._open[stream]
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]
            self._closed.unpark_all()

    async def terminate(self) -> None:
        """Tell every connection to end after the request it is at, and wait until they have."""
        await self._context.terminated.set()
        while self._open:
            await self._closed.park()

    def reset(self) -> None:
        """End what is still open, now; a shielded send in it fails at once."""
        for stream in list(self._open):
            if stream.socket.fileno() >= 0:
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                stream.socket.close()


class _Connection(TCPServer):
    """Hypercorn's connection, ended soon after either side has ended it.

    Hypercorn by itself would keep it: for its timers, for a reader that waits until an earlier request is answered, and
    when closing is cancelled together with the request that asked for it. Its nursery lets `Cancelled` out, so it is
    ended through one of ours around it.
    """

    _scope: trio.CancelScope

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            self._scope = nursery.cancel_scope
            nursery.start_soon(self._watch)
            await super().run()
            nursery.cancel_scope.cancel(reason="the connection has ended")

    async def protocol_send(self, event: Event) -> None:
        if isinstance(event, Closed):
            self._end_soon()
        try:
            await super().protocol_send(event)
        except trio.BusyResourceError:  # it is being closed at this very moment, which Hypercorn does without its lock
            await self.protocol.handle(Closed())

    async def _read_data(self) -> None:
        await super()._read_data()
        self._end_soon()

    async def _watch(self) -> None:
        """Hypercorn may not be reading just now: ask the kernel whether the client is there, and when it spoke."""
        while (silence_ms := _silence_ms(self.stream.socket)) is not None:  # nothing tells us
            if silence_ms > SILENT_MS and isinstance(getattr(self.protocol.protocol, "stream", None), WSStream):
                logger.info("a WebSocket has answered no ping for %d s and is ended", silence_ms // 1000)
                break
            await trio.sleep(LOOK_EVERY_S)
        self._end_soon()

    def _end_soon(self) -> None:
        self._scope.deadline = min(self._scope.deadline, trio.current_time() + LINGER_S)


def _silence_ms(connected: trio.socket.SocketType) -> int | None:
    """How long ago the client sent something; none when either side has ended the connection.

    From TCP_INFO (linux/tcp.h): the state, of which 1 is ESTABLISHED, comes first, `tcpi_last_data_recv` at 52.
    """
    try:
        info = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 56)
    except OSError:
        return None
    return int.from_bytes(info[52:56], sys.byteorder) if info[0] == 1 else None


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _configuration() -> HypercornConfig:
    config = HypercornConfig()
    config.accesslog = None
    config.errorlog = logger
    config.loglevel = "WARNING"
    config.include_server_header = False
    config.keep_alive_timeout = 30
    config.websocket_max_message_size = 64 * 1024
    config.websocket_ping_interval = PING_EVERY_S
    return config
