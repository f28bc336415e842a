"""One HTTP request to a server that the configuration names: bounded in time, bytes and parts.

Rules of this file:
- A redirect is not followed: its status is returned like any other.
- No error quotes a request or an answer: both may hold secrets.
- TLS is verified, against the CAs of the system or those of a file.
"""

import ssl
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import attrs
import h11
import trio

from .. import __version__
from ..base.printable import brief
from ..base.threads import refusing_threads, run_in_thread

MOST_HEAD, MOST_PARTS = 16 * 1024, 4096
"""Limits for one answer: bytes of its head, and parts that h11 finds in it."""
PIECE, AT_ONCE = 4096, 32
"""Bytes of one read, and parts between two trio checkpoints."""
MOST_CA = 1024 * 1024


class HttpError(Exception):
    """The server cannot be reached, or gives no valid answer. The text is for people."""


@attrs.frozen
class HttpAnswer:
    status: int
    body: bytes = attrs.field(repr=False)


def make_context(ca: Path | None) -> ssl.SSLContext:
    """The CAs of a file, or of the system. Blocking, 30 ms. Raises `HttpError`."""
    if ca is None:
        return ssl.create_default_context()
    try:
        with ca.open("rb") as file:
            data = file.read(MOST_CA + 1)
    except OSError as error:
        raise HttpError(f"{ca} cannot be read: {error.strerror}") from None
    if len(data) > MOST_CA:
        raise HttpError(f"{ca} is larger than any file of certificates")
    try:
        return ssl.create_default_context(cadata=data.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise HttpError(f"{ca} has no certificate as PEM") from None


_READS = trio.CapacityLimiter(1)
"""While the folder of the certificates hangs, one thread waits for it, and no second one."""


async def load_context(ca: Path | None) -> ssl.SSLContext:
    """As `make_context`, in a thread."""
    return await run_in_thread(lambda: make_context(ca), limiter=_READS, abandon="it only reads files")


async def fetch(
    url: str,
    context: ssl.SSLContext | None,
    *,
    patience_s: float,
    most: int,
    body: bytes | None = None,
    headers: Sequence[tuple[str, str]] = (),
) -> HttpAnswer:
    """GET `url`, or POST `body` as a form to it. `context` is needed for https. `most`: bytes of the answer's body.

    Raises `HttpError`.
    """
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    asked = [("Host", parts.netloc), ("User-Agent", f"banken/{__version__}"), ("Connection", "close")]
    asked += [("Accept", "application/json"), ("Accept-Encoding", "identity"), *headers]
    if body is not None:
        asked += [("Content-Type", "application/x-www-form-urlencoded"), ("Content-Length", str(len(body)))]
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_HEAD)
    question = connection.send(h11.Request(method="GET" if body is None else "POST", target=target, headers=asked))
    question = (question or b"") + (connection.send(h11.Data(data=body)) or b"" if body else b"")
    question += connection.send(h11.EndOfMessage()) or b""
    with trio.move_on_after(patience_s):
        try:
            return await _exchange(
                host, parts.port or (443 if secure else 80), secure, context, question, connection, most
            )
        except (OSError, UnicodeError) as error:
            raise HttpError(f"it cannot be reached: {brief(error)}") from None
        except trio.BrokenResourceError as error:
            raise HttpError(f"it cannot be reached: {_tls_reason(error.__cause__)}") from None
        except h11.ProtocolError:
            raise HttpError("it gives no valid answer: this is not HTTP") from None
    raise HttpError(f"it did not answer within {patience_s:g} s")


async def _exchange(
    host: str,
    port: int,
    secure: bool,
    context: ssl.SSLContext | None,
    question: bytes,
    connection: h11.Connection,
    most: int,
) -> HttpAnswer:
    with refusing_threads():
        stream: trio.abc.Stream = await trio.open_tcp_stream(host, port)
    try:
        if secure:
            assert context is not None
            stream = trio.SSLStream(stream, context, server_hostname=host, https_compatible=True)
        await stream.send_all(question)
        return await _read(stream, connection, most)
    finally:
        await trio.aclose_forcefully(stream)


async def _read(stream: trio.abc.Stream, connection: h11.Connection, most: int) -> HttpAnswer:
    status, body, size, parts = 0, bytearray(), 0, 0
    while True:
        match connection.next_event():
            case h11.NEED_DATA:
                data = bytes(await stream.receive_some(PIECE))
                size += len(data)
                connection.receive_data(data)
            case h11.Response(status_code=code):
                status = code
            case h11.Data(data=data):
                body += data
            case h11.EndOfMessage():
                return HttpAnswer(status, bytes(body))
            case h11.ConnectionClosed():
                raise HttpError("it closed the connection without an answer")
            case _:
                pass
        parts += 1
        if size > most + MOST_HEAD or len(body) > most or parts > MOST_PARTS:
            raise HttpError("it sends more than any such answer has")
        if parts % AT_ONCE == 0:
            await trio.lowlevel.checkpoint()


def _tls_reason(error: BaseException | None) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {brief(error.verify_message)}"
    return brief(error) if error is not None else "the connection broke"
