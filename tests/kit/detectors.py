"""Detectors over cameras that are only hubs: real programs and services, and pictures that nobody decodes."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import trio

from actors.detectors.crew import DetectorCrew
from actors.media.hub import Hub, Still
from actors.media.media import CLOCK_RATE
from supervisor.config.config import Detector
from supervisor.domain.errors import Refusal, Rejected
from supervisor.domain.events import DetectionMade, Recorded
from supervisor.domain.ids import CameraId
from supervisor.ports.statistics import DetectorStatistics
from supervisor.ports.viewing import Jpeg
from supervisor.runtime.vault import Vault
from supervisor.services.detections import Detections

from .core import Core, configure, open_core
from .decoding import FakeDecoder
from .domain import GATE, YARD
from .media import access_units
from .patience import give_up_after
from .processes import wait_until
from .tools import make_tools

HEAD = """
import json, os, signal, struct, sys, time
def picture():
    line = sys.stdin.buffer.readline()
    if not line:
        sys.exit(0)
    size, = struct.unpack("!I", sys.stdin.buffer.read(4))
    return json.loads(line), sys.stdin.buffer.read(size)
def say(head, label="person", score=0.9, **more):
    print(json.dumps({"camera": head["camera"], "at": head["at"], "label": label, "score": score, **more}), flush=True)
"""
"""The beginning of programs in tests: they read pictures, and print detections."""


def jpeg(width: int = 320, height: int = 180, size: int = 1000) -> bytes:
    """Bytes that begin as a JPEG of this size."""
    frame = b"\xff\xc0\x00\x11\x08" + height.to_bytes(2) + width.to_bytes(2)
    return (b"\xff\xd8" + frame).ljust(size, b"\0")


def program(code: str, name: str = "yolo", **more: object) -> Detector:
    """A detector that runs this code of Python."""
    arguments = (sys.executable, "-S", "-c", HEAD + code)
    return Detector(name, "command", arguments=arguments, **{"fps": 10.0, **more})  # type: ignore[arg-type]


@attrs.define(eq=False)
class FakeCamera:
    """As much of a camera as a detector sees."""

    name: CameraId
    hub: Hub
    pts: int = 0

    def publish(self) -> None:
        """A new key frame."""
        self.pts += 2 * CLOCK_RATE
        self.hub.publish(access_units()[0], self.pts)


@attrs.define
class FakeSnapshots:
    """Each key frame is the same JPEG."""

    jpeg: bytes = attrs.field(factory=jpeg)
    failing: bool = False
    made: int = 0

    async def jpeg_of(self, camera: object, still: Still) -> Jpeg:
        await trio.lowlevel.checkpoint()
        self.made += 1
        if self.failing:
            raise Rejected(Refusal.UNAVAILABLE, "it cannot be decoded")
        return Jpeg(self.jpeg, still.wall_ns, 0.0)


@attrs.frozen
class Detecting:
    core: Core
    crew: DetectorCrew
    vault: Vault
    detections: Detections
    cameras: dict[CameraId, FakeCamera]
    snapshots: FakeSnapshots
    decoder: FakeDecoder

    def take(self, *detectors: Detector) -> None:
        """A reload with these detectors."""
        self.vault.take_detectors({each.name: each for each in detectors})
        self.core.kernel.emit(configure(*self.cameras))

    def events(self) -> list[Recorded]:
        return self.core.disk.rows

    def made(self) -> list[DetectionMade]:
        return [row.event for row in self.core.disk.rows if isinstance(row.event, DetectionMade)]

    def of(self, name: str = "yolo") -> DetectorStatistics:
        return next(each for each in self.crew.statistics() if each.name == name)

    def alert(self, name: str = "yolo") -> str:
        """The text of the detector's alert; empty without one."""
        known = self.core.kernel.state.alerts.get(f"detector/{name}")
        return known.text if known else ""

    async def wait_made(self, count: int = 1) -> list[DetectionMade]:
        """Publish key frames until there are so many detections."""

        def enough() -> list[DetectionMade] | None:
            for camera in self.cameras.values():
                camera.publish()
            return self.made() if len(self.made()) >= count else None

        return await wait_until(enough, 30, what=f"{count} detections")

    async def wait_alert(self, name: str = "yolo") -> str:
        """Publish key frames until the detector has an alert. Returns its text."""

        def text() -> str:
            for camera in self.cameras.values():
                camera.publish()
            return self.alert(name)

        return await wait_until(text, 30, what="an alert")


@asynccontextmanager
async def open_detectors(*detectors: Detector, within_s: float = 90, **others: object) -> AsyncIterator[Detecting]:
    """Run these detectors over two live cameras, `gate` and `yard`, until the block ends."""
    async with open_core(GATE, YARD) as core:
        vault, detections, snapshots, decoder = Vault(), Detections(core.kernel), FakeSnapshots(), FakeDecoder()
        vault.take_detectors({each.name: each for each in detectors})
        usual = {"jitter": lambda: 0.01, "sources": vault, "detections": detections}
        tools = make_tools(core.kernel, core.nursery, **{**usual, **others})
        cameras = {name: FakeCamera(name, Hub(core.kernel.clock)) for name in (GATE, YARD)}
        for camera in cameras.values():
            camera.hub.begin()
        crew = DetectorCrew(cameras, snapshots, decoder, tools)  # type: ignore[arg-type]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(crew.run)
            with give_up_after(within_s):
                while len(crew.statistics()) < len(detectors):
                    await trio.lowlevel.checkpoint()
                yield Detecting(core, crew, vault, detections, cameras, snapshots, decoder)
            nursery.cancel_scope.cancel()


def line(camera: str = GATE, at: str = "2026-11-30T12:00:00.000Z", **more: object) -> bytes:
    """A line as a detector prints it."""
    return json.dumps({"camera": camera, "at": at, "label": "person", "score": 0.9, **more}).encode()
