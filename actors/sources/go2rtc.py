"""A camera read through a go2rtc: its stream is added by go2rtc's API before it is opened, and removed after.

go2rtc then holds the connection to the camera, and whatever is never removed holds it for ever. So the removal has a
shield and a deadline, and one that fails is an alert that stands until it has been made good. The stream's name is
ours and always the same: what a killed daemon left behind is taken over, and removed, when the camera is next used.

Rules of this file:
- An answer is bounded in bytes and in parts, and read in small pieces: no answer keeps the loop for 5 ms.
- Whatever an answer holds, the call returns or raises `Go2rtcError`. No error quotes an answer, which may
  hold what we sent.
"""

import base64
import re
from urllib.parse import quote, unquote, urlencode, urlsplit

import attrs
import h11
import msgspec
import trio

from supervisor.config import Source
from supervisor.domain import commands as c
from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId, camera_stream
from supervisor.domain.values import Fault, Reason
from supervisor.printable import brief
from supervisor.shield import bounded_shield

from ..addresses import open_stream
from ..hub import Hub
from ..tools import Tools
from . import rtsp

API_S = 5.0
"""For one call of the API; it is a local matter."""
MAX_ANSWER, MAX_PARTS = 256 * 1024, 2048
"""Bytes of one answer, with its heads, and parts that h11 finds in it."""
PIECE, AT_ONCE = 1024, 64
"""Bytes, and parts, between two checkpoints. A part takes 10 to 25 µs, and at least 6 bytes."""
MAX_HEAD = 3 * 1024
"""Bytes of a head that is not whole; h11 reads a whole one at once, in up to 5 µs for each line."""
DEFAULT_RTSP_PORT = 8554


class Go2rtcError(Exception):
    """It does not answer, or not as it should; for people."""


def check(source: Source) -> str | None:
    return rtsp.check(source) if source.via else "go2rtc is no address; write the camera's, and `via:` beside it"


async def run(camera: CameraId, source: Source, hub: Hub, tools: Tools, after: Recorded) -> Reason:
    """As `rtsp.run`. Cleanup: the stream is removed from go2rtc, within `API_S`."""
    upstream, name = Upstream(source.via), f"banken-{tools.kernel.node}-{camera}"
    try:
        address = await upstream.find_stream(name)
    except Go2rtcError as error:
        return Reason("upstream", f"go2rtc {error}", Fault.TEMPORARY)
    try:
        await upstream.add(name, source.address)
        return await rtsp.run(camera, attrs.evolve(source, address=address), hub, tools, after)
    except Go2rtcError as error:
        return Reason("upstream", f"go2rtc {error}", Fault.TEMPORARY)
    finally:
        await _remove(upstream, name, camera, tools)


async def _remove(upstream: "Upstream", name: str, camera: CameraId, tools: Tools) -> None:
    kernel, alert = tools.kernel, f"go2rtc/{camera}"
    problem = f"did not answer within {API_S:g} s"
    try:
        with bounded_shield(API_S):
            await upstream.remove(name)
            kernel.emit(c.ClearAlert(alert), after=kernel.latest(camera_stream(camera)))
            return
    except Go2rtcError as error:
        problem = str(error)
    text = f"go2rtc {problem}; it may still hold the stream {name!r}, and with it a connection to {camera}"
    kernel.emit(c.RaiseAlert(alert, text), after=kernel.latest(camera_stream(camera)))


class Upstream:
    """The API of one go2rtc, as far as it is needed (its `internal/streams`, `internal/api`)."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._base = parts.path.rstrip("/")
        self._headers = [("Host", f"{self._host}:{self._port}"), ("Connection", "close")]
        if parts.username is not None:
            login = base64.b64encode(f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()).decode()
            self._headers.append(("Authorization", f"Basic {login}"))

    async def find_stream(self, name: str) -> str:
        """Where the stream `name` can be read, once it has been added. Raises `Go2rtcError`."""
        about = await self._call("GET", "/api")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"rtsp://{host}:{_rtsp_port(about)}/{quote(name)}"

    async def add(self, name: str, address: str) -> None:
        """Add, or take over, the stream `name` of `address`. Raises `Go2rtcError`."""
        await self._call("PUT", f"/api/streams?{urlencode({'name': name, 'src': address})}")

    async def remove(self, name: str) -> None:
        """Remove the stream. Raises `Go2rtcError`."""
        # Releases differ in what they call it.
        await self._call("DELETE", f"/api/streams?{urlencode({'src': name, 'name': name})}")

    async def _call(self, method: str, target: str) -> bytes:
        where = f"at {self._host}:{self._port}"
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        asked = h11.Request(
            method=method, target=self._base + target, headers=[*self._headers, ("Content-Length", "0")]
        )
        question = (connection.send(asked) or b"") + (connection.send(h11.EndOfMessage()) or b"")
        with trio.move_on_after(API_S):
            try:
                async with await open_stream(self._host, self._port) as stream:
                    await stream.send_all(question)
                    return await self._read(connection, stream)
            except (OSError, UnicodeError) as error:
                raise Go2rtcError(f"{where} cannot be reached: {brief(error)}") from None
            except (trio.BrokenResourceError, h11.ProtocolError):  # their text may quote the answer
                raise Go2rtcError(f"{where} does not answer as it should") from None
        raise Go2rtcError(f"{where} did not answer within {API_S:g} s")

    async def _read(self, connection: h11.Connection, stream: trio.SocketStream) -> bytes:
        """The body of the answer. Raises `Go2rtcError` for a refusal, and for more than any answer has."""
        body, size, parts = b"", 0, 0
        while True:
            match connection.next_event():
                case h11.NEED_DATA:
                    data = await stream.receive_some(PIECE)
                    size += len(data)
                    connection.receive_data(data)
                case h11.Response(status_code=status) if status >= 300:  # a redirect is not followed
                    raise Go2rtcError(f"at {self._host}:{self._port} refuses with status {status}")
                case h11.Data(data=data):
                    body += data
                case h11.EndOfMessage() | h11.ConnectionClosed() | h11.PAUSED:
                    return body
                case _:
                    pass
            parts += 1
            if size > MAX_ANSWER or parts > MAX_PARTS:
                raise Go2rtcError(f"at {self._host}:{self._port} sends more than any answer has")
            if parts % AT_ONCE == 0:
                await trio.lowlevel.checkpoint()


class _Rtsp(msgspec.Struct):
    listen: str


class _About(msgspec.Struct):
    """What we read of it: what else it says is passed over, and made into nothing."""

    rtsp: _Rtsp


def _rtsp_port(about: bytes) -> int:
    """The port where it serves RTSP, from its description of itself. Raises `Go2rtcError` for one that no port can be.

    The default for a description without one.
    """
    try:
        text = msgspec.json.decode(about, type=_About).rtsp.listen.rpartition(":")[2]
    except ValueError:
        return DEFAULT_RTSP_PORT
    except RecursionError:
        raise Go2rtcError("describes itself in JSON that is nested too deeply") from None
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        return DEFAULT_RTSP_PORT
    if len(text) > 5 or not 1 <= int(text) <= 65535:
        raise Go2rtcError("names a port for RTSP that no port can be")
    return int(text)
