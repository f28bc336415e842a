"""A reader of batches is woken once a second, and loses nothing that the hub discards."""

import trio
from trio.testing import wait_all_tasks_blocked

from actors.media import batches as module
from actors.media.batches import Batches
from actors.media.gop_buffer import MAX_UNITS
from actors.media.h264 import H264
from actors.media.hub import Hub
from actors.media.media import CLOCK_RATE, AccessUnit
from supervisor.base.clock import TrioClock

from .test_hub import play

FPS = 30
SECOND = CLOCK_RATE


def unit(number: int, *, key: bool = False, size: int = 1000) -> AccessUnit:
    dts = number * CLOCK_RATE // FPS
    return AccessUnit(H264, (bytes(size),), dts, key, size, dts)


def due_after(units: list[AccessUnit]) -> list[int]:
    """The numbers of the access units with which a batch became due, if each batch is taken at once."""
    batches, found = Batches(), list[int]()
    for number, each in enumerate(units):
        batches.put(each)
        if batches.is_due:
            found.append(number)
            batches.take_nowait(MAX_UNITS)
    return found


def test_batch_is_due_each_second_and_with_each_key_frame() -> None:
    """These are the access units that end a fragment: nothing whole waits for the reader."""
    assert due_after([unit(n, key=n % 60 == 0) for n in range(121)]) == [0, 30, 60, 90, 120]
    assert due_after([unit(n, key=n % 6 == 0) for n in range(19)]) == [0, 6, 12, 18]
    assert due_after([unit(n, key=n == 45) for n in range(45, 110)]) == [0, 30, 60]


def test_large_batch_is_due_at_once() -> None:
    """The memory of a second is bounded, whatever its bit rate is."""
    assert due_after([unit(0, key=True), *(unit(n, size=module.LARGE // 4) for n in range(1, 6))]) == [0, 4]


def test_batch_that_is_not_taken_is_discarded_and_counted() -> None:
    """The reader begins again with what came since."""
    batches = Batches()
    for number in range(MAX_UNITS + 10):
        batches.put(unit(number))
    assert batches.lost == MAX_UNITS
    assert len(batches.take_nowait(MAX_UNITS)) == 10
    assert not batches.is_due


def test_batch_can_be_taken_in_parts() -> None:
    """It is due until the last of it is taken."""
    batches = Batches()
    for number in range(3):
        batches.put(unit(number, key=True))
    assert [len(batches.take_nowait(2)), batches.is_due, len(batches.take_nowait(2)), batches.is_due] == [
        2, True, 1, False,
    ]  # fmt: skip


async def test_hub_wakes_a_reader_only_when_a_batch_is_due() -> None:
    """It begins with the newest key frame that is cached; the access units between two batches wake nobody."""
    hub, taken = Hub(TrioClock()), list[int]()
    hub.begin()
    play(hub, 0, 25)

    async def read() -> None:
        with hub.read_batches() as batches:
            while True:
                await batches.wait()
                taken.append(len(batches.take_nowait(MAX_UNITS)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        for index in range(25, 51):
            play(hub, index, index + 1)
            await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert taken == [5, 6, 10, 10]


async def test_reader_gets_what_the_hub_discards() -> None:
    """The end of a connection is not lost, and the reader is woken."""
    hub = Hub(TrioClock())
    hub.begin()
    with hub.read_batches() as batches:
        play(hub, 0, 5)
        batches.take_nowait(MAX_UNITS)
        play(hub, 5, 9)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(batches.wait)
            await wait_all_tasks_blocked()
            hub.shut()
        assert len(batches.take_nowait(MAX_UNITS)) == 4
