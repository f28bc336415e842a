"""The WebRTC end of a viewer, against a real one: pictures arrive, every end has its reason, and nothing is left."""

import asyncio
import gc
import os
import random
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio
import trio_asyncio
from aioice import ice
from aiortc import RTCIceGatherer

from actors.hub import Hub
from actors.media import CLOCK_RATE
from actors.rtc import connection
from actors.rtc.connection import run_connection
from actors.rtc.endpoint import Endpoint
from actors.rtc.fanout import Fanout, Viewer
from actors.rtc.offer import Candidate, parse_offer
from supervisor.clock import SystemClock
from supervisor.domain.values import Reason
from tests.kit.media import FPS, access_units
from tests.kit.processes import descriptors, thread_names, wait_until
from tests.kit.viewer import Viewer as ViewerKit
from tests.kit.viewer import open_viewer


@attrs.define
class Notes:
    """A witness that writes down what it is told."""

    answer: str = ""
    heard_of: list[str] = attrs.field(factory=list)
    silences: list[float] = attrs.field(factory=list)
    on_answer: Callable[[], None] = lambda: None

    def answered(self, answer: str) -> None:
        self.answer = answer
        self.on_answer()

    def connected(self, viewer: Viewer) -> None:
        self.heard_of.append("connected")

    def silent(self, seconds: float) -> None:
        self.heard_of.append("silent")

    def heard(self, seconds: float) -> None:
        self.heard_of.append("heard")
        self.silences.append(seconds)


@attrs.define
class Server:
    notes: Notes
    hub: Hub
    fanout: Fanout
    scope: trio.CancelScope
    reason: Reason | None = None
    done: trio.Event = attrs.field(factory=trio.Event)

    async def play(self) -> None:
        """A camera that works."""
        self.hub.begin()
        index = 0
        while True:
            self.hub.publish(access_units()[index % 40], index * CLOCK_RATE // FPS)
            index += 1
            await trio.sleep(1 / FPS / 4)


def mute(viewer: ViewerKit, muted: bool) -> None:
    """Let nothing that the viewer sends go out: as if its process were stopped, or its network gone."""
    for protocol in ice_of(viewer)._protocols:
        transport = protocol.transport
        transport.sendto = (lambda *_: None) if muted else type(transport).sendto.__get__(transport)


def ice_of(viewer: ViewerKit) -> ice.Connection:
    connection: ice.Connection = viewer.pc.getReceivers()[0].transport.transport._connection
    return connection


async def serve(nursery: trio.Nursery, offer: str, disconnected_after_s: float = 20.0) -> Server:
    """Run the server's end in `nursery`; returns once it has answered."""
    hub = Hub(SystemClock())
    server = Server(Notes(), hub, Fanout(hub, SystemClock()), trio.CancelScope())
    _, candidates = trio.open_memory_channel[Candidate](1)

    async def run(task_status: trio.TaskStatus[None]) -> None:
        server.notes.on_answer = task_status.started
        with server.scope:
            async with trio.open_nursery() as camera:
                camera.start_soon(server.fanout.run)
                server.reason = await run_connection(
                    parse_offer(offer), server.fanout, candidates, server.notes,
                    ice_servers=(), disconnected_after_s=disconnected_after_s,
                )  # fmt: skip
                camera.cancel_scope.cancel()
        server.done.set()

    await nursery.start(run)
    return server


async def test_pictures_arrive_and_the_source_may_be_replaced() -> None:
    """Another size, after a pause, over the same connection and without a new offer; then the viewer leaves."""
    async with trio.open_nursery() as nursery:
        async with open_viewer() as viewer:
            server = await serve(nursery, viewer.offer)
            await viewer.accept(server.notes.answer)
            async with trio.open_nursery() as source:
                source.start_soon(server.play)
                await viewer.wait_frames(20)
                source.cancel_scope.cancel()
            server.hub.begin()
            for index in range(20):
                server.hub.publish(access_units(96, 64)[index], index * CLOCK_RATE // FPS)
            await viewer.wait_frames(5)
            assert viewer.sizes == {(64, 64), (96, 64)}
            assert server.notes.heard_of == ["connected"]
        with trio.fail_after(10):
            await server.done.wait()
        assert server.reason is not None
        assert server.reason.code == "left"


async def test_a_viewer_that_falls_silent_is_noticed_and_then_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """It sends no report and answers no check any more: reported after a while, ended after `disconnected_after`."""
    monkeypatch.setattr(connection, "SILENT_AFTER_S", 2.0)
    monkeypatch.setattr(ice, "CONSENT_INTERVAL", 0.5)
    async with trio.open_nursery() as nursery, open_viewer() as viewer:
        server = await serve(nursery, viewer.offer, disconnected_after_s=4.0)
        await viewer.accept(server.notes.answer)
        nursery.start_soon(server.play)
        await viewer.wait_frames(5)
        mute(viewer, True)
        await wait_until(lambda: "silent" in server.notes.heard_of, 10)
        mute(viewer, False)
        await wait_until(lambda: "heard" in server.notes.heard_of, 10)
        mute(viewer, True)
        with trio.fail_after(15):
            await server.done.wait()
        assert server.reason is not None
        assert server.reason.code == "lost"
        assert server.notes.heard_of == ["connected", "silent", "heard", "silent"]
        assert all(2 <= seconds < 10 for seconds in server.notes.silences), "as long as it lasted, by any clock"
        nursery.cancel_scope.cancel()


async def test_a_viewer_that_answers_no_checks_any_more_is_lost_though_its_reports_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """ICE alone notices: DTLS stands, and the viewer is not silent."""
    monkeypatch.setattr(ice, "CONSENT_INTERVAL", 0.1)
    async with trio.open_nursery() as nursery, open_viewer() as viewer:
        server = await serve(nursery, viewer.offer)
        await viewer.accept(server.notes.answer)
        nursery.start_soon(server.play)
        await viewer.wait_frames(5)
        transport = viewer.pc.getReceivers()[0].transport
        transport.transport._connection.request_received = lambda *_: None
        with trio.fail_after(15):
            await server.done.wait()
        assert server.reason == Reason("lost", "the viewer answered no more connectivity checks")
        assert server.notes.heard_of == ["connected"]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("playing", [True, False], ids=["while pictures flow", "while the camera is down"])
async def test_viewer_that_answers_checks_and_sends_no_rtcp_is_kept(
    playing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Liveness is consent or RTCP: many stacks report nothing about streams that they do not receive."""
    monkeypatch.setattr(ice, "CONSENT_INTERVAL", 0.4)
    async with trio.open_nursery() as nursery, open_viewer() as viewer:
        server = await serve(nursery, viewer.offer, disconnected_after_s=3.0)
        await viewer.accept(server.notes.answer)
        await wait_until(lambda: server.notes.heard_of == ["connected"], what="the connection")

        async def no_rtcp(data: bytes) -> None:
            return

        viewer.pc.getReceivers()[0].transport._send_rtp = no_rtcp
        if playing:
            nursery.start_soon(server.play)
        answered, stock = 0, ice_of(viewer).request_received

        def count(*args: Any) -> None:
            nonlocal answered
            answered += 1
            stock(*args)

        ice_of(viewer).request_received = count  # type: ignore[method-assign]
        await wait_until(lambda: answered >= 15 or server.done.is_set(), 20, what="checks for over 4 s")
        assert not server.done.is_set(), server.reason
        nursery.cancel_scope.cancel()


async def test_a_viewer_is_told_when_its_connection_is_ended() -> None:
    """Cancelled, the connection still says goodbye, so that the other end need not find out by itself."""
    async with trio.open_nursery() as nursery, open_viewer() as viewer:
        server = await serve(nursery, viewer.offer)
        await viewer.accept(server.notes.answer)
        nursery.start_soon(server.play)
        await viewer.wait_frames(3)
        server.scope.cancel()
        await wait_until(lambda: viewer.pc.connectionState == "closed", 5)
        nursery.cancel_scope.cancel()


async def test_a_viewer_that_never_connects_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_S", 1.0)
    async with trio.open_nursery() as nursery:
        async with open_viewer() as viewer:
            server = await serve(nursery, viewer.offer.replace("a=candidate", "a=x-candidate"))
            with trio.fail_after(5):
                await server.done.wait()
        assert server.reason is not None
        assert server.reason.code == "never-connected"
        assert server.notes.heard_of == []


@pytest.mark.parametrize("place", ["a callback", "a task", "a datagram"])
async def test_what_crashes_in_one_viewers_loop_ends_that_viewer_alone(place: str) -> None:
    """A bug among asyncio's own callbacks and tasks comes out as one exception, of one connection."""

    async with trio.open_nursery() as nursery, open_viewer() as viewer:
        good = await serve(nursery, viewer.offer)
        await viewer.accept(good.notes.answer)
        nursery.start_soon(good.play)
        await viewer.wait_frames(3)
        crashes: list[BaseException] = []
        async with trio.open_nursery() as other:
            other.start_soon(crash, other, viewer.offer, place, crashes)
        assert [type(error) for error in crashes] == [ZeroDivisionError]
        await viewer.wait_frames(10)
        nursery.cancel_scope.cancel()


async def crash(nursery: trio.Nursery, offer: str, place: str, crashes: list[BaseException]) -> None:
    """Serve a viewer, and let its loop crash as soon as it has answered."""

    def boom(*_: object) -> None:
        raise ZeroDivisionError(place)

    async def async_boom() -> None:
        boom()

    notes = Notes()

    def plant() -> None:
        loop = trio_asyncio.current_loop.get()
        if place == "a callback":
            loop.call_soon(boom)
        elif place == "a task":
            loop.create_task(async_boom())
        else:
            (endpoint, *_) = [each for each in gc.get_objects() if isinstance(each, Endpoint) and each.loop is loop]
            endpoint.protocol.datagram_received = boom  # type: ignore[method-assign]
            endpoint.sendto(b"any", endpoint.get_extra_info("sockname"))

    notes.on_answer = plant
    _, candidates = trio.open_memory_channel[Candidate](1)
    try:
        with trio.fail_after(10):
            await run_connection(
                parse_offer(offer), Fanout(Hub(SystemClock()), SystemClock()), candidates, notes,
                ice_servers=(), disconnected_after_s=20.0,
            )  # fmt: skip
    except* ZeroDivisionError as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        crashes.append(error)


async def test_gathering_that_never_ends_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """aioice knows the sockets only that it has opened to the end; the others are ours to close."""

    async def gather(_: object) -> None:
        await asyncio.get_running_loop().create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
        await asyncio.Event().wait()

    async with open_viewer() as viewer:
        offer = viewer.offer
    monkeypatch.setattr(RTCIceGatherer, "gather", gather)
    monkeypatch.setattr(connection, "CONNECT_S", 0.1)
    before = _held()
    _, candidates = trio.open_memory_channel[Candidate](1)
    with trio.fail_after(10):
        reason = await run_connection(
            parse_offer(offer), Fanout(Hub(SystemClock()), SystemClock()), candidates, Notes(),
            ice_servers=(), disconnected_after_s=20.0,
        )  # fmt: skip
    assert (reason.code, _held()) == ("never-connected", before)


async def test_three_hundred_connections_cut_at_any_moment_leave_nothing() -> None:
    """Cancelled after a random number of steps of the scheduler: no descriptor, thread or asyncio task stays."""
    rng = random.Random(4)
    async with open_viewer() as viewer:
        offer = viewer.offer
    before = _held()

    async def cut_short(steps: int) -> None:
        async with trio.open_nursery() as nursery:

            async def run() -> None:
                _, candidates = trio.open_memory_channel[Candidate](1)
                await run_connection(
                    parse_offer(offer), Fanout(Hub(SystemClock()), SystemClock()), candidates, Notes(),
                    ice_servers=(), disconnected_after_s=20.0,
                )  # fmt: skip

            nursery.start_soon(run)
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()

    for _ in range(100):
        async with trio.open_nursery() as three:
            for _ in range(3):
                three.start_soon(cut_short, rng.randrange(200))
    gc.collect()
    for after, most in zip(_held(), before, strict=True):  # threads that idled before may have gone
        assert after <= most


def _held() -> tuple[int, int, int]:
    loops = [thing for thing in gc.get_objects() if isinstance(thing, trio_asyncio._base.BaseTrioEventLoop)]
    open_loops = sum(not loop.is_closed() for loop in loops)
    return len(descriptors(os.getpid())), len(thread_names(os.getpid())), open_loops
