"""The camera of a case: an RTSP server on 127.0.0.1 that answers by the rules and sends the pictures as they stand.

It answers nothing until it is released, so that a viewer is there before the first picture.
"""

from typing import Self

import attrs
import trio

from .dialogue import Request, RequestError, Rule, choose, take_request, write_reply
from .form import Case
from .packets import frames, renumber, steps

RECEIVE = 64 * 1024


@attrs.define
class Camera:
    """All but `release` is for reading. Somebody has to `run` it."""

    case: Case
    dialogues: int = 0
    """Connections with a request; a TCP probe does not count."""
    held: int = 0
    """Those of them that are open."""
    sent: int = 0
    """Pictures, on all connections."""
    fault: str = ""
    """Why the case cannot be played."""
    _listener: trio.SocketListener = attrs.field(kw_only=True)
    _released: trio.Event = attrs.field(factory=trio.Event)

    @classmethod
    async def open(cls, case: Case) -> Self:
        """A camera with a port; connections wait in the backlog until it runs."""
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        return cls(case, listener=listener)

    @property
    def port(self) -> int:
        return int(self._listener.socket.getsockname()[1])

    @property
    def url(self) -> str:
        login = f"{self.case.credentials}@" if self.case.credentials else ""
        return f"rtsp://{login}127.0.0.1:{self.port}/stream"

    def release(self) -> None:
        """Answer from now on."""
        self._released.set()

    def close(self) -> None:
        """Give the port back. Does nothing after `run`."""
        self._listener.socket.close()

    async def run(self) -> None:
        """Serve until it is cancelled; then all connections and the port are closed."""
        await trio.serve_listeners(self._serve, [self._listener])

    async def _serve(self, stream: trio.SocketStream) -> None:
        await _Dialogue(self, stream).run(self._released)


@attrs.define
class _Dialogue:
    """One connection."""

    camera: Camera
    stream: trio.SocketStream
    _sending: trio.Lock = attrs.field(factory=trio.Lock)
    _ways: list[tuple[trio.socket.SocketType, tuple[int, int]]] = attrs.field(factory=list)
    """For each SETUP over UDP the camera's socket, and the ports to send to."""
    _plays: bool = False

    async def run(self, released: trio.Event) -> None:
        """Answer until either side closes."""
        buffer, begun = bytearray(), False
        try:
            async with self.stream, trio.open_nursery() as nursery:
                while (request := await self._next_request(buffer)) is not None:
                    self.camera.dialogues += not begun
                    self.camera.held += not begun
                    begun = True
                    await released.wait()
                    rule = choose(self.camera.case.dialogue, request, self.camera.port)
                    if rule is None:
                        self.camera.fault = f"dialogue: no rule fits {request.method} {request.url}"
                    if rule is None or rule.close:
                        break
                    await self._answer(rule, request, nursery)
                nursery.cancel_scope.cancel(reason="the dialogue is over")
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        except* RequestError as errors:
            self.camera.fault = str(errors.exceptions[0])
        finally:
            self.camera.held -= begun
            for socket, _ in self._ways:
                socket.close()

    async def _next_request(self, buffer: bytearray) -> Request | None:
        while (request := take_request(buffer)) is None:
            data = await self.stream.receive_some(RECEIVE)
            if not data:
                return None
            buffer += data
        return request

    async def _answer(self, rule: Rule, request: Request, nursery: trio.Nursery) -> None:
        server_port = await self._open_way(rule, request)
        reply = write_reply(rule, request, self.camera.port, server_port)
        if reply:
            async with self._sending:
                await self.stream.send_all(reply)
        if rule.play and not self._plays:
            self._plays = True
            nursery.start_soon(self._play)

    async def _open_way(self, rule: Rule, request: Request) -> int:
        """The UDP port from which what this SETUP asks for is sent; 0 where it goes over the connection."""
        ports = request.client_ports
        if not rule.udp or ports is None:
            return 0
        socket = trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM)
        self._ways.append((socket, ports))
        await socket.bind((rule.udp_from, 0))
        return int(socket.getsockname()[1])

    async def _play(self) -> None:
        case, times = self.camera.case, 0
        by = steps(case.pictures, case.pace_s) if case.loop else {}
        while True:
            for picture in case.pictures:
                data = renumber(picture, times, by) if times else picture
                await (self._send_datagrams(data) if self._ways else self._send(data))
                self.camera.sent += 1
                await trio.sleep(case.pace_s)
            if not case.loop:
                return
            times += 1

    async def _send(self, picture: bytes) -> None:
        async with self._sending:
            await self.stream.send_all(picture)

    async def _send_datagrams(self, picture: bytes) -> None:
        """Channels 0 and 1 belong to the first SETUP, 2 and 3 to the second; what nobody takes is lost, as it is."""
        for channel, packet in frames(picture) or ():
            socket, ports = self._ways[min(channel // 2, len(self._ways) - 1)]
            try:
                await socket.sendto(packet, ("127.0.0.1", ports[channel & 1]))
            except OSError:
                pass
