"""RTSP in HTTP: one connection for the camera's bytes (GET), and one for ours in base64 (POST).

Rules of this file:
- The camera joins both connections by their cookie. It never answers POST, and does not count its length.
- A tunnel that is not complete leaves no connection open.
- The password leaves this file only as an answer to a challenge, as in the session inside the tunnel.
- A TCP port that the address does not name gets no readable password: behind it may be another device.

Source: Apple, "Tunneling RTSP and RTP over HTTP" (1999); ONVIF Streaming Specification, section 5.1.1.
"""

import base64
import secrets
import ssl
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import attrs
import trio

from supervisor.domain.values import Reason

from ...tools import OpenTcp
from .address import Target
from .auth import Authorization, choose_next
from .messages import AGENT, HEADER_END, ProtocolError, Response, read_headers, read_message
from .reasons import no_tunnel, unauthorized

MAX_HEAD = 16 * 1024
"""Limit of the header of an answer, in bytes."""
PIECE = 4096
MAX_SENT = 2
"""Answers to challenges: a second one where the nonce or the algorithm of the first was not accepted."""
POST_BYTES = 32_767
"""The length of the endless body: the number that cameras know from all other clients."""
MORE_PORTS = {554: 80, 322: 443}
"""Where a camera that has RTSP on its usual port may have the tunnel as well."""
KIND = "application/x-rtsp-tunnelled"


class TunnelRefused(Exception):
    """The camera opens no tunnel. `status` of its answer; 0 without a valid one."""

    def __init__(self, status: int, reason: Reason | None = None) -> None:
        super().__init__(f"status {status}")
        self.status, self.reason = status, reason or no_tunnel(status)


class Tunnel(trio.abc.Stream):
    """Both connections as one stream. `target` is for the session inside it."""

    def __init__(self, down: trio.abc.Stream, up: trio.abc.Stream, received: bytes, target: Target) -> None:
        self.down, self.up, self._received, self.target = down, up, received, target

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.up.send_all(base64.b64encode(data))

    async def wait_send_all_might_not_block(self) -> None:
        await self.up.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        if self._received:
            data, self._received = self._received, b""
            await trio.lowlevel.checkpoint()
            return data
        return await self.down.receive_some(max_bytes)

    async def aclose(self) -> None:
        try:
            await self.up.aclose()
        finally:
            await self.down.aclose()


def ports(target: Target) -> tuple[int, ...]:
    """Return the TCP ports at which the tunnel is tried, in this order: the one of the address, then that of HTTP."""
    more = MORE_PORTS.get(target.port)
    return (target.port, more) if more else (target.port,)


async def open_tunnel(open_tcp: OpenTcp, target: Target, within_s: float) -> Tunnel:
    """Open a tunnel at the first port that has one; each port has its share of `within_s` seconds.

    Raises `TunnelRefused` with the last answer of a port, or else the first error, which may be one of `OpenTcp`.

    Cancellation: at any time. Cleanup: no connection stays open.
    """
    errors: list[Exception] = []
    for port in ports(target):
        try:
            with trio.fail_after(within_s / len(ports(target))):
                return await _open_at(open_tcp, _at(target, port))
        except (OSError, trio.BrokenResourceError, ssl.SSLError, TunnelRefused) as error:
            errors.append(error)
        except trio.TooSlowError:
            errors.append(TunnelRefused(0))
    answers = [error for error in errors if isinstance(error, TunnelRefused) and error.status]
    raise answers[-1] if answers else errors[0]


def _at(target: Target, port: int) -> Target:
    known = target.credentials
    if known is not None and port != target.port:
        known = attrs.evolve(known, digest_only=True)
    return attrs.evolve(target, port=port, credentials=known)


async def _open_at(open_tcp: OpenTcp, target: Target) -> Tunnel:
    authorization: Authorization | None = None
    known, sent = target.credentials, 0
    while True:
        cookie = secrets.token_hex(11)  # GStreamer compares 23 characters
        async with AsyncExitStack() as opened:
            down = await opened.enter_async_context(await open_tcp(target.host, target.port, target.tls))
            await down.send_all(_head("GET", target, cookie, authorization, f"Accept: {KIND}"))
            answer = await _read_answer(down)
            if 200 <= answer.status < 300:
                up = await opened.enter_async_context(await open_tcp(target.host, target.port, target.tls))
                body = (f"Content-Type: {KIND}", f"Content-Length: {POST_BYTES}")
                await up.send_all(_head("POST", target, cookie, authorization, *body))
                opened.pop_all()
                return Tunnel(down, up, answer.body, target)
        if answer.status != 401:
            raise TunnelRefused(answer.status)
        offered, challenge = answer.headers.get("www-authenticate", ()), None
        if known is not None and sent < MAX_SENT:
            before = authorization.challenge if authorization else None
            challenge, _ = choose_next(offered, known, before, is_last=sent > 0)
        if known is None or challenge is None:
            raise TunnelRefused(401, unauthorized(offered, known is not None, sent > 0))
        authorization = Authorization(known, challenge)
        sent += 1


def _head(method: str, target: Target, cookie: str, authorization: Authorization | None, *more: str) -> bytes:
    """Return a request of HTTP/1.0, whose answer has no chunks."""
    parts = urlsplit(target.url)
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    host = f"[{target.host}]" if ":" in target.host else target.host
    lines = [f"{method} {path} HTTP/1.0", f"Host: {host}:{target.port}", f"User-Agent: {AGENT}"]
    lines += [f"x-sessioncookie: {cookie}", *more, "Pragma: no-cache", "Cache-Control: no-cache"]
    if authorization is not None:
        lines.append(f"Authorization: {authorization.header(method, path)}")
    return "\r\n".join((*lines, "", "")).encode()


async def _read_answer(stream: trio.abc.Stream) -> Response:
    """Read the header of an answer. Raises `TunnelRefused` for one that is not HTTP, or above `MAX_HEAD`."""
    data = b""
    while (answer := parse_answer(data)) is None:
        piece = await stream.receive_some(PIECE)
        if not piece or len(data) > MAX_HEAD:
            raise TunnelRefused(0)
        data += piece
    return answer


def parse_answer(data: bytes) -> Response | None:
    """Parse an answer, its body being all bytes behind the header; None until that is complete.

    Raises `TunnelRefused` for one that is not HTTP.
    """
    end = HEADER_END.search(data)
    if end is None:
        return None
    first, *lines = data[: end.start()].decode("utf-8", "replace").split("\n")
    try:
        answer = read_message(first, read_headers(lines), data[end.end() :])
    except ProtocolError:
        raise TunnelRefused(0) from None
    if not isinstance(answer, Response):
        raise TunnelRefused(0)
    return answer
