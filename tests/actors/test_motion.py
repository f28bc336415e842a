"""Motion in key frames: seen where something moved, not where nothing did or everything changed; off unless wanted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import cast

import attrs
import pytest
import trio
from trio.testing import MockClock

from actors.eyes import DIFFERENT, SIZE, THUMBNAIL, Eyes, Look, changed, look, score
from actors.hub import Hub, Still
from actors.jpeg import Undecodable, decode
from actors.media import CLOCK_RATE
from actors.motion import run_motion
from actors.tools import Tools
from supervisor.clock import TrioClock
from supervisor.detections import Detections
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.values import Limits, Policy
from supervisor.kernel import Kernel
from tests.kit.core import Core, open_core
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


async def test_a_key_frame_becomes_few_pixels_and_a_thumbnail() -> None:
    hub = Hub(TrioClock())
    hub.begin()
    hub.publish(access_units()[0], 0)
    assert hub.still is not None
    eyes = Eyes()
    seen = await eyes.look(hub.still)
    thumbnail = await eyes.draw(seen)
    assert len(seen.grey) == WIDTH * HEIGHT
    assert thumbnail.startswith(b"\xff\xd8\xff")
    assert decode("mjpeg", thumbnail).width == THUMBNAIL[0]
    with pytest.raises(Undecodable):
        look("h264", b"no picture")


class FakeEyes(Eyes):
    """Looks at key frames without decoding them: something has moved in every fifth."""

    looks = 0

    async def look(self, still: Still) -> Look:
        await trio.lowlevel.checkpoint()
        self.looks += 1
        return Look(grey(16, 9, 8, 18) if self.looks % 5 == 0 else grey())

    async def draw(self, seen: Look) -> bytes:
        await trio.lowlevel.checkpoint()
        return b"a thumbnail"


@attrs.frozen
class FewTools:
    kernel: Kernel
    detections: Detections
    eyes: FakeEyes


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
        assert (shown.camera, shown.label, tools.eyes.looks) == (GATE, "motion", 5)
        made = next(row for row in await core.stored() if isinstance(row.event, e.DetectionMade))
        assert (made.event.by, made.principal) == ("motion", "actor")  # type: ignore[attr-defined]
        assert tools.detections.thumbnails.find(shown.detection) == b"a thumbnail"


async def test_nothing_is_looked_at_unless_it_is_wanted_and_that_can_change(
    autojump_clock: MockClock,
) -> None:
    async with looking(Policy()) as (core, tools):
        await trio.sleep(60)
        assert tools.eyes.looks == 0
        core.kernel.emit(c.Configure("test", (settings(GATE),), Limits(), policy=Policy(motion=True)))
        while core.kernel.state.suggestion is None:
            await core.kernel.wait_change(core.kernel.state.seq)
        core.kernel.emit(c.Configure("test", (settings(GATE),), Limits(), policy=Policy()))
        await trio.sleep(30)
        looks = tools.eyes.looks
        await trio.sleep(60)
        assert tools.eyes.looks == looks
