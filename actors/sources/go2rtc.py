"""A camera read through go2rtc: its stream is added by go2rtc's API before it is opened, and removed afterwards.

go2rtc then holds the connection to the camera, and keeps it until the stream is removed. Therefore the removal has a
shield and a deadline, and a failed removal raises an alert that stays until it has been made good. The name of the
stream is fixed: a stream that a killed daemon left behind is reused, and removed, when the camera is next used.

Rules of this file:
- An answer is bounded in bytes and in parts, and read in small pieces: no answer blocks the loop for 5 ms.
- For every answer, the call returns or raises `Go2rtcError`. No error quotes an answer, because it may contain our
  request.
"""

import base64
import re
from urllib.parse import quote, unquote, urlencode, urlsplit

import attrs
import h11
import msgspec
import trio

from supervisor.base.printable import brief
from supervisor.base.shield import bounded_shield
from supervisor.config.config import Source
from supervisor.domain import commands as c
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Fault, Reason

from ..addresses import open_stream
from ..media.hub import Hub
from ..tools import Tools
from . import rtsp

API_S = 5.0
"""Time limit for one call of the API, which is expected to be near."""
MAX_ANSWER, MAX_PARTS = 256 * 1024, 2048
"""Limits for one answer: bytes including the headers, and parts that h11 finds in it."""
PIECE, AT_ONCE = 1024, 64
"""Bytes per read, and parts between two trio checkpoints. A part takes 10 to 25 µs, and at least 6 bytes."""
MAX_HEAD = 3 * 1024
"""Bytes of an incomplete header; h11 parses a complete one at once, in up to 5 µs per line."""
DEFAULT_RTSP_PORT = 8554


class Go2rtcError(Exception):
    """go2rtc does not answer, or answers wrongly. The text is for people."""


def check(source: Source) -> str | None:
    return rtsp.check(source) if source.via else "go2rtc is no address; write the camera's, and `via:` beside it"


async def run(camera: CameraId, source: Source, hub: Hub, tools: Tools) -> Reason:
    """Add the stream to go2rtc, then continue as `rtsp.run`.

    Cancellation: as `rtsp.run`. Cleanup: the stream is removed from go2rtc, within `API_S`.
    """
    upstream, name = Upstream(source.via), f"banken-{tools.kernel.node}-{camera}"
    try:
        address = await upstream.find_stream(name)
    except Go2rtcError as error:
        return Reason("upstream", f"go2rtc {error}", Fault.TEMPORARY)
    try:
        await upstream.add(name, source.address)
        return await rtsp.run(camera, attrs.evolve(source, address=address), hub, tools)
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
            kernel.emit(c.ClearAlert(alert))
            return
    except Go2rtcError as error:
        problem = str(error)
    text = f"go2rtc {problem}; it may still hold the stream {name!r}, and with it a connection to {camera}"
    kernel.emit(c.RaiseAlert(alert, text))


class Upstream:
    """The parts of the API of one go2rtc that are needed (its `internal/streams`, `internal/api`)."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._base = parts.path.rstrip("/")
        self._headers = [("Host", f"{self._host}:{self._port}"), ("Connection", "close")]
        if parts.username is not None:
            login = base64.b64encode(f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()).decode()
            self._headers.append(("Authorization", f"Basic {login}"))

    async def find_stream(self, name: str) -> str:
        """Return the RTSP URL of the stream `name`, valid once it has been added. Raises `Go2rtcError`."""
        about = await self._call("GET", "/api")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"rtsp://{host}:{_rtsp_port(about)}/{quote(name)}"

    async def add(self, name: str, address: str) -> None:
        """Add the stream `name` of `address`, or replace it. Raises `Go2rtcError`."""
        await self._call("PUT", f"/api/streams?{urlencode({'name': name, 'src': address})}")

    async def remove(self, name: str) -> None:
        """Remove the stream. Raises `Go2rtcError`."""
        # Releases differ in the name of this parameter.
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
                raise Go2rtcError(f"{where} gives no valid answer") from None
        raise Go2rtcError(f"{where} did not answer within {API_S:g} s")

    async def _read(self, connection: h11.Connection, stream: trio.SocketStream) -> bytes:
        """Return the body of the answer. Raises `Go2rtcError` for a status above 299, and above the limits."""
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
    """The fields that are read; all others are skipped without creating objects."""

    rtsp: _Rtsp


def _rtsp_port(about: bytes) -> int:
    """Return go2rtc's RTSP port, from its description of itself; the default when it names none.

    Raises `Go2rtcError` for an invalid port number, and for JSON that is nested too deeply.
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
