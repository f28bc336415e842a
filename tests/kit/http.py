"""A small HTTP/1.1 client for tests, on trio: one request, one answer."""

import json
import socket
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import attrs
import h11
import trio

from .patience import give_up_after


@attrs.frozen
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    path: str = "/"
    """The one that was asked for."""
    cookies: tuple[str, ...] = ()
    """The values of all `Set-Cookie`."""

    @property
    def location(self) -> str:
        """The path that `Location` names, which is relative to the one that was asked for."""
        return urljoin(self.path, self.headers["Location"])

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


async def request(
    port: int | Path,
    method: str,
    path: str,
    body: bytes | str = b"",
    headers: dict[str, str] | None = None,
    within: float = 15,
    secure: bool = False,
    source: str | None = None,
) -> Answer:
    """Send one request to 127.0.0.1 and read its answer; over TLS if `secure`, from the address `source`.

    A path as `port` is that of a Unix socket.
    """
    data = body.encode() if isinstance(body, str) else body
    fields = {"Host": f"127.0.0.1:{port}", "Content-Length": str(len(data)), "Connection": "close", **(headers or {})}
    connection = h11.Connection(h11.CLIENT)
    with give_up_after(within):
        if isinstance(port, Path):
            plain = await trio.open_unix_socket(port)
        else:
            plain = await trio.open_tcp_stream("127.0.0.1", port, local_address=source)
        stream = over_tls(plain) if secure else plain
        async with stream:
            await stream.send_all(
                connection.send(h11.Request(method=method, target=path, headers=list(fields.items())))
            )
            try:
                if data:
                    await stream.send_all(connection.send(h11.Data(data)))
                await stream.send_all(connection.send(h11.EndOfMessage()))
            except trio.BrokenResourceError:
                pass  # it may answer, and close, before it has read all of a body that is too large
            return await _read(connection, stream, path)


def is_listened_at(path: Path) -> bool:
    """Whether somebody listens at a Unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def over_tls(stream: trio.SocketStream) -> trio.SSLStream[trio.SocketStream]:
    """TLS to a server whose certificate is its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return trio.SSLStream(stream, context, server_hostname="localhost", https_compatible=True)


async def _read(connection: h11.Connection, stream: trio.abc.Stream, path: str) -> Answer:
    response: h11.InformationalResponse | h11.Response | None = None
    body = b""
    while True:
        match connection.next_event():
            case h11.NEED_DATA:
                connection.receive_data(bytes(await stream.receive_some()))
            case h11.InformationalResponse() as response:
                break  # 101: it is not HTTP any more
            case h11.Response() as response:
                pass
            case h11.Data() as part:
                body += part.data
            case _:
                break
    assert response is not None
    names = {name.decode().title(): value.decode() for name, value in response.headers}
    cookies = tuple(value.decode() for name, value in response.headers if name.lower() == b"set-cookie")
    return Answer(response.status_code, names, body, path, cookies)
