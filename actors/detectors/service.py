"""A detector that is a service: banken posts it pictures, and it answers with detections. `formats.py` has the formats.

Rules of this file:
- One request is on its way at a time, each with the newest picture when it begins. A picture is tried `TRIES` times.
- A request takes at most `PATIENCE_S`, and an answer has at most `MOST_ANSWER` bytes. A redirect is not followed.
- TLS is verified. No error quotes a request or an answer: both may hold the token.
"""

import base64
import os
import ssl
from collections import OrderedDict
from collections.abc import Sequence
from functools import cache
from urllib.parse import unquote, urlsplit

import h11
import trio

from supervisor import __version__
from supervisor.base.printable import brief
from supervisor.base.threads import run_in_thread
from supervisor.domain import commands as c
from supervisor.domain.ids import CameraId
from supervisor.domain.restart import backoff_s
from supervisor.domain.values import Reason

from ..addresses import open_stream
from .formats import FORMATS, ServiceFormat
from .lines import MANY, NOT_JSON, Seen, WrongLine
from .pictures import DetectorPicture
from .tally import BACKOFF
from .work import Work

PATIENCE_S = 10.0
TRIES = 3
RETRY_S = 1.0
"""Before the second attempt; twice that before the third."""
MOST_ANSWER, MOST_PARTS = 256 * 1024, 2048
"""Limits for one answer: bytes including the headers, and parts that h11 finds in it."""
PIECE, AT_ONCE = 4096, 32
"""Bytes of one read, and parts between two trio checkpoints."""
MOST_HEAD = 3 * 1024
MOST_KEPT = 16 * 1024 * 1024
"""Bytes of the pictures that are kept as the previous ones of their cameras."""


class ServiceError(Exception):
    """The service does not answer, or answers wrongly. The text is for people."""


async def run(work: Work) -> Reason:
    """Call the service with one picture after the other. Never returns.

    Cancellation: closes the connection. Cleanup: nothing is held.
    """
    service, previous, failures = Service(work), _Previous(), 0
    while True:
        picture = await work.pictures.next()
        problem = await _call(service, picture, previous.find(picture.camera), work)
        if not problem:
            previous.keep(picture.camera, picture.jpeg)
            failures = 0
            work.is_well()
            continue
        failures += 1
        work.tally.state, work.tally.reason = BACKOFF, problem
        name = work.detector.name
        text = f"the detector {name} does not work: {problem}"
        work.tools.kernel.emit(c.RaiseAlert(f"detector/{name}", text))
        await trio.sleep(backoff_s(failures, work.tools.jitter()))


async def _call(service: "Service", picture: DetectorPicture, before: bytes, work: Work) -> str:
    """Try one picture up to `TRIES` times. Returns why the last attempt failed; empty after an answer."""
    problem = ""
    for number in range(TRIES):
        if number:
            await trio.sleep(RETRY_S * 2.0 ** (number - 1))
        sent_at = work.tally.sent() if number == 0 else trio.current_time()
        try:
            answer = await service.ask(picture, before)
        except ServiceError as error:
            problem = str(error)
            continue
        work.tally.answered(sent_at)
        if await _take(service, answer, picture, work):
            return ""
        problem = "it gives no valid answer: this is not JSON"
    return problem


async def _take(service: "Service", answer: bytes, picture: DetectorPicture, work: Work) -> bool:
    """Report the detections of an answer; return whether it is JSON. A wrong part is counted, and drops only itself."""
    found: Sequence[Seen | WrongLine]
    try:
        found, left_out = service.format.read(answer, picture)
    except WrongLine as error:
        found, left_out = [error], 0
    for seen in found:
        if isinstance(seen, WrongLine):
            work.tally.drop(seen.code)
        else:
            await work.report(seen, picture)
    work.tally.drop(MANY, left_out)
    return not any(isinstance(seen, WrongLine) and seen.code == NOT_JSON for seen in found)


class Service:
    """The interface of one service."""

    def __init__(self, work: Work) -> None:
        detector = work.detector
        self.format: ServiceFormat = FORMATS[detector.format]
        self._detector = detector
        parts = urlsplit(detector.address)
        self._host, self._secure = parts.hostname or "", parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 80)
        path = parts.path if parts.path not in ("", "/") else self.format.path
        self._target = path + (f"?{parts.query}" if parts.query else "")
        self._headers = [
            ("Host", parts.netloc.rpartition("@")[2]),
            ("User-Agent", f"banken/{__version__}"),
            ("Connection", "close"),
            ("Accept", "application/json"),
        ]
        if detector.token:
            self._headers.append(("Authorization", f"Bearer {detector.token}"))
        elif parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers.append(("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}"))

    async def ask(self, picture: DetectorPicture, before: bytes) -> bytes:
        """Return the body of the answer. Raises `ServiceError`."""
        kind, body = self.format.encode(picture, before, self._detector.hints.get(picture.camera, ""))
        headers = [*self._headers, ("Content-Type", kind), ("Content-Length", str(len(body)))]
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_HEAD)
        asked = h11.Request(method="POST", target=self._target, headers=headers)
        head = connection.send(asked) or b""
        sent = (head, *(connection.send(each) or b"" for each in (h11.Data(data=body), h11.EndOfMessage())))
        with trio.move_on_after(PATIENCE_S):
            try:
                return await self._exchange(connection, sent)
            except (OSError, UnicodeError) as error:
                raise ServiceError(f"it cannot be reached: {brief(_why(error))}") from None
            except trio.BrokenResourceError as error:
                why = error.__cause__ if isinstance(error.__cause__, ssl.SSLError) else None
                raise ServiceError(f"its certificate or TLS is not accepted: {brief(why)}" if why else BROKEN) from None
            except h11.ProtocolError:  # its text quotes the answer, which may quote our request
                raise ServiceError("it gives no valid answer: this is not HTTP") from None
        raise ServiceError(f"it did not answer within {PATIENCE_S:g} s")

    async def _exchange(self, connection: h11.Connection, sent: tuple[bytes, ...]) -> bytes:
        context = None
        if self._secure:
            context = await run_in_thread(tls_context, limiter=_READS, abandon="it only reads files")
        stream: trio.abc.Stream = await open_stream(self._host, self._port)
        try:
            if context is not None:
                stream = trio.SSLStream(stream, context, server_hostname=self._host, https_compatible=True)
            for part in sent:
                await stream.send_all(part)
            return await self._read(connection, stream)
        finally:
            await trio.aclose_forcefully(stream)

    async def _read(self, connection: h11.Connection, stream: trio.abc.Stream) -> bytes:
        """Return the body of the answer. Raises `ServiceError` for a status that is not 2xx, and above the limits."""
        body, size, parts = bytearray(), 0, 0
        while True:
            match connection.next_event():
                case h11.NEED_DATA:
                    data = bytes(await stream.receive_some(PIECE))
                    size += len(data)
                    connection.receive_data(data)
                case h11.Response(status_code=status) if 300 <= status < 400:
                    raise ServiceError(f"it answers with status {status}, a redirect, which is not followed")
                case h11.Response(status_code=status) if status >= 400:
                    raise ServiceError(f"it refuses with status {status}")
                case h11.Data(data=data):
                    body += data
                case h11.EndOfMessage():
                    return bytes(body)
                case h11.ConnectionClosed() | h11.PAUSED:
                    raise ServiceError(BROKEN)
                case _:
                    pass
            parts += 1
            if size > MOST_ANSWER or parts > MOST_PARTS:
                raise ServiceError("it sends more than any answer has")
            if parts % AT_ONCE == 0:
                await trio.lowlevel.checkpoint()


def _why(error: OSError | UnicodeError) -> str:
    """Return the reason without the number and the address that trio puts before it."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number is not None and number > 0 else getattr(error, "strerror", None) or str(error)


BROKEN = "it closes the connection without a whole answer"


_READS = trio.CapacityLimiter(1)
"""For all services: while the directory of the certificates hangs, one thread waits for it, and no second one."""


@cache
def tls_context() -> ssl.SSLContext:
    """Blocking, 30 ms: it reads all certificates that the system trusts. Made once; a failure is not kept."""
    return ssl.create_default_context()


class _Previous:
    """The last pictures of the cameras that were answered most recently, up to `MOST_KEPT` bytes."""

    def __init__(self) -> None:
        self._kept: OrderedDict[CameraId, bytes] = OrderedDict()

    def find(self, camera: CameraId) -> bytes:
        """Return the picture before; empty if it is not kept."""
        return self._kept.get(camera, b"")

    def keep(self, camera: CameraId, jpeg: bytes) -> None:
        self._kept[camera] = jpeg
        self._kept.move_to_end(camera)
        while sum(map(len, self._kept.values())) > MOST_KEPT:
            self._kept.popitem(last=False)
