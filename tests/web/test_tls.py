"""One port speaks TLS and redirects plain HTTP; handshakes of strangers cost the other clients nothing."""

import gc
import itertools
import math
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from trio_websocket import wrap_client_stream

from supervisor.domain.ids import CameraId
from supervisor.runtime.certificates import ServedCertificate
from tests.kit.certificates import write_pair
from tests.kit.domain import GATE
from tests.kit.http import over_tls, request
from tests.kit.processes import wait_until
from tests.kit.site import Site, message, open_site
from web import app, refusals, serve, tls
from web.app import WebSettings
from web.loop_budgets import LoopBudgets
from web.loop_scheduler import LoopScheduler, Meter
from web.refusals import Refusal
from web.tls import Tls, TlsStream

HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
"""The first bytes of a handshake, of which the rest never comes."""


@asynccontextmanager
async def open_secure(folder: Path, *cameras: CameraId, is_given: bool = True, proxy: str = "") -> AsyncIterator[Site]:
    cert, key = write_pair(folder, "127.0.0.1", "cams.example")
    served = ServedCertificate(cert, key)
    origins = ("https://cams.example",)
    async with open_site(
        *cameras,
        settings=WebSettings(allow_origins=origins),
        is_proxy=lambda peer: peer == proxy,
        tls=Tls(served.context, is_given, origins),
    ) as site:
        yield site


async def connect(site: Site, host: str, data: bytes = b"") -> trio.SocketStream:
    """A connection from `host`, on which `data` has been sent."""
    client = trio.socket.socket()
    await client.bind((host, 0))
    await client.connect(("127.0.0.1", site.port))
    if data:
        await client.send(data)
    return trio.SocketStream(client)


async def ended(stream: trio.abc.ReceiveStream) -> bool:
    """Whether the server ends it, whatever it sends before."""
    with trio.move_on_after(10):
        try:
            while await stream.receive_some():
                pass
        except trio.BrokenResourceError:
            pass
        return True
    return False


async def test_page_is_served_over_tls(tmp_path: Path) -> None:
    """A client that verifies the certificate by the file gets an answer over TLS 1.3, with HTTP/1.1."""
    async with open_secure(tmp_path) as site:
        context = ssl.create_default_context(cafile=str(tmp_path / "server.pem"))
        context.set_alpn_protocols(["h2", "http/1.1"])
        plain = await trio.open_tcp_stream("127.0.0.1", site.port)
        async with trio.SSLStream(plain, context, server_hostname="cams.example", https_compatible=True) as stream:
            await stream.send_all(b"GET /healthz HTTP/1.1\r\nHost: cams.example\r\n\r\n")
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")
            assert (stream.version(), stream.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
async def test_old_versions_of_tls_are_refused(tmp_path: Path) -> None:
    """TLS 1.1 gets an alert; TLS 1.2 an answer."""
    async with open_secure(tmp_path) as site:
        for version, is_served in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)):
            context = ssl.create_default_context(cafile=str(tmp_path / "server.pem"))
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = version
            plain = await trio.open_tcp_stream("127.0.0.1", site.port)
            async with trio.SSLStream(plain, context, server_hostname="127.0.0.1", https_compatible=True) as stream:
                if is_served:
                    await stream.do_handshake()
                else:
                    with pytest.raises(trio.BrokenResourceError):
                        await stream.do_handshake()


async def test_application_knows_the_scheme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`https` and `wss` over TLS, `http` for a proxy without TLS: the cookie of a session depends on it."""
    seen = list[str]()

    async def note(self: app._App, scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["scheme"])
        await answer(self, scope, receive, send)

    answer = app._App.asgi_app
    monkeypatch.setattr(app._App, "asgi_app", note)
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    upgrade["Sec-WebSocket-Key"] = "AAAAAAAAAAAAAAAAAAAAAA=="
    async with open_secure(tmp_path, proxy="127.0.0.2") as site:
        await request(site.port, "GET", "/healthz", secure=True)
        assert (await request(site.port, "GET", "/ws/events", headers=upgrade, secure=True)).status == 101
        await request(site.port, "GET", "/healthz", source="127.0.0.2")
    assert seen == ["https", "wss", "http"]


async def test_large_answers_arrive_whole(tmp_path: Path) -> None:
    """A file and a WebSocket arrive over TLS as they do without."""
    async with open_secure(tmp_path, GATE) as site, open_site(GATE) as plain:
        path = "/dashboard/main.js"
        secure = await request(site.port, "GET", path, secure=True)
        assert secure.body == (await plain.get(path)).body
        address = f"127.0.0.1:{site.port}"
        async with (
            over_tls(await trio.open_tcp_stream("127.0.0.1", site.port)) as stream,
            trio.open_nursery() as nursery,
        ):
            socket = await wrap_client_stream(nursery, stream, address, "/ws/events")
            assert (await message(socket))["type"] == "hello"
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("is_given", [True, False], ids=["a given certificate", "of the local CA"])
async def test_browsers_are_bound_to_https_by_a_given_certificate_only(tmp_path: Path, is_given: bool) -> None:
    """Every answer over TLS has the header then, a refusal too. A browser that is bound cannot go on past an error."""
    async with open_secure(tmp_path, is_given=is_given) as site:
        for path in ("/healthz", "/unknown"):
            answer = await request(site.port, "GET", path, secure=True)
            assert ("Strict-Transport-Security" in answer.headers) == is_given
        assert "Strict-Transport-Security" not in (await site.get("/healthz")).headers


@pytest.mark.parametrize(
    ("host", "path", "location"),
    [
        ("127.0.0.1:8620", "/cameras/a%20b?x=1&y=%0d", "https://127.0.0.1:8620/cameras/a%20b?x=1&y=%0d"),
        ("cams.example:8620", "//evil.example/", "https://cams.example:8620//evil.example/"),
        ("Banken.Local", "/", "https://banken.local:80/"),
        ("[::1]:8620", "/", "https://[::1]:8620/"),
        ("127.0.0.1:8620", "http://[::1]:1/x", "https://[::1]:1/x"),
    ],
)
async def test_plain_http_is_redirected_to_https(tmp_path: Path, host: str, path: str, location: str) -> None:
    """308 to the same host, port, path and query, so that a method and a body are kept; nothing of the page is sent."""
    async with open_secure(tmp_path) as site:
        for method in ("GET", "POST"):
            answer = await request(site.port, method, path, headers={"Host": host})
            assert (answer.status, answer.headers["Location"], answer.body) == (308, location, b"")
            assert answer.headers["Connection"] == "close"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8620", "cams.example.evil.example"])
async def test_plain_http_is_not_redirected_to_a_foreign_host(tmp_path: Path, host: str) -> None:
    """After DNS rebinding, a foreign page sends its own name: 421."""
    async with open_secure(tmp_path) as site:
        answer = await request(site.port, "GET", "/", headers={"Host": host})
        assert (answer.status, "Location" in answer.headers) == (421, False)
        assert answer.json["status"] == 421


@pytest.mark.parametrize("host", ["a b", "a@b", "", "127.0.0.1:99999"])
async def test_unreadable_host_over_plain_http_gets_400(tmp_path: Path, host: str) -> None:
    """No redirect is made from it."""
    async with open_secure(tmp_path) as site, await trio.open_tcp_stream("127.0.0.1", site.port) as stream:
        await stream.send_all(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 400")


async def test_websocket_over_plain_http_is_refused(tmp_path: Path) -> None:
    """403; a page over https connects over TLS."""
    async with open_secure(tmp_path) as site:
        assert (await site.handshake()).status == 403


async def test_trusted_proxy_speaks_plain_http(tmp_path: Path) -> None:
    """It speaks TLS with the browser itself; a redirect would send the browser to the proxy for ever."""
    async with open_secure(tmp_path, proxy="127.0.0.2") as site:
        assert (await request(site.port, "GET", "/healthz", source="127.0.0.2")).status == 200
        assert (await request(site.port, "GET", "/healthz", source="127.0.0.2", secure=True)).status == 200
        assert (await request(site.port, "GET", "/healthz", source="127.0.0.3")).status == 308


async def test_slow_handshake_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that sends nothing, or half of a hello, is closed after HANDSHAKE_S, and counted."""
    monkeypatch.setattr(tls, "HANDSHAKE_S", 0.2)
    async with open_secure(tmp_path) as site:
        for data in (b"", HELLO[:1], HELLO):
            async with await connect(site, "127.0.0.2", data) as stream:
                assert await ended(stream)
        assert refusals.totals() == {Refusal.FAILED_HANDSHAKE: 3}
        assert (await request(site.port, "GET", "/healthz", secure=True)).status == 200


@pytest.mark.parametrize(
    "data",
    [b"\x16" + bytes(1000), b"\x16" * 100_000, HELLO + bytes(70_000), b"\x16\x03\x01\x00\x00" * 10_000],
    ids=["zeros", "bytes of the first kind", "a long hello of zeros", "empty records"],
)
async def test_garbage_instead_of_a_handshake_ends_the_connection(tmp_path: Path, data: bytes) -> None:
    """It is counted, and logs no traceback; the next client is served."""
    async with open_secure(tmp_path) as site:
        async with await connect(site, "127.0.0.2") as stream, trio.open_nursery() as nursery:
            nursery.start_soon(send, stream, data)
            assert await ended(stream)
            nursery.cancel_scope.cancel()
        assert refusals.totals() == {Refusal.FAILED_HANDSHAKE: 1}
        assert (await request(site.port, "GET", "/healthz", secure=True)).status == 200


async def send(stream: trio.SocketStream, data: bytes) -> None:
    try:
        await stream.send_all(data)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass


async def test_client_that_leaves_during_its_handshake_frees_its_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half-open handshakes leave nothing behind: the same client may begin as many again."""
    monkeypatch.setattr(tls, "MOST_UNFINISHED", 3)
    async with open_secure(tmp_path) as site:
        for _ in range(3):
            clients = [await connect(site, "127.0.0.2", HELLO) for _ in range(3)]
            for client in clients:
                await client.send_eof()
                assert await ended(client)
                await client.aclose()
        assert refusals.totals() == {Refusal.FAILED_HANDSHAKE: 9}


async def test_unfinished_handshakes_are_bounded_for_each_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more is closed at once, also when a connection has sent nothing yet. Other clients begin theirs."""
    monkeypatch.setattr(tls, "MOST_UNFINISHED", 3)
    async with open_secure(tmp_path) as site, AsyncExitStack() as stack:
        for data in (HELLO, HELLO, b""):
            await stack.enter_async_context(await connect(site, "127.0.0.2", data))
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert await ended(await stack.enter_async_context(await connect(site, "127.0.0.2", HELLO)))
        assert refusals.totals() == {Refusal.UNFINISHED_HANDSHAKES: 1}
        assert (await request(site.port, "GET", "/healthz", secure=True, source="127.0.0.3")).status == 200


async def test_thousand_handshakes_at_once_leave_other_clients_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight strangers begin a thousand handshakes and go no further. Each has MOST_UNFINISHED of them at most, and
    another client is answered ten times meanwhile."""
    monkeypatch.setattr(tls, "HANDSHAKE_S", 600)
    async with open_secure(tmp_path) as site, AsyncExitStack() as stack:
        for number in range(1000):
            await stack.enter_async_context(await connect(site, f"127.0.0.{2 + number % 8}", HELLO))
        for _ in range(10):
            assert (await request(site.port, "GET", "/healthz", secure=True, source="127.0.0.99")).status == 200
        found = refusals.totals()
        assert set(found) <= {Refusal.UNFINISHED_HANDSHAKES, Refusal.PEER_HAS_ITS_SHARE}
        assert sum(found.values()) == 1000 - 8 * tls.MOST_UNFINISHED


def held() -> int:
    """The number of connections for which OpenSSL has memory."""
    return sum(type(each) is ssl.SSLObject and each.server_side for each in gc.get_objects())


@pytest.mark.parametrize("ends", ["answered", "ended by us", "garbage", "half", "slow"])
async def test_memory_of_openssl_is_freed_with_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    """At once, and not when the collector of cyclic garbage runs, which is rare: a connection has up to 100 kB."""
    monkeypatch.setattr(tls, "HANDSHAKE_S", 0.1 if ends == "slow" else 600)

    async with open_secure(tmp_path) as site:
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                if ends == "answered":
                    assert (await request(site.port, "GET", "/healthz", secure=True)).status == 200
                    continue
                if ends == "ended by us":
                    async with over_tls(await connect(site, "127.0.0.2")) as page:
                        await page.send_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                        assert await ended(page)
                    continue
                async with await connect(site, "127.0.0.2", HELLO + b"x" * (70_000 * (ends == "garbage"))) as stream:
                    if ends == "half":
                        await stream.send_eof()
                    assert await ended(stream)
            await wait_until(lambda: not held(), what="the end of the last one")
        finally:
            gc.enable()


@pytest.mark.parametrize("data", [b"", HELLO], ids=["silent", "half of a hello"])
async def test_unfinished_handshake_that_is_replaced_is_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    """A new connection takes its place when all are taken; it is counted as replaced alone, and its memory is freed."""
    monkeypatch.setattr(serve, "MAX_CONNECTIONS", 1)
    async with open_secure(tmp_path) as site, AsyncExitStack() as stack:
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                await stack.enter_async_context(await connect(site, "127.0.0.2", data))
                await trio.testing.wait_all_tasks_blocked(0.05)
            assert (await request(site.port, "GET", "/healthz", secure=True)).status == 200
            assert refusals.totals() == {Refusal.REPLACED: 3}
            await wait_until(lambda: not held(), what="the end of the last one")
        finally:
            gc.enable()


async def test_stop_ends_connections_in_every_state(tmp_path: Path) -> None:
    """Silent ones, half of a handshake, idle ones, and one that does not read: all end within the grace."""
    async with open_secure(tmp_path) as site, AsyncExitStack() as stack:
        for data in (b"", HELLO):
            await stack.enter_async_context(await connect(site, "127.0.0.2", data))
        for text in (
            b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /dashboard/main.js HTTP/1.1\r\nHost: x\r\n\r\n" * 500,
        ):
            page = await stack.enter_async_context(over_tls(await connect(site, "127.0.0.3")))
            await page.send_all(text)
        await trio.testing.wait_all_tasks_blocked(0.05)
        began = trio.current_time()
        site.stop.set()
        await wait_until(site.stopped.is_set, 10)
        assert trio.current_time() - began < serve.DRAIN_S + serve.GRACE_S + 1


class Spent(LoopBudgets):
    """Adds up what each client spends, and lets nobody wait."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = dict[str | None, float]()

    def spend(self, client: str | None, seconds: float, now: float) -> None:
        self.seconds[client] = self.seconds.get(client, 0.0) + seconds


async def test_handshake_is_charged_to_its_client(tmp_path: Path) -> None:
    """By a clock that counts, each step costs a second: reading the hello with the answer, and the end."""
    seconds = itertools.count()
    turns = LoopScheduler(cost_clock=lambda: float(next(seconds)))
    turns.budgets = spent = Spent()
    served = ServedCertificate(*write_pair(tmp_path, "localhost"))
    pair = [trio.SocketStream(each) for each in trio.socket.socketpair()]
    async with pair[0], pair[1], trio.open_nursery() as nursery:
        nursery.start_soon(over_tls(pair[0]).do_handshake)
        await TlsStream(pair[1], served.context(), Meter(turns, "192.0.2.1")).do_handshake(math.inf)
    assert spent.seconds["192.0.2.1"] >= 2
