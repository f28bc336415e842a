"""HTTP/1.1 and nothing else: h11 and Hypercorn's protocol, with limits and without other protocols.

Rules of this file:
- No connection becomes HTTP/2. The preface `PRI *` is refused; `Upgrade` names a WebSocket or is removed.
- No WebSocket extension is negotiated: `Sec-WebSocket-Extensions` is removed before anybody reads it.
- The size of a head is checked before it is parsed: h11 needs 10 µs for each header line. No line takes more than
  linear time, and no head, however small the pieces are in which it arrives.
- What is parsed item by item, in Python, is short: the query, and the headers that are lists.
- Every answer carries the security headers, also those that no route makes.
"""

import json
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import h11
import trio
from hypercorn.events import Event, RawData
from hypercorn.protocol.events import Request as StreamRequest
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol, H11WSConnection
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.typing import H11SendableEvent

from .security_headers import with_security
from .turns import Meter
from .websocket_stream import WebSocketStream

MAX_LINE = 8 * 1024
"""Bytes of the request line or of one header line."""
MAX_HEAD = 64 * 1024
"""Bytes of all of them."""
MAX_LINES = 128
"""Browsers send about 20, proxies add about 10."""
MAX_QUERY, MAX_LISTS = 2048, 1024
"""Bytes of the query, and of all header lines that are lists: h11 and Werkzeug need up to 2.6 µs for each byte of them.
The lists of a browser have 300 to 500 bytes."""
MAX_TRAILERS = 8 * 1024
"""Bytes behind a chunked body, or of one chunk's head."""
SLICE = 4096
"""Bytes that are parsed before other tasks get their turn."""

_FIELD = re.compile(
    rb"(?P<field_name>[!#$%&'*+.^_`|~0-9A-Za-z-]++):[ \t]*+"
    rb"(?P<field_value>(?:[^\x00\s]++(?:[ \t]++[^\x00\s]++)*+)?)[ \t]*+"
)
"""A header line (RFC 9112, 5). It accepts what h11's expression accepts, in linear time."""
h11._readers.header_field_re = _FIELD  # h11's takes 240 ms for 8 kB of spaces and a NUL, in heads and in trailers

_LIST = re.compile(
    rb"(?i:accept|cache-control|connection|content-|expect|forwarded|if-|pragma|range|sec-websocket-|te:"
    rb"|transfer-encoding|upgrade|[ \t])"
)
"""How a header line begins whose value is split or matched item by item, or that goes on with the line before."""


class Head:
    """The head at the front of a buffer, as far as it was read: pieces of it that arrive are read once each."""

    def __init__(self) -> None:
        self._at = self._line = self._lines = 0
        """The first byte that was not read, the first of its line, and the lines before that."""
        self._listed = 0
        """Bytes of the lines that are lists."""
        self._whole = False

    def require_small(self, data: bytes | bytearray) -> None:
        """`data` is the buffer with more behind it. Raises `h11.RemoteProtocolError` for a head that is too large."""
        while not self._whole and (end := data.find(b"\n", self._at)) >= 0:
            self._require_line(end)
            self._require_few_items(data, end)
            self._whole = end - self._line <= 1 and data[self._line : end] in (b"", b"\r")
            self._at = self._line = end + 1
            self._lines += 1
            if self._at > MAX_HEAD or self._lines > MAX_LINES + 1:
                raise h11.RemoteProtocolError("the head is too large", error_status_hint=431)
        if not self._whole:
            self._at = len(data)
            self._require_line(self._at)
            if self._at > MAX_HEAD:
                raise h11.RemoteProtocolError("the head is too large", error_status_hint=431)

    def _require_line(self, end: int) -> None:
        if end - self._line > MAX_LINE:
            what, status = ("a header line", 431) if self._lines else ("the request line", 414)
            raise h11.RemoteProtocolError(f"{what} is too long", error_status_hint=status)

    def _require_few_items(self, data: bytes | bytearray, end: int) -> None:
        if not self._lines:
            mark = data.find(b"?", 0, end)
            if 0 <= mark < end - MAX_QUERY:
                raise h11.RemoteProtocolError("the query is too long", error_status_hint=414)
        elif _LIST.match(data, self._line):
            self._listed += end - self._line
            if self._listed > MAX_LISTS:
                raise h11.RemoteProtocolError("the lists in the head are too long", error_status_hint=431)


class Http1(h11.Connection):
    """The server's side of h11, bounded. Its requests ask for no protocol but HTTP/1.1 and WebSocket."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._head = Head()

    def next_event(self) -> Any:
        """As h11. Raises `h11.RemoteProtocolError` with the status that says what is wrong with the head."""
        reads_head, reads_body = self.their_state is h11.IDLE, self.their_state is h11.SEND_BODY
        if reads_head:
            self._head.require_small(self._receive_buffer._data)
        event = super().next_event()
        if event is not h11.NEED_DATA:
            self._head = Head()
        elif reads_body and len(self._receive_buffer) > MAX_TRAILERS:
            raise h11.RemoteProtocolError("the trailers are too large", error_status_hint=431)
        return _without_switches(event) if isinstance(event, h11.Request) else event


def _without_switches(request: h11.Request) -> h11.Request:
    """The request without what could lead to another protocol, or to an extension of the WebSocket protocol."""
    if request.method == b"PRI":
        raise h11.RemoteProtocolError("HTTP/2 is not spoken here", error_status_hint=400)
    if not request.http_version.startswith(b"1."):
        raise h11.RemoteProtocolError("only HTTP/1 is spoken here", error_status_hint=505)
    headers: list[tuple[bytes, bytes]] = []
    for name, value in request.headers:
        match name:
            case b"http2-settings" | b"sec-websocket-extensions":
                continue
            case b"upgrade" if not _names_websocket(value):
                continue
            case b"upgrade":
                headers.append((name, b"websocket"))
            case _:
                headers.append((name, value))
    return h11.Request(method=request.method, target=request.target, headers=headers, http_version=request.http_version)


def _names_websocket(value: bytes) -> bool:
    return any(protocol.strip().lower() == b"websocket" for protocol in value.split(b","))


class Http1Protocol(H11Protocol):
    """Hypercorn's HTTP/1.1 over `Http1`. `end_soon` ends the connection, whatever waits in it."""

    def __init__(self, *arguments: Any, end_soon: Callable[[], None], meter: Meter) -> None:
        super().__init__(*arguments)
        self.connection = Http1()
        self._end_soon, self._meter = end_soon, meter

    async def handle(self, event: Event) -> None:
        """Much data is handed on in slices, so that nobody's data keeps the loop for long."""
        if not isinstance(event, RawData) or len(event.data) <= SLICE:
            await super().handle(event)
            return
        for at in range(0, len(event.data), SLICE):
            await super().handle(RawData(event.data[at : at + SLICE]))
            await trio.lowlevel.checkpoint()
            await self._meter.take()

    async def _create_stream(self, request: h11.Request) -> None:
        common = (
            self.app, self.config, self.context, self.task_group, self.ssl, self.client, self.server,
            self.stream_send, STREAM_ID,
        )  # fmt: skip
        if _asks_for_websocket(request):
            assert isinstance(self.connection, h11.Connection)
            self.stream = WebSocketStream(*common, end_soon=self._end_soon, meter=self._meter)
            self.connection = H11WSConnection(self.connection)
        else:
            self.stream = HTTPStream(*common)
        asked = StreamRequest(
            stream_id=STREAM_ID,
            headers=list(request.headers),
            http_version=request.http_version.decode(),
            method=request.method.decode("ascii").upper(),
            raw_path=request.target,
            state=self.connection_state,
        )
        await self.stream.handle(asked)
        self.keep_alive_requests += 1

    async def _send_h11_event(self, event: H11SendableEvent) -> None:
        if isinstance(event, h11.Response):
            event = h11.Response(status_code=event.status_code, headers=with_security(list(event.headers)))
        await super()._send_h11_event(event)

    async def _send_error_response(self, status_code: int) -> None:
        """A problem document (RFC 9457), for what h11 or `Http1` refuse."""
        body = json.dumps({"type": "about:blank", "title": HTTPStatus(status_code).phrase, "status": status_code})
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            *self.config.response_headers("h11"),
        ]
        await self._send_h11_event(h11.Response(status_code=status_code, headers=headers))
        await self._send_h11_event(h11.Data(data=body.encode()))
        await self._send_h11_event(h11.EndOfMessage())


def _asks_for_websocket(request: h11.Request) -> bool:
    upgrade = connection = b""
    for name, value in request.headers:
        if name == b"upgrade":
            upgrade = value
        elif name == b"connection":
            connection += b"," + value
    tokens = {token.strip().lower() for token in connection.split(b",")}
    return upgrade == b"websocket" and b"upgrade" in tokens and request.method == b"GET"
