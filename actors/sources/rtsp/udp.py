"""RTP over UDP: a pair of UDP ports for each track, read in batches of datagrams.

Datagrams from other addresses than the camera's, or the one that its answer to SETUP names, are dropped. We send only
to the camera's own address; to open a NAT binding, one datagram is sent first. A camera that sends more than usual is
read more slowly, and the kernel drops the rest. A multicast group is joined on the interface of the RTSP connection.
Closing its sockets leaves it.
Source: RFC 3550, section 11 (an even port for RTP, the next one for RTCP).
"""

import errno
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial

import attrs
import trio

from supervisor.domain.values import Fault, Reason

from ...cpu_share import CpuShare
from ...media.bitstream import BitstreamError
from ...media.media import SourceLoss
from ...media.oddities import Oddity
from .messages import ProtocolError
from .reasons import Ended, Moved
from .remote import Remote, senders
from .sdp import DescriptionError
from .session import RtspSession
from .transport_header import Pair, Transport

AT_ONCE = 64
"""Datagrams, or equivalent work, that are processed before other tasks run."""
TRIES = 50
"""Attempts to find two adjacent free ports."""
MAX_DATAGRAM = 65_536
ROOM = 1024 * 1024
"""Size of the kernel's receive buffer in bytes: a large key frame arrives in one burst."""
OPENING_PACKET = b"\x80" + bytes(11)
"""An RTP packet without payload, which opens the NAT binding."""


SOURCE_MEMBERSHIP = 39
"""`IP_ADD_SOURCE_MEMBERSHIP` of Linux, which Python 3.11 does not name."""


@attrs.define
class Datagrams:
    """The sockets of two tracks: RTP and RTCP of the first, RTP and RTCP of the second."""

    camera: str
    """The IP address of the camera. Datagrams are accepted from it, and from `_sources`."""
    sockets: list[socket.socket]
    local: tuple[str, int] = ("", 0)
    """Our address in the RTSP connection, and its interface where that is part of the address (IPv6)."""
    loss: SourceLoss = attrs.field(factory=SourceLoss)
    wait: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    """That of the conversation, until the session is due: a datagram may make it due earlier."""
    _sources: set[str] = attrs.field(factory=set)
    """Further addresses from which datagrams are accepted: the camera has named them."""
    _known: int = 0
    """The number of tracks that are set up."""
    _joined: ExitStack = attrs.field(factory=ExitStack)
    _listen: Callable[[int, socket.socket], None] = lambda index, bound: None

    @property
    def ports(self) -> tuple[Pair, Pair]:
        first, second, third, fourth = (one.getsockname()[1] for one in self.sockets)
        return (first, second), (third, fourth)

    def send(self, session: RtspSession) -> None:
        """Send the session's datagrams; one that cannot be sent counts as lost in the network.

        Multicast groups of new tracks are joined. Raises `Ended` for one that cannot be joined.
        """
        for index, remote in enumerate(session.remotes[self._known :], self._known):
            self._known += 1
            remote = attrs.evolve(remote, sources=senders(remote.sources, self.camera))
            self._sources.update(remote.sources)
            if remote.group:
                self._join(index, remote)
                continue
            self._send(2 * index, OPENING_PACKET, remote.ports[0], self.camera)
        for index, report in session.datagrams:
            if not session.remotes[index].group:  # a group would deliver it to every receiver
                self._send(2 * index + 1, report, session.remotes[index].ports[1], self.camera)
        session.datagrams.clear()

    def _join(self, index: int, remote: Remote) -> None:
        for number, port in enumerate(remote.ports):
            try:
                bound = self._joined.enter_context(_open_member(remote, port, self.local))
            except OSError as error:
                text = f"the multicast group {remote.group} cannot be joined: {error.strerror or error}"
                raise Ended(Reason("unreachable", text, Fault.TEMPORARY)) from None
            self.sockets.append(bound)
            self._listen(2 * index + number, bound)

    def close(self) -> None:
        """Leave all groups."""
        self._joined.close()

    def _send(self, index: int, data: bytes, port: int, address: str) -> None:
        if 0 < port < 65_536:
            try:
                self.sockets[index].sendto(data, (address, port))
            except OSError:
                return

    async def pump(self, session: RtspSession, converse: Callable[[], Awaitable[None]]) -> None:
        """Read datagrams while `converse` runs. Raises the error that ends either.

        Cancellation: at any time. Cleanup: holds nothing; `open_datagrams` closes the sockets.
        """
        errors: list[Exception] = []
        share = CpuShare(trio.current_time())

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

            def listen(index: int, bound: socket.socket) -> None:
                take = session.receive_report if index % 2 else session.receive
                nursery.start_soon(until_over, partial(self._read, bound, partial(take, index // 2), share, session))

            self._listen = listen
            for index, bound in enumerate(self.sockets):
                listen(index, bound)
            await until_over(converse)
        if errors:
            raise errors[0]

    async def _read(
        self, bound: socket.socket, take: Callable[[bytes, float], int], share: CpuShare, session: RtspSession
    ) -> None:
        while True:
            await trio.lowlevel.wait_readable(bound)
            now = trio.current_time()
            share.begin()
            self._take_some(bound, take, now)
            if (due := session.due()) < self.wait.deadline:
                self.wait.deadline = due
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
                continue  # a datagram that was sent did not arrive
            if sender[0] == self.camera or self._is_named(sender[0]):
                left -= take(data, now) - 1

    def _is_named(self, address: str) -> bool:
        if address not in self._sources:
            return False
        if not self.loss.oddities[Oddity.OTHER_ADDRESS]:
            self.loss.meet(Oddity.OTHER_ADDRESS)
        return True


@asynccontextmanager
async def open_datagrams(
    stream: trio.abc.Stream, transport: Transport, loss: SourceLoss
) -> AsyncIterator[Datagrams | None]:
    """Open what `transport` needs for the camera at the other end of `stream`; None if it needs no datagrams.

    Raises `OSError`.
    """
    if transport not in ("udp", "multicast"):
        yield None
        return
    if isinstance(stream, trio.SSLStream):
        stream = stream.transport_stream
    assert isinstance(stream, trio.SocketStream)
    family, camera, (local, *rest) = stream.socket.family, stream.socket.getpeername()[0], stream.socket.getsockname()
    with ExitStack() as closing:
        pairs = 2 if transport == "udp" else 0
        sockets = [bound for _ in range(pairs) for bound in closing.enter_context(_open_pair(family))]
        datagrams = Datagrams(camera, sockets, (local, rest[2] if len(rest) > 2 else 0), loss)
        closing.callback(datagrams.close)
        yield datagrams


@contextmanager
def _open_member(remote: Remote, port: int, local: tuple[str, int]) -> Iterator[socket.socket]:
    """Open a socket that receives the datagrams to one port of a group, on our interface `local`. Raises `OSError`.

    Bound to the group, it does not receive those to other groups on the same port. Closing it leaves the group.
    """
    is_ipv6, group = ":" in remote.group, remote.group
    with socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # others may receive the same group
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
        bound.bind((group, port, 0, local[1]) if is_ipv6 else (group, port))
        if is_ipv6:
            packed = socket.inet_pton(socket.AF_INET6, group) + struct.pack("@I", local[1])
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, packed)
        elif remote.sources:
            for source in remote.sources:
                packed = b"".join(map(socket.inet_aton, (group, local[0], source)))
                bound.setsockopt(socket.IPPROTO_IP, SOURCE_MEMBERSHIP, packed)
        else:
            packed = b"".join(map(socket.inet_aton, (group, local[0])))
            bound.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, packed)
        yield bound


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
    raise OSError(errno.EADDRNOTAVAIL, "no two adjacent UDP ports are free")
