"""The reports of an archive: each complete file is sealed in the journal once, whatever ends the daemon."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest
import trio

from actors.recorder import reports as module
from actors.recorder.archive import Archive
from actors.recorder.archive_writer import ArchiveWriter, list_files
from actors.recorder.buffer import Item, RecordingEnd
from actors.recorder.index import Index
from actors.recorder.reports import CompleteFile, JournaledReports, of_recordings
from supervisor.domain import events as e
from tests.kit.core import Core, open_core
from tests.kit.patience import give_up_after

from .test_archive import offer, wait_compared, wait_open
from .test_cutter import RECORDING
from .test_index import file


class KilledReports(JournaledReports):
    """Those of a daemon that is killed: nothing is settled at the end. `marks`: whether the index learns of seals."""

    marks = True

    async def settle(self) -> None:
        pass

    def take_journaled(self) -> Sequence[CompleteFile]:
        return super().take_journaled() if self.marks else ()


@attrs.define
class Run:
    """An archive with its reports."""

    core: Core
    archive: Archive
    reports: JournaledReports

    async def record(self, first: int) -> None:
        assert all(offer(self.archive, 15, first=first))
        self.archive.offer_nowait(Item("gate", RECORDING, RecordingEnd()))
        while self.archive.statistics().buffered:
            await trio.lowlevel.checkpoint()

    async def digests(self) -> list[str]:
        """All that the journal has, in its order."""
        events = [row.event for row in await self.core.stored()]
        return [digest for event in events if isinstance(event, e.RecordingSealed) for digest in event.digests]

    async def wait_sealed(self, count: int) -> None:
        while len(await self.digests()) < count:
            await trio.lowlevel.checkpoint()


def run_of(core: Core, folder: Path, reports: JournaledReports) -> Run:
    writer = ArchiveWriter(folder, core.kernel.node, core.kernel.new_id)
    return Run(core, Archive(folder, writer, reports, 0), reports)


def digests_of(folder: Path) -> list[str]:
    return [hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in list_files(folder)]


@pytest.mark.parametrize("marks", [True, False])
@pytest.mark.parametrize("loses_index", [False, True])
async def test_file_that_a_kill_has_left_is_sealed_once(
    marks: bool, loses_index: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the index does not know of the last seal, or is lost."""
    folder = tmp_path / "recordings"
    async with open_core() as core:
        killed = KilledReports("recordings", core.kernel)
        killed.marks = marks
        run = run_of(core, folder, killed)
        with give_up_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(run.archive.run)
                await wait_open(run.archive)
                async with trio.open_nursery() as sealing:
                    monkeypatch.setattr(module, "SEAL_EVERY_S", 0.01)
                    sealing.start_soon(run.reports.run)
                    await run.record(0)
                    await run.record(20)
                    await run.wait_sealed(2)
                    sealing.cancel_scope.cancel()
                monkeypatch.setattr(module, "SEAL_EVERY_S", 600.0)
                await run.record(40)
                await run.record(60)
                nursery.cancel_scope.cancel()
            assert len(await run.digests()) == 2
            if loses_index:
                for path in folder.glob("index*"):
                    path.unlink()
            again = run_of(core, folder, JournaledReports("recordings", core.kernel))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(again.archive.run)
                nursery.start_soon(again.reports.run)
                await wait_open(again.archive)
                if not loses_index:
                    await again.wait_sealed(4)
                await wait_compared(again.archive)
                await again.record(80)
                nursery.cancel_scope.cancel()
        assert await again.digests() == digests_of(folder)
        assert Index(folder).not_journaled(9) == []


def test_seal_has_files_of_one_recording_and_not_too_many() -> None:
    """An event has a bounded size."""
    files = [file(number * 10**9) for number in range(600)] + [file(0, "yard")]
    assert [len(each) for each in of_recordings(files)] == [256, 256, 88, 1]
