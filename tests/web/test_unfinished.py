"""Bodies that have not arrived: few of each client, whoever carries them, and each for a bounded time."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_network

import pytest
import trio

from tests.kit.domain import GATE
from tests.kit.http import Answer, request
from tests.kit.patience import give_up_after
from tests.kit.site import Site, open_site
from tests.web.test_serve import connect, ended
from web import refusals, serve, unfinished
from web.app import BODY_TIMEOUT_S, WebSettings
from web.client import Proxies
from web.refusals import Refusal
from web.unfinished import ARRIVAL_S, MOST, MOST_OF_CLIENT, has_body

PROXY, PERSON, NEIGHBOUR = "127.0.0.2", "2001:db8::7", "203.0.113.8"


def posted(person: str, *, path: str = "/api/leases", method: str = "POST", length: int = 500) -> bytes:
    """A request that a proxy passes on, with three bytes of its body."""
    return (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {person}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{{  "
    ).encode()


@asynccontextmanager
async def behind() -> AsyncIterator[Site]:
    """A site whose trusted proxy is `PROXY`."""
    proxies = Proxies((ip_network(f"{PROXY}/32"),))
    async with open_site(settings=WebSettings(proxies=proxies), is_proxy=proxies.trusts) as site:
        yield site


async def ask(site: Site, person: str, path: str = "/healthz", method: str = "GET", body: str = "") -> Answer:
    """A whole request of somebody behind the proxy."""
    headers = {"X-Forwarded-For": person, "Content-Type": "application/json"}
    return await request(site.port, method, path, body, headers, source=PROXY)


async def status(stream: trio.SocketStream) -> bytes:
    with give_up_after(10):
        return (await stream.receive_some())[9:12]


def test_one_person_leaves_most_connections_of_a_proxy_free() -> None:
    """The figures of the rule: a proxy keeps connections for whole requests however many bodies are unfinished."""
    assert (MOST_OF_CLIENT, MOST, serve.MAX_PER_PROXY) == (32, 256, 448)
    assert BODY_TIMEOUT_S < ARRIVAL_S < 30


async def test_person_with_too_many_unfinished_bodies_gets_429_and_others_are_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A /64 is one person; the connection ends with the answer; its neighbours behind the proxy find room."""
    monkeypatch.setattr(unfinished, "MOST_OF_CLIENT", 4)
    monkeypatch.setattr(serve, "MAX_PER_PROXY", 6)
    async with behind() as site, AsyncExitStack() as stack:
        held = [await stack.enter_async_context(await connect(site, PROXY, posted(PERSON))) for _ in range(4)]
        for number in range(20):
            async with await connect(site, PROXY, posted(f"2001:db8::{number}")) as one_too_many:
                answer = b""
                with give_up_after(10):
                    while part := await one_too_many.receive_some():
                        answer += part
                assert answer.startswith(b"HTTP/1.1 429") and b"\r\nretry-after: 1\r\n" in answer.lower()
        assert refusals.totals() == {Refusal.UNFINISHED_BODIES: 20}
        assert (await ask(site, PERSON)).status == 200, "a request without a body needs no place"
        for method, path in (("GET", "/healthz"), ("POST", "/api/leases")):
            assert (await ask(site, NEIGHBOUR, path, method, "{}" if method == "POST" else "")).status in (200, 400)
        await held[0].send_all(b" " * 496 + b"}")
        assert await status(held[0]) == b"400"
        assert (await ask(site, PERSON, "/api/leases", "POST", "{}")).status == 400, "its body was read"


async def test_stream_whose_body_has_arrived_holds_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count and deadline end with the last byte, and not with the answer: frames come beyond it."""
    monkeypatch.setattr(unfinished, "MOST_OF_CLIENT", 1)
    monkeypatch.setattr(unfinished, "ARRIVAL_S", 0.3)
    whole = posted(PERSON, path=f"/cameras/{GATE}/stream.mjpeg", method="GET", length=3)
    async with behind() as site, await connect(site, PROXY, whole) as stream:
        assert await status(stream) == b"200"
        assert (await ask(site, PERSON, "/api/leases", "POST", "{}")).status == 400
        beyond = trio.current_time() + 2 * unfinished.ARRIVAL_S
        while trio.current_time() < beyond:
            assert await stream.receive_some()


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [("POST", "/api/leases", b"408"), ("GET", f"/cameras/{GATE}/stream.mjpeg", b"200")],
    ids=["is waited for", "is not looked at"],
)
async def test_body_that_does_not_arrive_ends_the_request(
    method: str, path: str, expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """408 where nothing is answered yet; a stream ends. The place is free again."""
    monkeypatch.setattr(unfinished, "ARRIVAL_S", 0.3)
    monkeypatch.setattr(unfinished, "MOST_OF_CLIENT", 1)
    async with behind() as site:
        for _ in range(2):
            async with await connect(site, PROXY, posted(PERSON, path=path, method=method)) as stream:
                assert await status(stream) == expected
                assert await ended(stream)
        assert not site.core.kernel.state.leases


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], False),
        ([(b"content-length", b"0")], False),
        ([(b"content-length", b"00")], False),
        ([(b"content-length", b"10")], True),
        ([(b"transfer-encoding", b"chunked")], True),
    ],
)
def test_body_is_announced_by_its_length_or_its_encoding(headers: list[tuple[bytes, bytes]], expected: bool) -> None:
    """A WebSocket has none."""
    assert has_body({"type": "http", "headers": headers}) is expected
    assert not has_body({"type": "websocket", "headers": headers})
