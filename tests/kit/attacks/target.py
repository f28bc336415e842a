"""The attacked daemon as one hostile client sees it, with the connections that all attacks share."""

import os
import random
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import trio

ANSWER_S = 5.0
"""Timeout for an answer in seconds."""
MOST = 8 * 1024 * 1024
"""Maximum number of bytes of an answer that are read."""
UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


@attrs.define
class Target:
    """The target of one attack.

    Args:
        port: TCP port of the daemon on 127.0.0.1.

        pid: the daemon.

        host: the loopback address of this attack.

        cameras: cameras that stay closed until they are requested.

        big: a camera with key frames of 8192 × 8192.

        traps: cameras that are hostile themselves.

        rtsp: TCP port of the daemon for readers, on 127.0.0.1.

        live: a camera that honest viewers watch.

        rng: the source of all randomness in this attack.
    """

    port: int
    pid: int
    host: str
    cameras: tuple[str, ...]
    big: str
    traps: tuple[str, ...]
    rtsp: int
    live: str
    rng: random.Random
    tally: Counter[str] = attrs.field(factory=Counter)
    """Counts of the actions and of the answers: `401`, `refused`, `closed` …"""

    @property
    def url(self) -> str:
        """The live camera, as readers name it."""
        return f"rtsp://127.0.0.1:{self.rtsp}/{self.live}"

    async def connect(self, room: int | None = None, port: int | None = None) -> trio.SocketStream:
        """A TCP connection; `room` bounds the bytes that the kernel takes in for us. Raises `OSError`."""
        client = trio.socket.socket()
        try:
            if room is not None:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
            await client.bind((self.host, 0))
            await client.connect(("127.0.0.1", port or self.port))
        except BaseException:
            client.close()
            raise
        return trio.SocketStream(client)

    async def ask(self, method: str, path: str, body: bytes = b"", head: bytes = b"") -> tuple[int, bytes]:
        """Send one request over a new connection; returns the status (0: no answer) and the data after the head."""
        length = b"Content-Length: %d\r\n" % len(body) if body else b""
        line = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".encode()
        with self.counting(), trio.move_on_after(ANSWER_S):
            async with await self.connect() as stream:
                try:
                    await stream.send_all(line + head + length + b"\r\n" + body)
                except trio.BrokenResourceError:
                    pass  # the daemon may answer before it has read everything
                answer = await read_all(stream)
            status = int(answer[9:12]) if answer[:7] == b"HTTP/1." and answer[9:12].isdigit() else 0
            self.tally[str(status)] += 1
            return status, answer.partition(b"\r\n\r\n")[2]
        return 0, b""

    async def websocket(self, path: str = "/ws/events", head: bytes = b"", room: int | None = None) -> "Opened | None":
        """A WebSocket, if the daemon opens one."""
        with self.counting(), trio.move_on_after(ANSWER_S):
            stream = await self.connect(room)
            await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n".encode() + UPGRADE + head + b"\r\n")
            answer = bytes(await stream.receive_some(4096))
            self.tally[answer[9:12].decode("ascii", "replace")] += 1
            if answer[9:12] == b"101":
                return Opened(stream, answer)
            await stream.aclose()
        return None

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count a connection that is refused or ended, and go on."""
        try:
            yield
        except trio.BrokenResourceError:
            self.tally["closed"] += 1
        except OSError:
            self.tally["refused"] += 1

    def udp_ports(self) -> list[tuple[str, int]]:
        """Addresses of the daemon's UDP sockets, as `/proc` has them: a stranger would try all ports."""
        inodes = set()
        for name in os.listdir(f"/proc/{self.pid}/fd"):
            try:
                link = os.readlink(f"/proc/{self.pid}/fd/{name}")
            except OSError:
                continue
            if link.startswith("socket:["):
                inodes.add(link[8:-1])
        rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
        return [_address(row[1]) for row in rows if row[9] in inodes]


@attrs.frozen
class Opened:
    """A WebSocket, and how the daemon accepted it."""

    stream: trio.SocketStream
    answer: bytes


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    """All that comes until the other side closes, `MOST` bytes at the most."""
    found = bytearray()
    try:
        while len(found) < MOST and (part := await stream.receive_some()):
            found += part
    except trio.BrokenResourceError:
        pass
    return bytes(found)


async def drain(stream: trio.abc.ReceiveStream) -> None:
    """Read, and forget."""
    try:
        while await stream.receive_some(65536):
            pass
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.partition(":")
    return socket.inet_ntoa(struct.pack("<I", int(host, 16))), int(port, 16)
