"""A proxy with a password in front: no protocol switch makes a tunnel past it.

A real nginx, with the WebSocket configuration of its documentation (a `map` of `$http_upgrade`), which the page needs.
The password is asked for on `/`; `/healthz` is open, as for a load balancer.
"""

import base64
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import h2.config
import h2.connection
import pytest
import trio

from tests.conftest import require
from tests.kit.process_group import open_process_group
from tests.kit.processes import wait_until
from tests.kit.site import Site, open_site

PASSWORD = b"Authorization: Basic " + base64.b64encode(b"watch:secret") + b"\r\n"
CONNECTION = {
    "map": "$connection_upgrade",
    "passed on": "$http_connection",
    "always upgrade": "upgrade",
    "with settings": '"Upgrade, HTTP2-Settings"',
}
CONFIGURATION = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log; events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
  server {{
    listen 127.0.0.1:{port};
    proxy_http_version 1.1;
    proxy_set_header Host $host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection {connection};
    location / {{ auth_basic cameras; auth_basic_user_file {folder}/users; proxy_pass http://127.0.0.1:{daemon}; }}
    location = /healthz {{ proxy_pass http://127.0.0.1:{daemon}; }}
  }}
}}
"""


@asynccontextmanager
async def open_nginx(folder: Path, daemon: int, connection: str) -> AsyncIterator[int]:
    """A proxy in front of port `daemon`; yields its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    (folder / "users").write_text("watch:{PLAIN}secret\n")
    path = folder / "nginx.conf"
    path.write_text(CONFIGURATION.format(folder=folder, port=port, daemon=daemon, connection=connection))
    async with open_process_group(["nginx", "-e", str(folder / "error.log"), "-c", str(path)]):
        await wait_until(lambda: listens(port), 20, what="nginx")
        yield port


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def ask(port: int, data: bytes, within: float = 3) -> bytes:
    """Return the answer to `data`, until the server closes or is silent for the given time."""
    answer = b""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(data)
        with trio.move_on_after(within) as scope:
            try:
                while part := await stream.receive_some():
                    answer += part
                    scope.deadline = trio.current_time() + 0.5
            except trio.BrokenResourceError:
                pass
    return answer


def get(path: str, *lines: bytes, end: bytes = b"Connection: close\r\n") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n".encode() + b"".join(lines) + end + b"\r\n"


def h2c_requests(path: str) -> list[bytes]:
    """Ways to ask for HTTP/2 on an open path and then, in it, for a path with a password."""
    http2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    settings = http2.initiate_upgrade_connection() or b""
    http2.send_headers(
        3, [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", path)], end_stream=True
    )
    frames = http2.data_to_send()
    fields = b"HTTP2-Settings: " + settings + b"\r\n"
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\n"
    return [
        get("/healthz", b"Upgrade: h2c\r\n", fields, end=upgrade) + frames,
        get("/healthz", b"upgrade: H2C\r\n", fields, end=b"connection: upgrade\r\n") + frames,
        get("/healthz", b"Upgrade: websocket, h2c\r\n", fields, end=upgrade) + frames,
        get("/healthz", b"Upgrade: h2c\r\nUpgrade: websocket\r\n", fields, end=upgrade) + frames,
        get("/healthz", end=b"") + get("/healthz", b"Upgrade: h2c\r\n", fields, end=upgrade) + frames,
        b"PRI * HTTP/2.0\r\n\r\n" + frames,
    ]


@pytest.fixture
def nginx_here() -> None:
    require(None if shutil.which("nginx") else "there is no nginx (Debian's package nginx-light)")


@pytest.mark.parametrize("connection", CONNECTION.values(), ids=CONNECTION)
async def test_upgrade_to_http_2_makes_no_tunnel_past_a_password(
    connection: str, tmp_path: Path, nginx_here: None
) -> None:
    """Protected paths are refused in every form without a password, and open ones are served as HTTP/1.1."""
    async with open_site() as site, open_nginx(tmp_path, site.port, connection) as port:
        assert (await ask(port, get("/api/cameras"))).startswith(b"HTTP/1.1 401")
        assert (await ask(port, get("/api/cameras", PASSWORD))).startswith(b"HTTP/1.1 200")
        for data in h2c_requests("/api/cameras"):
            answer = await ask(port, data)
            assert b" 101 " not in answer, answer
            assert b'"cameras"' not in answer, answer
            assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400")), answer
        assert (await ask(site.port, get("/healthz"))).startswith(b"HTTP/1.1 200")


async def test_websocket_works_through_a_proxy_with_a_password(tmp_path: Path, nginx_here: None) -> None:
    """The page's WebSocket is opened with the password, and without it not."""
    asked = (
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
    )
    async with open_site() as site, open_nginx(tmp_path, site.port, CONNECTION["map"]) as port:
        refused = await ask(port, get("/ws/events", asked, end=b"Connection: Upgrade\r\n"))
        assert refused.startswith(b"HTTP/1.1 401")
        opened = await ask(port, get("/ws/events", asked, PASSWORD, end=b"Connection: Upgrade\r\n"))
        assert (opened.startswith(b"HTTP/1.1 101"), b'"hello"' in opened) == (True, True)
        assert b"permessage-deflate" not in opened
        await closed(site)


async def closed(site: Site) -> None:
    await wait_until(lambda: not site.sockets.statistics().open, 10, what="the end of the WebSockets")
