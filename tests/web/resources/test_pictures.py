"""Pictures over HTTP: what comes with them, what is refused, and that whoever has gone watches no more."""

import logging
import socket
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from supervisor.domain.ids import CameraId
from supervisor.domain.values import Limits
from supervisor.ports.viewing import Jpeg
from tests.kit.domain import GATE
from tests.kit.http import request
from tests.kit.patience import give_up_after
from tests.kit.processes import wait_until
from tests.kit.site import FakeActors, Site, open_site
from web import serve
from web.app import WebSettings, create_app
from web.loop_scheduler import METER, LoopScheduler, Meter
from web.resources.pictures import MOST, MOST_OF_CLIENT
from web.sockets import Sockets

SNAPSHOT, STREAM = f"/cameras/{GATE}/snapshot.jpg", f"/cameras/{GATE}/stream.mjpeg"


async def test_a_snapshot_says_how_old_it_is() -> None:
    """`Age` in whole seconds, `X-Picture-Age` with three decimals, and no cache may keep it."""
    async with open_site() as site:
        answer = await site.get(SNAPSHOT)
        assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, b"a picture", "image/jpeg")
        assert (answer.headers["Age"], answer.headers["X-Picture-Age"]) == ("1", "1.500")
        assert answer.headers["X-Picture-Time"] == "1970-01-01T00:00:01.000Z"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_max_age_of_a_request_reaches_the_camera() -> None:
    """`max_age=0.25` reaches the camera as 0.25 s."""
    async with open_site() as site:
        assert (await site.get(f"{SNAPSHOT}?max_age=0.25")).headers["X-Picture-Age"] == "0.250"


async def test_without_a_cached_picture_the_answer_is_no_content(caplog: pytest.LogCaptureFixture) -> None:
    """A page that asks for all of its cameras gets no error, nor does the log; a camera that is not there is one, and
    so is a link."""
    async with open_site(GATE) as site:
        assert (await site.get("/cameras/gate/snapshot.jpg?cached")).status == 200
        site.actors.pictured = False
        missing = await site.get("/cameras/gate/snapshot.jpg?cached")
        assert (missing.status, missing.body, missing.headers["Cache-Control"]) == (204, b"", "no-store")
        assert (await site.get("/cameras/attic/snapshot.jpg?cached")).status == 404
        visit = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        linked = await site.get("/cameras/gate/snapshot.jpg", **visit)
        assert (linked.status, linked.json["detail"]) == (404, "there is no picture of gate yet")
        assert (await site.get("/cameras/gate/snapshot.jpg")).status == 200
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


@asynccontextmanager
async def open_slow_site() -> AsyncIterator[tuple[Site, Counter[str], trio.Event]]:
    """No picture comes until the event; counts those that are waited for, by client."""
    released, taken = trio.Event(), Counter[str]()

    class Slow(FakeActors):
        async def take_picture(
            self, camera: CameraId, client: str, max_age_s: float | None, *, open_it: bool = True
        ) -> Jpeg:
            taken[client] += 1
            await released.wait()
            return await super().take_picture(camera, client, max_age_s, open_it=open_it)

    async with open_site(make_actors=Slow) as site:
        yield site, taken, released


async def test_client_that_waits_for_many_pictures_leaves_places_to_others() -> None:
    """One too many of a client gets 429, with a time; another client's is taken; all together have a bound."""
    async with open_slow_site() as (site, taken, released), trio.open_nursery() as nursery:

        async def ask(source: str, path: str) -> None:
            assert (await request(site.port, "GET", path, source=source, within=60)).status == 200

        for number in range(MOST):
            nursery.start_soon(ask, f"127.0.0.{2 + number // MOST_OF_CLIENT}", SNAPSHOT)
            if number + 1 == MOST_OF_CLIENT:
                await wait_until(lambda: taken.total() == MOST_OF_CLIENT, 30)
                refused = await request(site.port, "GET", SNAPSHOT, source="127.0.0.2")
                assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
        await wait_until(lambda: taken.total() == MOST, 30)
        assert set(taken.values()) == {MOST_OF_CLIENT}
        assert (await request(site.port, "GET", SNAPSHOT, source="127.0.0.99")).status == 429
        released.set()
    assert taken.total() == MOST


async def test_pictures_that_there_are_take_no_place() -> None:
    """A page of more resting cameras than a client has places gets all their pictures, and may still open a camera."""
    async with open_slow_site() as (site, taken, released), trio.open_nursery() as nursery:

        async def ask(path: str) -> None:
            assert (await request(site.port, "GET", path, within=60)).status == 200

        for _ in range(MOST_OF_CLIENT + 8):
            nursery.start_soon(ask, f"{SNAPSHOT}?cached")
        await wait_until(lambda: taken.total() == MOST_OF_CLIENT + 8, 30)
        nursery.start_soon(ask, SNAPSHOT)
        await wait_until(lambda: taken.total() == MOST_OF_CLIENT + 9, 30)
        released.set()


@pytest.mark.parametrize("value", ["", "x", "-1", "nan", "inf", "86401", "1e9"])
async def test_an_age_that_is_no_number_of_seconds_is_refused(value: str) -> None:
    """Empty, text, negative, NaN, infinite and more than a day get 400."""
    async with open_site() as site:
        answer = await site.get(f"{SNAPSHOT}?max_age={value}")
        assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")
        assert "max_age must be a number from 0 to 86400" in answer.json["detail"]


@pytest.mark.parametrize("name", ["snapshot.jpg", "stream.mjpeg"])
async def test_no_camera_no_picture(name: str) -> None:
    """One that is unknown, and one that is known to give none for now."""
    async with open_site() as site:
        unknown = await site.get(f"/cameras/nobody/{name}")
        assert (unknown.status, unknown.json["type"]) == (404, "urn:banken:problem:unknown")
        site.actors.answers = False
        answer = await site.get(f"/cameras/{GATE}/{name}")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
        assert answer.json["detail"] == "gate is waiting: connection refused"
        assert not site.core.kernel.state.uses


@asynccontextmanager
async def watch(site: Site, more: bytes = b"", room: int | None = None) -> AsyncIterator[trio.SocketStream]:
    """A client that has asked for the stream, and then for `more`; `room` bounds what the kernel takes in for it."""
    client = trio.socket.socket()
    if room is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    await client.connect(("127.0.0.1", site.port))
    async with trio.SocketStream(client) as stream:
        await stream.send_all(f"GET {STREAM} HTTP/1.1\r\nHost: x\r\n\r\n".encode() + more)
        await wait_until(lambda: site.core.kernel.state.leases, what="the lease of who watches")
        yield stream


async def read_to(stream: trio.SocketStream, mark: bytes, count: int = 1) -> bytes:
    got = b""
    with give_up_after(5):
        while got.count(mark) < count:
            part = await stream.receive_some()
            assert part, got
            got += part
    return got


async def forgotten(site: Site) -> None:
    await wait_until(lambda: not site.core.kernel.state.leases, what="the end of the lease")


async def test_a_stream_is_one_picture_after_the_other() -> None:
    """Each part has type and length; the stream holds a lease until the client has gone."""
    async with open_site() as site:
        async with watch(site) as stream:
            head, _, parts = (await read_to(stream, b"a picture", 3)).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert b"Content-Type: multipart/x-mixed-replace; boundary=banken-picture" in head
            part = b"--banken-picture\r\nContent-Type: image/jpeg\r\nContent-Length: 9\r\n\r\na picture\r\n"
            assert parts.count(part) >= 2
            (lease,) = site.core.kernel.state.leases.values()
            assert (lease.camera, lease.client) == (GATE, "127.0.0.1")
        await forgotten(site)


async def test_mjpeg_stream_counts_against_the_limits_of_a_client() -> None:
    """With `peers_per_client: 1` a second stream and an offer get 429, until the first has ended."""
    async with open_site(limits=Limits(peers_per_client=1)) as site:
        async with watch(site):
            answer = await site.get(STREAM)
            assert (answer.status, "Retry-After" in answer.headers) == (429, True)
            assert (await site.offer()).status == 429
        await forgotten(site)
        assert (await site.offer()).status == 201


async def test_head_of_an_mjpeg_stream_leaves_no_lease() -> None:
    """HEAD of a stream gets 200, and no lease remains."""
    async with open_site() as site:
        answer = await request(site.port, "HEAD", STREAM)
        assert (answer.status, answer.body) == (200, b"")
        await forgotten(site)


@pytest.mark.parametrize("path", [STREAM, f"/cameras/{GATE}/snapshot.jpg", f"/cameras/{GATE}/snapshot.jpg?max_age=0"])
async def test_head_of_a_picture_opens_no_camera(path: str) -> None:
    """It is answered from the cache, and the connection serves the next request."""
    async with open_site() as site:
        opened = len(await site.core.stored())
        answer = await request(site.port, "HEAD", path)
        assert (answer.status, answer.body, site.actors.taken) == (200, b"", [False])
        assert len(await site.core.stored()) == opened
        site.actors.pictured = False
        assert (await request(site.port, "HEAD", path)).status == 404
        assert not site.core.kernel.state.leases


@pytest.mark.parametrize("more", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["alone", "asks for more"])
async def test_client_that_leaves_while_nothing_is_sent_leaves_no_lease(
    more: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent that could fail, and behind a second request Hypercorn does not read that the client has gone."""
    monkeypatch.setattr(serve, "LOOK_EVERY_S", 0.05)
    async with open_site() as site:
        site.actors.pictures = 1
        async with watch(site, more) as stream:
            await read_to(stream, b"a picture")
        await forgotten(site)


async def test_client_that_leaves_at_any_step_leaves_no_lease() -> None:
    """Sixty clients close after 0 to 59 steps of the loop; none leaves a lease."""
    async with open_site() as site:
        for steps in range(60):
            client = await trio.open_tcp_stream("127.0.0.1", site.port)
            await client.send_all(f"GET {STREAM} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            await trio.aclose_forcefully(client)
        await forgotten(site)


async def test_client_that_never_reads_leaves_no_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client stays, and its kernel says so to every question; it takes nothing all the same."""
    monkeypatch.setattr(serve, "UNREAD_MS", 500)
    async with open_site() as site:
        site.actors.picture = bytes(1_000_000)
        async with watch(site, room=2048):
            await forgotten(site)


async def test_a_row_whose_answer_was_never_begun_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client goes while the head is being sent. Nobody waits for the garbage collector: somebody holds the row."""
    held: list[AsyncGenerator[Jpeg, None]] = []
    going = trio.Event()

    async def receive() -> Any:
        await going.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        going.set()
        await trio.sleep_forever()

    async with open_site() as site:
        stock = site.actors.watch_pictures

        def hold(camera: CameraId, client: str) -> AsyncGenerator[Jpeg, None]:
            held.append(stock(camera, client))
            return held[-1]

        monkeypatch.setattr(site.gateway, "watch_pictures", hold)
        app = create_app(site.gateway, WebSettings(), Sockets())
        scope = {"type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": STREAM,
                 "raw_path": STREAM.encode(), "query_string": b"", "root_path": "", "headers": [(b"host", b"x")],
                 "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 1), "extensions": {},
                 "state": {METER: Meter(LoopScheduler(), None)},
                 "asgi": {"version": "3.0", "spec_version": "2.3"}}  # fmt: skip
        with give_up_after(10):
            await app.asgi_app(scope, receive, send)  # type: ignore[arg-type]
        assert (len(held), len(site.core.kernel.state.leases)) == (1, 0)
