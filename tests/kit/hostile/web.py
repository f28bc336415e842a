"""The web layer as a target, over its sockets: HTTP/1.1, attempts at HTTP/2, WebSockets."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import trio

from supervisor.domain import commands as c
from supervisor.domain.lifecycle import PeerPhase
from supervisor.domain.values import Limits
from web import connection
from web.app import WebSettings

from ..domain import ASKED, GATE
from ..processes import wait_until
from ..site import OFFER, Site, open_site
from .judge import Take, Wrong
from .parsers import FRAGMENTS

ROOMS = b"/ws/signaling"
SESSION = b"/whep/gate/PEER.SECRET"
"""Placeholder in an input for the URL of an open session."""


def _request(line: bytes, body: bytes = b"", *headers: bytes) -> bytes:
    head = (line + b" HTTP/1.1", b"Host: 127.0.0.1", *headers)
    length = (b"Content-Length: %d" % len(body),) if body else ()
    return b"\r\n".join((*head, *length, b"", body))


SDP, FRAGMENT = b"Content-Type: application/sdp", b"Content-Type: application/trickle-ice-sdpfrag"
JSON = b"Content-Type: application/json"
TOKEN = b"a token that nobody guesses"
SEEN = (
    b'{"camera":"gate","time":"2026-01-05T06:00:00Z","label":"person","score":0.5,"box":[0,0,1,1],"image":"/9j/2Q==",'
    b'"key":"front-17"}'
)
UPGRADE = (
    b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)  # fmt: skip
H2_FRAME = bytes([0x82, 0x86, 0x04, 8]) + b"/healthz" + bytes([0x41, 1]) + b"x"
H2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
H2 += len(H2_FRAME).to_bytes(3) + bytes([1, 5, 0, 0, 0, 1]) + H2_FRAME
REQUESTS = (
    _request(b"POST /whep/gate", OFFER.encode(), SDP),
    _request(b"POST /whep/gate", b"v=0 a bad offer", SDP, b"Accept: application/sdp, */*;q=0.1"),
    _request(b"POST /whep/gate", b"", SDP, b"Transfer-Encoding: chunked") + b"10\r\nv=0 a good offer\r\n0\r\n\r\n",
    _request(b"PATCH " + SESSION, FRAGMENTS[1], FRAGMENT, b'If-Match: "peer"'),
    _request(b"PATCH " + SESSION, FRAGMENTS[0], FRAGMENT),
    _request(b"DELETE " + SESSION),
    _request(b"DELETE /whep/gate/0123456789.abcdef"),
    _request(b"OPTIONS /whep/gate", b"", b"Origin: https://wall.example"),
    _request(b"GET /api/events?after=0&limit=10&camera=gate&type=Camera*"),
    _request(b"GET /api/events?after=9223372036854775807"),
    _request(b"GET /api/cameras/gate"),
    _request(b"GET /api/cameras/%67ate/../%2e%2e"),
    _request(b"POST /api/leases", b'{"kind":"viewer","camera":"gate","ttl_s":10,"exclusive":false}', JSON),
    _request(b"PUT /api/leases/0123456789abcdef", b'{"idle_s":1.5}', JSON, b"Authorization: Bearer secret"),
    _request(b"DELETE /api/leases/0123456789abcdef", b"", b"Authorization: Bearer secret"),
    _request(b"POST /whep/gate", OFFER.encode(), SDP, b"Banken-Lease: 0123456789abcdef.secret"),
    _request(b"POST /api/detections", SEEN, JSON, b"Authorization: Bearer " + TOKEN),
    _request(b"GET /api/detections?camera=gate&label=person&limit=5"),
    _request(b"GET /api/peers") + _request(b"GET /api/processes") + _request(b"GET /metrics"),
    _request(b"GET /"),
    _request(b"GET /dashboard/main.js", b"", b"Range: bytes=0-10", b'If-None-Match: "x"', b"If-Modified-Since: x"),
    _request(b"HEAD /readyz", b"", b"Expect: 100-continue", b"Connection: keep-alive, close"),
    _request(b"GET /ws/events?after=1", b"", *UPGRADE, b"Sec-WebSocket-Extensions: permessage-deflate"),
    _request(
        b"GET /healthz", b"", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"
    ),
    H2,
)


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, mask: bytes | None = b"abcd", flags: int = 0
) -> bytes:
    """A WebSocket frame as a client sends it (RFC 6455, section 5.2)."""
    masked = 0x80 if mask is not None else 0
    if len(payload) < 126:
        length = bytes([masked | len(payload)])
    elif len(payload) < 65536:
        length = bytes([masked | 126]) + len(payload).to_bytes(2)
    else:
        length = bytes([masked | 127]) + len(payload).to_bytes(8)
    body = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)) if mask is not None else payload
    return bytes([(0x80 if fin else 0) | flags | opcode]) + length + (mask or b"") + body


CLOSE = frame(8, (1000).to_bytes(2) + b"bye")
FRAMES = (
    frame(1, b'{"type":"lease.renew","id":1,"lease":"0123456789abcdef","secret":"s","idle_s":1.5}') + CLOSE,
    frame(1, b'{"type":"lease.release","id":2,"lease":"0123456789abcdef","secret":"s"}') + CLOSE,
    frame(1, b'{"type":"hello"}') + frame(2, b"\x00\x01") + frame(9, b"ping") + frame(10, b"pong") + CLOSE,
    frame(1, b"in ", fin=False) + frame(9, b"between") + frame(0, b"pieces") + CLOSE,
    frame(3, b"reserved") + frame(11, b"reserved"),
    frame(1, b"not masked", mask=None),
    frame(9, b"a piece of a ping", fin=False) + frame(0, b"its end"),
    frame(9, b"x" * 126),
    frame(1, b"\xff\xfe\xed\xa0\x80"),
    frame(1, b"\xe2\x82", fin=False) + frame(0, b"\xac") + CLOSE,
    frame(0, b"continues nothing"),
    frame(1, b"one", fin=False) + frame(1, b"another"),
    frame(1, b"compressed, it says", flags=0x40) + frame(1, b"x", flags=0x30),
    b"\x81\xff" + b"\xff" * 8 + b"abcd",
    b"\x81\xff" + (2**40).to_bytes(8) + b"abcd",
    b"\x81\xfe\x00\x05abcdeeeee",
    frame(1, b"z" * 70_000) + CLOSE,
    frame(8) + frame(1, b"after the end"),
    frame(8, b"\x03") + CLOSE,
    frame(8, (1005).to_bytes(2)),
    frame(8, (65535).to_bytes(2) + b"\xff"),
    frame(1, b"") * 300 + CLOSE,
)
CLOSE_CODES = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010}
"""Close codes that a server may send if the client is at fault or has left; 1011 is an error of the server."""


def frames(data: bytes) -> list[bytes]:
    """Roughly: where a frame with its final bit set, masked, seems to begin."""
    return [part for part in re.split(rb"(?s)(?=[\x80-\x8f][\x80-\xff])", data) if part]


@asynccontextmanager
async def open_http() -> AsyncIterator[Take]:
    async with _open_site() as (site, exchange):

        async def take(data: bytes) -> bool:
            location = await exchange.location()
            before = _standing(site)
            answer = await exchange(data.replace(SESSION, location))
            statuses = _statuses(answer)
            _no_mistakes(answer, statuses)
            if statuses and min(statuses) >= 400 and _standing(site) != before:
                raise Wrong(f"{statuses} has changed what is")
            exchange.tidy()
            return any(status < 400 for status in statuses)

        yield take


@asynccontextmanager
async def open_websocket(path: bytes = b"/ws/events?after=0") -> AsyncIterator[Take]:
    """Check that the input changes no state; after an input for `ROOMS`, no room has participants."""
    async with _open_site() as (site, exchange):

        async def take(data: bytes) -> bool:
            before = site.core.kernel.state
            answer = await exchange(data, _request(b"GET " + path, b"", *UPGRADE))
            if not answer.startswith(b"HTTP/1.1 101"):
                raise Wrong(f"answered with {answer[:60]!r}")
            code = _close_code(answer.partition(b"\r\n\r\n")[2])
            if code is not None and code not in CLOSE_CODES and not 3000 <= code < 5000:  # those are the client's own
                raise Wrong(f"closed with {code}")
            if path == ROOMS:
                await wait_until(lambda: not site.core.kernel.state.participants, 2, what="everybody to have left")
            elif site.core.kernel.state is not before:
                raise Wrong("a message has changed what is")
            return code in (None, 1000)

        yield take


@attrs.define
class _Exchange:
    site: Site
    _location: str = ""

    async def __call__(self, data: bytes, first: bytes = b"") -> bytes:
        """Send data over a new connection and end the output; returns everything received until the server closes.

        `first` goes ahead, and is waited for until an answer to it begins.
        """
        answer = b""
        async with await trio.open_tcp_stream("127.0.0.1", self.site.port) as stream, trio.open_nursery() as nursery:
            if first:
                await stream.send_all(first)
                answer += await stream.receive_some()
            nursery.start_soon(_send, stream, data)
            try:
                while part := await stream.receive_some():
                    answer += part
            except trio.BrokenResourceError:
                pass  # a reset is an answer, too
            nursery.cancel_scope.cancel()
        return answer

    async def location(self) -> bytes:
        """The address of a session that is open."""
        peers = self.site.core.kernel.state.peers
        if not any(
            self._location.find(f"/{peer}.") > 0 and known.phase is not PeerPhase.CLOSING
            for peer, known in peers.items()
        ):
            self._location = (await self.site.offer()).location
        return self._location.encode()

    def tidy(self) -> None:
        """Let those that an input opened leave."""
        for peer in list(self.site.core.kernel.state.peers):
            if f"/{peer}." not in self._location:
                self.site.core.kernel.emit(c.ReportPeerClosed(peer, ASKED))


async def _send(stream: trio.SocketStream, data: bytes) -> None:
    try:
        await stream.send_all(data)
        await stream.send_eof()
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # it has heard enough


@asynccontextmanager
async def _open_site() -> AsyncIterator[tuple[Site, _Exchange]]:
    """A site that lingers less, and an exchange with it; at the end it still answers, and no connection is open."""
    limits, stock = (
        Limits(1000, 1000, 1000, leases=1000, leases_per_client=1000, journaled_burst=100_000),
        connection.LINGER_S,
    )
    async with open_site(GATE, limits=limits, settings=WebSettings(detector_token=TOKEN.decode())) as site:
        connection.LINGER_S = 0.01
        yield site, _Exchange(site)
        assert (await site.get("/healthz")).status == 200
        site.stop.set()
        await wait_until(site.stopped.is_set, 5, what="the end of every connection")
        connection.LINGER_S = stock


def _standing(site: Site) -> object:
    state = site.core.kernel.state
    return dict(state.cameras), {
        peer: known for peer, known in state.peers.items() if known.phase is not PeerPhase.CLOSING
    }


def _statuses(answer: bytes) -> list[int]:
    """Of all answers. An answer that begins like an HTTP/2 frame has none."""
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] ([0-9]{3})", answer)]


def _no_mistakes(answer: bytes, statuses: list[int]) -> None:
    """Check the answers: no 5xx except 501, 503 and 505, and our own errors are problem documents."""
    if any(status >= 500 and status not in (501, 503, 505) for status in statuses):
        raise Wrong(f"answered with {statuses}")
    for head, kind in re.findall(rb"(HTTP/1\.1 [4][0-9]{2}[^\r]*)\r\n(?:[^\r]+\r\n)*?content-type: ([^\r]+)", answer):
        if kind != b"application/problem+json":
            raise Wrong(f"{head!r} is no problem document but {kind!r}")


def _close_code(data: bytes) -> int | None:
    """The code in the close frame; none when the connection ended without one."""
    at = 0
    while at + 2 <= len(data):
        opcode, size = data[at] & 0x0F, data[at + 1] & 0x7F
        at += 2
        if size >= 126:
            wide = 2 if size == 126 else 8
            size = int.from_bytes(data[at : at + wide])
            at += wide
        if opcode == 8:
            return int.from_bytes(data[at : at + 2]) if size >= 2 else None
        at += size
    return None
