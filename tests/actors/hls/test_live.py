"""The live HLS stream of a camera: its viewers hold leases, and it is made only for them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.hls.live import IDLE_S, LiveHls
from actors.hls.segments import LiveSegments
from actors.media.hub import Hub
from actors.media.media import CLOCK_RATE
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.errors import Rejected
from supervisor.domain.values import Limits, Reason
from supervisor.ports.hls import HlsInitialization, HlsMedia, HlsPlaylist
from tests.kit.core import Core, open_core
from tests.kit.domain import GATE
from tests.kit.media import FPS, access_units, jpegs
from tests.kit.tools import make_tools

TICK = CLOCK_RATE // FPS
ANNA, BERT = "192.0.2.1", "192.0.2.2"


@attrs.define
class Stream:
    core: Core
    clock: MockClock
    hub: Hub
    live: LiveHls
    nursery: trio.Nursery
    sent: int = 0

    async def send(self, count: int) -> None:
        for _ in range(count):
            self.hub.publish(access_units()[self.sent % 40], self.sent * TICK)
            self.sent += 1
            self.clock.jump(1 / FPS)
            await wait_all_tasks_blocked()

    async def ask(self, request: HlsPlaylist | HlsMedia | HlsInitialization, client: str = ANNA) -> bytes:
        """Ask, with pictures that come meanwhile."""
        answers = list[bytes]()

        async def get() -> None:
            answers.append(await self.live.answer(client, request, 10.0))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(get)
            await wait_all_tasks_blocked()
            while not answers:
                await self.send(1)
        return answers[0]

    async def purposes(self) -> list[str]:
        return [lease.purpose for lease in self.core.kernel.state.leases.values()]


class CrashingHls(LiveHls):
    """Its first stream crashes."""

    crashes, makers, most_makers = 1, 0, 0

    async def _make(self) -> None:
        self.makers += 1
        self.most_makers = max(self.makers, self.most_makers)
        try:
            await super()._make()
        finally:
            self.makers -= 1

    def _new_stream(self) -> LiveSegments:
        if self.crashes:
            self.crashes -= 1
            raise RuntimeError("a bug")
        return super()._new_stream()


@asynccontextmanager
async def streaming(
    clock: MockClock, limits: Limits | None = None, kind: type[LiveHls] = LiveHls, **others: Any
) -> AsyncIterator[Stream]:
    async with open_core(GATE, limits=limits) as core, trio.open_nursery() as nursery:
        hub = Hub(core.kernel.clock)
        hub.begin()
        live = kind(GATE, hub, make_tools(core.kernel, nursery, **others), nursery)
        yield Stream(core, clock, hub, live, nursery)
        hub.close()
        nursery.cancel_scope.cancel()


async def test_first_playlist_waits_for_a_whole_segment(mock_clock: MockClock) -> None:
    """It takes a lease, and what it names is there."""
    async with streaming(mock_clock) as stream:
        text = (await stream.ask(HlsPlaylist())).decode()
        assert await stream.purposes() == ["HLS"]
        number = int(text.partition("MEDIA-SEQUENCE:")[2].split()[0])
        beginning = await stream.ask(HlsInitialization(1))
        assert beginning[4:8] == b"ftyp"
        whole = await stream.ask(HlsMedia(number))
        parts = [await stream.ask(HlsMedia(number, part)) for part in range(5)]
        assert whole == b"".join(parts)
        assert await stream.purposes() == ["HLS"]


async def test_next_part_is_waited_for(mock_clock: MockClock) -> None:
    """By the playlist that names it, and by the request for itself."""
    async with streaming(mock_clock) as stream:
        text = (await stream.ask(HlsPlaylist())).decode()
        following = text.rpartition('URI="')[2].partition(".m4s")[0]
        number, part = map(int, following.split("-"))
        before = stream.sent
        waited = (await stream.ask(HlsPlaylist(number, part))).decode()
        assert f'URI="{following}.m4s"' in waited and stream.sent > before
        assert await stream.ask(HlsMedia(number, part + 1))


async def test_viewer_that_asks_no_more_has_left(mock_clock: MockClock) -> None:
    """After 20 s. The lease says so and has the bytes; the stream is not made any more."""
    async with streaming(mock_clock) as stream:
        await stream.ask(HlsPlaylist())
        await stream.ask(HlsPlaylist(), BERT)
        assert len(await stream.purposes()) == 2
        for _ in range(round(IDLE_S) + 1):
            await stream.send(FPS)
        assert await stream.purposes() == []
        ended = [row.event for row in await stream.core.stored() if isinstance(row.event, e.LeaseEnded)]
        assert [(event.reason.code, bool(event.bytes)) for event in ended] == [("gone", True)] * 2
        with pytest.raises(Rejected, match="ask for its playlist"):
            await stream.live.answer(ANNA, HlsInitialization(1), 1.0)
        assert b"#EXTM3U" in await stream.ask(HlsPlaylist())


async def test_lease_that_is_ended_ends_the_viewer(mock_clock: MockClock) -> None:
    """Its next request for media is refused, at once; a playlist would need another lease."""
    async with streaming(mock_clock) as stream:
        await stream.ask(HlsPlaylist())
        (lease,) = stream.core.kernel.state.leases
        stream.core.kernel.emit(c.EndLease(lease, Reason("kicked", "an operator ended it")))
        with pytest.raises(Rejected, match="ask for its playlist"):
            await stream.live.answer(ANNA, HlsMedia(1), 1.0)


async def test_limit_of_viewers_holds(mock_clock: MockClock) -> None:
    """As for any other viewer: the refusal is that of the lease."""
    async with streaming(mock_clock, Limits(peers=1)) as stream:
        await stream.ask(HlsPlaylist())
        with pytest.raises(Rejected):
            await stream.live.answer(BERT, HlsPlaylist(), 1.0)
        assert await stream.purposes() == ["HLS"]


async def test_far_future_is_refused_at_once(mock_clock: MockClock) -> None:
    """And so is what is over."""
    async with streaming(mock_clock) as stream:
        await stream.ask(HlsPlaylist())
        for request in (HlsPlaylist(2**60, 0), HlsMedia(2**60)):
            with pytest.raises(Rejected, match="future"):
                await stream.live.answer(ANNA, request, 1.0)
        for old in (HlsMedia(1), HlsInitialization(7)):
            with pytest.raises(Rejected, match="not kept any more"):
                await stream.live.answer(ANNA, old, 1.0)


async def test_camera_that_sends_nothing_is_waited_for_in_vain(autojump_clock: MockClock) -> None:
    """The answer comes in time, and says why."""
    async with streaming(autojump_clock) as stream:
        with pytest.raises(Rejected, match="no video of gate has come"):
            await stream.live.answer(ANNA, HlsPlaylist(), 10.0)


async def test_codec_that_hls_has_not_is_named(mock_clock: MockClock) -> None:
    """MJPEG: the stream is not begun, and the daemon does not fail."""
    from actors.media.jpeg import JPEG

    async with streaming(mock_clock) as stream:
        for number, picture in enumerate(jpegs()):
            stream.hub.publish((picture,), number * TICK, JPEG)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(refused_with, stream, "which HLS cannot carry")
            await wait_all_tasks_blocked()
            mock_clock.jump(11)


async def refused_with(stream: Stream, text: str) -> None:
    with pytest.raises(Rejected, match=text):
        await stream.live.answer(ANNA, HlsPlaylist(), 10.0)


async def test_stream_that_crashes_is_made_once_again(mock_clock: MockClock) -> None:
    """A viewer that comes before that does not begin a second one."""
    again = trio.Event()

    async def wait(name: str, error: str) -> None:
        await again.wait()

    async with streaming(mock_clock, kind=CrashingHls, wait_after_crash=wait) as stream:
        live = stream.live
        assert isinstance(live, CrashingHls)
        stream.nursery.start_soon(live.playlist, ANNA, None, None, 60.0)
        await stream.send(1)
        assert (live.crashes, live.makers) == (0, 0)
        stream.nursery.start_soon(live.playlist, BERT, None, None, 60.0)
        await stream.send(1)
        assert live.makers == 0
        again.set()
        assert await stream.ask(HlsPlaylist(), BERT)
        assert live.most_makers == 1


async def test_end_of_the_camera_ends_its_viewers(mock_clock: MockClock) -> None:
    """Nothing is left: no task, no lease."""
    async with streaming(mock_clock) as stream:
        await stream.ask(HlsPlaylist())
        stream.hub.close()
        mock_clock.jump(IDLE_S + 1)
        await wait_all_tasks_blocked()
        assert await stream.purposes() == []
        assert not stream.nursery.child_tasks
