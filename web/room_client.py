"""A client for rooms: `banken.signaling.v1` over a WebSocket, for programs that connect to each other through banken.

    async with open_room_client("http://127.0.0.1:8620/") as rooms:
        created = await rooms.create()                  # or: await rooms.join(room_id)
        async for told in rooms:                        # RoomParticipants, OfferFrom, …
            ...

It handles messages, not media: the caller creates and reads offers and answers.
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self
from urllib.parse import urlsplit

import attrs
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from supervisor.base.groups import holds_only
from supervisor.domain import signaling as s

PATH = "ws/signaling"
CONNECT_S = 10.0
CLOSE_S = 1.0


class RoomError(Exception):
    """The server rejected the request; `code` is one of the five error codes."""

    def __init__(self, error: s.Error) -> None:
        super().__init__(f"{error.code.value}: {error.message}")
        self.code = error.code


class RoomsClosed(Exception):
    """The server closed the connection, or it was lost; `code` is the close code of the WebSocket."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the connection was ended ({code}{f': {reason}' if reason else ''})")
        self.code = code


@attrs.define
class RoomClient:
    """One connection, created by `open_room_client`. One task may read; any number may send."""

    socket: WebSocketConnection
    self_id: str | None = None
    """The own participant id; None outside a room."""

    async def create(self) -> s.RoomCreated:
        """Create a room and join it. Raises `RoomError`, `RoomsClosed`."""
        await self.send(s.CreateRequest())
        async for told in self:
            if isinstance(told, s.RoomCreated):
                self.self_id = told.self_id
                return told
        raise AssertionError("it is read until it raises")

    async def join(self, room: str) -> s.RoomParticipants:
        """Join a room; returns its participants, the caller last. Raises `RoomError`, `RoomsClosed`."""
        await self.send(s.JoinRequest(room))
        async for told in self:
            if isinstance(told, s.ParticipantJoined):
                self.self_id = told.participant_id
            elif isinstance(told, s.RoomParticipants):
                return told
        raise AssertionError("it is read until it raises")

    async def leave(self) -> None:
        await self.send(s.LeaveRequest())
        self.self_id = None

    async def send(self, request: s.Request) -> None:
        """Send a request. Raises `RoomsClosed`."""
        await self.send_text(s.write(request))

    async def send_text(self, text: str | bytes) -> None:
        """Send arbitrary text, for example to test error handling. Raises `RoomsClosed`."""
        try:
            await self.socket.send_message(text)
        except ConnectionClosed as closed:
            raise _closed(closed) from None

    async def receive(self) -> s.Told:
        """Return the next message, including errors. Raises `RoomsClosed`."""
        try:
            return s.read_message(await self.socket.get_message())
        except ConnectionClosed as closed:
            raise _closed(closed) from None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> s.Told:
        """Return the next message. Raises `RoomError` if it is an error, and `RoomsClosed`."""
        told = await self.receive()
        if isinstance(told, s.Error):
            raise RoomError(told)
        return told


def _closed(closed: ConnectionClosed) -> RoomsClosed:
    reason = closed.reason
    return RoomsClosed(reason.code or 1006, reason.reason or "") if reason else RoomsClosed(1006, "")


@asynccontextmanager
async def open_room_client(
    url: str, context: ssl.SSLContext | None = None, **headers: str
) -> AsyncIterator[RoomClient]:
    """Connect to the banken at `url`, the URL of its page. `context` verifies its certificate, instead of the default.

    Raises `OSError`, `trio.TooSlowError`, `ValueError` for an invalid URL, and trio-websocket's `HandshakeError`. An
    error of the block itself is raised unchanged.

    Cancellation: at any time. Cleanup: the WebSocket is closed within `CLOSE_S`, and its stream in any case.
    """
    host, port, tls, path = parse_address(url)
    async with _open_nursery() as nursery:
        with trio.fail_after(CONNECT_S):
            stream: trio.SocketStream | trio.SSLStream[trio.SocketStream]
            if tls:
                stream = await _open_tls(host, port, context)
            else:
                stream = await trio.open_tcp_stream(host, port)
        try:
            with trio.fail_after(CONNECT_S):
                socket = await wrap_client_stream(
                    nursery,
                    stream,
                    f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
                    path,
                    subprotocols=[s.PROTOCOL],
                    extra_headers=[(name.encode(), value.encode()) for name, value in headers.items()],
                    max_message_size=2 * s.MAX_MESSAGE,
                )
            yield RoomClient(socket)
            with trio.move_on_after(CLOSE_S):
                await socket.aclose()
        finally:
            await trio.aclose_forcefully(stream)


async def _open_tls(host: str, port: int, context: ssl.SSLContext | None) -> trio.SSLStream[trio.SocketStream]:
    """Raises `OSError`, also for a certificate that is not trusted."""
    stream = await trio.open_ssl_over_tcp_stream(host, port, ssl_context=context)
    try:
        await stream.do_handshake()
    except trio.BrokenResourceError as error:
        await trio.aclose_forcefully(stream)
        raise ConnectionError(str(error.__cause__ or error)) from None
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return stream


@asynccontextmanager
async def _open_nursery() -> AsyncIterator[trio.Nursery]:
    """Open a nursery that is cancelled at the end of the block and raises the block's error without a group."""
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                yield nursery
            except BaseException as error:
                failure = error
                raise
            finally:
                nursery.cancel_scope.cancel(reason="the client is closed")
    except BaseExceptionGroup as group:
        if failure is None or not holds_only(group, failure):
            raise
    if failure is not None:
        raise failure


def parse_address(url: str) -> tuple[str, int, bool, str]:
    """Return host, port, whether TLS is used, and the path of the WebSocket. Raises `ValueError`."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.hostname:
        raise ValueError(f"{url!r} is not the address of a daemon; an example is http://127.0.0.1:8620/")
    tls = parts.scheme in ("https", "wss")
    path = parts.path if parts.path.endswith(PATH) else f"{parts.path.rstrip('/')}/{PATH}"
    return parts.hostname, parts.port or (443 if tls else 80), tls, path
