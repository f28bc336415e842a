"""RTSP in HTTP: the two connections, their cookie and their password; a tunnel that fails leaves nothing open."""

import base64
import re
from collections.abc import Sequence
from contextlib import ExitStack

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MemoryReceiveStream, MemorySendStream, MockClock

from actors.sources.rtsp.address import parse_target
from actors.sources.rtsp.auth import Credentials
from actors.sources.rtsp.reasons import ONLY_BASIC
from actors.sources.rtsp.tunnel import MAX_HEAD, Tunnel, TunnelRefused, open_tunnel

Pair = trio.StapledStream[MemorySendStream, MemoryReceiveStream]

ACCEPTED = b"HTTP/1.0 200 OK\r\nContent-Type: application/x-rtsp-tunnelled\r\n\r\n"
POST = b""
"""It is never answered."""
DIGEST = b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm="c", nonce="n", qop="auth"\r\n\r\n'
STALE = DIGEST.replace(b"nonce", b"stale=true, nonce")
SHA = DIGEST.replace(b'"auth"', b'"auth", algorithm=SHA-256')[:-2] + DIGEST.partition(b"\r\n")[2]
"""Offers MD5 as well."""
BASIC = b'HTTP/1.1 401 Unauthorized\nwww-authenticate:Basic realm="c"\n\n'
UNFINISHED = b"HTTP/1.1 200 OK\r\n"
ADDRESS = "rtsp://viewer:p%40ss@192.0.2.1:8554/main?ch=1"


@attrs.define
class Server:
    """`answers`: for each connection in turn, the bytes that it sends at once, or the error of connecting."""

    answers: Sequence[bytes | Exception]
    piece: int = 65_536
    """Bytes that it sends at a time."""
    opened: list[tuple[str, int, bool]] = attrs.field(factory=list)
    pairs: list[tuple[Pair, Pair]] = attrs.field(factory=list)
    """Our stream and its."""

    async def open_tcp(self, host: str, port: int, tls: bool) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        answer = self.answers[len(self.opened)]
        self.opened.append((host, port, tls))
        if isinstance(answer, Exception):
            raise answer
        self.pairs.append(trio.testing.memory_stream_pair())
        ours, theirs = self.pairs[-1]
        for at in range(0, len(answer), self.piece):
            await theirs.send_all(answer[at : at + self.piece])
        return ours

    async def heard(self, index: int) -> str:
        return bytes(await self.pairs[index][1].receive_some()).decode()

    async def is_closed(self, index: int) -> bool:
        """Whether our side of a connection is closed."""
        try:
            await self.pairs[index][0].send_all(b"x")
        except trio.ClosedResourceError:
            return True
        return False


async def opened(server: Server, address: str = ADDRESS) -> Tunnel:
    return await open_tunnel(server.open_tcp, parse_target(address), 10)


async def test_tunnel_joins_two_connections(autojump_clock: MockClock) -> None:
    """GET receives, also what came with its answer; POST sends base64. Both have one cookie, and both are closed."""
    server = Server([ACCEPTED + b"RTSP/1.0", POST], piece=7)
    tunnel = await opened(server)
    got, posted = await server.heard(0), await server.heard(1)
    assert got.startswith("GET /main?ch=1 HTTP/1.0\r\nHost: 192.0.2.1:8554\r\n")
    assert posted.startswith("POST /main?ch=1 HTTP/1.0\r\n")
    assert "Content-Type: application/x-rtsp-tunnelled\r\nContent-Length: 32767\r\n" in posted
    cookies = [re.findall(r"x-sessioncookie: (\w{22})\r\n", request) for request in (got, posted)]
    assert cookies[0] == cookies[1]
    assert len(cookies[0]) == 1
    await tunnel.send_all(b"OPTIONS")
    assert base64.b64decode(await server.heard(1)) == b"OPTIONS"
    await server.pairs[0][1].send_all(b" 200")
    received = b""
    while received != b"RTSP/1.0 200":
        received += await tunnel.receive_some()
    await tunnel.aclose()
    assert await server.is_closed(0)
    assert await server.is_closed(1)


@pytest.mark.parametrize(("challenge", "scheme"), [(DIGEST, "Digest "), (BASIC, "Basic ")])
async def test_tunnel_answers_a_challenge_of_http(challenge: bytes, scheme: str, autojump_clock: MockClock) -> None:
    """On a new connection, and for POST without another challenge. The password is in no first request."""
    server = Server([challenge, ACCEPTED, POST])
    async with await opened(server):
        first, got, posted = [await server.heard(index) for index in range(3)]
    assert "Authorization" not in first
    assert f"Authorization: {scheme}" in got
    assert f"Authorization: {scheme}" in posted
    assert "p@ss" not in first + got + posted
    if challenge is DIGEST:
        assert 'uri="/main?ch=1"' in got
    assert await server.is_closed(0)


@pytest.mark.parametrize(
    ("challenges", "expected"),
    [([DIGEST, STALE.replace(b'"n"', b'"new"')], 'nonce="new"'), ([SHA, SHA], 'nonce="n"')],
)
async def test_challenge_is_answered_once_more(
    challenges: list[bytes], expected: str, autojump_clock: MockClock
) -> None:
    """Where the nonce is stale, or the camera refuses SHA-256 and offers MD5, as in the session."""
    server = Server([*challenges, ACCEPTED, POST])
    async with await opened(server):
        got = [await server.heard(index) for index in range(4)]
    assert "SHA-256" in got[1] or challenges[0] is DIGEST
    assert ["Authorization: Digest" in request for request in got] == [False, True, True, True]
    assert expected in got[2]
    assert "SHA-256" not in got[2]


async def test_password_is_not_sent_readably(autojump_clock: MockClock) -> None:
    """With `auth: digest`, as in the session: the reason names the setting."""
    server = Server([BASIC])
    with pytest.raises(TunnelRefused) as refused:
        await open_tunnel(server.open_tcp, parse_target(ADDRESS, digest_only=True), 10)
    assert refused.value.reason is ONLY_BASIC
    assert "Authorization" not in await server.heard(0)


@pytest.mark.parametrize(("challenge", "is_open"), [(BASIC, False), (DIGEST, True)])
async def test_port_that_the_address_does_not_name_gets_only_digest(
    challenge: bytes, is_open: bool, autojump_clock: MockClock
) -> None:
    """Port 80 of a camera at port 554: another program may listen there. The same holds inside the tunnel."""
    server = Server([ConnectionRefusedError(111, "refused"), challenge, ACCEPTED, POST])
    with ExitStack() as stack:
        refused = None if is_open else stack.enter_context(pytest.raises(TunnelRefused))
        async with await opened(server, "rtsp://viewer:pass@192.0.2.1/main") as tunnel:
            assert tunnel.target.credentials == Credentials("viewer", "pass", digest_only=True)
    assert refused is None or refused.value.reason is ONLY_BASIC
    assert len(server.opened) == (4 if is_open else 2)


@pytest.mark.parametrize(
    ("answers", "address", "status"),
    [
        ([DIGEST, DIGEST], ADDRESS, 401),
        ([DIGEST, STALE, STALE], ADDRESS, 401),
        ([DIGEST], "rtsp://192.0.2.1:8554/main", 401),
        ([b"HTTP/1.1 404 Not Found\r\n\r\n"], ADDRESS, 404),
        ([b"RTSP/1.0 400 Bad Request\r\n\r\n"], ADDRESS, 400),
        ([b"nonsense\r\n\r\n"], ADDRESS, 0),
        ([b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2 * MAX_HEAD], ADDRESS, 0),
        ([UNFINISHED], ADDRESS, 0),
    ],
)
async def test_tunnel_that_is_refused_leaves_no_connection(
    answers: list[bytes], address: str, status: int, autojump_clock: MockClock
) -> None:
    """A second 401, a third one, no password, another status, no HTTP, an endless header; silence waits for 10 s."""
    server, began = Server(answers), trio.current_time()
    with pytest.raises(TunnelRefused) as refused:
        await opened(server, address)
    assert refused.value.status == status
    assert trio.current_time() - began == (10 if answers == [UNFINISHED] else 0)
    assert len(server.opened) == len(answers)
    for index in range(len(answers)):
        assert await server.is_closed(index)


async def test_post_that_cannot_connect_closes_get(autojump_clock: MockClock) -> None:
    """The error is that of the second connection."""
    server = Server([ACCEPTED, ConnectionRefusedError(111, "refused")])
    with pytest.raises(ConnectionRefusedError):
        await opened(server)
    assert await server.is_closed(0)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("rtsp://192.0.2.1/main", [("192.0.2.1", 554, False), ("192.0.2.1", 80, False), ("192.0.2.1", 80, False)]),
        ("rtsps://192.0.2.1/main", [("192.0.2.1", 322, True), ("192.0.2.1", 443, True), ("192.0.2.1", 443, True)]),
    ],
)
async def test_tunnel_is_tried_at_the_port_of_http_too(
    address: str, expected: list[tuple[str, int, bool]], autojump_clock: MockClock
) -> None:
    """Only if the address has the usual port: behind any other one, the ports of HTTP may be another device's."""
    server = Server([b"RTSP/1.0 400 Bad Request\r\n\r\n", ACCEPTED, POST])
    await (await opened(server, address)).aclose()
    assert server.opened == expected
    server = Server([b"RTSP/1.0 400 Bad Request\r\n\r\n"])
    with pytest.raises(TunnelRefused):
        await opened(server)
    assert [port for _, port, _ in server.opened] == [8554]


async def test_answer_of_the_last_port_is_reported(autojump_clock: MockClock) -> None:
    """A refused password says more than a port without HTTP; without any answer, the first error counts."""
    refused = ConnectionRefusedError(111, "refused")
    with pytest.raises(TunnelRefused) as error:
        await opened(Server([b"nonsense\n\n", BASIC]), "rtsp://192.0.2.1/main")
    assert error.value.status == 401
    with pytest.raises(ConnectionRefusedError):
        await opened(Server([refused, b"nonsense\n\n"]), "rtsp://192.0.2.1/main")


async def test_tunnel_that_is_cancelled_leaves_no_connection(autojump_clock: MockClock) -> None:
    """While GET has no answer."""
    server = Server([b""])
    with trio.move_on_after(1):
        await opened(server)
    assert await server.is_closed(0)
