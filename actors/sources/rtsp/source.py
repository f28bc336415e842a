"""The actor of one RTSP connection: a socket, the clock, and the shield around the farewell."""

import os
import secrets
import ssl
from collections.abc import Awaitable, Callable

import trio

from supervisor.config import Source
from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Fault, Reason
from supervisor.shield import bounded_shield

from ...bitstream import BitstreamError
from ...child import NO_MEMORY
from ...hub import Hub
from ...share import Share
from ...tools import Tools
from .address import Target, host_and_port, is_same_host, parse_target, redirected
from .messages import ProtocolError
from .reasons import (
    ENDED,
    NO_ANSWER,
    NO_PASSWORD,
    NO_TLS,
    NO_UDP_BY_TLS,
    NOWHERE,
    TOO_SLOW,
    WANDERS,
    Ended,
    Moved,
    elsewhere,
    unreachable,
)
from .sdp import DescriptionError
from .session import Session
from .udp import Datagrams, open_datagrams

CONNECT_S = 10.0
TEARDOWN_S = 1.0
"""A camera that does not answer its TEARDOWN within this time may keep the session until its own timeout."""
MAX_REDIRECTS = 5
RECEIVE = 64 * 1024
"""Bytes at a time: a whole key frame, as a rule, and never more than a millisecond's work."""


async def run(camera: CameraId, source: Source, hub: Hub, tools: Tools, after: Recorded) -> Reason:
    """Play a camera until it ends, and say why. Follows redirects within its host, `MAX_REDIRECTS` of them.

    The place that it has among the connections of its device says nothing of another device.

    Cancellation: ends the session with TEARDOWN and takes `TEARDOWN_S` at the most. Cleanup: the same on every way
    out; the connection and the UDP ports are closed, and the camera's place with them is free.
    """
    target = parse_target(source.address)
    is_known = target.credentials is not None
    for _ in range(MAX_REDIRECTS + 1):
        try:
            await _play(target, source.transport == "udp", hub, tools)
        except Ended as ended:
            if ended.reason is NO_PASSWORD and is_known:  # a redirect to another port left it behind
                return elsewhere(target.url, source.secrets)
            return ended.reason
        except OSError as error:  # of the system: no port, no descriptor
            return unreachable(error)
        except MemoryError:
            return NO_MEMORY
        except Moved as moved:
            try:
                there = redirected(target, moved.location, moved.peer)
            except ValueError:
                return NOWHERE
            if not is_same_host(there, target) or _is_of_another_device(there, source, tools):
                return elsewhere(there.url, source.secrets)
            target = there
            if target.tls and source.transport == "udp":
                return NO_UDP_BY_TLS
    return WANDERS


def _is_of_another_device(there: Target, source: Source, tools: Tools) -> bool:
    """Whether this host and port is, by the configuration, another device: several may share a host.

    As we know the host, and as the camera writes it.
    """
    places = {(there.host, there.port), host_and_port(there.url)}
    known = [each for each in tools.sources.all() if each.kind in ("rtsp", "go2rtc")]
    devices = {each.device for each in known if host_and_port(each.address) in places}
    return bool(devices) and source.device not in devices


async def _play(target: Target, over_udp: bool, hub: Hub, tools: Tools) -> None:
    """One connection. Raises `Ended` or `Moved`; does not return."""
    async with await _connect(target, tools) as stream, open_datagrams(stream, over_udp) as datagrams:
        peer = _peer(stream)
        session = Session(
            target, hub, hub.loss, secrets.randbits(32), datagrams.ports if datagrams is not None else None
        )
        try:
            if datagrams is None:
                await _read(stream, session)
            else:
                await datagrams.pump(session, lambda: _read(stream, session, datagrams))
        except Moved as moved:
            moved.peer = peer
            raise
        except (ProtocolError, DescriptionError) as error:
            raise Ended(_unusable(error) if session.playing else NO_ANSWER) from None
        except BitstreamError as error:
            raise Ended(_unusable(error)) from None
        except (OSError, trio.BrokenResourceError):
            raise Ended(ENDED) from None
        finally:
            with bounded_shield(TEARDOWN_S):
                await _leave(stream, session)


def _unusable(error: ValueError) -> Reason:
    return Reason("bad-data", f"what came is no usable stream: {error}", Fault.TEMPORARY)


def _peer(stream: trio.abc.Stream) -> str:
    """The number of the other side; empty where there is none."""
    if isinstance(stream, trio.SSLStream):
        stream = stream.transport_stream
    if not isinstance(stream, trio.SocketStream):
        return ""
    try:
        return str(stream.socket.getpeername()[0])
    except OSError:  # it has closed the connection
        return ""


async def _connect(target: Target, tools: Tools) -> trio.abc.Stream:
    """Raises `Ended` when there is no connection."""
    with trio.move_on_after(CONNECT_S):
        try:
            return await tools.open_tcp(target.host, target.port, target.tls)
        except (trio.BrokenResourceError, ssl.SSLError):
            raise Ended(NO_TLS) from None
        except UnicodeError:  # no name that a host can have
            raise Ended(TOO_SLOW) from None
        except OSError as error:
            raise Ended(unreachable(error)) from None
    raise Ended(TOO_SLOW)


async def _read(stream: trio.abc.Stream, session: Session, datagrams: Datagrams | None = None) -> None:
    """The conversation, and over TCP the pictures. Raises what ends it."""
    session.begin(trio.current_time())
    receive, share = _receiver(stream), Share(trio.current_time())
    while True:
        if session.outgoing:
            await _send(stream, session)
        if datagrams is not None:
            datagrams.send(session)
        due = session.due()
        with trio.move_on_at(due):  # one scope for many pictures: each costs as much as a dozen packets
            while not session.outgoing and session.due() == due:
                data = await receive()
                if not data:
                    raise Ended(ENDED)
                now = trio.current_time()
                share.begin(session.messages)
                session.feed(data, now)
                while session.step():
                    share.pause(now, session.messages)
                    await trio.lowlevel.checkpoint()
                    share.begin(session.messages)
                if (wait_s := share.pause(now, session.messages)) > 0:
                    await trio.sleep(wait_s)
                if now >= due:  # pictures that never pause must not keep the rest from its turn
                    break
        now = trio.current_time()
        if now >= session.due():
            session.tick(now)


def _receiver(stream: trio.abc.Stream) -> Callable[[], Awaitable[bytes]]:
    """How to read: what is there, `RECEIVE` bytes at the most; nothing at the end.

    From a socket without TLS we read as it becomes readable. `receive_some` tries first and waits then, and that first
    try, which finds nothing, would be a third of what a picture costs.
    """

    async def receive() -> bytes:
        return bytes(await stream.receive_some(RECEIVE))

    if not isinstance(stream, trio.SocketStream):
        return receive
    number = stream.socket.fileno()

    async def receive_when_readable() -> bytes:
        while True:
            await trio.lowlevel.wait_readable(number)
            try:
                return os.read(number, RECEIVE)
            except BlockingIOError:
                continue

    return receive_when_readable


async def _send(stream: trio.abc.Stream, session: Session) -> None:
    data = bytes(session.outgoing)
    session.outgoing.clear()
    with trio.move_on_at(session.due()):
        await stream.send_all(data)
        return
    raise Ended(NO_ANSWER)


async def _leave(stream: trio.abc.Stream, session: Session) -> None:
    """Say TEARDOWN and wait for the answer, as far as the camera lets us."""
    session.leave(trio.current_time())
    try:
        while True:
            data = bytes(session.outgoing)
            session.outgoing.clear()
            if data:
                await stream.send_all(data)
            if session.left or not (chunk := await stream.receive_some(RECEIVE)):
                return
            session.feed(bytes(chunk), trio.current_time())
            while session.step() and not session.left:
                await trio.lowlevel.checkpoint()
    except (Ended, Moved, ProtocolError, OSError, trio.BrokenResourceError, trio.ClosedResourceError):
        return  # it has let go of us in its own way
