"""The HTTP server: our own connection handling under Hypercorn's HTTP/1.1, with a defined shutdown order.

Rules of this file:
- An error in one connection ends that connection only. Hypercorn's own `serve` would end the server with it.
- The number of connections is bounded, in total and per TCP peer; a trusted proxy may hold more, since many people
  connect through it. When all are taken, a new one replaces an idle one of the peer with the most idle connections, so
  unfinished requests cannot lock out other clients.
- A refusal causes neither a log line nor a traceback: it is counted, and reported once a minute.
- The control socket (`web/control.py`) is served in the same way. Its connections have their own share: neither the
  connections of others nor many that say nothing lock the owner of the machine out.
- The shutdown time is bounded. Hypercorn shields its sends, so a client that does not read would delay the server
  without limit: connections that are open at the end are reset.
"""

import errno
import logging
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import trio
from hypercorn.config import Config as HypercornConfig
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.utils import wrap_app
from quart_trio import QuartTrio

from supervisor.base.groups import first_of
from supervisor.base.threads import ThreadRefused, run_in_thread
from supervisor.domain.clients import LOCAL, network_of
from supervisor.ports.control import ControlPort

from . import refusals
from .connection import Connection
from .control import CONTROL_EVERY_S, is_owner, user_of
from .loop_budgets import CLIENT_RATE
from .loop_scheduler import CONNECT_S, LoopScheduler, Meter
from .refusals import Refusal
from .sockets import Sockets
from .tls import Tls, TlsPort

logger = logging.getLogger("banken.web")

UNREAD_MS = 10_000
"""A client that acknowledges no data for this many milliseconds is considered gone."""
BACKLOG = 128
MAX_CONNECTIONS, MAX_PER_CLIENT, MAX_PER_PROXY = 512, 128, 448
ACCEPT_PAUSE_S = 0.1
"""Seconds until the next accept when the system has no file descriptor or no memory for a connection."""
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
CONTROL_PAUSE_S = CONNECT_S / CLIENT_RATE
"""Seconds between two connections of the control socket. They are replaced, and not refused, when there are many; so
they come at the rate that a client may have, and never use up its share."""
LOOK_EVERY_S = 1.0
LOOKED_AT_ONCE = 64
"""Number of connections that are checked between two trio checkpoints; each takes 2 µs."""
GONE_PAUSE_S = 0.001
"""Pause in seconds after each connection that is closed: closing one takes 0.3 ms."""
DRAIN_S = 1.0
PING_EVERY_S = 20
GRACE_S = 0.5
"""Seconds that an open request may still take after the drain."""


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket. Raises `OSError` if the address is in use or not local."""
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


def address(listener: socket.socket, scheme: str = "http") -> str:
    """Return the URL of the page for a browser on this machine."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, f"[{host}]" if ":" in host else host)
    return f"{scheme}://{shown}:{port}/"


async def run_web(
    app: QuartTrio,
    sockets: Sockets,
    listener: socket.socket,
    stop: trio.Event,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    *,
    is_proxy: Callable[[str], bool] = lambda peer: False,
    tls: Tls | None = None,
    control: ControlPort | None = None,
) -> None:
    """Serve until `stop` is set; then close WebSockets with 1001, give open requests `GRACE_S`, and return.

    `is_proxy` returns whether the address of a TCP peer is that of a trusted proxy. `tls`: the port speaks TLS.
    `control` has the control socket, which does not.
    Cancellation: ends the server at once. Cleanup: every connection and the listening socket are closed in any case.
    """
    connections = Connections(app, is_proxy, tls)
    listener.setblocking(False)
    async with trio.open_nursery() as handlers:
        handlers.start_soon(refusals.run_log)
        handlers.start_soon(connections.turns.run)
        handlers.start_soon(connections.look_for_gone)
        try:
            async with trio.open_nursery() as accepting:
                serving = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
                accepting.start_soon(connections.accept, serving, handlers)
                if control is not None:
                    accepting.start_soon(connections.accept_control, control, handlers)
                task_status.started()
                await stop.wait()
                accepting.cancel_scope.cancel(reason="stopping")
            with trio.move_on_after(DRAIN_S):
                await sockets.drain()
            with trio.move_on_after(GRACE_S):
                await connections.terminate()
        finally:
            connections.reset()
            refusals.log_now()
            handlers.cancel_scope.cancel(reason="stopping")


class Connections:
    """The open connections, each with the network of its TCP peer (`network_of`)."""

    def __init__(self, app: QuartTrio, is_proxy: Callable[[str], bool], tls: Tls | None = None) -> None:
        self._config = _configuration()
        self._app = wrap_app(app, self._config.wsgi_max_body_size, None)
        self._port = TlsPort(tls, self._config) if tls is not None else None
        self._context = WorkerContext(None)
        self._is_proxy = is_proxy
        self.turns = LoopScheduler()
        self._open: dict[Connection, str] = {}
        self._clients: Counter[str] = Counter()
        self._closed = trio.lowlevel.ParkingLot()

    async def accept(
        self, listener: trio.abc.Listener[trio.SocketStream], handlers: trio.Nursery, pause_s: float = 0.0
    ) -> None:
        """Accept connections until cancelled, each with its own task in `handlers`, and wait for `pause_s` after each.

        Cancellation: at any time. Cleanup: `listener` is closed.
        """
        async with listener:
            while True:
                try:
                    stream = await listener.accept()
                except OSError as error:
                    if error.errno not in EXHAUSTED:
                        raise
                    refusals.count(Refusal.NO_RESOURCES, "")
                    self._make_room()
                    await trio.sleep(ACCEPT_PAUSE_S)
                else:
                    handlers.start_soon(self.serve, stream)
                    if pause_s:
                        await trio.sleep(pause_s)

    async def accept_control(self, port: ControlPort, handlers: trio.Nursery) -> None:
        """Accept connections of the control socket until cancelled, also after its file was removed or replaced.

        Cancellation: at any time; a thread that looks at the file is abandoned. Cleanup: the socket is closed.
        """
        limiter = trio.CapacityLimiter(1)
        current: socket.socket | None = None
        async with trio.open_nursery() as nursery:
            accepting = trio.CancelScope()
            while True:
                with suppress(ThreadRefused):
                    found = await run_in_thread(port.listener, limiter=limiter, abandon="a disk may not answer")
                    if found is not current:
                        accepting.cancel(reason="the file of the socket has gone")
                        accepting, current = trio.CancelScope(), found
                        if found is not None:
                            nursery.start_soon(self._accept_in, accepting, found, handlers)
                await trio.sleep(CONTROL_EVERY_S)

    async def _accept_in(self, scope: trio.CancelScope, listener: socket.socket, handlers: trio.Nursery) -> None:
        listener.setblocking(False)
        with scope:
            serving = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
            await self.accept(serving, handlers, CONTROL_PAUSE_S)

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection to its end, or refuse it if there are too many, or if it is another user's."""
        is_local = stream.socket.family == socket.AF_UNIX
        try:
            peer = LOCAL if is_local else str(stream.socket.getpeername()[0])
            user = user_of(stream.socket) if is_local else 0
        except OSError:
            await trio.aclose_forcefully(stream)
            return
        client, is_proxy = network_of(peer), self._is_proxy(peer)
        if is_local and not is_owner(user):
            refusals.count(Refusal.OTHER_USER, f"user {user}")
            await trio.aclose_forcefully(stream)
            return
        if (reason := self._why_not(client, is_proxy)) is not None:
            refusals.count(reason, client)
            await trio.aclose_forcefully(stream)
            return
        meter = Meter(self.turns, None if is_proxy else client)
        self.turns.budgets.spend(meter.client, CONNECT_S, trio.current_time())
        port = None if is_local else self._port
        connection = Connection(self._app, self._config, self._context, stream, meter, port)
        self._open[connection] = client
        self._clients[client] += 1
        try:
            await connection
        except* Exception as errors:  # of Hypercorn on malformed HTTP: strangers must not fill the log with tracebacks
            refusals.count(Refusal.CRASHED, client)
            logger.debug("a connection from %s crashed: %r", client, first_of(errors), exc_info=True)
        finally:
            self._forget(connection)

    async def look_for_gone(self) -> None:
        """Close connections whose client has gone, a few per pass of the loop.

        Cancellation: at any time. Cleanup: nothing is held.
        """
        while True:
            await trio.sleep(LOOK_EVERY_S)
            for number, connection in enumerate(list(self._open), 1):
                if connection.look():
                    await trio.sleep(GONE_PAUSE_S)
                elif number % LOOKED_AT_ONCE == 0:
                    await trio.lowlevel.checkpoint()

    def _why_not(self, client: str, is_proxy: bool) -> Refusal | None:
        """Return why `client` is refused; None if there is room, possibly after an idle connection was closed."""
        if client == LOCAL:
            has_room = self._clients[LOCAL] < MAX_PER_CLIENT or self._make_room(LOCAL)
            return None if has_room else Refusal.PEER_HAS_ITS_SHARE
        if self._clients[client] >= (MAX_PER_PROXY if is_proxy else MAX_PER_CLIENT):
            return Refusal.PEER_HAS_ITS_SHARE
        if len(self._open) - self._clients[LOCAL] >= MAX_CONNECTIONS and not self._make_room():
            return Refusal.ALL_ARE_TAKEN
        return None

    def _make_room(self, of: str | None = None) -> bool:
        """Close the oldest idle connection of the peer with the most idle ones, or of `of`; false if none is idle.

        The control socket gives up none of its connections for others.
        """
        idle = {
            each: client
            for each, client in self._open.items()
            if each.idle_since is not None and (client != LOCAL if of is None else client == of)
        }
        if not idle:
            return False
        count = Counter(idle.values())
        most = max(count.values())
        victim = min(
            (each for each, client in idle.items() if count[client] == most), key=lambda each: each.idle_since or 0.0
        )
        refusals.count(Refusal.REPLACED, idle[victim])
        self._forget(victim)
        victim.reset()
        return True

    def _forget(self, connection: Connection) -> None:
        client = self._open.pop(connection, None)
        if client is None:
            return
        self._clients[client] -= 1
        if not self._clients[client]:
            del self._clients[client]
        self._closed.unpark_all()

    async def terminate(self) -> None:
        """Ask every connection to close after its current request, and wait until all are closed."""
        await self._context.terminated.set()
        while self._open:
            await self._closed.park()

    def reset(self) -> None:
        """Reset all open connections; a shielded send in them fails immediately."""
        for connection in self._open:
            connection.reset()


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
