"""Pictures for a detector: new ones, each once, at most as often as is configured, and never too large."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import trio
from trio.testing import MockClock

from actors.detectors.pictures import FRESH_S, MOST_JPEG, DetectorPicture, Pictures
from actors.detectors.tally import DetectorTally
from actors.media.hub import Hub, Still
from supervisor.domain.ids import CameraId
from tests.kit.core import open_core
from tests.kit.decoding import FakeDecoder
from tests.kit.detectors import FakeCamera, FakeSnapshots, jpeg
from tests.kit.domain import GATE, YARD
from tests.kit.tools import make_tools


class Scaling(FakeDecoder):
    """Makes JPEGs of half a byte for each pixel."""

    async def scaled(self, camera: CameraId, still: Still, size: tuple[int, int]) -> bytes:
        await trio.lowlevel.checkpoint()
        return jpeg(*size, size=size[0] * size[1] // 2)


@attrs.frozen
class Taking:
    pictures: Pictures
    cameras: dict[CameraId, FakeCamera]
    snapshots: FakeSnapshots
    tally: DetectorTally

    async def none_within(self, seconds: float) -> bool:
        """Whether no picture comes."""
        with trio.move_on_after(seconds):
            await self.pictures.next()
            return False
        return True

    async def next(self) -> DetectorPicture:
        with trio.fail_after(60):
            return await self.pictures.next()


@asynccontextmanager
async def taking(*wanted: CameraId, interval_s: float = 1.0) -> AsyncIterator[Taking]:
    async with open_core(GATE, YARD) as core:
        cameras = {name: FakeCamera(name, Hub(core.kernel.clock)) for name in (GATE, YARD)}
        for camera in cameras.values():
            camera.hub.begin()
        tally, snapshots, tools = (
            DetectorTally("yolo", "command"),
            FakeSnapshots(),
            make_tools(core.kernel, core.nursery),
        )
        more = (cameras, snapshots, Scaling(), tally, tools)
        yield Taking(Pictures(wanted, interval_s, *more), cameras, snapshots, tally)  # type: ignore[arg-type]


async def test_each_key_frame_is_given_once_in_turn(autojump_clock: MockClock) -> None:
    """The camera that has waited longest comes first; without a new key frame nothing comes."""
    async with taking() as here:
        here.cameras[GATE].publish()
        here.cameras[YARD].publish()
        assert {(await here.next()).camera, (await here.next()).camera} == {GATE, YARD}
        assert await here.none_within(FRESH_S / 2)
        here.cameras[GATE].publish()
        first = await here.next()
        assert (first.camera, first.width, first.height) == (GATE, 320, 180)
        assert first.at.endswith("Z")


async def test_newest_key_frame_is_given_at_most_once_in_an_interval(autojump_clock: MockClock) -> None:
    """Ten key frames a second and an interval of 2 s: the next picture comes 2 s later, and is the newest one."""
    async with taking(GATE, interval_s=2.0) as here:
        here.cameras[GATE].publish()
        await here.next()
        began = trio.current_time()

        async def send() -> None:
            while True:
                here.cameras[GATE].publish()
                await trio.sleep(0.1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            picture = await here.next()
            assert 2.0 <= trio.current_time() - began <= 2.5
            assert here.cameras[GATE].hub.keys - picture.still.number <= 1
            nursery.cancel_scope.cancel()


async def test_old_key_frame_and_other_cameras_are_left_out(autojump_clock: MockClock) -> None:
    """A camera at rest keeps its last key frame: which is not a present picture."""
    async with taking(YARD) as here:
        here.cameras[YARD].publish()
        await trio.sleep(FRESH_S + 1)
        here.cameras[GATE].publish()
        assert await here.none_within(5)
        here.cameras[YARD].publish()
        assert (await here.next()).camera == YARD


async def test_large_picture_is_made_smaller_and_one_that_stays_large_is_skipped(autojump_clock: MockClock) -> None:
    """With the size that it then has; the limit is never exceeded."""
    async with taking(GATE) as here:
        here.snapshots.jpeg = jpeg(3840, 2160, size=4 * MOST_JPEG)
        here.cameras[GATE].publish()
        picture = await here.next()
        assert len(picture.jpeg) <= MOST_JPEG
        assert picture.width < 3840
        assert abs(picture.width / picture.height - 16 / 9) < 0.01


async def test_camera_that_is_removed_is_not_watched(autojump_clock: MockClock) -> None:
    """A detection at it is dropped; one at a camera that the detector does not get, too."""
    async with taking(GATE) as here:
        assert here.pictures.watches(GATE)
        assert not here.pictures.watches(YARD)
        assert not here.pictures.watches("nobody")
