"""RTP over UDP: a pair of ports for each track, read many datagrams at a time.

Datagrams of anybody but the camera are left out. To open the way through a NAT, one is sent first. Who sends more than
a camera does is read more slowly, and the kernel drops the rest.
Source: RFC 3550, section 11 (an even port for RTP, the next one for RTCP).
"""

import errno
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial

import attrs
import trio

from ...bitstream import BitstreamError
from ...share import Share
from .messages import ProtocolError
from .reasons import Ended, Moved
from .sdp import DescriptionError
from .session import Ports, Session

AT_ONCE = 64
"""Datagrams that are read before others have their turn, or as much work."""
TRIES = 50
"""To find two free ports next to each other."""
MAX_DATAGRAM = 65_536
ROOM = 1024 * 1024
"""Asked of the kernel for what has not been read yet: a large key frame comes all at once."""
KNOCK = b"\x80" + bytes(11)
"""An RTP packet with nothing in it."""


@attrs.define
class Datagrams:
    """The sockets of two tracks: RTP and RTCP of the first, RTP and RTCP of the second."""

    camera: str
    """The address from which datagrams are taken."""
    sockets: list[socket.socket]
    _greeted: int = 0

    @property
    def ports(self) -> tuple[Ports, Ports]:
        first, second, third, fourth = (one.getsockname()[1] for one in self.sockets)
        return (first, second), (third, fourth)

    def send(self, session: Session) -> None:
        """What the session has to say over UDP; what cannot be sent is lost, as datagrams are."""
        for index, ports in enumerate(session.servers[self._greeted :], self._greeted):
            self._greeted += 1
            self._send(2 * index, KNOCK, ports[0])
        for index, report in session.datagrams:
            self._send(2 * index + 1, report, session.servers[index][1])
        session.datagrams.clear()

    def _send(self, index: int, data: bytes, port: int) -> None:
        if 0 < port < 65_536:
            try:
                self.sockets[index].sendto(data, (self.camera, port))
            except OSError:
                return

    async def pump(self, session: Session, converse: Callable[[], Awaitable[None]]) -> None:
        """Read the datagrams while `converse` goes on; raises what ends either."""
        errors: list[Exception] = []
        share = Share(trio.current_time())

        async def until_over(work: Callable[[], Awaitable[None]]) -> None:
            try:
                await work()
            except (
                Ended,
                Moved,
                BitstreamError,
                ProtocolError,
                DescriptionError,
                OSError,
                MemoryError,
                trio.BrokenResourceError,
            ) as e:
                errors.append(e)
                nursery.cancel_scope.cancel(reason="the connection is over")

        async with trio.open_nursery() as nursery:
            for index, bound in enumerate(self.sockets):
                take = session.hear if index % 2 else session.receive
                nursery.start_soon(until_over, partial(self._read, bound, partial(take, index // 2), share))
            await until_over(converse)
        if errors:
            raise errors[0]

    async def _read(self, bound: socket.socket, take: Callable[[bytes, float], int], share: Share) -> None:
        while True:
            await trio.lowlevel.wait_readable(bound)
            now = trio.current_time()
            share.begin()
            self._take_some(bound, take, now)
            if (wait_s := share.pause(now)) > 0:
                await trio.sleep(wait_s)

    def _take_some(self, bound: socket.socket, take: Callable[[bytes, float], int], now: float) -> None:
        left = AT_ONCE
        while left > 0:
            left -= 1
            try:
                data, sender = bound.recvfrom(MAX_DATAGRAM)
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # what was sent did not arrive
            if sender[0] == self.camera:
                left -= take(data, now) - 1


@asynccontextmanager
async def open_datagrams(stream: trio.abc.Stream, wanted: bool) -> AsyncIterator[Datagrams | None]:
    """The ports for a camera that is connected by `stream`; none when they are not wanted. Raises `OSError`."""
    if not wanted:
        yield None
        return
    assert isinstance(stream, trio.SocketStream)
    family, camera = stream.socket.family, stream.socket.getpeername()[0]
    with ExitStack() as closing:
        sockets = [bound for _ in range(2) for bound in closing.enter_context(_open_pair(family))]
        yield Datagrams(camera, sockets)


@contextmanager
def _open_pair(family: int) -> Iterator[tuple[socket.socket, socket.socket]]:
    for _ in range(TRIES):
        with socket.socket(family, socket.SOCK_DGRAM) as even, socket.socket(family, socket.SOCK_DGRAM) as odd:
            even.bind(("", 0))
            port = even.getsockname()[1]
            try:
                odd.bind(("", port + 1 if port % 2 == 0 else 0))
            except OSError:
                continue
            if port % 2 == 0:
                for bound in (even, odd):
                    bound.setblocking(False)
                    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
                yield even, odd
                return
    raise OSError(errno.EADDRNOTAVAIL, "no two free ports next to each other")
