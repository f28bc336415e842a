"""The ring buffer: one writer that never waits, readers that are only positions."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from supervisor.base.ring_buffer import RingBuffer


async def test_readers_follow_at_their_own_pace() -> None:
    """A read from a position gives at most the number asked for; at the end it gives an empty list."""
    ring: RingBuffer[int] = RingBuffer(10)
    for number in range(5):
        ring.append(number)
    assert ring.read_nowait(0, 2) == [0, 1]
    assert ring.read_nowait(3, 10) == [3, 4]
    assert ring.read_nowait(5, 10) == []


async def test_reading_an_overwritten_position_is_an_error() -> None:
    """A reader that fell behind gets an error that names the oldest, never something else in silence."""
    ring: RingBuffer[int] = RingBuffer(3, start=1)
    for number in range(1, 6):
        ring.append(number)
    assert (ring.start, ring.end) == (3, 6)
    with pytest.raises(LookupError, match="the oldest is 3"):
        ring.read_nowait(2, 1)
    assert ring.read_nowait(3, 9) == [3, 4, 5]


async def test_waiting_ends_with_the_next_item(autojump_clock: MockClock) -> None:
    """A reader that waits beyond position 0 is woken by the first append."""
    ring: RingBuffer[int] = RingBuffer(3)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ring.wait_beyond, 0)
        await wait_all_tasks_blocked()
        ring.append(1)


async def test_dropping_moves_the_start_only() -> None:
    """The end stays at 5, also when the position lies far beyond it."""
    ring: RingBuffer[int] = RingBuffer(9)
    for number in range(5):
        ring.append(number)
    ring.drop_before(3)
    assert (ring.start, ring.end) == (3, 5)
    ring.drop_before(99)
    assert (ring.start, ring.end) == (5, 5)
