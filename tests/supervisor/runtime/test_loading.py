"""When the modules for viewers are imported."""

import attrs
import trio
from trio.testing import MockClock

from supervisor.base.background_import import NotLoaded
from supervisor.runtime.loading import LOAD_LOOK_S, LOAD_LOOKS, load_viewer_modules


@attrs.define
class FakeModules:
    """Counts its imports."""

    waiting: int = 0
    """Cameras that wait to start."""
    errors: list[Exception] = attrs.field(factory=list)
    """Raised by the next imports."""
    loads: int = 0

    async def load(self) -> None:
        self.loads += 1
        if self.errors:
            raise self.errors.pop()

    def starts_waiting(self) -> tuple[int, float]:
        return self.waiting, 0.0


async def test_modules_for_viewers_are_imported_when_the_first_cameras_have_started(autojump_clock: MockClock) -> None:
    """Or after 2 s, when cameras still wait: those that failed may wait for long."""
    actors, stop, began = FakeModules(), trio.Event(), trio.current_time()

    async def start() -> None:
        actors.waiting = 30
        await trio.sleep(0.6)
        actors.waiting = 0
        assert actors.loads == 0

    async with trio.open_nursery() as nursery:
        nursery.start_soon(start)
        await load_viewer_modules(actors, stop)
    assert (actors.loads, trio.current_time() - began) == (1, 0.75)
    actors.waiting, began = 30, trio.current_time()
    await load_viewer_modules(actors, stop)
    assert (actors.loads, trio.current_time() - began) == (2, LOAD_LOOKS * LOAD_LOOK_S)
    stop.set()
    await load_viewer_modules(actors, stop)
    assert actors.loads == 2


async def test_modules_for_viewers_are_imported_again_while_the_system_refuses_it(autojump_clock: MockClock) -> None:
    """Twice it does; a broken module is not tried again, and ends nothing."""
    refused = FakeModules(errors=[NotLoaded("no descriptor"), NotLoaded("no memory")])
    await load_viewer_modules(refused, trio.Event())
    assert refused.loads == 3
    broken = FakeModules(errors=[ImportError("odd"), ImportError("odd")])
    await load_viewer_modules(broken, trio.Event())
    assert broken.loads == 1
