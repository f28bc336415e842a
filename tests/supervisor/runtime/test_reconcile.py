"""Reconciling with many cameras: how much of it there is in one turn of the loop."""

from collections.abc import Mapping

import attrs
import trio
from trio.abc import Instrument

from supervisor.domain import commands as c
from supervisor.domain.ids import CameraId, PeerId
from supervisor.domain.state import Privacy
from supervisor.domain.values import CameraSettings, Limits, Reason
from supervisor.runtime.reconcile import AT_ONCE, run_reconcile
from tests.kit.core import open_core
from tests.kit.domain import ASKED, GATE, settings
from tests.kit.processes import wait_until


@attrs.define(eq=False)
class FakeCrew(Instrument):
    """Counts the cameras that begin in each turn of the loop, and how often the uses are given."""

    begun: list[CameraId] = attrs.field(factory=list)
    turns: list[int] = attrs.field(factory=lambda: [0])
    uses: list[Mapping[CameraId, str]] = attrs.field(factory=list)

    def before_io_wait(self, timeout: float) -> None:
        self.turns.append(0)

    async def run_camera(self, settings: CameraSettings) -> None:
        self.begun.append(settings.camera)
        self.turns[-1] += 1
        await trio.sleep_forever()

    def want(self, uses: Mapping[CameraId, str], private: Mapping[CameraId, Privacy]) -> None:
        self.uses.append(uses)

    def reconfigure(self, settings: CameraSettings) -> None: ...

    async def run_patrol(self, group: str) -> None: ...

    def stop_peer(self, peer: PeerId, reason: Reason) -> None: ...


async def test_thousand_new_cameras_begin_a_few_in_each_turn_of_the_loop() -> None:
    """All begin, and their uses are given once for all of them each time that the plan is made."""
    crew, names = FakeCrew(), [CameraId(f"c{number}") for number in range(1000)]
    async with open_core() as core, trio.open_nursery() as nursery:
        nursery.start_soon(run_reconcile, core.kernel, crew, lambda: 0.5)
        await wait_until(lambda: crew.begun == [GATE], 10)
        trio.lowlevel.add_instrument(crew)
        core.kernel.emit(c.Configure("test", tuple(map(settings, names)), Limits()))
        await wait_until(lambda: len(crew.begun) == 1001, 60)
        trio.lowlevel.remove_instrument(crew)
        nursery.cancel_scope.cancel()
    assert sorted(crew.begun) == sorted([GATE, *names])
    assert max(crew.turns) <= AT_ONCE
    assert len(crew.uses) <= 1000 / AT_ONCE + 5
    assert crew.uses[-1].keys() == set(names)


async def test_stop_is_obeyed_while_cameras_begin() -> None:
    """The plan is made again after each few of them: nothing begins for a plan that is past."""
    crew = FakeCrew()
    async with open_core() as core, trio.open_nursery() as nursery:
        core.kernel.emit(c.Configure("test", tuple(settings(CameraId(f"c{n}")) for n in range(1000)), Limits()))
        nursery.start_soon(run_reconcile, core.kernel, crew, lambda: 0.5)
        await wait_until(lambda: bool(crew.begun), 10)
        core.kernel.emit(c.StopRun(ASKED))
    assert len(crew.begun) < 100
