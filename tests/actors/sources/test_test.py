"""The test pattern: drawn by a real ffmpeg of any version, and by nothing in the daemon."""

from itertools import pairwise

import attrs
import pytest
import trio

from actors.media.hub import Hub
from actors.media.media import CLOCK_RATE
from actors.sources import KINDS
from supervisor.config.config import Source
from supervisor.domain import events as e
from supervisor.domain.values import Picture
from tests.actors.process.test_child import tools
from tests.actors.sources.test_file import PROGRAMS
from tests.kit.core import open_core
from tests.kit.domain import GATE
from tests.kit.media import follow
from tests.kit.patience import give_up_after


@pytest.mark.parametrize("ffmpeg", PROGRAMS)
async def test_picture_comes_in_its_size_and_rate_from_one_child(ffmpeg: str) -> None:
    """This includes the ffmpeg from a wheel, where none is installed."""
    async with open_core() as core:
        hub, source = Hub(core.kernel.clock), Source("test", "test:320x180@20")
        with give_up_after(15):
            async with trio.open_nursery() as nursery:
                child_tools = attrs.evolve(tools(core), ffmpeg=ffmpeg)
                nursery.start_soon(KINDS["test"].run, GATE, source, hub, child_tools)
                viewer = hub.subscribe()
                units = [(await follow(hub, viewer))[0] for _ in range(45)]
                nursery.cancel_scope.cancel()
        assert hub.picture == Picture("h264", 320, 180)
        assert [at for at, unit in enumerate(units) if unit.key] == [0, 40]
        gaps = [later.pts - earlier.pts for earlier, later in pairwise(units)]
        assert all(abs(gap - CLOCK_RATE // 20) <= CLOCK_RATE // 500 for gap in gaps), gaps
        started = [row.event.purpose for row in await core.stored() if isinstance(row.event, e.ChildStarting)]
        assert started == ["source"]
        assert not core.kernel.state.children
