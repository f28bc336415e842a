"""Accepts the connections of readers, and holds the UDP sockets of those that get datagrams.

Rules of this file:
- Connections are bounded, in total and for each client. When all are taken, a new one replaces the one that has been
  without a reader for longest, so connections that ask for nothing lock nobody out.
- An error in one connection ends that one only. Refusals are counted, and logged once a minute.
"""

import errno
import logging
import socket
from collections import Counter
from collections.abc import Callable, Collection

import trio

from supervisor.base.supervision import describe_crash
from supervisor.domain.clients import network_of
from supervisor.ports.reader_logins import ReaderLogins

from ..tools import Tools
from .connection import Address, Connection, ReadableCameras
from .reports import MAX_RTCP
from .requests import Stage

logger = logging.getLogger(__name__)

MAX_CONNECTIONS, MAX_PER_CLIENT = 512, 256
SEND_BUFFER = 512 * 1024
"""Bytes that the kernel holds for one reader, at most twice that: about a second of a camera."""
ACCEPT_PAUSE_S = 0.1
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
LOG_EVERY_S = 60.0
AT_ONCE = 64
"""Connections accepted, or datagrams read, before other tasks run."""
MAX_PAIRS = 20
"""Attempts to find two neighboring UDP ports."""


class RtspServer:
    """Serves readers at `listener`, which stays open. `listener` must not block."""

    def __init__(self, listener: socket.socket, tools: Tools, cameras: ReadableCameras, logins: ReaderLogins) -> None:
        self._listener, self._tools, self._cameras, self._logins = listener, tools, cameras, logins
        self._open: dict[Connection, tuple[str, trio.CancelScope]] = {}
        """With the network of the client."""
        self._refused: Counter[str] = Counter()

    async def run(self) -> None:
        """Serve until cancelled.

        Cancellation: at any time. Cleanup: all connections and UDP sockets are closed; `listener` is not.
        """
        async with trio.open_nursery() as nursery:
            sockets = Sockets(str(self._listener.getsockname()[0]), nursery)
            try:
                nursery.start_soon(self._log_refused)
                await self._accept(sockets, nursery)
            finally:
                sockets.close()

    async def _accept(self, sockets: "Sockets", nursery: trio.Nursery) -> None:
        number = 0
        while True:
            try:
                connected, address = self._listener.accept()
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._listener)
                continue
            except OSError as error:
                why = "no resources" if error.errno in EXHAUSTED else f"accept: {error.strerror or error}"
                self._refused[why] += 1
                await trio.sleep(ACCEPT_PAUSE_S)  # the next call may fail in the same way
                continue
            client = str(address[0])
            if not self._has_room(network_of(client)):
                connected.close()
            else:
                nursery.start_soon(self._serve, connected, client, sockets)
            number += 1
            if number % AT_ONCE == 0:
                await trio.lowlevel.checkpoint()

    def _has_room(self, client: str) -> bool:
        """Return whether there is room for one more connection, perhaps in place of one without a reader."""
        of_client = sum(network == client for network, _ in self._open.values())
        if of_client < MAX_PER_CLIENT and len(self._open) < MAX_CONNECTIONS:
            return True
        for each, (network, scope) in self._open.items():
            is_idle = each.stage is Stage.NONE and not scope.cancel_called
            if is_idle and (network == client or of_client < MAX_PER_CLIENT):
                self._refused[network] += 1
                scope.cancel(reason="a newer connection replaces it")
                return True
        self._refused[client] += 1
        return False

    async def _serve(self, connected: socket.socket, client: str, sockets: "Sockets") -> None:
        with connected, trio.CancelScope() as scope:
            try:
                connected.setblocking(False)
                connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
                connection = Connection(connected, client, self._tools, self._cameras, sockets, self._logins)
            except OSError:  # it has gone already
                return
            self._open[connection] = network_of(client), scope
            try:
                await connection.run()
            except* Exception as crash:
                logger.error("a connection of a reader crashed: %s", describe_crash(crash), exc_info=crash)
            finally:
                del self._open[connection]

    async def _log_refused(self) -> None:
        while True:
            await trio.sleep(LOG_EVERY_S)
            refused, self._refused = self._refused, Counter()
            if refused:
                named = ", ".join(f"{client} {number}" for client, number in refused.most_common(5))
                logger.warning("RTSP connections refused or replaced: %d (%s)", refused.total(), named)


class Sockets:
    """The UDP sockets of all readers: one pair, opened when the first reader needs it."""

    def __init__(self, host: str, nursery: trio.Nursery) -> None:
        self._host, self._nursery = host, nursery
        self._pair: tuple[socket.socket, socket.socket] | None = None
        self._expected: dict[Address, Callable[[bytes], None]] = {}

    def open(self) -> tuple[socket.socket, socket.socket]:
        """Return the sockets of RTP and RTCP. Raises `OSError`."""
        if self._pair is None:
            self._pair = _open_pair(self._host)
            self._nursery.start_soon(self._read, self._pair[1])
        return self._pair

    def expect(self, addresses: Collection[Address], take: Callable[[bytes], None]) -> bool:
        if any(self._expected.get(each, take) != take for each in addresses):
            return False
        self.forget(take)
        self._expected |= dict.fromkeys(addresses, take)
        return True

    def forget(self, take: Callable[[bytes], None]) -> None:
        self._expected = {address: other for address, other in self._expected.items() if other != take}

    async def _read(self, reports: socket.socket) -> None:
        while True:
            await trio.lowlevel.wait_readable(reports)
            for _ in range(AT_ONCE):
                try:
                    data, address = reports.recvfrom(MAX_RTCP + 1)
                except BlockingIOError:
                    break
                except OSError:  # an answer of ICMP
                    continue
                take = self._expected.get(address[:2])
                if take is not None:
                    take(data)
            await trio.lowlevel.checkpoint()

    def close(self) -> None:
        for each in self._pair or ():
            trio.lowlevel.notify_closing(each)
            each.close()


def _open_pair(host: str) -> tuple[socket.socket, socket.socket]:
    """Open two neighboring UDP ports, the first even (RFC 3550, section 11). Raises `OSError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for attempt in range(MAX_PAIRS):
        pair = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_DGRAM)
        try:
            pair[0].bind((host, 0))
            port = pair[0].getsockname()[1]
            if port % 2 == 0 and port < 65_534:
                pair[1].bind((host, port + 1))
                for each in pair:
                    each.setblocking(False)
                return pair
        except OSError:
            if attempt == MAX_PAIRS - 1:
                raise
        for each in pair:
            each.close()
    raise OSError(errno.EADDRINUSE, "no two neighboring ports are free")
