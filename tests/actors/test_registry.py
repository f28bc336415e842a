"""One camera with its viewers: what listens, what is made for those who do, and what is left of it."""

import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing

from actors import transcoder
from actors.registry import Registry
from actors.tools import StartGate
from supervisor import reconcile
from supervisor.config import Source
from supervisor.domain import commands as c
from supervisor.domain.ids import CameraId, PeerId
from supervisor.domain.plan import Plan, plan
from supervisor.domain.state import State
from supervisor.domain.values import CameraSettings, Limits, Reason
from supervisor.vault import Vault
from tests.actors.rtc.test_fanout import Sink
from tests.actors.sources.test_file import BUNDLED, write_clip
from tests.actors.test_child import tools
from tests.kit.core import Core, open_core
from tests.kit.domain import GATE, peer, settings
from tests.kit.processes import wait_until
from tests.sim.viewers import OFFER


@attrs.define
class House:
    core: Core
    registry: Registry
    camera: trio.CancelScope
    """Of the camera's actor."""
    next: Sink = attrs.field(factory=Sink)

    async def watch(self, name: str, *, listens: bool = True) -> Sink:
        """Let a viewer in. Returns what it is sent."""
        await self.core.kernel.submit(peer(name))
        sink = self.next = Sink(audio=listens, takes_opus=listens, codecs=("h264",))
        await self.registry.open_peer(GATE, PeerId(name), self.registry.read_offer(OFFER))
        return sink

    def leave(self, name: str) -> None:
        self.registry.stop_peer(PeerId(name), Reason("left", "it left"))

    def pids(self, purpose: str = "audio") -> list[int]:
        children = self.core.kernel.state.children.values()
        return [child.pid for child in children if child.purpose == purpose and child.pid is not None]


@asynccontextmanager
async def open_house(clip: Path) -> AsyncIterator[House]:
    """A camera that plays `clip` by the bundled ffmpeg, and connections that only pretend."""
    async with open_core() as core, trio.open_nursery() as nursery:
        vault = Vault()
        vault.take({GATE: Source("file", f"file://{clip}")})
        scope = trio.CancelScope()

        async def connect(offer, fanout, candidates, witness, **_):  # type: ignore[no-untyped-def]
            witness.answered("answer")
            viewer = fanout.add(house.next)
            try:
                witness.connected(viewer)
                await trio.sleep_forever()
            finally:
                fanout.remove(viewer)

        async def run() -> None:
            with scope:
                await house.registry.run_camera(core.kernel.state.cameras[GATE].settings)

        hands = attrs.evolve(tools(core), ffmpeg=BUNDLED, sources=vault, connect=connect)
        house = House(core, Registry(hands), scope)
        house.registry.want({GATE: "live"})
        nursery.start_soon(run)
        await wait_until(lambda: core.kernel.state.cameras[GATE].phase.value == "live", 20)
        yield house
        nursery.cancel_scope.cancel()
    assert not core.kernel.state.children
    assert not core.kernel.state.alerts
    assert not core.kernel.state.peers


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcoder, "LINGER_S", 0.05)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.mp4", sound="aac")


async def test_aac_is_made_into_opus_once_while_somebody_listens(hasty: None, clip: Path) -> None:
    """One child for two who listen, none for one who only looks; it goes with the last who listened."""
    async with open_house(clip) as house:
        looks = await house.watch("looks", listens=False)
        await wait_until(lambda: len(looks.pictures) > 5, 10)
        assert house.pids() == []
        one, two = await house.watch("one"), await house.watch("two")
        await wait_until(lambda: len(one.sounds) > 20 and len(two.sounds) > 20, 10)
        assert len(house.pids()) == 1
        assert looks.sounds == []
        assert one.codecs_heard == {"aac", "opus"}
        house.leave("one")
        seen = len(two.sounds)
        await wait_until(lambda: len(two.sounds) > seen + 20, 10)
        house.leave("two")
        await wait_until(lambda: not house.core.kernel.state.children_of(GATE)[1:], 10)
        shown = len(looks.pictures)
        await wait_until(lambda: len(looks.pictures) > shown + 5, 10)


async def test_a_transcoder_that_dies_costs_no_picture_and_is_said(clip: Path) -> None:
    """An alert stands until there is sound again."""
    async with open_house(clip) as house:
        sink = await house.watch("one")
        await wait_until(lambda: len(sink.sounds) > 20, 10)
        (first,) = house.pids()
        shown = len(sink.pictures)
        os.kill(first, signal.SIGKILL)
        await wait_until(lambda: f"sound/{GATE}" in house.core.kernel.state.alerts, 10)
        assert "no sound" in house.core.kernel.state.alerts[f"sound/{GATE}"].text
        await wait_until(lambda: f"sound/{GATE}" not in house.core.kernel.state.alerts, 20)
        assert house.pids() not in ([], [first])
        assert len(sink.pictures) > shown
        assert house.core.kernel.state.cameras[GATE].phase.value == "live"
        rows = {row.type: row for row in await house.core.stored()}
        assert rows["AlertRaised"].cause is not None
        assert "CameraWaiting" not in rows


async def test_uses_of_all_cameras_are_counted_once_for_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the plan alone; a camera that begins takes the result, and counts its own use when it takes its slot."""
    looked, plans = Counter[int](), 0
    names = [CameraId(f"c{number}") for number in range(100)]

    def uses_of(state: State, cameras: Iterable[CameraSettings]) -> dict[CameraId, str]:
        asked = list(cameras)
        looked[len(asked)] += 1
        return count(state, asked)

    def make(state: State) -> Plan:
        nonlocal plans
        plans += 1
        return plan(state)

    count = State.uses_of
    monkeypatch.setattr(State, "uses_of", uses_of)
    cameras = tuple(settings(name, device=f"box of {name}") for name in names)
    async with open_core(configuration=c.Configure("test", cameras, Limits())) as core, trio.open_nursery() as nursery:
        monkeypatch.setattr(reconcile, "plan", make)
        vault = Vault()
        vault.take({name: Source("rtsp", "rtsp://192.0.2.1/x") for name in names})
        registry = Registry(attrs.evolve(tools(core), sources=vault, starts=StartGate(connections=0.001)))
        nursery.start_soon(reconcile.run_reconcile, core.kernel, registry, lambda: 0.5)
        await wait_until(lambda: registry.starts_waiting()[0] > 90, 20)
        assert {camera._use for camera in registry._cameras.values()} == {"live"}
        nursery.cancel_scope.cancel()
    assert sum(times for size, times in looked.items() if size > 1) <= plans


def _kill(house: House) -> None:
    os.kill(house.pids()[0], signal.SIGKILL)


def _cancel(house: House) -> None:
    house.camera.cancel()


def _leave(house: House) -> None:
    house.leave("one")


@pytest.mark.parametrize(
    "order",
    [(_kill, _cancel), (_kill, _leave, _cancel), (_leave, _kill, _cancel), (_leave, _cancel), (_cancel,)],
    ids=lambda order: "-".join(act.__name__.strip("_") for act in order),
)
async def test_in_whatever_order_they_end_nothing_is_left(
    hasty: None, clip: Path, order: tuple[Callable[[House], None], ...]
) -> None:
    async with open_house(clip) as house:
        sink = await house.watch("one")
        await wait_until(lambda: len(sink.sounds) > 5, 10)
        for act in order:
            act(house)
            await trio.testing.wait_all_tasks_blocked()
        await wait_until(lambda: not house.core.kernel.state.children, 10)
        await wait_until(lambda: not house.core.kernel.state.peers, 10)
        assert not house.core.kernel.state.alerts
