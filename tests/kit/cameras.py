"""A scripted camera: an RTSP server on 127.0.0.1, in the nursery of the test, with every kind of misbehavior.

Rules of this file:
- A connection keeps the behavior that it began with; a repaired camera behaves well from the next connection on.
- A hanging camera still reads: a connection counts from `accept` until its end is detected.
- A session lives until TEARDOWN or until its timeout: as in real cameras, a client that merely closes the connection
  frees no connection slot. The camera discards a session immediately only if the camera itself closes.
"""

import secrets
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import trio

from .habits import CONNECT, HEALTHY, Behaviour, Then
from .rtp import describe, interleaved, pictures, stamp

DRIP_S = 0.1
"""Seconds between two bytes of a dripping camera."""
UNDEFINED = b"\x7f"
"""The head of a NAL unit of type 31, which does not exist (RFC 6184, table 3): random types would now and then fit."""


@attrs.define
class ScriptedCamera:
    """Set `behaviour` at any time. Everything else is for reading."""

    port: int
    _behaviour: Behaviour
    connections: int = 0
    most_connections: int = 0
    requests: Counter[str] = attrs.field(factory=Counter)
    refusals: Counter[str] = attrs.field(factory=Counter)
    """Statuses other than 200."""
    pictures_sent: int = 0
    turned_at: float | None = None
    """When a stream last became what `then` says."""
    left_at: float | None = None
    """When a TEARDOWN was first heard."""
    _sessions: dict[str, tuple[float, float]] = attrs.field(factory=dict)
    """When each was last used, and its timeout."""
    _changed: trio.Event = attrs.field(factory=trio.Event)

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/main"

    @property
    def behaviour(self) -> Behaviour:
        return self._behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._changed.set()

    def sessions(self) -> int:
        """The sessions that hold a connection slot: neither torn down nor timed out."""
        now = trio.current_time()
        self._sessions = {name: (used, lasts) for name, (used, lasts) in self._sessions.items() if now < used + lasts}
        return len(self._sessions)

    async def run(self, bound: socket.socket) -> None:
        """Listen while the behaviour says so. A bound socket that does not listen refuses, and keeps its port."""
        while True:
            self._changed = trio.Event()
            with trio.socket.from_stdlib_socket(bound) as listener:
                async with trio.open_nursery() as nursery:
                    if self._behaviour.listens:
                        listener.listen(8)
                        nursery.start_soon(self._accept, listener)
                    listens = self._behaviour.listens
                    while self._behaviour.listens == listens:
                        await self._changed.wait()
                        self._changed = trio.Event()
                    nursery.cancel_scope.cancel(reason="the camera stops or begins to listen")
            bound = bind(self.port)

    async def _accept(self, listener: trio.socket.SocketType) -> None:
        async with trio.open_nursery() as nursery:
            while True:
                connection, _ = await listener.accept()
                nursery.start_soon(self._serve, trio.SocketStream(connection))

    async def _serve(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        self.most_connections = max(self.most_connections, self.connections)
        try:
            async with stream:
                await Conversation(self, self._behaviour, stream).run()
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            self.connections -= 1

    def open_session(self) -> str | None:
        """A session's name, or none when all places are taken."""
        if self._behaviour.max_sessions is not None and self.sessions() >= self._behaviour.max_sessions:
            return None
        name = secrets.token_hex(4)
        self._sessions[name] = (trio.current_time(), self._behaviour.session_timeout_s)
        return name

    def touch(self, session: str) -> None:
        """It is used; does nothing when it has ended."""
        if session in self._sessions:
            self._sessions[session] = (trio.current_time(), self._behaviour.session_timeout_s)

    def end_session(self, session: str) -> None:
        self._sessions.pop(session, None)


@attrs.define
class Conversation:
    """One connection: requests in, answers and packets out."""

    camera: ScriptedCamera
    behaviour: Behaviour
    stream: trio.SocketStream
    _buffer: bytearray = attrs.field(factory=bytearray)
    _sending: trio.Lock = attrs.field(factory=trio.Lock)
    _dripping: bool = False
    _session: str = ""

    async def run(self) -> None:
        """Answer until the other side has closed, or this one has."""
        self._dripping = self.behaviour.drips
        hung = self.behaviour.hangs_at == CONNECT
        async with trio.open_nursery() as nursery:
            while request := await self._next_request():
                method, headers = request
                self.camera.requests[method] += 1
                if method == "TEARDOWN":
                    self.camera.left_at = self.camera.left_at or trio.current_time()
                hung = hung or self.behaviour.hangs_at == method
                if hung:
                    continue
                nursery.start_soon(self._answer, method, headers, nursery)
            nursery.cancel_scope.cancel(reason="the other side has closed")

    async def _next_request(self) -> tuple[str, dict[str, str]] | None:
        """The next request's method and headers; what comes interleaved is skipped."""
        while True:
            if self._buffer[:1] == b"$" and len(self._buffer) >= 4:
                size = 4 + int.from_bytes(self._buffer[2:4])
                if len(self._buffer) >= size:
                    del self._buffer[:size]
                    continue
            elif self._buffer[:1] != b"$" and (end := self._buffer.find(b"\r\n\r\n")) >= 0:
                first, *lines = self._buffer[:end].decode().split("\r\n")
                del self._buffer[: end + 4]
                if first.startswith("RTSP/"):
                    continue  # a response: the camera treated something else as a request from us
                pairs = (line.partition(":") for line in lines)
                return first.split()[0], {key.strip().lower(): value.strip() for key, _, value in pairs}
            chunk = await self.stream.receive_some()
            if not chunk:
                return None
            self._buffer += chunk

    async def _answer(self, method: str, headers: dict[str, str], nursery: trio.Nursery) -> None:
        if self.behaviour.babbles:
            await self._send(self.behaviour.babbles)
            return
        self.camera.touch(self._session)
        status, more, body = self._decide(method)
        if status != "200 OK":
            self.camera.refusals[status] += 1
        lines = [f"RTSP/1.0 {status}", f"CSeq: {headers.get('cseq', '0')}", *more, f"Content-Length: {len(body)}"]
        await self._send("\r\n".join((*lines, "", body)).encode())
        if method == "PLAY" and status == "200 OK":
            nursery.start_soon(self._play, nursery)

    def _decide(self, method: str) -> tuple[str, tuple[str, ...], str]:
        """Status, more headers and body of the answer."""
        behaviour, session = self.behaviour, (f"Session: {self._session}",)
        if method in behaviour.refuses:
            status = behaviour.refuses[method]
            return status, ('WWW-Authenticate: Basic realm="camera"',) if status.startswith("401") else (), ""
        match method:
            case "OPTIONS":
                return "200 OK", ("Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN",), ""
            case "DESCRIBE":
                sdp = describe(behaviour.codec, *behaviour.size, behaviour.fps)
                more = ("Content-Type: application/sdp", f"Content-Base: {self.camera.url}/")
                return "200 OK", more, sdp if behaviour.sdp is None else behaviour.sdp
            case "SETUP":
                opened = self.camera.open_session()
                if opened is None:
                    return "453 Not Enough Bandwidth", (), ""
                self._session = opened
                named = f"Session: {opened};timeout={behaviour.session_timeout_s}"
                return "200 OK", (named, "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"), ""
            case "PLAY":
                return "200 OK", (*session, "Range: npt=now-"), ""
            case "TEARDOWN":
                self.camera.end_session(self._session)
                self._session = ""
                return "200 OK", (), ""
            case _:
                return "200 OK", session, ""

    async def _send(self, data: bytes) -> None:
        async with self._sending:
            if not self._dripping:
                await self.stream.send_all(data)
                return
            for byte in data:
                await self.stream.send_all(bytes([byte]))
                await trio.sleep(DRIP_S)

    async def _play(self, nursery: trio.Nursery) -> None:
        """Send pictures in their own time, until they turn into what `then` says."""
        plan, began = self.behaviour, trio.current_time()
        shown = pictures(plan.codec, *plan.size, plan.fps, plan.key_every)
        sequence, index, turned = 0, 0, False
        while True:
            await trio.sleep_until(began + index / plan.fps)
            if not turned and plan.then is not Then.GOES_ON and index >= plan.after_s * plan.fps:
                turned, self.camera.turned_at = True, trio.current_time()
                if plan.then is Then.RESIZES:
                    width, height = plan.size
                    shown = pictures(plan.codec, 2 * width, 2 * height, plan.fps, plan.key_every)
                    index += -index % len(shown)
                elif not await self._turn(plan.then, nursery):
                    return
            self.camera.touch(self._session)
            picture = shown[index % len(shown)]
            payloads = picture.payloads if plan.key_frames or not picture.key else ()
            if plan.stamps:
                payloads = (stamp(time.monotonic_ns()), *payloads)
            for place, payload in enumerate(payloads):
                last = place == len(payloads) - 1
                if turned and plan.then is Then.GARBLES:
                    payload = UNDEFINED + secrets.token_bytes(len(payload))
                ticks = index * plan.codec.clock_rate // plan.fps
                await self._send(interleaved(payload, sequence, ticks, last, plan.codec.number))
                sequence += 1
            self.camera.pictures_sent += 1
            index += 1

    async def _turn(self, then: Then, nursery: trio.Nursery) -> bool:
        """Do what `then` says; whether pictures follow."""
        if then is Then.STOPS_MIDWAY:
            await self._send(b"$\x00" + (1000).to_bytes(2) + bytes(500))
        elif then is Then.PAUSES:
            await trio.sleep(self.behaviour.pause_s)
        elif then is Then.DRIPS:
            self._dripping = True
        elif then is Then.UNASKED_MESSAGES:
            while True:
                await self._send(secrets.token_bytes(500))
                await trio.sleep(DRIP_S)
        elif then in (Then.CLOSES, Then.RESETS):
            if then is Then.RESETS:  # closing with a linger time of nothing sends RST
                self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            self.camera.end_session(self._session)
            nursery.cancel_scope.cancel(reason="the camera has closed")
        return then in (Then.PAUSES, Then.DRIPS, Then.GARBLES)


@asynccontextmanager
async def open_camera(behaviour: Behaviour = HEALTHY) -> AsyncIterator[ScriptedCamera]:
    """A camera on a free port of 127.0.0.1; at the end its connections are closed."""
    for times in (1, 2):  # drawn now: later it would hold up the cameras that are running
        pictures(behaviour.codec, *(times * side for side in behaviour.size), behaviour.fps, behaviour.key_every)
    bound = bind()
    camera = ScriptedCamera(bound.getsockname()[1], behaviour)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(camera.run, bound)
        yield camera
        nursery.cancel_scope.cancel(reason="the camera is taken down")


def bind(port: int = 0) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound
