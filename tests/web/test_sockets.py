"""The WebSocket: everything once and in order, resumed where it was left; strangers and too many are refused."""

from ipaddress import ip_network

import attrs
import pytest
import trio
from msgspec.structs import replace
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from supervisor.domain import commands as c
from supervisor.domain.events import Recorded
from supervisor.ports.errors import JournalDamaged, JournalError
from supervisor.ports.questions import Query
from tests.kit.core import MemoryReader
from tests.kit.domain import GATE, PICTURE
from tests.kit.patience import give_up_after
from tests.kit.processes import wait_until
from tests.kit.site import Site, message, open_site
from web import sockets
from web.app import WebSettings
from web.client import Proxies


async def read_events(site: Site, query: str, last: int) -> list[int]:
    """The numbers of the events that come over a new socket, up to `last`."""
    seen: list[int] = []
    async with site.socket(query) as socket:
        while not seen or seen[-1] < last:
            seen += [event["seq"] for event in (await message(socket)).get("events", [])]
    return seen


async def test_hello_warns_of_a_public_address() -> None:
    """Every page shows it until the address is one of this machine."""
    for exposed, said in (("0.0.0.0:8620", "0.0.0.0:8620"), ("", None)):
        async with open_site(settings=WebSettings(exposed=exposed)) as site, site.socket() as socket:
            assert (await message(socket))["exposed"] == said


async def test_hello_then_events_then_state() -> None:
    """The first three messages in order; after that each event comes once, and states end with the newest."""
    async with open_site() as site, site.socket() as socket:
        hello, first, state = [await message(socket) for _ in range(3)]
        assert (hello["type"], hello["last"], hello["first"]) == ("hello", 3, 1)
        assert [event["seq"] for event in first["events"]] == [1, 2, 3]
        assert (state["type"], state["cameras"][0]["id"], state["health"]["verdict"]) == ("state", "gate", "ok")
        site.core.kernel.emit(c.ConnectCamera(GATE))
        site.core.kernel.emit(c.ReportLive(GATE, PICTURE))
        seen, cameras = [], []
        while "live" not in cameras:
            news = await message(socket)
            seen += [event["type"] for event in news.get("events", [])]
            cameras += [camera["state"] for camera in news.get("cameras", [])]
        assert seen == ["CameraConnecting", "CameraLive"]


@attrs.define
class Fault:
    """Why the journal cannot be read, if it cannot."""

    error: Exception | None


@pytest.fixture(params=[JournalError("not a folder"), OSError(5, "it cannot be read")], ids=["journal", "system"])
def fault(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Fault:
    found, page, first = Fault(request.param), MemoryReader.page, MemoryReader.first

    async def read_page(reader: MemoryReader, query: Query, limit: int, *, newest: bool = False) -> list[Recorded]:
        if found.error is not None:
            raise found.error
        return await page(reader, query, limit, newest=newest)

    async def read_first(reader: MemoryReader) -> Recorded | None:
        if found.error is not None:
            raise found.error
        return await first(reader)

    monkeypatch.setattr(MemoryReader, "page", read_page)
    monkeypatch.setattr(MemoryReader, "search", read_page)
    monkeypatch.setattr(MemoryReader, "first", read_first)
    return found


async def test_journal_that_cannot_be_read_is_answered_with_503(fault: Fault) -> None:
    """The daemon is well; the client may ask again, unless the journal is damaged."""
    async with open_site() as site:
        for error, again in ((JournalError("not a folder"), "1"), (JournalDamaged("no journal"), None)):
            fault.error = error
            answer = await site.get("/api/events")
            assert (answer.status, answer.headers.get("Retry-After")) == (503, again)
            assert answer.json["detail"] == str(error)


@pytest.mark.slow
@pytest.mark.parametrize("query", ["?state=changes", "?after=3", ""])
async def test_state_goes_on_while_the_journal_cannot_be_read(query: str, fault: Fault) -> None:
    """Hello and state come; a position is not lost: its events come when they can be read."""
    async with open_site() as site, site.socket(query) as socket:
        rows = site.core.disk.rows
        with give_up_after(10):
            assert (await message(socket))["type"] == "hello"
            site.core.feed.publish([replace(rows[0], seq=300)])  # events 1 to 299 are only on the disk
            for _ in range(2):
                assert (await message(socket))["type"] in ("state", "changes")
            rows += [replace(rows[0], seq=seq) for seq in range(4, 300)]
            fault.error = None
            while not (events := (await message(socket)).get("events")):
                pass
        assert events[0]["seq"] == (4 if "after" in query else 300 - sockets.RECENT + 1)


async def test_a_client_resumes_where_it_was() -> None:
    """Missed events come first, nothing twice; a position beyond the end waits for what is new."""
    async with open_site() as site:
        with give_up_after(10):
            assert await read_events(site, "?after=1", 3) == [2, 3]
            site.core.kernel.emit(c.ConnectCamera(GATE))
            await site.core.stored()
            assert await read_events(site, "?after=3", 4) == [4]


async def read_on(socket: WebSocketConnection) -> None:
    with give_up_after(5):
        while True:
            await message(socket)


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("?after=x", {}, 400),
        ("?after=-1", {}, 400),
        ("", {"Origin": "http://evil.example"}, 403),
        ("", {"Origin": "http://["}, 403),
        ("", {"Origin": "null"}, 403),
    ],
)
async def test_invalid_handshake_is_refused_before_it_is_accepted(
    query: str, headers: dict[str, str], status: int
) -> None:
    """The handshake gets 400 or 403, so no WebSocket is opened."""
    async with open_site() as site:
        assert (await site.handshake(query, **headers)).status == status


async def test_our_own_page_may_listen() -> None:
    """An Origin that equals the address of the server is accepted."""
    async with open_site() as site:
        async with site.socket(Origin=f"http://127.0.0.1:{site.port}") as socket:
            assert (await message(socket))["type"] == "hello"


async def test_too_many_are_refused_and_a_place_comes_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """With MAX_SOCKETS at 2 the third gets 503, until one of the two has closed."""
    monkeypatch.setattr(sockets, "MAX_SOCKETS", 2)
    async with open_site() as site:
        async with site.socket() as first, site.socket() as second:
            await message(first)
            await message(second)
            assert (await site.handshake()).status == 503
        with give_up_after(5):
            while (await site.handshake()).status == 503:
                await trio.lowlevel.checkpoint()


async def test_websockets_are_bounded_for_each_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its share a client gets 429, on every path; another client gets its place."""
    monkeypatch.setattr(sockets, "MAX_PER_CLIENT", 2)
    async with open_site() as site:
        async with site.socket() as first, site.socket() as second:
            await message(first)
            await message(second)
            for path in ("/ws/events", "/ws/signaling"):
                refused = await site.handshake(path=path)
                assert (refused.status, "127.0.0.1 has 2 WebSockets" in refused.json["detail"]) == (429, True)
            other = trio.socket.socket()
            await other.bind(("127.0.0.2", 0))
            await other.connect(("127.0.0.1", site.port))
            async with trio.SocketStream(other) as stream, trio.open_nursery() as nursery:
                third = await wrap_client_stream(nursery, stream, "localhost", "/ws/events")
                assert (await message(third))["type"] == "hello"
                nursery.cancel_scope.cancel()
        with give_up_after(5):
            while (await site.handshake()).status == 429:
                await trio.lowlevel.checkpoint()


async def test_websockets_are_counted_for_people_and_not_for_their_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two people behind a trusted proxy have a share each; an IPv6 client has one for its whole /64."""
    monkeypatch.setattr(sockets, "MAX_PER_CLIENT", 1)
    settings = WebSettings(proxies=Proxies((ip_network("127.0.0.1"),)))
    async with open_site(settings=settings) as site:
        async with site.socket(**{"X-Forwarded-For": "192.0.2.1"}) as first:
            await message(first)
            assert (await site.handshake(**{"X-Forwarded-For": "192.0.2.1"})).status == 429
            async with site.socket(**{"X-Forwarded-For": "2001:db8::1"}) as second:
                await message(second)
                assert (await site.handshake(**{"X-Forwarded-For": "2001:db8::2"})).status == 429
                assert (await site.handshake(**{"X-Forwarded-For": "2001:db8:0:1::1"})).status == 101


def test_a_client_may_have_32_websockets_by_default() -> None:
    """The share is an eighth of the places of the events."""
    assert (sockets.MAX_PER_CLIENT, sockets.MAX_SOCKETS) == (32, 256)


async def test_stopping_says_goodbye_with_1001() -> None:
    """The code tells a client that the server goes away; the server itself ends within 5 s."""
    async with open_site() as site, site.socket() as socket:
        await message(socket)
        site.stop.set()
        with pytest.raises(ConnectionClosed) as closed:
            await read_on(socket)
        assert closed.value.reason is not None
        assert closed.value.reason.code == 1001
        await wait_until(site.stopped.is_set, 5)
