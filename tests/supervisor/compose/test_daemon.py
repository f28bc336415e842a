"""The order in which a life begins."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path

import attrs
import trio

from actors.sources import KINDS
from supervisor.compose.daemon import (
    Parts,
    open_journal,
    run_daemon,
)
from supervisor.config.load import parse
from supervisor.domain.ids import CameraId, ChildId, PeerId
from supervisor.domain.monitors import Reading
from supervisor.domain.state import Privacy
from supervisor.domain.values import CameraSettings, Reason
from supervisor.ports.questions import Query
from supervisor.ports.statistics import SocketStatistics
from supervisor.runtime.kernel import Kernel
from supervisor.services.gateway import Gateway
from tests.kit.patience import give_up_after
from tests.kit.site import FakeActors

CONFIG = "cameras: {front: test:64x64@5}"


@attrs.define
class FakeCrew(FakeActors):
    """Tell when a camera is opened, and do nothing else."""

    steps: list[str] = attrs.field(factory=list, kw_only=True)
    opened: trio.Event = attrs.field(factory=trio.Event, kw_only=True)

    async def find_survivors(self) -> frozenset[ChildId]:
        self.steps.append("survivors")
        return frozenset()

    async def run_decoder(self) -> None:
        await trio.sleep_forever()

    async def run_detectors(self) -> None:
        await trio.sleep_forever()

    async def run_rtsp(self) -> None:
        await trio.sleep_forever()

    async def run_daemons(self) -> None:
        await trio.sleep_forever()

    async def run_recordings(self) -> None:
        await trio.sleep_forever()

    async def run_sweep(self) -> None:
        await trio.sleep_forever()

    async def load(self) -> None:
        self.steps.append("load")

    def starts_waiting(self) -> tuple[int, float]:
        return 0, 0.0

    async def run_camera(self, settings: CameraSettings) -> None:
        self.steps.append("camera")
        self.opened.set()
        await trio.sleep_forever()

    def reconfigure(self, settings: CameraSettings) -> None: ...

    def want(self, uses: Mapping[CameraId, str], private: Mapping[CameraId, Privacy]) -> None: ...

    async def run_patrol(self, group: str) -> None: ...

    def stop_peer(self, peer: PeerId, reason: Reason) -> None: ...


async def test_the_run_is_stored_then_the_web_answers_then_cameras_are_opened(tmp_path: Path) -> None:
    """However long the web takes to be there, no camera is opened before it is."""
    steps: list[str] = []
    made: list[FakeCrew] = []

    def make_actors(kernel: Kernel, *_: object) -> FakeCrew:
        made.append(FakeCrew(kernel, steps=steps))
        return made[0]

    async def run_web(gateway: Gateway, stop: trio.Event, *, task_status: trio.TaskStatus[None]) -> None:
        stored = [row.type for row in await gateway.read(Query(), 100)]
        steps.extend(kind for kind in stored if kind.startswith(("Run", "Config")))
        for _ in range(100):
            await trio.lowlevel.checkpoint()
        steps.append("web")
        task_status.started()
        await stop.wait()

    parts = Parts(make_actors, run_web, None, lambda: SocketStatistics(0, 1), lambda: Reading(0.0, "listens"))
    config = parse(CONFIG, "banken.yaml", {}, {name: kind.check for name, kind in KINDS.items()})

    with give_up_after(20):
        async with trio.open_nursery() as nursery:
            ready = trio.Event()
            nursery.start_soon(run_daemon, config, open_journal(tmp_path), parts, ready.set)
            await ready.wait()
            await made[0].opened.wait()
            os.kill(os.getpid(), signal.SIGTERM)
    assert steps == ["survivors", "RunStarted", "ConfigurationApplied", "web", "camera"]
