"""A detector that writes to shared memory, and banken that reads it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from actors.detectors.memory import box_of
from actors.detectors.pictures import FRESH_S
from supervisor.config.config import Detector
from supervisor.domain import commands as c
from supervisor.domain.restart import SHARED_MEMORY_S
from supervisor.domain.values import Picture
from tests.kit.detectors import open_detectors
from tests.kit.domain import GATE
from tests.kit.shared_detections import DetectionsWriter, Row
from tests.kit.shared_memory import SHM

NAME = f"/banken-detector-{os.getpid()}"
CAT: Row = ("cat", 0.75, 10, 20, 30, 40)


def detector(**more: object) -> Detector:
    return Detector("yolo", "shm", address=NAME, cameras=(GATE,), **more)  # type: ignore[arg-type]


async def test_detections_of_its_one_camera_are_reported_with_their_boxes(autojump_clock: MockClock) -> None:
    """Boxes are shares of the camera's picture. Of one label, the best counts."""
    async with open_detectors(detector()) as here:
        here.core.kernel.emit(c.ConnectCamera(GATE))
        here.core.kernel.emit(c.ReportLive(GATE, Picture("h264", 100, 80)))
        writer = DetectionsWriter(NAME)
        try:
            await trio.sleep(1)
            writer.write([("cat", 0.5, 0, 0, 1, 1), CAT, ("dog", 0.625, 200, 0, 10, 10)])
            await trio.sleep(1)
            cat, dog = here.made()
            assert (cat.camera, cat.by, cat.label, cat.score, cat.box) == (
                GATE,
                "yolo",
                "cat",
                0.75,
                (0.1, 0.25, 0.3, 0.5),
            )
            assert (dog.label, dog.score, dog.box) == ("dog", 0.625, ())
            writer.write([])
            writer.write([("", 0.5, 0, 0, 1, 1)])
            await trio.sleep(1)
            assert here.of().dropped == {"wrong-field": 1}
            assert (here.of().state, here.of().detections) == ("running", 2)
        finally:
            writer.unlink()
            writer.close()


async def test_image_of_a_detection_is_the_newest_key_frame_if_it_is_fresh(autojump_clock: MockClock) -> None:
    """One key frame is decoded once for all detections; without one of the last 10 s there is no image."""
    async with open_detectors(detector()) as here:
        writer = DetectionsWriter(NAME)

        async def write(*rows: Row) -> list[bool]:
            before = len(here.made())
            writer.write([*rows])
            await trio.sleep(1.5)
            return [here.detections.thumbnails.has(each.detection) for each in here.made()[before:]]

        try:
            await trio.sleep(1)
            assert await write(CAT) == [False]
            here.cameras[GATE].publish()
            assert await write(CAT, ("dog", 0.625, 0, 0, 10, 10)) == [True, True]
            assert await write(CAT) == [True]
            assert here.decoder.made == 1
            here.cameras[GATE].publish()
            assert await write(CAT) == [True]
            assert here.decoder.made == 2
            await trio.sleep(FRESH_S)
            assert await write(CAT) == [False]
        finally:
            writer.unlink()
            writer.close()


async def test_a_fast_writer_is_reported_at_the_configured_rate(autojump_clock: MockClock) -> None:
    """Each detection is journaled, so 20 updates a second would fill the journal."""
    async with open_detectors(detector(fps=2.0)) as here:
        writer = DetectionsWriter(NAME)
        try:
            await trio.sleep(1)
            for _ in range(200):
                writer.write([CAT])
                await trio.sleep(0.05)
            assert 18 <= len(here.made()) <= 21
        finally:
            writer.unlink()
            writer.close()


async def test_missing_memory_is_waited_for_and_named_after_30_s(autojump_clock: MockClock) -> None:
    """It begins as soon as the memory exists, and again after each loss of it."""
    async with open_detectors(detector()) as here:
        await trio.sleep(SHARED_MEMORY_S - 1)
        assert here.alert() == ""
        await trio.sleep(2)
        assert here.alert() == f"the detector yolo waits for shared memory {NAME}, which does not exist"
        for count in (1, 2):
            writer = DetectionsWriter(NAME)
            await trio.sleep(1)
            writer.write([CAT])
            await trio.sleep(1)
            assert (here.alert(), len(here.made())) == ("", count)
            writer.unlink()
            writer.close()
            await trio.sleep(1.5)
            assert "was removed" in here.of().reason or here.of().state == "running"


@pytest.mark.parametrize(
    ("make", "text"), [(os.mkfifo, "not shared memory, but another kind of file"), (Path.touch, "has no size yet")]
)
async def test_memory_that_cannot_be_opened_is_an_alert_with_its_reason(
    make: Callable[[Path], object], text: str, autojump_clock: MockClock
) -> None:
    """A pipe has no size either, and is refused at once."""
    path = SHM / NAME[1:]
    make(path)
    try:
        async with open_detectors(detector()) as here:
            await trio.sleep(SHARED_MEMORY_S + 1)
            assert here.alert().endswith(text)
    finally:
        path.unlink()


def test_box_is_cut_at_the_edges_of_the_picture() -> None:
    """A detector may see further than the camera shows; a box outside, or of an unknown size, is left out."""
    assert box_of((-10, -10, 60, 50), 100, 80) == (0, 0, 0.5, 0.5)
    assert box_of((90, 70, 60, 50), 100, 80) == (0.9, 0.875, 0.1, 0.125)
    assert box_of((100, 0, 10, 10), 100, 80) == ()
    assert box_of((0, 0, 10, 10), 0, 0) == ()
