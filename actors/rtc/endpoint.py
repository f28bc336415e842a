"""A viewer's UDP sockets, read by trio: what a viewer says a thousand times an hour wakes no asyncio loop.

Rules of this file:
- aioice believes that it has asyncio's transports. They are ours from the first packet to the last, so that whoever
  opened them, and however that ended, `close` finds them all.
- Once `take_rtcp` was called, reports go to their reader by one call, and media, of which we take none, is dropped.
  Everything else is ICE and DTLS, and goes to aioice.
- Reading gives the loop back after `AT_ONCE` datagrams, however many there are.

Source: RFC 5761, section 4 and RFC 7983 (what kind of packet it is).
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import trio

AT_ONCE = 16
ROOM = 4096
"""Bytes of a datagram that are read; the longest that ICE, DTLS and reports need are those of an Ethernet's frame."""


class Endpoints:
    """The sockets that `loop` opens. Their readers run in `nursery`, and end when the sockets are closed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, nursery: trio.Nursery) -> None:
        self._loop, self._nursery = loop, nursery
        self.opened: list[Endpoint] = []
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
        endpoint = Endpoint(out, self._loop, make_protocol())
        self.opened.append(endpoint)
        self._nursery.start_soon(endpoint.run)
        return endpoint, endpoint.protocol

    def take_rtcp(self, receive: Callable[[bytes], None]) -> None:
        """Give `receive` every RTCP packet from now on, as it came: protected."""
        for endpoint in self.opened:
            endpoint.receive_rtcp = receive

    def close(self) -> None:
        for endpoint in self.opened:
            endpoint.close()


class Endpoint(asyncio.DatagramTransport):
    """One socket. Nobody waits to send: what does not fit into its buffer is lost, as it would be on the line."""

    def __init__(self, out: socket.socket, loop: asyncio.AbstractEventLoop, protocol: asyncio.DatagramProtocol) -> None:
        super().__init__({"socket": out, "sockname": out.getsockname()})
        self.socket, self.protocol, self.loop = out, protocol, loop
        self.receive_rtcp: Callable[[bytes], None] | None = None
        protocol.connection_made(self)

    async def run(self) -> None:
        """Read until it is closed. Cancellation: at once; closing it is its owner's."""
        try:
            while not self.is_closing():  # it may be closed in the turn in which it has become readable
                await trio.lowlevel.wait_readable(self.socket)
                self._read()
        except trio.ClosedResourceError:
            pass

    def _read(self) -> None:
        for _ in range(AT_ONCE):
            if self.is_closing():
                return
            try:
                data, source = self.socket.recvfrom(ROOM)
            except BlockingIOError:
                return
            except OSError as error:  # what was sent before did not arrive
                self.protocol.error_received(error)
                continue
            if len(data) < 2:  # is nothing at all, and aiortc's own reader would fall over it
                continue
            if self.receive_rtcp is None or data[0] >> 6 != 2:
                self.protocol.datagram_received(data, source)
            elif 192 <= data[1] < 224:
                self.receive_rtcp(data)

    def sendto(self, data: Any, addr: Any = None) -> None:
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
