"""The server's WebRTC connection against a real viewer: media arrives, every end has its reason, nothing is left."""

import asyncio
import gc
import os
import random
import re
import socket
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio
import trio_asyncio
from aioice import ice, stun
from aiortc import RTCIceGatherer

from actors.media.hub import Hub
from actors.media.media import CLOCK_RATE
from actors.webrtc import connection
from actors.webrtc.connection import run_connection
from actors.webrtc.endpoint import Endpoint
from actors.webrtc.fanout import Fanout
from actors.webrtc.fanout_peer import FanoutPeer
from actors.webrtc.offer import Candidate, parse_offer
from supervisor.base.clock import SystemClock
from supervisor.domain.values import Reason
from tests.kit.media import FPS, access_units
from tests.kit.patience import give_up_after
from tests.kit.processes import descriptors, thread_names, wait_until
from tests.kit.viewer import Viewer as ViewerKit
from tests.kit.viewer import open_viewer

pytestmark = pytest.mark.slow


@attrs.define
class Notes:
    """A witness that records its calls."""

    answer: str = ""
    heard_of: list[str] = attrs.field(factory=list)
    silences: list[float] = attrs.field(factory=list)
    on_answer: Callable[[], None] = lambda: None

    def answered(self, answer: str) -> None:
        self.answer = answer
        self.on_answer()

    def connected(self, viewer: FanoutPeer) -> None:
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
        """Play a working camera."""
        self.hub.begin()
        index = 0
        while True:
            self.hub.publish(access_units()[index % 40], index * CLOCK_RATE // FPS)
            index += 1
            await trio.sleep(1 / FPS / 4)


def mute(viewer: ViewerKit, muted: bool) -> None:
    """Block all output of the viewer, as if its process were stopped, or its network gone."""
    for protocol in ice_of(viewer)._protocols:
        transport = protocol.transport
        vars(transport).pop("sendto", None)
        if muted:
            vars(transport)["sendto"] = lambda *_: None


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
    """Another size follows after a pause, over the same connection and without a new offer; then the viewer leaves."""
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
        with give_up_after(10):
            await server.done.wait()
        assert server.reason is not None
        assert server.reason.code == "left"


async def test_a_viewer_that_falls_silent_is_noticed_and_then_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A viewer without reports and checks is reported after a while, and ended after `disconnected_after`."""
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
        with give_up_after(15):
            await server.done.wait()
        assert server.reason is not None
        assert server.reason.code == "lost"
        assert server.notes.heard_of == ["connected", "silent", "heard", "silent"]
        assert all(2 <= seconds < 10 for seconds in server.notes.silences), "as long as it lasted, by any clock"
        nursery.cancel_scope.cancel()


async def test_a_viewer_that_answers_no_checks_any_more_is_lost_though_its_reports_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only ICE detects it: DTLS is established, and the viewer is not silent."""
    monkeypatch.setattr(ice, "CONSENT_INTERVAL", 0.1)
    async with trio.open_nursery() as nursery, open_viewer() as viewer:
        server = await serve(nursery, viewer.offer)
        await viewer.accept(server.notes.answer)
        nursery.start_soon(server.play)
        await viewer.wait_frames(5)
        transport = viewer.pc.getReceivers()[0].transport
        vars(transport.transport._connection)["request_received"] = lambda *_: None
        with give_up_after(15):
            await server.done.wait()
        assert server.reason == Reason("lost", "the viewer answered no more connectivity checks")
        assert server.notes.heard_of == ["connected"]
        nursery.cancel_scope.cancel()


async def test_viewer_with_ice_lite_is_checked_and_nominated_by_us() -> None:
    """It sends no checks (RFC 8445, section 2.5), so that nobody would nominate if we waited for it."""
    async with trio.open_nursery() as nursery, open_viewer() as viewer:
        server = await serve(nursery, viewer.offer.replace("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n"))

        def answer_only(pair: ice.CandidatePair) -> None:
            pair.state = ice.CandidatePair.State.SUCCEEDED

        lite = ice_of(viewer)
        lite.ice_controlling, lite._tie_breaker = False, 1 << 64
        lite.switch_role = lambda ice_controlling: None  # type: ignore[method-assign]
        lite.check_start_task = answer_only  # type: ignore[method-assign]
        await viewer.accept(server.notes.answer)
        nursery.start_soon(server.play)
        await viewer.wait_frames(5)
        nursery.cancel_scope.cancel()


async def test_pictures_go_where_authentic_rtcp_comes_from() -> None:
    """The viewer has moved to an address that has answered a check: authentic reports prove it, altered ones do not."""
    async with trio.open_nursery() as nursery, open_viewer() as viewer:
        server = await serve(nursery, viewer.offer)
        await viewer.accept(server.notes.answer)
        nursery.start_soon(server.play)
        await viewer.wait_frames(5)
        host, port = re.findall(r"a=candidate:\S+ 1 udp \d+ ([0-9.]+) (\d+) typ host", server.notes.answer)[0]
        there = host, int(port)
        with socket.socket(type=socket.SOCK_DGRAM) as far:
            far.bind((host, 0))
            far.setblocking(False)
            await answer_one_check(far, there, server.notes.answer, ice_of(viewer))
            sent = list[bytes]()
            altered = True

            async def divert(data: bytes) -> None:
                sent.append(data)
                far.sendto(data[:-1] + bytes([data[-1] ^ altered]), there)

            transport = viewer.pc.getReceivers()[0].transport.transport
            stock, transport._send = transport._send, divert
            await wait_until(lambda: len(sent) >= 2, what="altered reports")
            await viewer.wait_frames(10)
            assert media_at(far) == 0
            altered = False
            await wait_until(lambda: media_at(far) > 0, what="pictures at the other address")
            transport._send = stock
        nursery.cancel_scope.cancel()


async def answer_one_check(far: socket.socket, there: tuple[str, int], answer: str, theirs: ice.Connection) -> None:
    """Send a check from `far` as the viewer `theirs`, without nominating, and answer the check that follows."""
    (ufrag,), (pwd,) = (set(re.findall(rf"a=ice-{name}:(\S+)", answer)) for name in ("ufrag", "pwd"))
    check = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    attributes = {"USERNAME": f"{ufrag}:{theirs.local_username}", "PRIORITY": 1, "ICE-CONTROLLING": 1 << 63}
    check.attributes.update(attributes)
    check.add_message_integrity(pwd.encode())
    far.sendto(bytes(check), there)
    with give_up_after(5):
        while True:
            await trio.lowlevel.wait_readable(far)
            message = stun.parse_message(far.recv(2000))
            if message.message_class == stun.Class.REQUEST:
                break
    reply = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=message.transaction_id)
    reply.attributes["XOR-MAPPED-ADDRESS"] = there
    reply.add_message_integrity(theirs.local_password.encode())
    far.sendto(bytes(reply), there)


def media_at(far: socket.socket) -> int:
    """Return how many media packets wait at `far`, and read them all."""
    count = 0
    while True:
        try:
            data = far.recv(2000)
        except BlockingIOError:
            return count
        count += data[0] >> 6 == 2 and not 192 <= data[1] < 224


@pytest.mark.parametrize("playing", [True, False], ids=["while pictures flow", "while the camera is down"])
async def test_viewer_that_answers_checks_and_sends_no_rtcp_is_kept(
    playing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Liveness is consent or RTCP: many stacks send no reports about streams that they do not receive."""
    monkeypatch.setattr(ice, "CONSENT_INTERVAL", 0.4)
    async with trio.open_nursery() as nursery, open_viewer() as viewer:
        server = await serve(nursery, viewer.offer, disconnected_after_s=3.0)
        await viewer.accept(server.notes.answer)
        await wait_until(lambda: server.notes.heard_of == ["connected"], what="the connection")

        async def no_rtcp(data: bytes) -> None:
            return

        vars(viewer.pc.getReceivers()[0].transport)["_send_rtp"] = no_rtcp
        if playing:
            nursery.start_soon(server.play)
        answered, stock = 0, ice_of(viewer).request_received

        def count(*args: Any) -> None:
            nonlocal answered
            answered += 1
            stock(*args)

        vars(ice_of(viewer))["request_received"] = count
        await wait_until(lambda: answered >= 15 or server.done.is_set(), 20, what="checks for over 4 s")
        assert not server.done.is_set(), server.reason
        nursery.cancel_scope.cancel()


async def test_cancelled_connection_sends_a_goodbye() -> None:
    """A cancelled connection still sends its goodbye, so that the other end learns of it at once."""
    async with trio.open_nursery() as nursery, open_viewer() as viewer:
        server = await serve(nursery, viewer.offer)
        await viewer.accept(server.notes.answer)
        nursery.start_soon(server.play)
        await viewer.wait_frames(3)
        server.scope.cancel()
        await wait_until(lambda: viewer.pc.connectionState == "closed", 5)
        nursery.cancel_scope.cancel()


async def test_a_viewer_that_never_connects_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """An offer without candidates ends as `never-connected`, not as a connection that was lost."""
    monkeypatch.setattr(connection, "CONNECT_S", 1.0)
    async with trio.open_nursery() as nursery:
        async with open_viewer() as viewer:
            server = await serve(nursery, viewer.offer.replace("a=candidate", "a=x-candidate"))
            with give_up_after(5):
                await server.done.wait()
        assert server.reason is not None
        assert server.reason.code == "never-connected"
        assert server.notes.heard_of == []


@pytest.mark.parametrize("place", ["a callback", "a task", "a datagram"])
async def test_crash_in_the_loop_of_one_viewer_ends_that_viewer_alone(place: str) -> None:
    """A bug in asyncio's callbacks and tasks surfaces as one exception of one connection."""

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
    """Serve a viewer, and crash its loop as soon as it has answered."""

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
            vars(endpoint.protocol)["datagram_received"] = boom
            endpoint.sendto(b"any", endpoint.get_extra_info("sockname"))

    notes.on_answer = plant
    _, candidates = trio.open_memory_channel[Candidate](1)
    try:
        with give_up_after(10):
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
    """aioice knows only the sockets that it has opened completely; we have to close the others."""

    async def gather(_: object) -> None:
        await asyncio.get_running_loop().create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
        await asyncio.Event().wait()

    async with open_viewer() as viewer:
        offer = viewer.offer
    monkeypatch.setattr(RTCIceGatherer, "gather", gather)
    monkeypatch.setattr(connection, "CONNECT_S", 0.1)
    before = _held()
    _, candidates = trio.open_memory_channel[Candidate](1)
    with give_up_after(10):
        reason = await run_connection(
            parse_offer(offer), Fanout(Hub(SystemClock()), SystemClock()), candidates, Notes(),
            ice_servers=(), disconnected_after_s=20.0,
        )  # fmt: skip
    assert (reason.code, _held()) == ("never-connected", before)


async def test_three_hundred_connections_cut_at_any_moment_leave_nothing() -> None:
    """Cancelled after a random number of scheduler steps, it leaves no descriptor, thread or asyncio task."""
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
    for after, most in zip(_held(), before, strict=True):  # threads that were idle before may have ended
        assert after <= most


def _held() -> tuple[int, int, int]:
    loops = [thing for thing in gc.get_objects() if isinstance(thing, trio_asyncio._base.BaseTrioEventLoop)]
    open_loops = sum(not loop.is_closed() for loop in loops)
    return len(descriptors(os.getpid())), len(thread_names(os.getpid())), open_loops
