"""The feed: every durable event, without a gap, for followers near and far behind."""

import msgspec
import trio
from trio.testing import MockClock

from supervisor.domain import commands as c
from supervisor.domain.events import Recorded
from supervisor.ports.questions import Query
from supervisor.runtime.feed import KEPT, Feed
from tests.kit.core import open_core
from tests.kit.domain import GATE, TEMPORARY


async def test_a_follower_from_the_beginning_gets_everything_once(autojump_clock: MockClock) -> None:
    """Also what the feed no longer keeps: that part comes from the journal, and the seam does not show."""
    async with open_core() as core:
        for _ in range(KEPT):
            core.kernel.emit(c.ConnectCamera(GATE))
            core.kernel.emit(c.ReportLoss(GATE, TEMPORARY, 0.0))
            await trio.lowlevel.checkpoint()
        await core.stored()
        seen: list[int] = []
        while len(seen) < core.feed.last_seq:
            seen += [recorded.seq for recorded in await core.feed.next_page(seen[-1] if seen else 0)]
        assert seen == list(range(1, core.feed.last_seq + 1))
        assert len(seen) > KEPT


async def test_following_waits_for_what_is_durable_only(autojump_clock: MockClock) -> None:
    """While the disk fails, a decided event is not published; it follows when the disk works."""
    async with open_core() as core:
        last = core.feed.last_seq
        core.disk.broken = True
        core.kernel.emit(c.ConnectCamera(GATE))
        with trio.move_on_after(0.5) as patience:
            await core.feed.next_page(last)
        assert patience.cancelled_caught
        core.disk.broken = False
        (recorded,) = await core.feed.next_page(last)
        assert recorded.type == "CameraConnecting"


async def test_the_ring_keeps_two_thousand_events_and_drops_the_oldest(autojump_clock: MockClock) -> None:
    """Events that were dropped are read from the journal; the others come from memory."""
    asked: list[int] = []

    async def read(query: Query, limit: int) -> list[Recorded]:
        await trio.lowlevel.checkpoint()
        asked.append(query.after)
        return []

    async with open_core() as core:
        (first, *_) = await core.stored()
    feed = Feed(0, read)
    feed.publish([msgspec.structs.replace(first, seq=seq) for seq in range(1, 2501)])
    assert KEPT == 2000
    assert [(await feed.next_page(after))[0].seq for after in (500, 2499)] == [501, 2500]
    assert asked == []
    assert await feed.next_page(499) == []
    assert asked == [499]
