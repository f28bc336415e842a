"""The tape: one writer who never waits, readers who are only positions."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from supervisor.tape import Tape


async def test_readers_follow_at_their_own_pace() -> None:
    tape: Tape[int] = Tape(10)
    for number in range(5):
        tape.append(number)
    assert tape.read_nowait(0, 2) == [0, 1]
    assert tape.read_nowait(3, 10) == [3, 4]
    assert tape.read_nowait(5, 10) == []


async def test_what_is_no_longer_kept_is_said() -> None:
    """A reader that fell behind gets an error that names the oldest, never something else in silence."""
    tape: Tape[int] = Tape(3, start=1)
    for number in range(1, 6):
        tape.append(number)
    assert (tape.start, tape.end) == (3, 6)
    with pytest.raises(LookupError, match="the oldest is 3"):
        tape.read_nowait(2, 1)
    assert tape.read_nowait(3, 9) == [3, 4, 5]


async def test_waiting_ends_with_the_next_item(autojump_clock: MockClock) -> None:
    tape: Tape[int] = Tape(3)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tape.wait_beyond, 0)
        await wait_all_tasks_blocked()
        tape.append(1)


async def test_dropping_moves_the_start_only() -> None:
    tape: Tape[int] = Tape(9)
    for number in range(5):
        tape.append(number)
    tape.drop_before(3)
    assert (tape.start, tape.end) == (3, 5)
    tape.drop_before(99)
    assert (tape.start, tape.end) == (5, 5)
