"""Recordings in a simulation: what must hold while they are made, after a kill at any moment, and at the end.

Rules of this file:
- A kill is a copy of the archive's folder and of the stored journal. The simulated daemon runs on beside it.
- The next life over the copy repairs it and records again; then every file plays, and the journal tells each gap.
"""

import os
import random
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import attrs
import trio

from actors.media.hub import Hub
from actors.media.media import CLOCK_RATE
from actors.recorder.archive_writer import list_files, second_of
from actors.recorder.crew import RecorderCrew
from actors.recorder.index import Index
from supervisor.config.config import ARCHIVE, ArchiveSettings
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.evolve import fold
from supervisor.domain.ids import CameraId, RunId
from supervisor.domain.lifecycle import CameraPhase, RecordingPhase
from supervisor.domain.state import State
from supervisor.domain.values import RecordMode
from supervisor.journal.writer import Journal
from supervisor.runtime.kernel import Kernel
from tests.kit.domain import NODE, PICTURE
from tests.kit.footage import audit, footage_of, unplayable
from tests.kit.media import access_units
from tests.kit.memory import MemorySegment
from tests.kit.tools import make_tools

from .archive import ArchiveDisk, SteppedClock

MAX_BYTES = 400_000
SLACK_BYTES = 300_000
"""Two minutes of all cameras: files that grow, and what is recorded until the next turn of retention."""
KEEP_S = 1800.0
LATE_LOOKS = 5
"""Looks after which a camera that is live must be recorded, if the disk works."""
FILES_EVERY = 6
"""Looks from one at all files to the next."""
AGAIN = RunId("again")
HUNG = "the disk has not answered for"
OPENS_S = 90.0
"""A thread of the life before may stand still for a minute."""
SECOND_LIFE = 20
"""Access units that the next life records."""


@attrs.define
class SimulatedArchive:
    """The archive of one simulated daemon."""

    folder: Path
    disk: ArchiveDisk
    clock: SteppedClock
    unrecorded: dict[CameraId, int] = attrs.field(factory=lambda: defaultdict(int))
    kills: int = 0
    looks: int = 0
    without_row: Counter[str] = attrs.field(factory=Counter)
    """How often in a row each file was seen that retention does not know."""
    has_compared: Callable[[], bool] = lambda: False
    """Whether all files were compared with the index."""

    @property
    def settings(self) -> dict[str, ArchiveSettings]:
        return {ARCHIVE: ArchiveSettings(self.folder, 10.0, 0, KEEP_S, KEEP_S, MAX_BYTES)}

    @property
    def works(self) -> bool:
        """Whether the disk has no fault now."""
        now = trio.current_time()
        return not self.disk.error and now >= self.disk.stands_until and not self.folder.with_name("away").exists()

    def look(self, state: State) -> str:
        """Return what is wrong now; empty if nothing is."""
        if not self.works or not self.folder.exists():
            self.unrecorded.clear()
            self.without_row.clear()
            return ""
        for name, camera in state.cameras.items():
            known = state.recordings.get(name)
            is_recorded = known is not None and known.phase is RecordingPhase.RECORDING
            wanted = camera.settings.record is RecordMode.ALWAYS and camera.phase is CameraPhase.LIVE
            self.unrecorded[name] = self.unrecorded[name] + 1 if wanted and not is_recorded else 0
            if self.unrecorded[name] > LATE_LOOKS:
                return f"{name} is live, and is not recorded: {known}"
        self.looks += 1
        if self.looks % FILES_EVERY:
            return ""
        self.without_row = Counter({path: self.without_row[path] + 1 for path in self._without_rows()})
        late = {path for path, looks in self.without_row.items() if looks > 1}
        lost = sorted(late - self.disk.unusable)
        if lost and self.has_compared():
            return f"{lost[0]} has no row in the index"
        used = sum((self.folder / path).stat().st_size for path in list_files(self.folder))
        return f"the archive has {used} bytes" if used > MAX_BYTES + SLACK_BYTES else ""

    def _without_rows(self) -> list[str]:
        """The files that are sealed for a minute, and that retention does not know."""
        now_s = self.clock.wall_ns() / 1e9
        index = Index(self.folder)
        try:
            return [path for path in list_files(self.folder) if second_of(path) < now_s - 150 and not index.has(path)]
        finally:
            index.close()

    def look_at_end(self, rows: Sequence[e.Recorded]) -> list[str]:
        """The faults of the archive after a stop."""
        told = sum(row.event.files for row in rows if isinstance(row.event, e.RecordingsExpired))
        hung = has_hung(rows)  # what such a call has removed after it was abandoned is not told
        lost = self.disk.removed - told
        faults = [f"{lost} files more are removed than the journal has"] if lost > 0 and not hung else []
        held = {each: _target(each) for each in Path("/proc/self/fd").iterdir()}
        held = {each: path for each, path in held.items() if path.startswith(str(self.folder))}
        if not hung:
            return faults + [f"{path} is still open" for path in held.values()]
        for each, path in held.items():  # an abandoned thread has them until the process ends
            if "index.sqlite" not in path:
                os.close(int(each.name))
        return faults


def _target(descriptor: Path) -> str:
    try:
        return os.readlink(descriptor)
    except OSError:
        return ""


async def run_kills(
    archive: SimulatedArchive,
    disk: MemorySegment,
    waiting: Callable[[], Iterable[e.Recorded]],
    chance: random.Random,
    accuse: Callable[[str], None],
) -> None:
    """From time to time, look at what a kill would leave, until cancelled. `waiting`: events that are not stored."""
    while True:
        await trio.sleep(chance.expovariate(1 / 1200))
        if not archive.works or not archive.folder.exists():
            continue
        archive.kills += 1
        copy = archive.folder.with_name(f"killed-{archive.kills}")
        shutil.copytree(archive.folder, copy)
        try:
            _tear(copy, archive.disk, chance)
            untold = [row for row in waiting() if isinstance(row.event, e.RecordingsExpired)]
            faults = await live_again(list(disk.rows), copy, archive.clock, chance, untold=untold)
        finally:
            shutil.rmtree(copy)
        if faults:
            accuse(f"after kill {archive.kills}: {'; '.join(faults[:3])}")


def _tear(folder: Path, disk: ArchiveDisk, chance: random.Random) -> None:
    """The last write has reached the file in part, unless it was synced."""
    path, before, after = disk.torn
    if (
        disk.synced.get(path, 0) < after
        and (folder / path).exists()
        and (folder / path).stat().st_size == after
        and chance.random() < 0.5
    ):
        os.truncate(folder / path, chance.randint(before, after))


async def live_again(
    rows: list[e.Recorded],
    folder: Path,
    clock: SteppedClock,
    chance: random.Random,
    *,
    torn: int = 1,
    untold: Sequence[e.Recorded] = (),
) -> list[str]:
    """Start over a journal and an archive, record one camera for a while, and return what is wrong then.

    `torn`: fragments that may be lost, of each recording. `untold`: removals that the journal has lost.
    """
    before, wrong = footage_of(folder), list[str]()
    state = fold(rows)
    disk = MemorySegment(rows, state)
    journal = Journal(disk, lambda new: None)
    kernel = Kernel(state, journal, clock, NODE, AGAIN, lambda: f"{chance.getrandbits(64):016x}")
    async with trio.open_nursery() as keep, trio.open_nursery() as nursery:
        nursery.start_soon(journal.run)
        await kernel.submit(c.StartRun(AGAIN, NODE, "0", 2))
        settings = ArchiveSettings(folder, 10.0, 0, KEEP_S * 1000, KEEP_S * 1000, None)
        crew = RecorderCrew({ARCHIVE: settings}, make_tools(kernel, keep))
        async with trio.open_nursery() as recording:
            recording.start_soon(crew.run)
            with trio.move_on_after(OPENS_S):
                while not is_ready(crew):  # noqa: ASYNC110 - nobody says so
                    await trio.sleep(0.1)
            if not is_ready(crew):
                recording.cancel_scope.cancel(reason="the archive does not open")
                wrong.append(f"the archive does not open: {crew.statistics()}")
            wanted = [each for each in kernel.state.cameras.values() if each.settings.record is RecordMode.ALWAYS]
            alone = [each.settings.camera for each in wanted if each.settings.device is None]
            if alone:
                await _record(kernel, crew, alone[0], clock)
            recording.cancel_scope.cancel(reason="the end of the next life")
        await journal.wait_committed(kernel.state.seq)
        nursery.cancel_scope.cancel(reason="the end of the next life")
    faults = wrong + unplayable(folder)
    after = footage_of(folder)
    for recording_id, places in before.items():
        lost = len(places) - len(after.get(recording_id, ()))
        faults += [f"recording {recording_id} has lost {lost} fragments"] if lost > torn else []
    return faults + audit([*disk.rows, *untold], folder, hung=has_hung(disk.rows), set_back=clock.was_set_back)


def is_ready(crew: RecorderCrew) -> bool:
    """Whether the archive writes, and all its files were compared with the index."""
    known = crew.statistics().get(ARCHIVE)
    return known is not None and not known.fault and known.compared is None


def has_hung(rows: Iterable[e.Recorded]) -> bool:
    """Whether a call has hung so long that it was abandoned."""
    return any(isinstance(row.event, e.ArchiveFailed) and HUNG in row.event.reason.text for row in rows)


async def _record(kernel: Kernel, crew: RecorderCrew, camera: CameraId, clock: SteppedClock) -> None:
    """One camera is live for a while."""
    hub = Hub(clock)
    async with trio.open_nursery() as recorder:
        recorder.start_soon(crew.record, camera, hub)
        kernel.emit(c.ConnectCamera(camera))
        kernel.emit(c.ReportLive(camera, PICTURE))
        hub.begin()
        for number in range(SECOND_LIFE):
            hub.publish(access_units()[number], number * CLOCK_RATE // 4)
            await trio.sleep(0.25)
        recorder.cancel_scope.cancel(reason="the end of the next life")
