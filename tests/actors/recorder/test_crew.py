"""The archives of a daemon: each camera is recorded into the one that it names."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio
from msgspec.structs import replace
from trio.testing import wait_all_tasks_blocked

from actors.media.hub import Hub
from actors.media.media import CLOCK_RATE
from actors.recorder.archive_writer import ArchiveWriter, SealedFile, list_files, path_of
from actors.recorder.crew import KeptArchive, RecorderCrew
from actors.recorder.footage import open_archives
from actors.recorder.index import Index
from actors.recorder.retention import DAY_NS, DAY_S
from supervisor.base.clock import SystemClock
from supervisor.config.config import ARCHIVE, ArchiveSettings, RecordSettings, Source
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.ids import CameraId
from supervisor.domain.values import Limits, RecordMode
from supervisor.ports.decisions import Origin
from supervisor.runtime.vault import Vault
from tests.kit.core import Core, open_core
from tests.kit.domain import GATE, PICTURE, YARD, settings
from tests.kit.media import access_units
from tests.kit.patience import give_up_after
from tests.kit.tools import make_tools

from .test_cutter import TICK

OLD = CameraId("removed")
SMALL = RecordSettings(90 * DAY_S, 90 * DAY_S, max_bytes=1500)
SHORT = RecordSettings(DAY_S, 3 * DAY_S)


@attrs.define(slots=False)
class Moving(Vault):
    """Has one camera, whose archive changes."""

    archive: str = ARCHIVE

    def find(self, camera: CameraId) -> Source | None:
        return Source("test", "test", recording=RecordSettings(archive=self.archive))


@attrs.define
class Site:
    """A camera that is recorded, and that can be moved to another archive."""

    core: Core
    crew: RecorderCrew
    hub: Hub
    sources: Moving
    sent: int = 0

    async def send(self, archive: str, count: int) -> None:
        """Publish access units, and wait until some are written to this archive."""
        while archive not in (found := self.crew.statistics()) or found[archive].fault:
            await trio.lowlevel.checkpoint()
        await wait_all_tasks_blocked()
        before = self.written(archive)
        for _ in range(count):
            self.hub.publish(access_units()[self.sent % 40], self.sent * TICK)
            self.sent += 1
            await wait_all_tasks_blocked()
        while self.written(archive) == before:
            await trio.lowlevel.checkpoint()

    def written(self, archive: str) -> int:
        found = self.crew.statistics().get(archive)
        return 0 if found is None else found.written

    async def move(self, archive: str) -> None:
        self.sources.archive = archive
        while GATE in self.core.kernel.state.recordings:
            self.core.kernel.wake()
            await trio.lowlevel.checkpoint()


@asynccontextmanager
async def recording(folder: Path, archive: str) -> AsyncIterator[Site]:
    """A camera that is recorded into one of three archives."""
    archives = {name: ArchiveSettings(folder / name, 1.0, 0, 1e9, 1e9, None) for name in (ARCHIVE, "cold", "other")}
    async with open_core() as core:
        core.kernel.clock = SystemClock()  # an archive asks it in its thread
        core.kernel.emit(c.Configure("test", (replace(settings(GATE), record=RecordMode.ALWAYS),), Limits()))
        with give_up_after(30):
            async with trio.open_nursery() as nursery:
                sources, hub = Moving(archive=archive), Hub(core.kernel.clock)
                crew = RecorderCrew(archives, make_tools(core.kernel, nursery, sources=sources))
                nursery.start_soon(crew.run)
                async with trio.open_nursery() as recorders:
                    recorders.start_soon(crew.record, GATE, hub)
                    core.kernel.emit(c.ConnectCamera(GATE))
                    core.kernel.emit(c.ReportLive(GATE, PICTURE))
                    hub.begin()
                    yield Site(core, crew, hub, sources)
                    recorders.cancel_scope.cancel()
                nursery.cancel_scope.cancel()


async def test_camera_is_recorded_into_its_archive_and_moves_to_another(tmp_path: Path) -> None:
    """Its files stay where they are, the journal says so, and they are footage of one camera."""
    async with recording(tmp_path, "cold") as site:
        await site.send("cold", 15)
        assert not (tmp_path / ARCHIVE).exists(), "nothing is recorded there"
        await site.move(ARCHIVE)
        await site.send(ARCHIVE, 25)
        assert {name: each.fault for name, each in site.crew.statistics().items()} == {"cold": "", ARCHIVE: ""}
        events = [row.event for row in await site.core.stored()]
        assert [event.reason.code for event in events if isinstance(event, e.RecordingStopped)] == ["moved"]
        assert sum(isinstance(event, e.RecordingStarted) for event in events) == 2
    folders = [tmp_path / ARCHIVE, tmp_path / "other", tmp_path / "cold"]
    assert [len([*list_files(folder)]) for folder in (folders[0], folders[2])] == [1, 1]
    footage = open_archives(folders)
    try:
        files = [*footage.files(GATE, 0, 2**62)]
        assert [file.recording for file in files] == [each.recording for each in footage.stretches(GATE, 0, 2**62)]
        assert all(footage.read(file.path) == file for file in files)
        assert footage.cameras() == [GATE]
    finally:
        footage.close()


async def test_archive_that_no_camera_names_any_more_is_kept(tmp_path: Path) -> None:
    """Its old recordings expire like others. One that was never used is not made."""
    async with recording(tmp_path, "cold") as site:
        await site.send("cold", 15)
    async with recording(tmp_path, ARCHIVE) as site:
        while set(site.crew.statistics()) != {"cold", ARCHIVE} or site.crew.statistics()["cold"].fault:
            await trio.lowlevel.checkpoint()
        await site.send(ARCHIVE, 15)
    assert not (tmp_path / "other").exists()


def put(folder: Path, index: Index, camera: str, began_ns: int, *, eventful: bool = False) -> str:
    path = path_of(camera, began_ns, 1)
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(bytes(1000))
    index.add([SealedFile(camera, "0" * 16, path, began_ns, 60 * CLOCK_RATE, 1000, bytes(32), ())])
    if eventful:
        index.mark_eventful(camera, began_ns, began_ns + 1)
    return path


async def test_cameras_have_their_own_rules_and_pins_hold(tmp_path: Path) -> None:
    """A removed camera has the common ones. A pin of the state is known to the next decision, and so is its release."""
    folder = tmp_path / "recordings"
    async with open_core() as core, trio.open_nursery() as nursery:
        kernel, vault = core.kernel, Vault()
        cameras = (settings(GATE), settings(YARD))
        kernel.emit(replace(c.Configure("test", (), kernel.state.limits), cameras=cameras))
        sources = {GATE: Source("rtsp", "rtsp://h", recording=SMALL), YARD: Source("rtsp", "rtsp://i", recording=SHORT)}
        vault.take(sources, cameras)
        common = ArchiveSettings(folder, 10.0, 0, 14 * DAY_S, 30 * DAY_S, None)
        kept_in = KeptArchive(ARCHIVE, common, make_tools(kernel, nursery, sources=vault))
        writer = ArchiveWriter(folder, "n1", lambda: "a")
        writer.open()
        index, now_ns = Index(folder), kernel.clock.wall_ns()
        days = {name: now_ns - int(name * DAY_NS) for name in (0.1, 2, 4, 10, 16, 40)}
        displaced = put(folder, index, GATE, days[40])
        aged = [put(folder, index, YARD, days[2]), put(folder, index, YARD, days[4], eventful=True)]
        aged += [put(folder, index, OLD, days[16]), put(folder, index, OLD, days[40], eventful=True)]
        kept = [put(folder, index, GATE, days[10]), put(folder, index, YARD, days[0.1])]
        kept += [put(folder, index, YARD, days[2] + 3600 * 10**9, eventful=True), put(folder, index, OLD, days[10])]
        kept += [put(folder, index, OLD, days[16] + 3600 * 10**9, eventful=True)]
        kernel.emit(c.PinStretch("all", 0, now_ns, (GATE, YARD, OLD), 0, "", "local"), origin=Origin("local"))
        assert [*kept_in.retainer.turn(writer, index)] == []
        assert kept_in.retainer.room is not None and kept_in.retainer.room.pinned_bytes == 10 * 1000
        kernel.emit(c.ReleaseStretch("all", "local"), origin=Origin("local"))
        gone = [(row.path, code) for row, code in kept_in.retainer.turn(writer, index)]
        assert {path for path, code in gone if code == "age"} == set(aged)
        assert [path for path, code in gone if code == "room"] == [displaced]
        assert sorted(str(path.relative_to(folder)) for path in folder.glob("*/*/*.mp4")) == sorted(kept)
        index.close()
        writer.close()
        nursery.cancel_scope.cancel()
