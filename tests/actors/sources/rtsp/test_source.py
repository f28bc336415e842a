"""The shell around a session, over streams in memory: every way out of it says TEARDOWN."""

from collections.abc import Callable
from typing import cast

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from actors.hub import Hub
from actors.share import BURST_S, MESSAGE_S, RATE
from actors.sources.rtsp import source
from actors.sources.rtsp.source import CONNECT_S, TEARDOWN_S
from actors.tools import Tools
from supervisor.clock import TrioClock
from supervisor.config import Source
from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Reason
from tests.kit.media import access_units
from tests.kit.packets import framed, packets
from tests.kit.rtp import Codec, describe

PLAYING = "Session: 5;timeout=60"


class Camera:
    """Answers, and sends two pictures after PLAY. `mute` makes it silent from a request on."""

    def __init__(self, mute: str = "") -> None:
        self.asked: list[str] = []
        self.closed_at: float | None = None
        self._mute, self._ours = mute, trio.testing.memory_stream_pair()
        self._has_hung_up = False
        self.played = trio.Event()

    async def open_tcp(self, host: str, port: int, tls: bool) -> trio.abc.Stream:
        return self._ours[0]

    async def run(self) -> None:
        stream, silent = self._ours[1], False
        async for request in stream:
            method, _, rest = bytes(request).decode().partition(" ")
            self.asked.append(method)
            silent = silent or method == self._mute or self._has_hung_up
            if silent:
                continue
            number = rest.partition("CSeq: ")[2].split("\r\n")[0]
            body = describe(Codec.H264, 64, 64, 10) if method == "DESCRIBE" else ""
            await stream.send_all(
                f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{PLAYING}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            if method == "PLAY":
                await stream.send_all(b"".join(map(framed, packets(access_units(count=2)))))
                self.played.set()
        self.closed_at = trio.current_time()

    async def hang_up(self) -> None:
        self._has_hung_up = True
        await self._ours[1].send_eof()


async def play(open_tcp: Callable[..., object]) -> Reason:
    class Seam:
        pass

    seam = Seam()
    seam.open_tcp = open_tcp  # type: ignore[attr-defined]
    given = CameraId("gate"), Source("rtsp", "rtsp://192.0.2.1/main"), Hub(TrioClock())
    return await source.run(*given, cast(Tools, seam), cast(Recorded, None))


@pytest.mark.parametrize(("mute", "within_s"), [("", 0.0), ("TEARDOWN", TEARDOWN_S)])
async def test_a_source_that_is_cancelled_says_teardown(mute: str, within_s: float, autojump_clock: MockClock) -> None:
    """And waits for the answer, for a second at the most."""
    camera = Camera(mute)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(camera.run)
        async with trio.open_nursery() as playing:
            playing.start_soon(play, camera.open_tcp)
            await camera.played.wait()
            await trio.testing.wait_all_tasks_blocked()
            began = trio.current_time()
            playing.cancel_scope.cancel()
        assert trio.current_time() - began == within_s
    assert camera.asked[-2:] == ["PLAY", "TEARDOWN"]
    assert camera.closed_at is not None


async def test_a_camera_that_does_not_answer_is_left_after_a_while(autojump_clock: MockClock) -> None:
    camera = Camera("PLAY")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(camera.run)
        reason = await play(camera.open_tcp)
        assert trio.current_time() == pytest.approx(10 + TEARDOWN_S)
    assert reason.code == "no-answer"
    assert camera.asked[-1] == "TEARDOWN"


async def test_an_end_of_the_connection_is_the_end(autojump_clock: MockClock) -> None:
    camera = Camera()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(camera.run)

        async def leave() -> None:
            await camera.played.wait()
            await camera.hang_up()

        nursery.start_soon(leave)
        assert (await play(camera.open_tcp)).code == "ended"


async def test_a_camera_that_floods_with_messages_is_read_with_pauses(autojump_clock: MockClock) -> None:
    """TCP slows it down: what it sends more is not read until its share of the loop is there again."""
    camera, messages = Camera(), 180
    async with trio.open_nursery() as nursery:
        nursery.start_soon(camera.run)

        async def flood() -> None:
            await camera.played.wait()
            await camera._ours[1].send_all(b"RTSP/1.0 200 OK\r\nCSeq: 999\r\n\r\n" * messages)
            await camera.hang_up()

        nursery.start_soon(flood)
        assert (await play(camera.open_tcp)).code == "ended"
    assert trio.current_time() > 0.9 * (messages * MESSAGE_S - BURST_S) / RATE


async def test_connecting_is_bounded_in_time(autojump_clock: MockClock) -> None:
    async def never(host: str, port: int, tls: bool) -> trio.abc.Stream:
        await trio.sleep_forever()
        raise AssertionError

    assert (await play(never)).code == "unreachable"
    assert trio.current_time() == CONNECT_S


async def test_what_the_system_refuses_is_named(autojump_clock: MockClock) -> None:
    async def refuses(host: str, port: int, tls: bool) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        raise ConnectionRefusedError(111, "Connection refused")

    assert "refused" in (await play(refuses)).text
