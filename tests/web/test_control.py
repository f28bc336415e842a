"""Requests over the control socket: the API for the owner of the machine, as the client `local`."""

import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import trio

from supervisor.domain import events as e
from supervisor.domain.rights import ALL, Role
from supervisor.domain.values import Limits
from supervisor.runtime.certificates import ServedCertificate
from supervisor.runtime.control_socket import ControlSocket
from supervisor.services.accounts import Accounts
from tests.conftest import require
from tests.kit.accounts import add_users
from tests.kit.certificates import write_pair
from tests.kit.domain import GATE
from tests.kit.http import Answer, is_listened_at, request
from tests.kit.patience import give_up_after
from tests.kit.processes import wait_until
from tests.kit.site import OFFER, open_site
from web import app, refusals, serve
from web.app import WebSettings
from web.client import Proxies
from web.connection import is_open
from web.control import is_owner
from web.loop_budgets import CLIENT_RATE
from web.loop_scheduler import CONNECT_S
from web.refusals import Refusal
from web.tls import Tls

FOREIGN = {"Host": "evil.example", "Origin": "http://evil.example"}
UPGRADE = (
    b"GET /ws/events HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
AS_NOBODY = """
import os, socket, sys
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
with socket.socket(socket.AF_UNIX) as client:
    client.settimeout(60)
    try:
        client.connect(sys.argv[1])
        client.sendall(b"GET /api/cameras HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
        print(client.recv(100))
    except OSError as error:
        print(type(error).__name__)
"""
"""Prints what a process of another user gets over the socket."""


@pytest.fixture
def control(tmp_path: Path) -> Iterator[ControlSocket]:
    made = ControlSocket(tmp_path)
    made.open()
    yield made
    made.close()


@pytest.fixture
def visible() -> Iterator[ControlSocket]:
    """One in a folder that all users of this machine can search."""
    if os.geteuid() != 0:
        require("only root can start a process of another user")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        made = ControlSocket(Path(folder))
        made.open()
        yield made
        made.close()


async def answer_to(data: bytes, stream: trio.SocketStream) -> bytes:
    """The beginning of the answer to `data`; empty if the connection is ended instead."""
    with give_up_after(30):
        await stream.send_all(data)
        try:
            return bytes(await stream.receive_some())
        except trio.BrokenResourceError:
            return b""


async def offer(port: int | Path, **headers: str) -> Answer:
    return await request(port, "POST", f"/whep/{GATE}", OFFER, {"Content-Type": "application/sdp", **headers})


async def test_request_is_answered_whatever_its_host_and_origin(control: ControlSocket) -> None:
    """By the same application; over TCP the same request is refused. No page can reach a Unix socket."""
    async with open_site(control=control) as site:
        for headers in (
            FOREIGN,
            {"Sec-Fetch-Site": "cross-site"},
            {"Host": "a b"},
            {"Referer": "http://evil.example/"},
        ):
            assert (await request(control.path, "GET", "/api/cameras", headers=headers)).status == 200
            assert (await request(control.path, "GET", "/cameras/gate/snapshot.jpg", headers=headers)).status == 200
        assert (await request(site.port, "GET", "/api/cameras", headers=FOREIGN)).status == 421
        assert site.actors.taken == [True] * 4
        async with await trio.open_unix_socket(control.path) as stream:
            assert (await answer_to(UPGRADE, stream)).startswith(b"HTTP/1.1 101")


async def test_control_socket_speaks_plain_http_beside_a_port_with_tls(control: ControlSocket, tmp_path: Path) -> None:
    """No certificate is needed, and nothing is redirected."""
    served = ServedCertificate(*write_pair(tmp_path, "127.0.0.1"))
    async with open_site(control=control, tls=Tls(served.context, True, ())) as site:
        assert (await request(control.path, "GET", "/healthz")).status == 200
        assert (await request(site.port, "GET", "/healthz")).status == 308


async def test_scope_of_its_requests_says_so(control: ControlSocket, monkeypatch: pytest.MonkeyPatch) -> None:
    """`banken.control` is true for them only, and no header can set it."""
    seen: list[tuple[bool, str]] = []
    real = app._App.asgi_app

    async def noting(self: app._App, scope: Any, receive: Any, send: Any) -> None:
        await real(self, scope, receive, send)
        seen.append((scope["banken.control"] is True, scope["banken.client"]))

    monkeypatch.setattr(app._App, "asgi_app", noting)
    async with open_site(control=control) as site:
        for port in (control.path, site.port):
            await request(port, "GET", "/api/cameras", headers={"Banken.control": "True", "Banken-Control": "1"})
        await wait_until(lambda: len(seen) == 2)
    assert seen == [(True, "local"), (False, "127.0.0.1")]


async def test_client_and_principal_are_local_in_the_journal(control: ControlSocket) -> None:
    """A header with an address changes nothing; that of a person behind a trusted proxy stays an address."""
    settings = WebSettings(proxies=Proxies((ip_network("127.0.0.1/32"),)))
    async with open_site(control=control, settings=settings) as site:
        for port in (control.path, site.port):
            answer = await offer(port, **{"X-Forwarded-For": "192.0.2.1"})
            assert answer.status == 201
            assert (await request(port, "DELETE", answer.location)).status == 200
        rows = await site.core.stored()
        granted = [(row.principal, row.event.client) for row in rows if isinstance(row.event, e.LeaseGranted)]
        assert granted == [("local", "local"), ("client:192.0.2.1", "192.0.2.1")]
        assert {row.principal for row in rows if row.type == "PeerClosing"} == {"local", "client:127.0.0.1 (forwarded)"}


@pytest.mark.parametrize("damage", ["", "it is not JSON"])
async def test_owner_has_all_rights_once_there_are_users(control: ControlSocket, tmp_path: Path, damage: str) -> None:
    """Without a login, and with a damaged access file, too: the machine stays open to its owner."""
    async with open_site(control=control, access=tmp_path / "access.json") as site:
        accounts = site.gateway.accounts
        assert isinstance(accounts, Accounts)
        await add_users(accounts, Role.WATCHER, ALL)
        accounts.damage = damage
        assert (await request(site.port, "GET", "/api/cameras")).status == 401
        shown = {"Authorization": "Bearer nothing", "Cookie": "banken=nothing"}
        for headers in ({}, shown):
            assert (await request(control.path, "GET", "/api/users", headers=headers)).status == 200
            assert (await request(control.path, "POST", "/api/config/reload", headers=headers)).status == 409
        answer = await offer(control.path)
        assert answer.status == 201
        async with await trio.open_unix_socket(control.path) as stream:
            said = await answer_to(UPGRADE, stream)
            with give_up_after(30):
                while b'"hello"' not in said:
                    more = bytes(await stream.receive_some())
                    assert more, said
                    said += more
        granted = [row.principal for row in await site.core.stored() if row.type == "LeaseGranted"]
        assert granted == ["local"]


async def test_limits_of_a_client_hold_for_it(control: ControlSocket) -> None:
    """It is one client, with its own share."""
    async with open_site(control=control, limits=Limits(peers_per_client=1)) as site:
        answers = [(await offer(port)).status for port in (control.path, control.path, site.port)]
    assert answers == [201, 429, 201]


async def test_process_of_another_user_is_refused(visible: ControlSocket, caplog: pytest.LogCaptureFixture) -> None:
    """Even if somebody has opened the file to all. It is counted, and one line a minute names the user."""
    async with open_site(control=visible):
        command = [sys.executable, "-c", AS_NOBODY, str(visible.path)]
        ask = partial(trio.run_process, command, capture_stdout=True)
        with give_up_after(60):
            assert (await ask()).stdout == b"PermissionError\n"
            os.chmod(visible.path, 0o666)
            assert (await ask()).stdout in (b"b''\n", b"ConnectionResetError\n", b"BrokenPipeError\n")
        assert refusals.totals() == {Refusal.OTHER_USER: 1}
        refusals.log_now()
        assert (await request(visible.path, "GET", "/healthz")).status == 200
    assert [record.getMessage() for record in caplog.records] == ["connections refused: other user: 1 (user 65534 1)"]


@pytest.mark.parametrize(
    ("own", "user", "served"), [(1000, 1000, True), (1000, 0, True), (1000, 1001, False), (0, 1000, False)]
)
def test_own_user_and_root_are_the_owners(monkeypatch: pytest.MonkeyPatch, own: int, user: int, served: bool) -> None:
    """Nobody else, also if the daemon is root's."""
    monkeypatch.setattr(os, "geteuid", lambda: own)
    assert is_owner(user) is served


async def test_connections_that_say_nothing_do_not_lock_the_owner_out(
    control: ControlSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand of them: the oldest idle one is closed for a new one. Other clients are served as before."""
    monkeypatch.setattr(serve, "CONTROL_PAUSE_S", 0.0)
    async with open_site(control=control) as site, AsyncExitStack() as stack:
        silent = [await stack.enter_async_context(await trio.open_unix_socket(control.path)) for _ in range(1000)]
        with give_up_after(30):
            assert (await request(control.path, "GET", "/healthz")).status == 200
            assert await silent[0].receive_some() == b""
        assert (await site.get("/healthz")).status == 200
        assert refusals.totals() == {Refusal.REPLACED: 1000 + 1 - serve.MAX_PER_CLIENT}


async def test_connections_come_at_the_rate_that_a_client_may_have(
    control: ControlSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a program that connects without end uses up neither the share of the owner nor that of all."""
    assert serve.CONTROL_PAUSE_S >= CONNECT_S / CLIENT_RATE
    monkeypatch.setattr(serve, "CONTROL_PAUSE_S", 10_000.0)
    async with open_site(control=control) as site:
        assert (await request(control.path, "GET", "/healthz")).status == 200
        async with await trio.open_unix_socket(control.path) as waiting:
            await waiting.send_all(GET)
            for _ in range(3):
                assert (await site.get("/healthz")).status == 200
            with trio.move_on_after(0.1) as limit:
                await waiting.receive_some()
            assert limit.cancelled_caught


async def test_owner_is_served_while_others_have_all_connections(
    control: ControlSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connections count apart, and none of them is closed for those of others."""
    monkeypatch.setattr(serve, "MAX_CONNECTIONS", 1)
    async with open_site(control=control) as site:
        async with (
            await trio.open_unix_socket(control.path) as own,
            await trio.open_tcp_stream("127.0.0.1", site.port) as page,
        ):
            opened = await answer_to(UPGRADE.replace(b"evil.example", b"x"), page)
            assert opened.startswith(b"HTTP/1.1 101")
            assert (await request(control.path, "GET", "/healthz")).status == 200
            async with await trio.open_tcp_stream("127.0.0.1", site.port) as refused:
                assert await answer_to(GET, refused) == b""
            assert (await answer_to(GET, own)).startswith(b"HTTP/1.1 200")
            assert refusals.totals() == {Refusal.ALL_ARE_TAKEN: 1}


async def test_socket_whose_file_was_removed_is_served_again(
    control: ControlSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Soon after. A connection by the old file goes on, and the old listener is closed."""
    monkeypatch.setattr(serve, "CONTROL_EVERY_S", 0.01)
    async with open_site(control=control), await trio.open_unix_socket(control.path) as before:
        assert await answer_to(GET, before)
        old = control.listener()
        control.path.unlink()
        await wait_until(lambda: is_listened_at(control.path))
        assert (await request(control.path, "GET", "/healthz")).status == 200
        assert await answer_to(GET, before)
        assert old is not None
        await wait_until(lambda: old.fileno() == -1)


async def test_file_in_its_place_ends_the_service_until_it_is_removed(
    control: ControlSocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file stays; the pages go on."""
    monkeypatch.setattr(serve, "CONTROL_EVERY_S", 0.01)
    async with open_site(control=control) as site:
        control.path.unlink()
        control.path.mkdir()
        await wait_until(lambda: control.reading().level == 1.0)
        assert (await site.get("/healthz")).status == 200
        control.path.rmdir()
        await wait_until(lambda: control.reading().level == 0.0)
        assert (await request(control.path, "GET", "/healthz")).status == 200


async def test_viewer_over_the_socket_that_goes_away_is_noticed(control: ControlSocket) -> None:
    """A Unix socket has no state in the kernel as TCP has: that of its peer is asked for."""
    async with open_site(control=control) as site:
        async with await trio.open_unix_socket(control.path) as stream:
            mjpeg = GET.replace(b"/healthz", b"/cameras/gate/stream.mjpeg")
            assert (await answer_to(mjpeg, stream)).startswith(b"HTTP/1.1 200")
            assert len(site.core.kernel.state.leases) == 1
        await wait_until(lambda: not site.core.kernel.state.leases, 10)


async def test_connection_is_open_until_its_peer_ends_it() -> None:
    """In either direction, as for TCP; a closed socket is not open."""
    for end in (lambda peer: peer.shutdown(socket.SHUT_WR), socket.socket.close):
        ours, peer = socket.socketpair()
        with ours, peer:
            connected = trio.socket.from_stdlib_socket(ours)
            assert is_open(connected)
            end(peer)
            assert not is_open(connected)
            ours.close()
            assert not is_open(connected)
