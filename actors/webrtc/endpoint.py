"""The UDP sockets of one peer, read by trio, so that packets that arrive a thousand times an hour wake no asyncio loop.

Rules of this file:
- aioice gets these sockets as asyncio transports. `Endpoints` owns them from the first packet to the last. So `close`
  finds all of them, even those that a failed call opened.
- STUN that may be meant for this peer goes to aioice, which checks the password. aioice gets DTLS from validated
  addresses only. From an address that the viewer named or checked from, the newest `MAX_HELD` datagrams are held until
  the address is validated; others are dropped.
- After `take_rtcp`, RTCP from known addresses goes to its reader by one call. Incoming media is dropped.
- Reading yields to the event loop after `AT_ONCE` datagrams, or fewer expensive ones, however many there are. A peer
  has a share of the loop. Datagrams beyond it wait in the kernel, which drops those that do not fit.

Source: RFC 7983 and RFC 5761, section 4 (the type of a packet); RFC 8489, section 5 (the cookie of STUN).
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

import trio

from ..cpu_share import CpuShare
from .path import Path

AT_ONCE, OF_CHECK = 16, 4
"""Datagrams that are read in one step, and the weight of a STUN or DTLS datagram: about a millisecond's work."""
RATE, BURST_S = 0.03, 0.3
"""One peer's share of the loop: its checks and reports take less than 0.002, and the beginning takes about 10 ms."""
MAX_HELD = 8
"""Datagrams of DTLS that may arrive before their address is validated: about one flight of a handshake."""
ROOM = 4096
"""Bytes of a datagram that are read. The longest datagrams of ICE, DTLS and reports fit into an Ethernet frame."""
MIN_PACKET = 8
"""Bytes of the shortest RTCP packet. The headers of STUN and DTLS are longer."""
_COOKIE, _CHECK = b"\x21\x12\xa4\x42", b"\x00\x01"
"""The cookie of each STUN message, and the type of a Binding request (RFC 8489, section 5)."""

ReceiveRtcp = Callable[[bytes, Any, tuple[str, int]], None]
"""Called with a packet, aioice's protocol of the receiving socket, and the source address."""


class Endpoints:
    """The sockets that `loop` opens. Their readers run in `nursery`, and end when the sockets are closed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, nursery: trio.Nursery) -> None:
        self._loop, self._nursery = loop, nursery
        self.opened: list[Endpoint] = []
        self.path: Path | None = None
        """The viewer's addresses, as ICE knows them; set before the first socket is opened."""
        self.held: deque[tuple[Endpoint, bytes, tuple[str, int]]] = deque(maxlen=MAX_HELD)
        self.share = CpuShare(trio.current_time(), rate=RATE, burst_s=BURST_S)
        loop.create_datagram_endpoint = self._create  # type: ignore[method-assign, assignment]

    async def _create(
        self, make_protocol: Callable[[], asyncio.DatagramProtocol], local_addr: tuple[str, int]
    ) -> tuple[asyncio.DatagramTransport, asyncio.DatagramProtocol]:
        """Open a socket. aioice calls this for each local address. Raises `OSError`."""
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

    def take_rtcp(self, receive: ReceiveRtcp) -> None:
        """From now on, pass every RTCP packet to `receive`, still protected."""
        for endpoint in self.opened:
            endpoint.receive_rtcp = receive

    def release(self) -> None:
        """Pass on the held datagrams of addresses that are now validated."""
        held = list(self.held)
        self.held.clear()
        for endpoint, data, source in held:
            endpoint.take(data, source)

    def close(self) -> None:
        """Close all sockets, which ends their readers."""
        self.held.clear()
        for endpoint in self.opened:
            endpoint.close()


class Endpoint(asyncio.DatagramTransport):
    """One socket. Sending never waits: a datagram that the socket's buffer cannot hold is lost, as on the network."""

    def __init__(
        self,
        out: socket.socket,
        owner: Endpoints,
        loop: asyncio.AbstractEventLoop,
        protocol: asyncio.DatagramProtocol,
    ) -> None:
        super().__init__({"socket": out, "sockname": out.getsockname()})
        self.socket, self.protocol, self.loop, self._owner = out, protocol, loop, owner
        self.receive_rtcp: ReceiveRtcp | None = None
        protocol.connection_made(self)

    async def run(self) -> None:
        """Read until the socket is closed. Cancellation: at once. Cleanup: the owner closes the socket."""
        try:
            while not self.is_closing():  # it may be closed in the loop iteration in which it has become readable
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
            except OSError as error:  # an earlier datagram did not arrive
                self.protocol.error_received(error)
                continue
            if self.take(data, source[:2]):
                left -= OF_CHECK - 1

    def take(self, data: bytes, source: tuple[str, int]) -> bool:
        """Dispatch one datagram by the packet type in its first byte. Other types, and truncated packets, are dropped.

        Returns whether ICE or DTLS processed it.
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
                if path is not None:
                    path.take_dtls(self.protocol, source)
                self.protocol.datagram_received(data, source)
                return True
            if path.is_known(self.protocol, source):
                self._owner.held.append((self, data, source))
        elif kind >> 6 == 2 and 192 <= data[1] < 224 and self.receive_rtcp is not None:
            if path is None or path.is_known(self.protocol, source):
                self.receive_rtcp(data, self.protocol, source)
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
