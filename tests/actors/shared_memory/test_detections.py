"""Detections that other programs write to shared memory."""

import os
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from actors.shared_memory.detections import MOST, SharedDetections, parse_detections, read_detections
from actors.shared_memory.segment import SegmentError
from tests.kit.shared_detections import SIZES, DetectionsWriter, Row

NAME = f"/banken-detections-{os.getpid()}"
CAT: Row = ("cat", 0.75, 10, 20, 100, 80)


@pytest.fixture(params=SIZES)
def writer(request: pytest.FixtureRequest) -> Iterator[DetectionsWriter]:
    found = DetectionsWriter(NAME, request.param)
    yield found
    found.unlink()
    found.close()


@asynccontextmanager
async def reading() -> AsyncIterator[list[SharedDetections]]:
    """The updates that have been read so far."""
    found = list[SharedDetections]()

    async def read() -> None:
        async with aclosing(read_detections(NAME)) as updates:
            async for update in updates:
                found.append(update)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.sleep(0.01)
        yield found
        nursery.cancel_scope.cancel()


async def test_each_update_is_read_once(writer: DetectionsWriter, autojump_clock: MockClock) -> None:
    """From the first one after the start: what stood there before may be days old."""
    writer.write([CAT])
    async with reading() as found:
        await trio.sleep(1)
        assert found == []
        for count in range(3):
            writer.write([CAT] * count)
            await trio.sleep(0.2)
        assert [len(each.detections) for each in found] == [0, 1, 2]
        (cat, _) = found[-1].detections
        assert (cat.label, cat.score, cat.box) == ("cat", 0.75, (10, 20, 100, 80))
        assert (found[-1].frame, found[-1].version) == (4, 4)


async def test_update_is_not_read_while_it_is_written(writer: DetectionsWriter, autojump_clock: MockClock) -> None:
    """Its version says that it is there, and its bytes change."""
    async with reading() as found:
        writer.bump()
        for x in range(100):
            writer.write([("cat", 0.5, x, 0, 1, 1)], bump=False)
            await trio.sleep(0.001)
            assert found == []
        writer.write([CAT], bump=False)
        await trio.sleep(1)
        assert [each.detections[0].label for each in found] == ["cat"]


@pytest.mark.parametrize(
    "row",
    [
        ("", 0.5, 0, 0, 1, 1),
        ("a\nb", 0.5, 0, 0, 1, 1),
        ("cat", -0.1, 0, 0, 1, 1),
        ("cat", 1.1, 0, 0, 1, 1),
        ("cat", float("nan"), 0, 0, 1, 1),
        ("cat", float("inf"), 0, 0, 1, 1),
        ("cat", 0.5, 0, 0, 0, 1),
        ("cat", 0.5, 0, 0, 1, -1),
        ("cat", 0.5, 1 << 30, 0, 1, 1),
    ],
)
def test_row_that_makes_no_sense_is_dropped_and_counted(row: Row) -> None:
    """The others of the update stay."""
    data = bytearray(552)
    struct.pack_into("<Qqqi", data, 0, 1, 0, 0, 2)
    for place, (label, *numbers) in enumerate((row, CAT)):
        struct.pack_into("<32sfiiii", data, 28 + place * 52, label.encode(), *numbers)
    read = parse_detections(bytes(data))
    assert [each.label for each in read.detections] == ["cat"]
    assert read.detections[0].box == CAT[2:]
    assert read.dropped == 1


@pytest.mark.parametrize(("count", "rows", "dropped"), [(-1, 0, 0), (11, MOST, 1), (1 << 30, MOST, 1)])
def test_count_that_is_a_lie_reads_no_further_than_the_rows(count: int, rows: int, dropped: int) -> None:
    """Ten at most, whatever the count says."""
    data = bytearray(552)
    struct.pack_into("<Qqqi", data, 0, 1, 0, 0, count)
    for place in range(MOST):
        struct.pack_into("<32sfiiii", data, 28 + place * 52, b"x" * 32, 0.5, 0, 0, 1, 1)
    read = parse_detections(bytes(data))
    assert (len(read.detections), read.dropped) == (rows, dropped)
    assert all(each.label == "x" * 32 for each in read.detections)


def remove(writer: DetectionsWriter) -> None:
    writer.unlink()


def truncate(writer: DetectionsWriter) -> None:
    os.truncate(writer.path, 100)


@pytest.mark.parametrize(("act", "text"), [(remove, "was removed"), (truncate, "now has 100")])
async def test_segment_that_goes_is_an_error_with_its_reason(
    act: Callable[[DetectionsWriter], None], text: str, writer: DetectionsWriter, autojump_clock: MockClock
) -> None:
    """As of a camera's memory."""
    with pytest.RaisesGroup(pytest.RaisesExc(SegmentError, match=text)):
        async with reading():
            act(writer)
            await trio.sleep(2)


@pytest.mark.parametrize(("size", "text"), [(None, "does not exist yet"), (553, "552, 584")])
async def test_segment_that_cannot_be_read_is_an_error_with_its_reason(size: int | None, text: str) -> None:
    """It is missing, or has another size."""
    writer = DetectionsWriter(NAME, size or SIZES[0])
    if size is None:
        writer.unlink()
    try:
        with pytest.raises(SegmentError, match=text):
            await anext(read_detections(NAME))
    finally:
        writer.unlink()
        writer.close()
