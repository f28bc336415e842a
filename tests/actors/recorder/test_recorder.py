"""The recorder of a camera: what the hub gets is in files, and each gap has its reason and its cause."""

import errno
import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.media.hub import Hub
from actors.media.jpeg import JPEG
from actors.media.media import CLOCK_RATE
from actors.recorder.archive import Archive
from actors.recorder.archive_writer import ArchiveWriter, list_files
from actors.recorder.disk import Disk
from actors.recorder.fragment import FragmentPlace
from actors.recorder.recorder import ARCHIVE, SILENCE_S, Recorder
from actors.recorder.reports import JournaledReports
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.values import Fault, Limits, Reason, RecordMode
from tests.kit.archive import FailingDisk
from tests.kit.core import Core, open_core
from tests.kit.domain import GATE, PICTURE, settings
from tests.kit.media import FPS, access_units, jpegs

from .test_archive_writer import walked

TICK = CLOCK_RATE // FPS
LOST = Reason("unreachable", "connection refused", Fault.TEMPORARY)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is moved while the thread works, which is no slow disk."""
    monkeypatch.setattr("actors.recorder.archive.SLOW_S", 1e6)
    monkeypatch.setattr("actors.recorder.archive.ABANDON_S", 1e9)


@attrs.define
class Site:
    core: Core
    clock: MockClock
    hub: Hub
    archive: Archive
    folder: Path
    sent: int = 0
    """Access units since the connection began."""

    async def gaps(self) -> list[tuple[str, str, str]]:
        """The events of the recording: type, reason, and the type of the cause."""
        rows = {row.seq: row for row in await self.core.stored()}
        found = []
        for row in rows.values():
            if isinstance(row.event, e.RecordingEvent) and not isinstance(row.event, e.RecordingSealed):
                code = getattr(row.event, "reason", Reason("", "")).code
                found.append((row.type, code, rows[row.cause].type if row.cause else ""))
        return found

    async def send(self, count: int) -> None:
        """Publish access units, a tenth of a second after one another, and wait until they are written."""
        for _ in range(count):
            self.hub.publish(access_units()[self.sent % 40], self.sent * TICK)
            self.sent += 1
            await wait_all_tasks_blocked()
            await self.written()
            self.clock.jump(1 / FPS)

    async def written(self) -> None:
        while not self.archive.is_synced and not self.archive.fault:
            await trio.lowlevel.checkpoint()

    async def connect(self) -> None:
        self.core.kernel.emit(c.ConnectCamera(GATE))
        self.core.kernel.emit(c.ReportLive(GATE, PICTURE))
        self.hub.begin()
        self.sent = 0
        await wait_all_tasks_blocked()

    async def lose(self) -> None:
        """The camera is lost; the recorder looks at it after a second."""
        self.core.kernel.emit(c.ReportLoss(GATE, LOST, 0.5))
        self.hub.rest()
        self.clock.jump(SILENCE_S)
        await wait_all_tasks_blocked()

    def footage(self) -> list[tuple[int, int]]:
        """When the video of each file begins and ends."""
        found = [walked(self.folder / path).fragments for path in list_files(self.folder)]
        return [(each[0].place.wall_ns, ended_ns(each[-1].place)) for each in found]

    async def told(self) -> list[tuple[int, int]]:
        """The gaps of the journal: when each begins and ends."""
        events = [row.event for row in await self.core.stored()]
        return [(each.last_ns, each.began_ns) for each in events if isinstance(each, e.RecordingResumed)]

    async def lasts(self) -> list[int]:
        """The same beginnings as they were known when each gap began."""
        events = [row.event for row in await self.core.stored()]
        return [each.last_ns for each in events if isinstance(each, e.RecordingInterrupted)]

    def configure(self, mode: RecordMode) -> None:
        self.core.kernel.emit(c.Configure("test", (replace(settings(GATE), record=mode),), Limits()))

    def video(self) -> list[int]:
        """The access units in each file."""
        return [round(walked(self.folder / path).duration / TICK) for path in list_files(self.folder)]


def ended_ns(place: FragmentPlace) -> int:
    return place.wall_ns + place.duration * 10**9 // CLOCK_RATE


def between(footage: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The gaps between files."""
    return [(before[1], after[0]) for before, after in itertools.pairwise(footage)]


@asynccontextmanager
async def recording(folder: Path, clock: MockClock, disk: Disk | None = None) -> AsyncIterator[Site]:
    """A camera that is recorded into `folder`, until the block ends; then the files are sealed."""
    async with open_core() as core:
        kernel, hub = core.kernel, Hub(core.kernel.clock)
        writer = ArchiveWriter(folder, kernel.node, kernel.new_id, disk or Disk())
        reports = JournaledReports(ARCHIVE, kernel)
        archive = Archive(folder, writer, reports, 0)
        site = Site(core, clock, hub, archive, folder)
        site.configure(RecordMode.ALWAYS)
        async with trio.open_nursery() as archives:
            archives.start_soon(archive.run)
            while archive.fault:
                await trio.lowlevel.checkpoint()
            async with trio.open_nursery() as recorders:
                recorders.start_soon(Recorder(GATE, hub, archive, reports, kernel).run)
                await site.connect()
                yield site
                recorders.cancel_scope.cancel()
            archives.cancel_scope.cancel()


async def test_camera_is_recorded_until_the_end(tmp_path: Path, mock_clock: MockClock) -> None:
    """From its first key frame to its last access unit."""
    async with recording(tmp_path / "recordings", mock_clock) as site:
        await site.send(45)
        assert await site.gaps() == [("RecordingStarted", "", "CameraLive")]
    assert site.video() == [45]


async def test_lost_camera_is_a_gap_with_its_cause(tmp_path: Path, mock_clock: MockClock) -> None:
    """The file ends with the last access unit before it; the next stretch begins with a key frame."""
    async with recording(tmp_path / "recordings", mock_clock) as site:
        await site.send(15)
        await site.lose()
        await site.connect()
        await site.send(25)
        assert await site.gaps() == [
            ("RecordingStarted", "", "CameraLive"),
            ("RecordingInterrupted", "camera-lost", "CameraWaiting"),
            ("RecordingResumed", "", "CameraLive"),
        ]
        told = await site.told()
    assert site.video() == [15, 25]
    assert told == between(site.footage())


async def test_new_connection_is_a_gap(tmp_path: Path, mock_clock: MockClock) -> None:
    """Two connections are never in one recording: their clocks differ."""
    async with recording(tmp_path / "recordings", mock_clock) as site:
        await site.send(15)
        site.hub.begin()
        site.sent = 0
        await site.send(20)
        assert [code for _, code, _ in await site.gaps()] == ["", "camera-lost", ""]
    assert site.video() == [15, 20]


async def test_clock_that_was_set_begins_a_recording(tmp_path: Path, mock_clock: MockClock) -> None:
    """A recording's time never leaps."""
    async with recording(tmp_path / "recordings", mock_clock) as site:
        await site.send(20)
        mock_clock.jump(3)
        await site.send(20)
        assert [code for _, code, _ in await site.gaps()] == ["", "clock", ""]


async def test_disk_that_fails_is_a_gap_with_its_cause(tmp_path: Path, mock_clock: MockClock) -> None:
    """Recording goes on when the disk works again."""
    disk, broken = FailingDisk(), [False]

    def fault(call: str) -> None:
        if broken[0] and call in ("write", "create"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    disk.fault = fault
    async with recording(tmp_path / "recordings", mock_clock, disk) as site:
        await site.send(15)
        broken[0] = True
        await site.send(25)
        while not site.archive.fault:
            await trio.lowlevel.checkpoint()
        broken[0] = False
        mock_clock.jump(10)
        while site.archive.fault:
            await trio.lowlevel.checkpoint()
        await site.send(40)
        assert [each for each in await site.gaps() if each[0] != "RecordingRepaired"] == [
            ("RecordingStarted", "", "CameraLive"),
            ("RecordingInterrupted", "disk-failed", "ArchiveFailed"),
            ("RecordingResumed", "", "ArchiveRecovered"),
        ]
        told, first = await site.told(), await site.lasts()
    assert told == between(site.footage())
    assert first == [told[0][0]], "it was known before the repair"


async def test_short_fault_of_the_disk_has_its_reason(
    tmp_path: Path, mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the archive works again before the recorder offers the next fragment; what was not synced is lost."""
    monkeypatch.setattr("actors.recorder.archive.TRY_AGAIN_S", (0.05,))
    disk, broken = FailingDisk(), [False]

    def fault(call: str) -> None:
        if broken[0] and call == "write":
            broken[0] = False
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    disk.fault = fault
    async with recording(tmp_path / "recordings", mock_clock, disk) as site:
        await site.send(15)
        broken[0] = True
        for _ in range(45):
            await site.send(1)
            while site.archive.fault:
                await trio.lowlevel.checkpoint()
        assert [each for each in await site.gaps() if each[0] != "RecordingRepaired"] == [
            ("RecordingStarted", "", "CameraLive"),
            ("RecordingInterrupted", "disk-failed", "ArchiveRecovered"),
            ("RecordingResumed", "", "ArchiveRecovered"),
        ]
        told = await site.told()
    assert told == between(site.footage())


async def test_codec_that_is_not_recorded_is_a_gap(tmp_path: Path, mock_clock: MockClock) -> None:
    """Recording goes on when the camera returns to one that is."""
    async with recording(tmp_path / "recordings", mock_clock) as site:
        await site.send(15)
        for number in range(30):
            site.hub.publish([jpegs()[0]], (site.sent + number) * TICK, JPEG)
            await wait_all_tasks_blocked()
            mock_clock.jump(1 / FPS)
        site.sent = 60
        await site.send(20)
        assert [code for _, code, _ in await site.gaps()] == ["", "codec", ""]
        told = await site.told()
    assert site.video() == [15, 20]
    assert told == between(site.footage())


async def test_settings_start_and_stop_it(tmp_path: Path, mock_clock: MockClock) -> None:
    """Without a restart."""
    async with recording(tmp_path / "recordings", mock_clock) as site:
        await site.send(15)
        site.configure(RecordMode.OFF)
        await site.send(10)
        site.configure(RecordMode.ALWAYS)
        await site.send(15)
        found = await site.gaps()
        assert [kind for kind, _, _ in found] == ["RecordingStarted", "RecordingStopped", "RecordingStarted"]
        assert found[1][2] == "CameraChanged"
