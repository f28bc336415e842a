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
from actors.recorder.index import Index, IndexedFile
from actors.recorder.pre_roll import MOST_BYTES
from actors.recorder.recorder import SILENCE_S, Recorder
from actors.recorder.reports import JournaledReports
from supervisor.config.config import ARCHIVE, RecordSettings
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.ids import DetectionId, LeaseId, RecordingId
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

    def detect(self, label: str = "person", late_s: float = 0.0) -> None:
        """A detection is reported, `late_s` after it was seen."""
        kernel = self.core.kernel
        at_ns, name = kernel.clock.wall_ns() - int(late_s * 1e9), kernel.new_id()
        kernel.emit(c.ReportDetection(DetectionId(name), LeaseId(name), GATE, at_ns, label, 0.9, "test"))

    def rows(self) -> list[IndexedFile]:
        """The files in the index; after the end of the recording."""
        return Index(self.folder).files(GATE, 0, 2**62)

    def video(self) -> list[int]:
        """The access units in each file."""
        return [round(walked(self.folder / path).duration / TICK) for path in list_files(self.folder)]


def ended_ns(place: FragmentPlace) -> int:
    return place.wall_ns + place.duration * 10**9 // CLOCK_RATE


def between(footage: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The gaps between files."""
    return [(before[1], after[0]) for before, after in itertools.pairwise(footage)]


@asynccontextmanager
async def recording(
    folder: Path,
    clock: MockClock,
    disk: Disk | None = None,
    mode: RecordMode = RecordMode.ALWAYS,
    rules: RecordSettings = RecordSettings(before_s=2.0, after_s=3.0),  # noqa: B008
) -> AsyncIterator[Site]:
    """A camera that is recorded into `folder`, until the block ends; then the files are sealed."""
    async with open_core() as core:
        kernel, hub = core.kernel, Hub(core.kernel.clock)
        writer = ArchiveWriter(folder, kernel.node, kernel.new_id, disk or Disk())
        reports = JournaledReports(ARCHIVE, kernel)
        archive = Archive(folder, writer, reports, 0)
        site = Site(core, clock, hub, archive, folder)
        site.configure(mode)
        async with trio.open_nursery() as archives:
            archives.start_soon(archive.run)
            while archive.fault:
                await trio.lowlevel.checkpoint()
            async with trio.open_nursery() as recorders:
                recorders.start_soon(Recorder(GATE, hub, archive, reports, kernel, lambda: rules).run)
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
        assert [*site.core.kernel.state.alerts] == [f"archive/{ARCHIVE}"], "a person has to look at the disk"
        broken[0] = False
        mock_clock.jump(10)
        while site.archive.fault:
            await trio.lowlevel.checkpoint()
        assert not site.core.kernel.state.alerts
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


async def test_person_starts_and_stops_it(tmp_path: Path, mock_clock: MockClock) -> None:
    """From the newest key frame on; the request and its end are the causes, and nobody else's video is kept."""
    async with recording(tmp_path / "recordings", mock_clock, mode=RecordMode.DEMAND) as site:
        await site.send(25)
        assert await site.gaps() == []
        site.core.kernel.emit(c.RequestRecording(GATE, None, "kim"))
        await site.send(20)
        site.core.kernel.emit(c.WithdrawRecording(GATE, "kim"))
        await site.send(30)
        assert await site.gaps() == [
            ("RecordingStarted", "", "RecordingRequested"),
            ("RecordingStopped", "unrequested", "RecordingRequestEnded"),
        ]
    assert len(site.video()) == 1
    assert 25 <= site.video()[0] <= 35


async def test_access_unit_is_never_recorded_twice(tmp_path: Path, mock_clock: MockClock) -> None:
    """A person who starts again at once gets what follows, and not the cached GOP once more."""
    async with recording(tmp_path / "recordings", mock_clock, mode=RecordMode.DEMAND) as site:
        site.core.kernel.emit(c.RequestRecording(GATE, None, "kim"))
        await site.send(35)
        site.core.kernel.emit(c.WithdrawRecording(GATE, "kim"))
        mock_clock.jump(SILENCE_S)
        await wait_all_tasks_blocked()
        site.core.kernel.emit(c.RequestRecording(GATE, None, "kim"))
        await site.send(45)
    rows = site.rows()
    assert len(rows) == 2
    assert rows[0].ended_ns <= rows[1].began_ns


async def test_detection_is_recorded_from_before_it_until_after_it(tmp_path: Path, mock_clock: MockClock) -> None:
    """It begins with a key frame, at most `before` and a GOP ahead; it ends at the first key frame after `after`."""
    async with recording(tmp_path / "recordings", mock_clock, mode=RecordMode.EVENTS) as site:
        await site.send(45)
        assert await site.gaps() == []
        site.detect()
        at_ns = site.core.kernel.clock.wall_ns()
        await site.send(60)
        assert await site.gaps() == [
            ("RecordingStarted", "", "DetectionMade"),
            ("RecordingStopped", "quiet", "DetectionMade"),
        ]
        started = next(row.event for row in await site.core.stored() if isinstance(row.event, e.RecordingStarted))
        assert started.mode is RecordMode.EVENTS
    assert site.video() == [60]
    (row,) = site.rows()
    assert 2.0 <= (at_ns - row.began_ns) / 1e9 <= 4.0
    assert row.eventful


@pytest.mark.parametrize("sent", range(42, 62, 3))
async def test_pre_roll_is_as_long_at_any_time(tmp_path: Path, mock_clock: MockClock, sent: int) -> None:
    """Wherever in a GOP and in a batch the detection comes: `before`, and at most a GOP more."""
    async with recording(tmp_path / "recordings", mock_clock, mode=RecordMode.EVENTS) as site:
        await site.send(sent)
        at_ns = site.core.kernel.clock.wall_ns()
        site.detect()
        await site.send(70)
    assert 1.999 <= (at_ns - site.rows()[0].began_ns) / 1e9 <= 4.001


async def test_detections_in_a_row_are_one_recording(tmp_path: Path, mock_clock: MockClock) -> None:
    """It goes on until `after` of the last one, which is the cause of its end."""
    async with recording(tmp_path / "recordings", mock_clock, mode=RecordMode.EVENTS) as site:
        await site.send(45)
        for _ in range(3):
            site.detect()
            await site.send(25)
        await site.send(40)
        gaps = [row for row in await site.core.stored() if isinstance(row.event, e.RecordingEvent)]
        detections = [row.seq for row in await site.core.stored() if isinstance(row.event, e.DetectionMade)]
        assert [row.cause for row in gaps if not isinstance(row.event, e.RecordingSealed)] == [
            detections[0],
            detections[-1],
        ]
    assert site.video() == [120]


async def test_only_new_detections_with_a_wanted_label_count(tmp_path: Path, mock_clock: MockClock) -> None:
    """Others are in the journal, and nothing is recorded for them."""
    rules = RecordSettings(before_s=2.0, after_s=3.0, labels=("person",))
    async with recording(tmp_path / "recordings", mock_clock, mode=RecordMode.EVENTS, rules=rules) as site:
        await site.send(25)
        site.detect("cat")
        site.detect(late_s=15.0)
        await site.send(25)
        assert await site.gaps() == []
        site.detect("person")
        site.detect("cat")
        await site.send(25)
        assert [kind for kind, _, _ in await site.gaps()] == ["RecordingStarted"]


async def test_events_without_a_gap_between_them_lose_nothing(tmp_path: Path, mock_clock: MockClock) -> None:
    """The pre-roll of the second begins where the first recording ended."""
    async with recording(tmp_path / "recordings", mock_clock, mode=RecordMode.EVENTS) as site:
        await site.send(25)
        site.detect()
        await site.send(45)
        site.detect()
        await site.send(45)
        assert [kind for kind, _, _ in await site.gaps()] == ["RecordingStarted", "RecordingStopped"] * 2
    first, second = site.rows()
    assert abs(second.began_ns - first.ended_ns) < 10**6


async def test_pre_roll_that_is_too_large_begins_with_the_cached_gop(
    tmp_path: Path, mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory is bounded, and a recording begins all the same."""
    assert MOST_BYTES == 4 * 1024 * 1024
    monkeypatch.setattr("actors.recorder.pre_roll.MOST_BYTES", 1)
    async with recording(tmp_path / "recordings", mock_clock, mode=RecordMode.EVENTS) as site:
        await site.send(45)
        site.detect()
        await site.send(60)
    assert site.video() == [40]


async def test_private_camera_leaves_no_pre_roll(tmp_path: Path, mock_clock: MockClock) -> None:
    """A detection after the private time records nothing from before it."""
    async with recording(tmp_path / "recordings", mock_clock, mode=RecordMode.EVENTS) as site:
        await site.send(45)
        site.core.kernel.emit(c.SetPrivacy(GATE, True, "kim"))
        await site.lose()
        site.core.kernel.emit(c.SetPrivacy(GATE, False, "kim"))
        site.detect()
        await site.connect()
        await site.send(45)
    assert all(row.began_ns > site.core.kernel.clock.wall_ns() - 10 * 10**9 for row in site.rows())
    assert sum(site.video()) <= 45


async def test_files_that_overlap_a_detection_are_eventful(tmp_path: Path, mock_clock: MockClock) -> None:
    """Those that are sealed, and the one that grows; none besides them."""
    async with recording(tmp_path / "recordings", mock_clock) as site:
        for lost in range(4):
            await site.send(45)
            if lost >= 2:
                site.detect(late_s=8.0 if lost == 2 else 0.0)
            await site.lose()
            await site.connect()
    assert [row.eventful for row in site.rows()] == [False, True, False, True]


async def test_recording_of_an_event_that_was_cut_off_is_stopped(tmp_path: Path, mock_clock: MockClock) -> None:
    """A run that died while it recorded an event leaves no recording that should go on."""
    async with recording(tmp_path / "recordings", mock_clock, mode=RecordMode.DEMAND) as site:
        kernel = site.core.kernel
        kernel.emit(c.BeginRecording(GATE, RecordingId("0" * 16), RecordMode.EVENTS))
        kernel.emit(c.InterruptRecording(GATE, Reason("abandoned", "an earlier run was cut off")))
        other = Recorder(GATE, site.hub, site.archive, JournaledReports(ARCHIVE, kernel), kernel)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(other.run)
            await wait_all_tasks_blocked()
            assert GATE not in kernel.state.recordings
            nursery.cancel_scope.cancel()
