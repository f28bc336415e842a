"""HTTP/1.1 only: h11 and Hypercorn's protocol, with limits and without other protocols.

Rules of this file:
- A connection never becomes HTTP/2. The preface `PRI *` is refused; `Upgrade` names a WebSocket or is removed.
- No WebSocket extension is negotiated: `Sec-WebSocket-Extensions` is removed before any code reads it.
- The size of a head is checked before it is parsed: h11 needs 10 µs for each header line. Parsing takes linear time for
  each line and each head, however small the pieces in which it arrives.
- A head that a proxy in front could read differently is refused (`web/strict_requests.py`), and the connection ends.
- Values that Python code parses item by item have a small limit: the query, and the headers that are lists.
- Every answer carries the security headers, including those that no route makes. Names are written `Like-This`: a
  client that copies them (`dict(response.headers)` of Python's urllib) compares them with case.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import h11
import trio
from hypercorn.events import Event, RawData
from hypercorn.protocol.events import Request as StreamRequest
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol, H11WSConnection
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.typing import H11SendableEvent

from .loop_scheduler import Meter
from .security_headers import with_security
from .strict_requests import Refused, StrictBuffer, problem_body, reason_of, require_one_length, split_target
from .websocket_stream import WebSocketStream

MAX_LINE = 8 * 1024
"""Maximum size in bytes of the request line and of each header line."""
MAX_HEAD = 64 * 1024
"""Maximum size in bytes of the request line and all header lines."""
MAX_LINES = 128
"""Maximum number of header lines. Browsers send about 20, proxies add about 10."""
MAX_QUERY, MAX_LISTS = 2048, 1024
"""Maximum size in bytes of the query, and of all header lines that are lists.

h11 and Werkzeug need up to 2.6 µs for each byte of them. The lists of a browser have 300 to 500 bytes.
"""
MAX_TRAILERS = 8 * 1024
"""Maximum size in bytes of the trailers of a chunked body, and of the head of one chunk."""
TOO_LARGE = f"the head is larger than {MAX_HEAD} bytes, or has more than {MAX_LINES} lines"
SLICE = 4096
"""Number of bytes that are parsed between two trio checkpoints."""

Headers = Sequence[tuple[bytes, bytes]]

spell = lru_cache(maxsize=128)(bytes.title)
"""Write the name of a header `Like-This`. Routes use some 30 names."""

_FIELD = re.compile(
    rb"(?P<field_name>[!#$%&'*+.^_`|~0-9A-Za-z-]++):[ \t]*+"
    rb"(?P<field_value>(?:[^\x00\s]++(?:[ \t]++[^\x00\s]++)*+)?)[ \t]*+"
)
"""A header line (RFC 9112, section 5). It accepts the same lines as h11's expression, in linear time."""
h11._readers.header_field_re = _FIELD  # h11's takes 240 ms for 8 kB of spaces and a NUL, in heads and in trailers

_LIST = re.compile(
    rb"(?i:accept|cache-control|connection|content-|expect|forwarded|if-|pragma|range|sec-websocket-|te:"
    rb"|transfer-encoding|upgrade)"
)
"""The start of a header line whose value is split or matched item by item."""


class Head:
    """The checked part of the head at the start of a buffer: each byte is read once, however the head arrives."""

    def __init__(self) -> None:
        self._at = self._line = self._lines = 0
        """Offset of the first unread byte, offset of the start of its line, number of complete lines."""
        self._listed = 0
        """Number of bytes in the lines that are lists."""
        self._whole = False

    def require_small(self, data: bytes | bytearray) -> None:
        """Check `data`, the buffer with appended bytes. Raises `Refused` for a large head, or an unclear line."""
        while not self._whole and (end := data.find(b"\n", self._at)) >= 0:
            self._require_line(end)
            self._require_clear(data, end)
            self._require_few_items(data, end)
            self._whole = end - self._line == 1
            self._at = self._line = end + 1
            self._lines += 1
            if self._at > MAX_HEAD or self._lines > MAX_LINES + 1:
                raise Refused(TOO_LARGE, 431)
        if not self._whole:
            self._at = len(data)
            self._require_line(self._at)
            if self._at > MAX_HEAD:
                raise Refused(TOO_LARGE, 431)

    def _require_line(self, end: int) -> None:
        if end - self._line > MAX_LINE:
            what, status = ("a header line", 431) if self._lines else ("the request line", 414)
            raise Refused(f"{what} is longer than {MAX_LINE} bytes", status)

    def _require_clear(self, data: bytes | bytearray, end: int) -> None:
        if data[end - 1 : end] != b"\r":
            raise Refused("a line of the head does not end in CR LF")
        if self._lines and data[self._line] in b" \t":
            raise Refused("a line of the head begins with a space: no line continues another one")

    def _require_few_items(self, data: bytes | bytearray, end: int) -> None:
        if not self._lines:
            mark = data.find(b"?", 0, end)
            if 0 <= mark < end - MAX_QUERY:
                raise Refused(f"the query is longer than {MAX_QUERY} bytes", 414)
        elif _LIST.match(data, self._line):
            self._listed += end - self._line
            if self._listed > MAX_LISTS:
                raise Refused(f"the headers that are lists are longer than {MAX_LISTS} bytes", 431)


class Http1(h11.Connection):
    """The server's side of h11, with limits. Its requests ask for HTTP/1.1 or a WebSocket only."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._receive_buffer = StrictBuffer()
        self._head = Head()
        self.reason = ""
        """Why the last request was refused."""

    def next_event(self) -> Any:
        """Like h11. Raises `h11.RemoteProtocolError` with the HTTP status for the error in the request."""
        try:
            return super().next_event()
        except h11.RemoteProtocolError as error:
            self.reason = reason_of(error)
            raise

    def _extract_next_receive_event(self) -> Any:
        """Check an event before h11 knows of it: after an error here, h11 expects nothing more from the client."""
        reads_head, reads_body = self.their_state is h11.IDLE, self.their_state is h11.SEND_BODY
        if reads_head:
            self._head.require_small(self._receive_buffer._data)
        event = super()._extract_next_receive_event()
        if event is not h11.NEED_DATA:
            self._head = Head()
        elif reads_body and len(self._receive_buffer) > MAX_TRAILERS:
            raise Refused(f"the trailers are larger than {MAX_TRAILERS} bytes", 431)
        return _checked(event) if isinstance(event, h11.Request) else event


def _checked(request: h11.Request) -> h11.Request:
    """The request with a path as its target, and the authority of its target as its `Host`.

    Removes headers that could lead to another protocol, or to an extension of the WebSocket protocol. Raises `Refused`
    for HTTP/2, and for a request without a clear length or target.
    """
    if request.method == b"PRI":
        raise Refused("HTTP/2 is not spoken here")
    if not request.http_version.startswith(b"1."):
        raise Refused("only HTTP/1 is spoken here", 505)
    require_one_length(request)
    target, authority = split_target(request)
    headers: list[tuple[bytes, bytes]] = [] if authority is None else [(b"host", authority)]
    for name, value in request.headers:
        match name:
            case b"http2-settings" | b"sec-websocket-extensions":
                continue
            case b"host" if authority is not None:
                continue
            case b"upgrade" if not _names_websocket(value):
                continue
            case b"upgrade":
                headers.append((name, b"websocket"))
            case _:
                headers.append((name, value))
    return h11.Request(method=request.method, target=target, headers=headers, http_version=request.http_version)


def _names_websocket(value: bytes) -> bool:
    return any(protocol.strip().lower() == b"websocket" for protocol in value.split(b","))


class Http1Protocol(H11Protocol):
    """Hypercorn's HTTP/1.1 over `Http1`. `end_soon` ends the connection, whatever is pending in it."""

    def __init__(self, *arguments: Any, end_soon: Callable[[], None], meter: Meter, headers: Headers = ()) -> None:
        """`headers`: further headers of each answer."""
        super().__init__(*arguments)
        self.connection = Http1()
        self._headers = headers
        self._end_soon, self._meter = end_soon, meter

    async def handle(self, event: Event) -> None:
        """Handle large data in slices, so that no client blocks the loop."""
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
            headers = [(spell(name), value) for name, value in with_security([*event.headers, *self._headers])]
            event = h11.Response(status_code=event.status_code, headers=headers)
        await super()._send_h11_event(event)

    async def _send_error_response(self, status_code: int) -> None:
        """Send a problem document (RFC 9457) for requests that h11 or `Http1` refuse."""
        reason = self.connection.reason if isinstance(self.connection, Http1) else ""
        body = problem_body(status_code, reason)
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            *self.config.response_headers("h11"),
        ]
        await self._send_h11_event(h11.Response(status_code=status_code, headers=headers))
        await self._send_h11_event(h11.Data(data=body))
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
