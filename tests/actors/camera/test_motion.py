"""Motion detection: found where something moved, not where nothing or everything changed; off unless enabled."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import attrs
import trio
from trio.abc import Instrument
from trio.testing import MockClock

from actors.camera.motion import run_motion, score
from actors.media.decoder.codec import DIFFERENT, changed
from actors.media.decoder.wire import SIZE, Looked
from actors.media.hub import Hub, Still
from actors.media.media import CLOCK_RATE
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Limits, Policy
from supervisor.services.detections import Detections
from tests.kit.core import Core, open_core
from tests.kit.decoding import FakeDecoder
from tests.kit.domain import GATE, settings
from tests.kit.media import access_units
from tests.kit.tools import make_tools

WIDTH, HEIGHT = SIZE


def grey(left: int = 0, top: int = 0, width: int = 0, height: int = 0, level: int = 200) -> bytes:
    """Return a grey frame with a patch."""
    rows = [bytearray([80]) * WIDTH for _ in range(HEIGHT)]
    for y in range(top, top + height):
        rows[y][left : left + width] = bytes([level]) * width
    return b"".join(rows)


def test_moved_square_gives_its_share_box_and_score() -> None:
    """A bright square of 8 × 18 pixels: its share of the frame, its box from 0 to 1, and the full score."""
    share, box = changed(grey(), grey(16, 9, 8, 18))
    assert share == 8 * 18 / (WIDTH * HEIGHT)
    assert box == (16 / 64, 9 / 36, 8 / 64, 18 / 36)
    assert score(share) == 1.0


def test_noise_is_no_motion_and_neither_is_a_switched_light() -> None:
    """Differences just below the threshold count as 0; a change of the whole frame has score 0."""
    assert changed(grey(), grey(0, 0, WIDTH, HEIGHT, 80 + DIFFERENT - 1))[0] == 0
    share, _ = changed(grey(), grey(0, 0, WIDTH, HEIGHT))
    assert (share, score(share)) == (1.0, 0.0)


class FakeEyes(FakeDecoder):
    """Detects motion in every fifth key frame, without decoding any."""

    looks = 0

    async def look(self, camera: CameraId, still: Still, before: bytes) -> Looked:
        await trio.lowlevel.checkpoint()
        self.looks += 1
        seen = grey(16, 9, 8, 18) if self.looks % 5 == 0 else grey()
        return Looked(*changed(before or seen, seen), seen)

    async def thumbnail(self, camera: CameraId, still: Still) -> bytes:
        await trio.lowlevel.checkpoint()
        return b"a thumbnail"


@attrs.frozen
class Looking:
    core: Core
    detections: Detections
    decoder: FakeEyes


@asynccontextmanager
async def looking(policy: Policy) -> AsyncIterator[Looking]:
    """Run motion detection on a camera that sends a key frame every two seconds."""
    async with open_core() as core, trio.open_nursery() as nursery:
        core.kernel.emit(c.Configure("test", (settings(GATE),), Limits(), policy=policy))
        hub, detections, decoder = Hub(core.kernel.clock), Detections(core.kernel), FakeEyes()
        hub.begin()

        async def send() -> None:
            for number in count():
                hub.publish(access_units()[0], number * 2 * CLOCK_RATE)
                await trio.sleep(2)

        nursery.start_soon(run_motion, GATE, hub, decoder, make_tools(core.kernel, nursery, detections=detections))
        nursery.start_soon(send)
        yield Looking(core, detections, decoder)
        nursery.cancel_scope.cancel()


async def test_motion_is_a_detection_with_a_picture_and_a_suggestion(
    autojump_clock: MockClock,
) -> None:
    """The camera is suggested after five decoded frames; the detection is by `motion` and has a thumbnail."""
    async with looking(Policy(motion=True)) as camera:
        core = camera.core
        while core.kernel.state.suggestion is None:
            await core.kernel.wait_change(core.kernel.state.seq)
        shown = core.kernel.state.suggestion
        assert (shown.camera, shown.label, camera.decoder.looks) == (GATE, "motion", 5)
        made = next(row for row in await core.stored() if isinstance(row.event, e.DetectionMade))
        assert (made.event.by, made.principal) == ("motion", "actor")  # type: ignore[attr-defined]
        assert camera.detections.thumbnails.find(shown.detection) == b"a thumbnail"


async def test_event_wakes_no_task_that_waits_for_another_policy() -> None:
    """Each camera has such a task: with a thousand cameras, each event would wake a thousand tasks."""

    steps: list[str] = []

    class Steps(Instrument):
        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            steps.append(task.name)

    async with looking(Policy()) as camera:
        core = camera.core
        await trio.testing.wait_all_tasks_blocked()
        instrument = Steps()
        trio.lowlevel.add_instrument(instrument)
        for _ in range(10):
            core.kernel.emit(c.RaiseAlert("a", "an alert"))
            core.kernel.emit(c.ClearAlert("a"))
            await trio.testing.wait_all_tasks_blocked()
        trio.lowlevel.remove_instrument(instrument)
    assert any("Journal" in name for name in steps)
    assert not any("run_motion" in name for name in steps)


async def test_nothing_is_looked_at_unless_it_is_wanted_and_that_can_change(
    autojump_clock: MockClock,
) -> None:
    """No frame is decoded for motion while the policy is off, before it was on and after."""
    async with looking(Policy()) as camera:
        core = camera.core
        await trio.sleep(60)
        assert camera.decoder.looks == 0
        core.kernel.emit(c.Configure("test", (settings(GATE),), Limits(), policy=Policy(motion=True)))
        while core.kernel.state.suggestion is None:
            await core.kernel.wait_change(core.kernel.state.seq)
        core.kernel.emit(c.Configure("test", (settings(GATE),), Limits(), policy=Policy()))
        await trio.sleep(30)
        looks = camera.decoder.looks
        await trio.sleep(60)
        assert camera.decoder.looks == looks
