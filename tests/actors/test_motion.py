"""Motion in key frames: seen where something moved, not where nothing did or everything changed; off unless wanted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import cast

import attrs
import trio
from trio.abc import Instrument
from trio.testing import MockClock

from actors.decoder.codec import DIFFERENT, changed
from actors.decoder.wire import SIZE, Looked
from actors.hub import Hub, Still
from actors.media import CLOCK_RATE
from actors.motion import run_motion, score
from actors.tools import Tools
from supervisor.detections import Detections
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Limits, Policy
from supervisor.kernel import Kernel
from tests.kit.core import Core, open_core
from tests.kit.decoding import FakeDecoder
from tests.kit.domain import GATE, settings
from tests.kit.media import access_units

WIDTH, HEIGHT = SIZE


def grey(left: int = 0, top: int = 0, width: int = 0, height: int = 0, level: int = 200) -> bytes:
    """A grey picture with a patch."""
    rows = [bytearray([80]) * WIDTH for _ in range(HEIGHT)]
    for y in range(top, top + height):
        rows[y][left : left + width] = bytes([level]) * width
    return b"".join(rows)


def test_what_moved_is_seen_and_where() -> None:
    share, box = changed(grey(), grey(16, 9, 8, 18))
    assert share == 8 * 18 / (WIDTH * HEIGHT)
    assert box == (16 / 64, 9 / 36, 8 / 64, 18 / 36)
    assert score(share) == 1.0


def test_noise_is_no_motion_and_neither_is_a_switched_light() -> None:
    assert changed(grey(), grey(0, 0, WIDTH, HEIGHT, 80 + DIFFERENT - 1))[0] == 0
    share, _ = changed(grey(), grey(0, 0, WIDTH, HEIGHT))
    assert (share, score(share)) == (1.0, 0.0)


class FakeEyes(FakeDecoder):
    """Looks at key frames without decoding them: something has moved in every fifth."""

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
class FewTools:
    kernel: Kernel
    detections: Detections
    decoder: FakeEyes


@asynccontextmanager
async def looking(policy: Policy) -> AsyncIterator[tuple[Core, FewTools]]:
    """Motion is looked for in a camera that sends a key frame every two seconds."""
    async with open_core() as core, trio.open_nursery() as nursery:
        core.kernel.emit(c.Configure("test", (settings(GATE),), Limits(), policy=policy))
        hub, tools = Hub(core.kernel.clock), FewTools(core.kernel, Detections(core.kernel), FakeEyes())
        hub.begin()

        async def send() -> None:
            for number in count():
                hub.publish(access_units()[0], number * 2 * CLOCK_RATE)
                await trio.sleep(2)

        nursery.start_soon(run_motion, GATE, hub, cast(Tools, tools))
        nursery.start_soon(send)
        yield core, tools
        nursery.cancel_scope.cancel()


async def test_motion_is_a_detection_with_a_picture_and_a_suggestion(
    autojump_clock: MockClock,
) -> None:
    async with looking(Policy(motion=True)) as (core, tools):
        while core.kernel.state.suggestion is None:
            await core.kernel.wait_change(core.kernel.state.seq)
        shown = core.kernel.state.suggestion
        assert (shown.camera, shown.label, tools.decoder.looks) == (GATE, "motion", 5)
        made = next(row for row in await core.stored() if isinstance(row.event, e.DetectionMade))
        assert (made.event.by, made.principal) == ("motion", "actor")  # type: ignore[attr-defined]
        assert tools.detections.thumbnails.find(shown.detection) == b"a thumbnail"


async def test_event_wakes_no_task_that_waits_for_another_policy() -> None:
    """Each camera has such a task: with a thousand cameras each event would wake a thousand."""

    steps: list[str] = []

    class Steps(Instrument):
        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            steps.append(task.name)

    async with looking(Policy()) as (core, _):
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
    async with looking(Policy()) as (core, tools):
        await trio.sleep(60)
        assert tools.decoder.looks == 0
        core.kernel.emit(c.Configure("test", (settings(GATE),), Limits(), policy=Policy(motion=True)))
        while core.kernel.state.suggestion is None:
            await core.kernel.wait_change(core.kernel.state.seq)
        core.kernel.emit(c.Configure("test", (settings(GATE),), Limits(), policy=Policy()))
        await trio.sleep(30)
        looks = tools.decoder.looks
        await trio.sleep(60)
        assert tools.decoder.looks == looks
