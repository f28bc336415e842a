"""A viewer's UDP sockets, read by trio: what a viewer says a thousand times an hour wakes no asyncio loop.

Rules of this file:
- aioice believes that it has asyncio's transports. They are ours from the first packet to the last, so that whoever
  opened them, and however that ended, `close` finds them all.
- STUN that may be meant for this viewer goes to aioice, which checks the password. DTLS goes to it from validated
  addresses alone. From an address that the viewer named or checked from, the newest `MAX_HELD` datagrams are held until
  it is validated; others are dropped.
- Once `take_rtcp` was called, RTCP from known addresses goes to its reader by one call. Media, of which we take none,
  is dropped.
- Reading gives the loop back after `AT_ONCE` datagrams, or fewer that make more work, however many there are. A viewer
  has its share of the loop; what comes beyond it waits in the kernel, which drops what it has no room for.

Source: RFC 7983 and RFC 5761, section 4 (what kind of packet it is); RFC 8489, section 5 (the cookie of STUN).
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

import trio

from ..share import Share
from .path import Path

AT_ONCE, OF_CHECK = 16, 4
"""Datagrams that are read in one turn, and as how many STUN or DTLS counts: about a millisecond's work."""
RATE, BURST_S = 0.03, 0.3
"""The share of the loop of one viewer: its checks and reports take less than 0.002, the beginning some 10 ms."""
MAX_HELD = 8
"""Datagrams of DTLS that may come before their address is validated: about one flight of a handshake."""
ROOM = 4096
"""Bytes of a datagram that are read; the longest that ICE, DTLS and reports need are those of an Ethernet's frame."""
MIN_PACKET = 8
"""Bytes: the shortest RTCP packet. STUN and DTLS have longer heads."""
_COOKIE, _CHECK = b"\x21\x12\xa4\x42", b"\x00\x01"
"""Of each STUN message, and the type of those that ask (RFC 8489, section 5)."""


class Endpoints:
    """The sockets that `loop` opens. Their readers run in `nursery`, and end when the sockets are closed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, nursery: trio.Nursery) -> None:
        self._loop, self._nursery = loop, nursery
        self.opened: list[Endpoint] = []
        self.path: Path | None = None
        """The viewer's addresses, as ICE knows them; it is set before the first socket is opened."""
        self.held: deque[tuple[Endpoint, bytes, tuple[str, int]]] = deque(maxlen=MAX_HELD)
        self.share = Share(trio.current_time(), rate=RATE, burst_s=BURST_S)
        loop.create_datagram_endpoint = self._create  # type: ignore[method-assign, assignment]

    async def _create(
        self, make_protocol: Callable[[], asyncio.DatagramProtocol], local_addr: tuple[str, int]
    ) -> tuple[asyncio.DatagramTransport, asyncio.DatagramProtocol]:
        """What aioice calls for each address of ours. Raises `OSError`."""
        host, port = local_addr
        out = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            out.setblocking(False)
            out.bind((host, port))
        except OSError:
            out.close()
            raise
        endpoint = Endpoint(out, self, self._loop, make_protocol())
        if self.path is not None:
            self.path.watch(endpoint.protocol)
        self.opened.append(endpoint)
        self._nursery.start_soon(endpoint.run)
        return endpoint, endpoint.protocol

    def take_rtcp(self, receive: Callable[[bytes], None]) -> None:
        """Give `receive` every RTCP packet from now on, as it came: protected."""
        for endpoint in self.opened:
            endpoint.receive_rtcp = receive

    def release(self) -> None:
        """Pass on what was held of addresses that are validated now."""
        held = list(self.held)
        self.held.clear()
        for endpoint, data, source in held:
            endpoint.take(data, source)

    def close(self) -> None:
        self.held.clear()
        for endpoint in self.opened:
            endpoint.close()


class Endpoint(asyncio.DatagramTransport):
    """One socket. Nobody waits to send: what does not fit into its buffer is lost, as it would be on the line."""

    def __init__(
        self,
        out: socket.socket,
        owner: Endpoints,
        loop: asyncio.AbstractEventLoop,
        protocol: asyncio.DatagramProtocol,
    ) -> None:
        super().__init__({"socket": out, "sockname": out.getsockname()})
        self.socket, self.protocol, self.loop, self._owner = out, protocol, loop, owner
        self.receive_rtcp: Callable[[bytes], None] | None = None
        protocol.connection_made(self)

    async def run(self) -> None:
        """Read until it is closed. Cancellation: at once; closing it is its owner's."""
        try:
            while not self.is_closing():  # it may be closed in the turn in which it has become readable
                await trio.lowlevel.wait_readable(self.socket)
                self._owner.share.begin()
                self._read()
                if (wait_s := self._owner.share.pause(trio.current_time())) > 0:
                    await trio.sleep(wait_s)
        except trio.ClosedResourceError:
            pass

    def _read(self) -> None:
        left = AT_ONCE
        while left > 0 and not self.is_closing():
            left -= 1
            try:
                data, source = self.socket.recvfrom(ROOM)
            except BlockingIOError:
                return
            except OSError as error:  # what was sent before did not arrive
                self.protocol.error_received(error)
                continue
            if self.take(data, source[:2]):
                left -= OF_CHECK - 1

    def take(self, data: bytes, source: tuple[str, int]) -> bool:
        """One datagram, by the kind of packet that its first byte names. Other kinds, and stumps, are dropped.

        Returns whether ICE or DTLS had work with it.
        """
        if len(data) < MIN_PACKET:
            return False
        path, kind = self._owner.path, data[0]
        if kind < 4:
            if data[4:8] == _COOKIE and (path is None or path.may_be_ours(self.protocol, data)):
                self.protocol.datagram_received(data, source)
                return True
        elif 20 <= kind < 64:
            if path is None or path.is_validated(self.protocol, source):
                self.protocol.datagram_received(data, source)
                return True
            if path.is_known(self.protocol, source):
                self._owner.held.append((self, data, source))
        elif kind >> 6 == 2 and 192 <= data[1] < 224 and self.receive_rtcp is not None:
            if path is None or path.is_known(self.protocol, source):
                self.receive_rtcp(data)
        return False

    def sendto(self, data: Any, addr: Any = None) -> None:
        if self._owner.path is not None and data[:2] == _CHECK and not self._owner.path.may_check(self.protocol, addr):
            return
        try:
            self.socket.sendto(data, addr)
        except BlockingIOError:
            pass
        except OSError as error:
            self.protocol.error_received(error)

    def close(self) -> None:
        if not self.is_closing():
            trio.lowlevel.notify_closing(self.socket)
            self.socket.close()
            self.loop.call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self.socket.fileno() < 0
