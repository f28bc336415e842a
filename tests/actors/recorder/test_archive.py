"""The actor of an archive: recorders never wait, and each fault is reported once and survived."""

import errno
import os
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actors.recorder import archive as module
from actors.recorder import buffer
from actors.recorder import retainer as retainer_module
from actors.recorder.archive import Archive
from actors.recorder.archive_writer import ArchiveWriter, SealedFile, list_files
from actors.recorder.buffer import Item, RecordingEnd
from actors.recorder.cutter import Cutter
from actors.recorder.disk import Disk
from actors.recorder.index import NAME as INDEX
from actors.recorder.index import Index, IndexedFile, Named, row_of
from actors.recorder.recording_file import About, begin_file
from actors.recorder.retainer import Retainer
from actors.recorder.retention import Keep, RetentionRules
from tests.kit.archive import FailingDisk, fails_at
from tests.kit.patience import give_up_after

from .test_archive_writer import walked
from .test_cutter import RECORDING, START_NS, TICK, units, wall_ns


@attrs.define
class Reports:
    """Remembers what an archive reports, and lets a test wait for it."""

    said: list[str] = attrs.field(factory=list)
    files: list[SealedFile] = attrs.field(factory=list)
    found: list[IndexedFile] = attrs.field(factory=list)
    """Complete files of earlier runs."""
    until: dict[str, int] = attrs.field(factory=dict)
    """The end of the newest file that the journal has sealed."""
    journaled: list[Named] = attrs.field(factory=list)
    _news: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    def _say(self, text: str) -> None:
        self.said.append(text)
        self._news.unpark_all()

    def slow(self) -> None:
        self._say("slow")

    def failed(self, why: str, *, full: bool) -> None:
        self._say(f"failed: {why}{' (full)' if full else ''}")

    def recovered(self, after_s: float) -> None:
        self._say("recovered")

    def sealed(self, file: SealedFile) -> None:
        self.files.append(file)
        self._say("sealed")

    def expired(self, files: Sequence[IndexedFile], code: str) -> None:
        self._say(f"{len(files)} removed: {code}")

    def repaired(self, file: SealedFile) -> None:
        self.files.append(file)
        self._say("repaired")

    def left(self, files: Sequence[IndexedFile]) -> None:
        self.found += files

    def sealed_until(self) -> Mapping[str, int]:
        return self.until

    def take_journaled(self) -> Sequence[Named]:
        taken, self.journaled = self.journaled, []
        return taken

    async def settle(self) -> None:
        pass

    async def wait(self, *texts: str) -> None:
        """Wait until these were said, one directly after the other."""
        while not any(self.said[at : at + len(texts)] == list(texts) for at in range(len(self.said))):
            await self._news.park()


@asynccontextmanager
async def running(
    folder: Path, disk: Disk | None = None, sync_s: float = 0, **others: Any
) -> AsyncIterator[tuple[Archive, Reports]]:
    """An archive that runs; it is stopped when the block ends."""
    reports = Reports()
    reserve = others.pop("reserve", 0)
    writer = ArchiveWriter(folder, "n1", lambda: "a", disk or Disk(), reserve)
    rules = RetentionRules(others.pop("keep", Keep()), others.pop("max_bytes", None))
    retainer = Retainer("recordings", folder, lambda: rules, others.pop("pins", tuple), lambda: START_NS)
    archive = Archive(folder, writer, reports, sync_s, retainer)
    assert not others
    with give_up_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(archive.run)
            yield archive, reports
            nursery.cancel_scope.cancel()


def is_open(path: Path) -> bool:
    """Whether this process has the file open."""
    return str(path) in (os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd"))


async def wait_open(archive: Archive) -> None:
    while archive.fault:
        await trio.lowlevel.checkpoint()


def offer(archive: Archive, count: int, first: int = 0, camera: str = "gate") -> list[bool]:
    """Offer so many access units at once, as one recording; returns what was taken."""
    cutter = Cutter(camera, RECORDING, file_s=4)
    steps = [out for unit in units(count, first) for out in cutter.take(unit, wall_ns(unit))] + [*cutter.end()]
    return [archive.offer_nowait(Item(camera, RECORDING, step)) for step in steps]


async def test_recording_is_written_sealed_and_indexed(tmp_path: Path) -> None:
    """When the archive is stopped, nothing that was offered is lost."""
    folder = tmp_path / "recordings"
    async with running(folder) as (archive, reports):
        await wait_open(archive)
        assert all(offer(archive, 15))
        archive.offer_nowait(Item("gate", RECORDING, RecordingEnd()))
        await reports.wait("sealed")
        assert all(offer(archive, 15, first=20))
    assert reports.said.count("sealed") == len(reports.said) == 2
    assert [walked(folder / path).duration for path in list_files(folder)] == [15 * TICK, 15 * TICK]
    index = Index(folder)
    assert [row.path for row in index.files("gate", 0, 2 * START_NS)] == [*list_files(folder)]
    found = archive.statistics()
    assert (found.buffered, found.waited_s) == (0, 0)
    assert found.written == sum(each.size for file in reports.files for each in file.fragments)
    assert found.latency.count == sum(len(file.fragments) for file in reports.files) == 4
    assert 0 < found.latency.mean_s <= found.latency.max_s
    assert found.disk_s > 0


async def test_fragment_of_a_file_that_a_fault_has_ended_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its recorder may not have noticed the fault, which was short."""
    monkeypatch.setattr(module, "TRY_AGAIN_S", (0.01,))
    disk, folder, broken = FailingDisk(), tmp_path / "recordings", [False]

    def fault(call: str) -> None:
        if broken[0] and call == "write":
            broken[0] = False
            raise OSError(errno.EIO, "once")

    disk.fault = fault
    async with running(folder, disk) as (archive, reports):
        await wait_open(archive)
        cutter = Cutter("gate", RECORDING)
        steps = [out for unit in units(41) for out in cutter.take(unit, wall_ns(unit))]
        for step in steps[:2]:
            assert archive.offer_nowait(Item("gate", RECORDING, step))
        while not archive.statistics().written:
            await trio.lowlevel.checkpoint()
        broken[0] = True
        assert archive.offer_nowait(Item("gate", RECORDING, steps[2]))
        await reports.wait("failed: once", "repaired", "recovered")
        assert not archive.offer_nowait(Item("gate", RECORDING, steps[3]))
    assert [walked(folder / path).duration for path in list_files(folder)] == [10 * TICK]


class Held(Disk):
    """Writes wait until the test lets them go on."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def write(self, descriptor: int, data: bytes) -> None:
        if len(data) > 5000:
            self.go.wait(30)
        super().write(descriptor, data)


async def test_disk_that_stands_still_costs_an_exact_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds of each camera fit, and the pool beyond it; then fragments are refused, and nobody waits."""
    disk, folder = Held(), tmp_path / "recordings"
    async with running(folder, disk) as (archive, reports):
        await wait_open(archive)
        monkeypatch.setattr(module, "SLOW_S", 0.1)
        monkeypatch.setattr(buffer, "POOL", 0)
        assert offer(archive, 100).count(False) == 8
        await reports.wait("slow")
        assert archive.fault == ""
        found = archive.statistics()
        assert found.buffered > 0
        assert found.disk_s >= found.waited_s >= 0.1
        disk.go.set()
        await reports.wait("recovered")
        monkeypatch.setattr(buffer, "POOL", 1024 * 1024)
        disk.go.clear()
        assert all(offer(archive, 100, first=200))
        disk.go.set()
    assert sum(walked(folder / path).duration for path in list_files(folder)) == 120 * TICK


async def test_archive_that_is_stopped_during_a_write_waits_for_it(tmp_path: Path) -> None:
    """The file that the write seals is reported: its digest would be missing in the journal."""
    disk, folder = Held(), tmp_path / "recordings"
    with give_up_after(20):
        async with trio.open_nursery() as nursery:
            reports = Reports()
            archive = Archive(folder, ArchiveWriter(folder, "n1", lambda: "a", disk), reports, 0)
            nursery.start_soon(archive.run)
            await wait_open(archive)
            assert all(offer(archive, 15))
            archive.offer_nowait(Item("gate", RECORDING, RecordingEnd()))
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
            disk.go.set()
    assert (reports.said, archive.statistics().buffered) == (["sealed"], 0)


async def test_disk_that_was_slow_at_a_sync_has_recovered_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing more need be written for that."""
    monkeypatch.setattr(module, "SLOW_S", 0.05)
    disk, go = FailingDisk(), threading.Event()
    go.set()

    def wait(call: str) -> None:
        if call == "sync":
            go.wait(30)

    disk.fault = wait
    async with running(tmp_path / "recordings", disk) as (archive, reports):
        await wait_open(archive)
        go.clear()
        assert all(offer(archive, 15))
        await reports.wait("slow")
        go.set()
        await reports.wait("recovered")


async def test_fault_of_one_camera_costs_no_complete_file_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was sealed in the batch that has failed: it has its row, and its digest is reported."""
    monkeypatch.setattr(module, "TRY_AGAIN_S", (0.01,))
    disk, folder = FailingDisk(), tmp_path / "recordings"
    async with running(folder, disk) as (archive, reports):
        await wait_open(archive)
        assert all(offer(archive, 15))
        while archive.statistics().buffered:
            await trio.lowlevel.checkpoint()
        disk.fault = fails_at(1, "write")
        archive.offer_nowait(Item("gate", RECORDING, RecordingEnd()))
        assert all(offer(archive, 15, camera="yard"))
        await reports.wait("recovered")
        assert [file.camera for file in reports.files] == ["gate"]
    (row,) = Index(folder).files("gate", 0, 2 * START_NS)
    assert row.digest == reports.files[0].digest


@pytest.mark.parametrize("error", [errno.EIO, errno.EROFS, errno.ENOSPC])
async def test_fault_is_reported_once_and_survived(error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files play afterwards; new ones are made when the disk works again."""
    monkeypatch.setattr(module, "TRY_AGAIN_S", (0.01,))
    disk, folder, broken = FailingDisk(), tmp_path / "recordings", [False]

    calls = list[str]()

    def fault(call: str) -> None:
        calls.append(call)
        if broken[0] and call in ("create", "write"):
            raise OSError(error, os.strerror(error))

    disk.fault = fault
    async with running(folder, disk) as (archive, reports):
        await wait_open(archive)
        assert all(offer(archive, 15))
        while not archive.statistics().written or calls[-1] != "sync":  # only what was synced is repaired
            await trio.lowlevel.checkpoint()
        broken[0] = True
        offer(archive, 15, first=20)
        said = f"failed: {os.strerror(error)}{' (full)' if error == errno.ENOSPC else ''}"
        await reports.wait(said)
        assert not any(offer(archive, 15, first=40))
        broken[0] = False
        await reports.wait(said, "repaired", "recovered")
        assert all(offer(archive, 15, first=60))
    assert reports.said[-4:] == [said, "repaired", "recovered", "sealed"]
    assert all(walked(folder / path).is_sealed for path in list_files(folder))


async def test_thread_that_hangs_is_left_and_another_one_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is not touched while it hangs: it may still write. Later it is repaired, and it writes nothing more."""
    monkeypatch.setattr(module, "TRY_AGAIN_S", (0.01,))
    disk, folder, others = Held(), tmp_path / "recordings", {*threading.enumerate()}
    async with running(folder, disk) as (archive, reports):
        await wait_open(archive)
        await wait_compared(archive)
        (thread,) = (each for each in threading.enumerate() if each.name == "archive" and each not in others)
        monkeypatch.setattr(module, "SLOW_S", 0.1)
        monkeypatch.setattr(module, "ABANDON_S", 0.5)
        offer(archive, 35)
        await reports.wait("slow", said := f"failed: {folder}: the disk has not answered for 0.5 s", "recovered")
        (hanging,) = list_files(folder)
        size = (folder / hanging).stat().st_size
        monkeypatch.setattr(module, "ABANDON_S", 30.0)
        monkeypatch.setattr(module, "SLOW_S", 30.0)
        assert archive.statistics().compared == 0
        disk.go.set()
        await reports.wait("repaired")
        assert walked(folder / hanging).duration == 10 * TICK, "the rest of the batch was not written"
        assert (folder / hanging).stat().st_size > size
        await trio.to_thread.run_sync(thread.join)
        assert not is_open(folder / hanging), "its thread has closed its descriptors, and ended"
        assert all(offer(archive, 15, first=40))
    assert reports.said[-5:] == ["slow", said, "recovered", "repaired", "sealed"]
    assert len([*list_files(folder)]) == 2
    assert sum(count for count, _ in Index(folder).sizes().values()) == 2


async def test_fault_at_a_file_does_not_name_its_camera(tmp_path: Path) -> None:
    """Its reason is that of the gaps of all cameras, whose viewers may not know of that one."""
    folder = tmp_path / "recordings"
    async with running(folder) as (archive, reports):
        await wait_open(archive)
        (folder / "gate").write_bytes(b"")
        offer(archive, 15)
        await reports.wait(f"failed: {os.strerror(errno.ENOTDIR)}")


async def test_old_recordings_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row and file, at the start and then once a minute; the newest stay."""
    folder = tmp_path / "recordings"
    async with running(folder) as (archive, _):
        await wait_open(archive)
        for number in range(4):
            assert all(offer(archive, 15, first=number * 20))
            archive.offer_nowait(Item("gate", RECORDING, RecordingEnd()))
            while archive.statistics().buffered:
                await trio.lowlevel.checkpoint()
    assert len([*list_files(folder)]) == 4
    size = (folder / next(list_files(folder))).stat().st_size
    async with running(folder, keep=Keep(1e6, 1e6), max_bytes=2 * size + size // 2) as (archive, reports):
        await reports.wait("2 removed: room")
        assert len([*list_files(folder)]) == 2
    monkeypatch.setattr(module, "RETAIN_S", 0.01)
    async with running(folder, keep=Keep(-20, -20)) as (archive, reports):
        await reports.wait("2 removed: age")
    assert [*list_files(folder)] == []
    assert Index(folder).sizes() == {}


async def test_full_disk_loses_the_oldest_and_records_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reserve stays free."""
    monkeypatch.setattr(module, "TRY_AGAIN_S", (0.01,))
    monkeypatch.setattr(retainer_module, "margin", lambda written, held: 0)
    folder, taken = tmp_path / "recordings", 0

    class Small(Disk):
        def free(self, folder_descriptor: int) -> int:
            return 100_000 - sum(path.stat().st_size for path in folder.rglob("*.mp4"))

    async with running(folder, Small(), reserve=20_000) as (archive, reports):
        for number in range(20):
            await wait_open(archive)
            taken += all(offer(archive, 15, first=number * 20))
            archive.offer_nowait(Item("gate", RECORDING, RecordingEnd()))
            while archive.statistics().buffered and not archive.fault:
                await trio.lowlevel.checkpoint()
        assert any("removed: room" in said for said in reports.said)
        assert taken > 10
    assert 0 < len([*list_files(folder)]) < 20


async def test_fragment_that_comes_after_the_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file is sealed; the archive ends as if it had not come."""
    folder, cutter, taken = tmp_path / "recordings", Cutter("gate", RECORDING), list[bool]()
    steps = [Item("gate", RECORDING, out) for unit in units(41) for out in cutter.take(unit, wall_ns(unit))]
    async with running(folder) as (archive, _):

        async def settle(self: Reports) -> None:
            taken.append(archive.offer_nowait(steps[2]))

        monkeypatch.setattr(Reports, "settle", settle)
        await wait_open(archive)
        assert all(map(archive.offer_nowait, steps[:2]))
    assert taken == [False]
    assert [walked(folder / path).duration for path in list_files(folder)] == [10 * TICK]


async def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """Its parent may be a disk that is not mounted."""
    async with running(tmp_path / "missing" / "recordings") as (archive, reports):
        await reports.wait(f"failed: {tmp_path / 'missing' / 'recordings'}: No such file or directory")
        assert archive.fault


async def record(folder: Path, files: int, until: dict[str, int] | None = None) -> list[SealedFile]:
    """Record so many files of `gate`, 2 s after one another."""
    async with running(folder) as (archive, reports):
        await wait_open(archive)
        for number in range(files):
            assert all(offer(archive, 15, first=number * 20))
            archive.offer_nowait(Item("gate", RECORDING, RecordingEnd()))
            while archive.statistics().buffered:
                await trio.lowlevel.checkpoint()
    return reports.files


async def wait_compared(archive: Archive) -> None:
    while archive.statistics().compared is not None:
        await trio.lowlevel.checkpoint()


async def test_lost_index_is_made_again_while_recording_goes_on(tmp_path: Path) -> None:
    """A file that the journal has sealed is not read as a whole; one that it has not gets its digest.

    All of them are kept as if something was detected: nobody knows any more.
    """
    folder = tmp_path / "recordings"
    made = await record(folder, 6)
    for path in folder.glob(f"{INDEX}*"):
        path.unlink()
    async with running(folder) as (archive, reports):
        reports.until["gate"] = row_of(made[3]).ended_ns
        await wait_open(archive)
        assert archive.statistics().compared == 0
        assert all(offer(archive, 15, first=600))
        await wait_compared(archive)
    rows = Index(folder).files("gate", 0, 2 * START_NS)
    again = [
        attrs.evolve(row_of(file), digest=b"" if number < 4 else file.digest, eventful=True)
        for number, file in enumerate(made)
    ]
    assert rows[:6] == again
    assert len(rows) == 7
    assert not rows[6].eventful
    assert [file.path for file in reports.files] == [rows[4].path, rows[5].path, rows[6].path]
    assert Index(folder).not_journaled(9) == rows[4:]


async def test_rows_and_files_are_compared_at_each_start(tmp_path: Path) -> None:
    """A file that was removed loses its row; one without a row gets it; others stay as they are."""
    folder = tmp_path / "recordings"
    made = await record(folder, 5)
    index = Index(folder)
    index.remove([row_of(made[2])])
    index.close()
    (folder / made[1].path).unlink()
    (folder / "lost+found").mkdir(0)
    odd = folder / "gate/20270115/recording_20270115_235959.mp4"
    odd.write_bytes((folder / made[0].path).read_bytes())
    async with running(folder) as (archive, _):
        await wait_compared(archive)
    expected = [attrs.evolve(row_of(made[number]), eventful=number == 2) for number in (0, 2, 3, 4)]
    assert Index(folder).files("gate", 0, 2 * START_NS) == expected
    assert odd.exists()


@pytest.mark.parametrize("damage", [b"", b"not a database" * 100, "a page"])
async def test_damaged_index_is_made_again_while_recording_goes_on(damage: bytes | str, tmp_path: Path) -> None:
    """Also if the damage is found late: nobody reads a whole index at the start."""
    folder = tmp_path / "recordings"
    made = await record(folder, 60)
    path = folder / INDEX
    if isinstance(damage, str):
        content = path.read_bytes()
        damage = content[:-8192] + bytes(8192)
    path.write_bytes(damage)
    async with running(folder) as (archive, reports):
        reports.until["gate"] = 2 * START_NS
        await wait_open(archive)
        assert all(offer(archive, 15, first=1400))
        await wait_compared(archive)
    assert len(Index(folder).files("gate", 0, 2 * START_NS)) == len(made) + 1


async def test_file_that_cannot_be_read_stays_and_stops_nothing(tmp_path: Path) -> None:
    """Its sectors may be bad; the others are read."""
    folder = tmp_path / "recordings"
    made = await record(folder, 3)
    (folder / INDEX).unlink()

    class Bad(Disk):
        def open_again(self, path: str, descriptor: int) -> int:
            if path == made[1].path:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return super().open_again(path, descriptor)

    async with running(folder, Bad()) as (archive, _):
        await wait_compared(archive)
        assert not archive.fault
    assert [row.path for row in Index(folder).files("gate", 0, 2 * START_NS)] == [made[0].path, made[2].path]
    assert (folder / made[1].path).exists()


async def test_files_that_the_journal_has_not_are_reported_at_the_next_start(tmp_path: Path) -> None:
    """Until their digests are journaled."""
    folder = tmp_path / "recordings"
    made = await record(folder, 3)
    async with running(folder) as (archive, reports):
        await wait_open(archive)
        assert reports.found == [row_of(file) for file in made]
        reports.journaled += made[:2]
        await wait_compared(archive)
    async with running(folder) as (archive, reports):
        await wait_open(archive)
        assert reports.found == [row_of(made[2])]


async def test_archive_that_has_crashed_takes_nothing_until_it_runs_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recorder begins another file then; the one that was left is repaired."""
    folder, reports = tmp_path / "recordings", Reports()
    archive = Archive(folder, ArchiveWriter(folder, "n1", lambda: "a"), reports, 0)
    cutter = Cutter("gate", RECORDING)
    steps = [out for unit in units(41) for out in cutter.take(unit, wall_ns(unit))]

    def bug(*given: object) -> None:
        raise ZeroDivisionError

    with give_up_after(20):
        with pytest.RaisesGroup(ZeroDivisionError):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(archive.run)
                await wait_open(archive)
                for step in steps[:2]:
                    assert archive.offer_nowait(Item("gate", RECORDING, step))
                while not archive.statistics().written:
                    await trio.lowlevel.checkpoint()
                monkeypatch.setattr(ArchiveWriter, "append", bug)
                archive.offer_nowait(Item("gate", RECORDING, steps[2]))
        monkeypatch.undo()
        assert not archive.offer_nowait(Item("gate", RECORDING, steps[3]))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(archive.run)
            await wait_open(archive)
            assert not archive.offer_nowait(Item("gate", RECORDING, steps[3]))
            assert all(offer(archive, 15, first=100))
            nursery.cancel_scope.cancel()
    assert [walked(folder / path).duration for path in list_files(folder)] == [10 * TICK, 15 * TICK]


async def test_files_with_impossible_names_and_contents_stop_nothing(tmp_path: Path) -> None:
    """Somebody may write into the folder; only our own files are in the index, and recording goes on."""
    folder = tmp_path / "recordings"
    made = await record(folder, 2)
    whole = (folder / made[0].path).read_bytes()
    initialization = whole[: made[0].fragments[0].offset]
    at = initialization.rindex(b"uuid") - 4
    other = begin_file(initialization[:at], About("gate", "no id", "h264"))
    for path, content in (
        ("gate/20271399/recording_20271399_080000.mp4", whole),
        ("gate/20271231/recording_20271231_996199.mp4", whole),
        ("gate/20271231/recording_20271231_080000.mp4", whole),
        ("gate/20271231/recording_20271231_090000.mp4", other + whole[len(initialization) :]),
        ("gate/20271231/recording_20271231_100000.mp4", b""),
        ("yard/20270115/recording_20270115_080000.mp4", whole),
    ):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    async with running(folder) as (archive, reports):
        await wait_compared(archive)
        assert all(offer(archive, 15, first=100))
        assert not any("failed" in said for said in reports.said)
    index = Index(folder)
    assert index.files("gate", 0, 2 * START_NS)[:2] == [row_of(file) for file in made]
    assert {camera: count for camera, (count, _) in index.sizes().items()} == {"gate": 3}
