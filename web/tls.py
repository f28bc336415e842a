"""TLS of the page: one TCP port speaks TLS and plain HTTP, and the first byte of a connection decides.

Rules of this file:
- A connection whose first byte is that of a TLS handshake (22) speaks TLS. Any other one is plain HTTP, which is
  redirected to https, unless it is of a trusted proxy, which speaks TLS with the browser itself.
- Strangers begin handshakes. Each has `HANDSHAKE_S`, and a client may have `MOST_UNFINISHED` at a time. Its work is
  scheduled and charged as every other work for the client: a key of 2048 bits (RSA) costs 0.5 ms, one of P-256 0.2 ms.
- A redirect names a host that only we can have (`web/hosts.py`), and the port to which the client has connected.
"""

import math
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import attrs
import trio
from hypercorn.config import Config as HypercornConfig
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope
from hypercorn.utils import wrap_app
from werkzeug.exceptions import BadRequest

from .hosts import host_of, is_ours, with_port
from .loop_scheduler import Meter
from .refusals import Refusal
from .strict_requests import problem_body

HANDSHAKE_S = 10.0
"""Seconds from the connection to the end of the handshake, or to the first byte of plain HTTP."""
MOST_UNFINISHED = 32
"""Maximum number of connections of one client that are not that far. A browser opens six at a time."""
FIRST_BYTE = b"\x16"
"""The first byte of a TLS connection: a record of a handshake (RFC 8446, section 5.1)."""
PIECE = 32 * 1024
"""Number of bytes that are encrypted between two trio checkpoints."""
STRICT = (b"strict-transport-security", b"max-age=15552000")
"""Browsers use https only for this host, for 180 days."""


@attrs.frozen
class Tls:
    """How connections are secured."""

    context: Callable[[], ssl.SSLContext]
    """Returns the context for the next connection: the certificate may be a new one."""
    is_given: bool = False
    """The certificate was given, so browsers trust it and may be bound to https (HSTS)."""
    allow_origins: tuple[str, ...] = ()
    """Their hosts are ours as well."""


class HandshakeError(Exception):
    """A connection that is closed before it is secured."""

    def __init__(self, reason: Refusal | None) -> None:
        """`reason` is None if we have closed it ourselves."""
        super().__init__(reason.value if reason else "closed")
        self.reason = reason


class TlsPort:
    """The begin of each connection to a port that speaks TLS."""

    def __init__(self, tls: Tls, config: HypercornConfig) -> None:
        self._context = tls.context
        self.headers = (STRICT,) if tls.is_given else ()
        """Further headers of each answer over TLS."""
        self.redirect = wrap_app(_Redirect(tls.allow_origins), config.wsgi_max_body_size, None)
        """The application for plain HTTP."""
        self._unfinished: Counter[str] = Counter()
        """Connections that have neither ended their handshake nor sent plain HTTP, by client."""

    async def open(self, stream: trio.SocketStream, meter: Meter) -> "TlsStream | None":
        """Return the secured side of a new connection; None if it is plain HTTP, of which nothing is read yet.

        Raises `HandshakeError`, and `OSError` of the connection.
        Cancellation: at any time. Cleanup: the connection is the caller's.
        """
        deadline = trio.current_time() + HANDSHAKE_S
        with self._count(meter.client):
            try:
                with trio.move_on_at(deadline) as waiting:
                    is_plain = await stream.socket.recv(1, socket.MSG_PEEK) != FIRST_BYTE
            except trio.ClosedResourceError:
                raise HandshakeError(None) from None
            if waiting.cancelled_caught:
                raise HandshakeError(Refusal.FAILED_HANDSHAKE)
            if is_plain:
                return None
            secured, is_done = TlsStream(stream, self._context(), meter), False
            try:
                await secured.do_handshake(deadline)
                is_done = True
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                raise HandshakeError(Refusal.FAILED_HANDSHAKE if stream.socket.fileno() >= 0 else None) from None
            finally:
                if not is_done:
                    secured.free()
            return secured

    @contextmanager
    def _count(self, client: str | None) -> Iterator[None]:
        """Count one of `client`. Raises `HandshakeError` if it has too many; a trusted proxy (None) may have many."""
        if client is None:
            yield
            return
        if self._unfinished[client] >= MOST_UNFINISHED:
            raise HandshakeError(Refusal.UNFINISHED_HANDSHAKES)
        self._unfinished[client] += 1
        try:
            yield
        finally:
            self._unfinished[client] -= 1
            if not self._unfinished[client]:
                del self._unfinished[client]


class TlsStream(trio.abc.Stream):
    """The secured side of a connection. `meter` schedules and charges what is received."""

    def __init__(self, stream: trio.SocketStream, context: ssl.SSLContext, meter: Meter) -> None:
        self._meter, self._below = meter, _Scheduled(stream, meter)
        self._inner = trio.SSLStream(self._below, context, server_side=True, https_compatible=True)

    async def do_handshake(self, deadline: float) -> None:
        """Raises `trio.BrokenResourceError` if the client does not speak TLS, refuses the certificate, has gone, or
        takes until `deadline`."""
        self._below.deadline = deadline
        await self._meter.measure(self._inner.do_handshake())
        self._below.deadline = math.inf

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        for at in range(0, len(view), PIECE):
            await self._inner.send_all(view[at : at + PIECE])

    async def wait_send_all_might_not_block(self) -> None:
        await self._inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._meter.measure(self._inner.receive_some(max_bytes))

    async def aclose(self) -> None:
        await self._inner.aclose()

    def free(self) -> None:
        """Free the memory of OpenSSL after the last use.

        trio's stream refers to itself. Its memory would wait for the collector of cyclic garbage, which runs rarely,
        and strangers could fill the memory meanwhile.
        """
        vars(self._inner).clear()


class _Scheduled(trio.abc.Stream):
    """A TCP connection whose bytes are given to OpenSSL when its client is scheduled.

    A cancellation would leave a traceback that refers to itself and to the memory of OpenSSL. So would a socket that we
    close. So nothing more is received after `deadline`, or from a closed socket, and sending fails.
    """

    def __init__(self, stream: trio.SocketStream, meter: Meter) -> None:
        self._stream, self._meter = stream, meter
        self.deadline = math.inf

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        with trio.move_on_at(self.deadline):
            await self._stream.send_all(data)
            return
        raise trio.BrokenResourceError("the handshake took too long")

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        with suppress(trio.ClosedResourceError), trio.move_on_at(self.deadline):
            data = await self._stream.receive_some(max_bytes)
            await self._meter.take()
            return data
        return b""

    async def aclose(self) -> None:
        await self._stream.aclose()


@attrs.frozen
class _Redirect:
    """The application for plain HTTP: each request is redirected to https, and each WebSocket refused."""

    allow_origins: tuple[str, ...]

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008, "reason": None})
            return
        status, headers, body = self._answer(scope)
        headers += [(b"content-length", b"%d" % len(body)), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": status, "headers": headers, "trailers": False})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def _answer(self, scope: Any) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        try:
            host = host_of(scope)
        except BadRequest as error:
            return _problem(400, str(error.description))
        if host is None:
            return _problem(400, "the request has no Host, so the address to send it to by https is unknown")
        if not is_ours(host, self.allow_origins):
            return _problem(421, "the Host of the request is not a name of this server")
        query = scope["query_string"]
        path = scope["raw_path"]
        target = (path if path.startswith(b"/") else b"/") + (b"?" + query if query else b"")
        return 308, [(b"location", b"https://" + with_port(host).encode("ascii") + target)], b""


def _problem(status: int, text: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    return status, [(b"content-type", b"application/problem+json")], problem_body(status, text)
