"""The sending side of one reader: frames in its TCP connection, or datagrams to the address of that connection.

Rules of this file:
- Nothing is queued. At most the rest of one chunk waits for the socket, and nothing else is sent before it.
- A reply of RTSP goes between two chunks, never into one.
- The media of a reader go to the address that its TCP connection comes from, and nowhere else.
"""

import errno
import socket
from typing import Protocol

import trio

from .packets import Chunk

_NOTHING = memoryview(b"")
_NO_OFFLOAD = {errno.EIO, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOPROTOOPT, errno.EMSGSIZE}


class ReaderWire:
    """The TCP connection of a reader, as far as it is written to. `connected` does not block."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._rest = _NOTHING
        self._flushing = trio.Lock()
        self.is_gone = False
        """Nothing can be sent any more."""

    @property
    def is_held_up(self) -> bool:
        """Whether something waits for the socket. Nothing but a reply may be sent then."""
        return bool(self._rest)

    def send(self, data: bytes | memoryview) -> None:
        """Send, as far as the socket takes it; the rest waits for `flush`. Must not be held up."""
        if self.is_gone:
            return
        try:
            sent = self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self.is_gone = True
            return
        if sent < len(data):
            self._rest = memoryview(data)[sent:]

    def reply(self, data: bytes) -> None:
        """Send a reply after what is held up. The caller then has to `flush`, before the next one."""
        if self._rest:
            self._rest = memoryview(bytes(self._rest) + data)
        else:
            self.send(data)

    async def flush(self) -> None:
        """Wait until the socket has taken everything, or is gone. Always executes a trio checkpoint.

        Cancellation: at any time. Cleanup: the rest stays for the next call.
        """
        async with self._flushing:
            while self._rest and not self.is_gone:
                try:
                    await trio.lowlevel.wait_writable(self._socket)
                except (OSError, trio.ClosedResourceError):
                    self.is_gone = True
                    return
                rest, self._rest = self._rest, _NOTHING
                self.send(rest)

    async def wait_readable(self) -> None:
        """Wait until the client has sent something, or has hung up: then it is gone. Nothing is read.

        Cancellation: at any time. Cleanup: holds nothing.
        """
        try:
            await trio.lowlevel.wait_readable(self._socket)
            self.is_gone = not self._socket.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            pass
        except (OSError, trio.ClosedResourceError):
            self.is_gone = True

    def close(self) -> None:
        """Close the connection at once. A task that waits for it gets an error."""
        self.is_gone, self._rest = True, _NOTHING
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()


class Outlet(Protocol):
    """The way of the media to one reader. Tracks are numbered as in the description."""

    transport: str
    """`tcp` or `udp`."""
    is_paced: bool
    """Large access units need to be spread over time: nothing else slows the sender down."""
    refused: int
    """Sends that a socket did not take."""

    def send(self, track: int, chunk: Chunk) -> bool:
        """Send a chunk, or nothing of a track that was not set up. Returns False if a part of it is lost."""
        ...

    def report(self, track: int, packet: bytes) -> None:
        """Send a compound RTCP packet."""
        ...


class InterleavedOutlet:
    """Frames in the TCP connection. `channels`: of RTP, by track; RTCP has the next one."""

    transport = "tcp"
    is_paced = False

    def __init__(self, wire: ReaderWire, channels: dict[int, int]) -> None:
        self._wire, self._channels = wire, channels
        self.refused = 0

    def send(self, track: int, chunk: Chunk) -> bool:
        channel = self._channels.get(track)
        if channel is not None:
            self._wire.send(chunk.on(channel))
            self.refused += self._wire.is_held_up
        return True

    def report(self, track: int, packet: bytes) -> None:
        channel = self._channels.get(track)
        if channel is not None and not self._wire.is_held_up:
            self._wire.send(bytes((0x24, channel + 1)) + len(packet).to_bytes(2) + packet)


class DatagramOutlet:
    """Datagrams from the server's pair of sockets. `addresses`: of RTP and RTCP, by track."""

    transport = "udp"
    is_paced = True

    def __init__(
        self,
        sockets: tuple[socket.socket, socket.socket],
        addresses: dict[int, tuple[tuple[str, int], tuple[str, int]]],
    ) -> None:
        self._rtp, self._rtcp = sockets
        self._addresses = addresses
        self._offload = True
        self.refused = 0

    def send(self, track: int, chunk: Chunk) -> bool:
        if track not in self._addresses:
            return True
        address, _ = self._addresses[track]
        for data, ancillary in chunk.runs:
            try:
                if not ancillary:
                    self._rtp.sendto(data, address)
                elif self._offload:
                    self._rtp.sendmsg((data,), ancillary, 0, address)
                else:
                    self._send_one_by_one(data, int.from_bytes(ancillary[0][2], "little"), address)
            except OSError as error:
                if ancillary and self._offload and error.errno in _NO_OFFLOAD:
                    self._offload = False
                    return self.send(track, chunk)
                self.refused += 1
                return False
        return True

    def _send_one_by_one(self, data: bytes, size: int, address: tuple[str, int]) -> None:
        for at in range(0, len(data), size):
            self._rtp.sendto(data[at : at + size], address)

    def report(self, track: int, packet: bytes) -> None:
        if track in self._addresses:
            try:
                self._rtcp.sendto(packet, self._addresses[track][1])
            except OSError:
                self.refused += 1
