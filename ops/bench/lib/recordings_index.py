"""An archive of months, with its index: made, looked up, started after a kill, and without its index.

Rules of this file:
- Rows are as those of files of a minute with a key frame every two seconds. Nearly all files are sparse.
- The whole files are the newest ones. The last one of each camera was torn by the kill.
- An archive runs as in the daemon, with the same threads, and all cameras offer a fragment each second.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random

import attrs
import trio

from actors.media.h264 import H264
from actors.media.media import CLOCK_RATE, AccessUnit
from actors.recorder.archive import Archive
from actors.recorder.archive_writer import ArchiveWriter, SealedFile, path_of
from actors.recorder.buffer import Item
from actors.recorder.cutter import Cutter, Fragment, NewFile
from actors.recorder.disk import Disk
from actors.recorder.index import NAME, Index, IndexedFile, Named, pack_keys, remove_index, row_of
from actors.recorder.retainer import Retainer
from actors.recorder.retention import Keep, RetentionRules
from tests.kit.media import access_units

MINUTE_NS = 60 * 10**9
FPS, GOP = 10, 20
UNIT_BYTES = 31_000
"""Of an access unit of a torn file: 2.5 Mbit/s."""
WHOLE_S = 6
"""Seconds of a whole file: its beginning and its end are read, whatever is between."""
LOOKS = 500
Progress = Callable[[float, str], None]


def _keys(random: Random) -> bytes:
    places = ((second, 800 + second * 300_000 + random.randrange(50_000)) for second in range(0, 60, 2))
    return pack_keys((second * CLOCK_RATE, offset) for second, offset in places)


KEYS = [_keys(Random(number)) for number in range(100)]
"""Places of key frames in files of a minute."""


@attrs.define
class Archived:
    """The archive to make."""

    folder: Path
    cameras: int
    days: int
    whole: int
    now_ns: int = attrs.field(factory=lambda: time.time_ns() // MINUTE_NS * MINUTE_NS)
    torn_bytes: int = 0

    @property
    def files(self) -> int:
        return self.cameras * self.days * 1440

    @property
    def names(self) -> list[str]:
        return [f"camera-{number:02}" for number in range(self.cameras)]

    @property
    def first_whole_ns(self) -> int:
        return self.now_ns - self.whole // self.cameras * MINUTE_NS


class Unsynced(Disk):
    """For files that are made only for a measurement."""

    def sync(self, descriptor: int, *, done: int) -> None: ...

    def sync_folder(self, path: str, folder: int) -> None: ...


@attrs.frozen
class LookUps:
    bytes: float
    """Of the index, for each file."""
    median_ms: float
    warm_ms: float
    cold_ms: float


@attrs.frozen
class Started:
    recording_s: float
    """Until a fragment of each camera was written."""
    compared_s: float
    """Until all files were compared with their rows."""
    wait_ms: float
    """The longest wait of a fragment."""


def make(archived: Archived, progress: Progress) -> None:
    """Make the files and the rows, as a daemon leaves them that was killed."""
    archived.folder.mkdir(0o700)
    writer = ArchiveWriter(archived.folder, "node", lambda: "archive")
    writer.open()
    writer.close()
    index, random = Index(archived.folder), Random(1)
    for number, camera in enumerate(archived.names):
        progress(number / archived.cameras, "making files and rows")
        for day in range(archived.days):
            first_ns = archived.now_ns - (archived.days - day) * 1440 * MINUTE_NS
            begins = range(first_ns, min(first_ns + 1440 * MINUTE_NS, archived.first_whole_ns), MINUTE_NS)
            index.add_rows([_sparse(archived.folder, camera, at_ns, random) for at_ns in begins], journaled=True)
        index.add_rows([row_of(file) for file in _whole(archived, camera)], journaled=True)
        archived.torn_bytes += _torn(archived, camera)
    index.mark_whole()
    index.close()
    os.sync()


def _sparse(folder: Path, camera: str, began_ns: int, random: Random) -> IndexedFile:
    path = folder / path_of(camera, began_ns, 1)
    size = random.randrange(15_000_000, 21_000_000)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    except FileNotFoundError:
        path.parent.mkdir(0o700, parents=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    os.ftruncate(descriptor, size)
    os.close(descriptor)
    recording = random.randbytes(8).hex()
    return IndexedFile(camera, began_ns, 1, recording, 60 * CLOCK_RATE, size, random.randbytes(32), random.choice(KEYS))


def _units(count: int, first: int = 0, filler: int = 0) -> Iterator[AccessUnit]:
    """H.264, with so many bytes more in each access unit."""
    nals, more = access_units(64, 64), ((b"\x0c" + bytes(filler),) if filler else ())
    for number in range(first, first + count):
        units = (*nals[number % 40], *more)
        dts = number * CLOCK_RATE // FPS
        yield AccessUnit(H264, units, dts, number % GOP == 0, sum(map(len, units)), dts)


def _steps(camera: str, recording: str, began_ns: int, units: Iterator[AccessUnit]) -> Iterator[NewFile | Fragment]:
    cutter = Cutter(camera, recording, 3600)
    for unit in units:
        yield from cutter.take(unit, began_ns + unit.dts * 10**9 // CLOCK_RATE)
    yield from cutter.end()


def _write(writer: ArchiveWriter, camera: str, recording: str, steps: Iterator[NewFile | Fragment]) -> None:
    for step in steps:
        if isinstance(step, NewFile):
            writer.begin(camera, recording, step)
        else:
            writer.append(camera, step)


def _whole(archived: Archived, camera: str) -> Iterator[SealedFile]:
    writer = ArchiveWriter(archived.folder, "node", lambda: "archive", Unsynced())
    writer.open()
    for at_ns in range(archived.first_whole_ns, archived.now_ns - MINUTE_NS, MINUTE_NS):
        recording = f"{at_ns:016x}"
        _write(writer, camera, recording, _steps(camera, recording, at_ns, _units(WHOLE_S * FPS)))
        sealed = writer.seal(camera)
        assert sealed is not None
        yield sealed
    writer.close()


def _torn(archived: Archived, camera: str) -> int:
    """The file that grew when the daemon was killed. Returns its bytes."""
    at_ns = archived.now_ns - MINUTE_NS
    writer = ArchiveWriter(archived.folder, "node", lambda: "archive")
    writer.open()
    recording = f"{at_ns:016x}"
    _write(writer, camera, recording, _steps(camera, recording, at_ns, _units(30 * FPS, filler=UNIT_BYTES)))
    (path,) = writer.paths
    writer.close()
    size = (archived.folder / path).stat().st_size - UNIT_BYTES
    os.truncate(archived.folder / path, size)
    return size


def look_ups(archived: Archived) -> LookUps:
    """Find the files of 16 cameras at random moments, and the key frames in them."""
    size = sum(path.stat().st_size for path in archived.folder.glob(f"{NAME}*"))
    random = Random(2)

    def look(index: Index) -> float:
        at_ns = random.randrange(archived.now_ns - archived.days * 1440 * MINUTE_NS, archived.first_whole_ns)
        began = time.perf_counter()
        for camera in random.sample(archived.names, 16):
            row = index.at(camera, at_ns)
            assert row is not None
            list(row.key_fragments())
        return (time.perf_counter() - began) * 1000

    index = Index(archived.folder, read_only=True)
    warm = [look(index) for _ in range(LOOKS)]
    index.close()
    cold = list[float]()
    for _ in range(LOOKS // 10):
        with open(archived.folder / NAME, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        index = Index(archived.folder, read_only=True)
        cold.append(look(index))
        index.close()
    return LookUps(size / archived.files, sorted(warm)[LOOKS // 2], _p95(warm), _p95(cold))


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


@attrs.define
class SealedReports:
    """The journal has sealed everything up to a time."""

    until: dict[str, int]
    faults: list[str] = attrs.field(factory=list)

    def slow(self) -> None: ...

    def failed(self, why: str, *, full: bool) -> None:
        self.faults.append(why)

    def recovered(self, after_s: float) -> None: ...

    def sealed(self, file: SealedFile) -> None: ...

    def expired(self, files: Sequence[IndexedFile], code: str) -> None:
        self.faults.append(f"{len(files)} files were removed: {code}")

    def repaired(self, file: SealedFile) -> None: ...

    def left(self, files: Sequence[IndexedFile]) -> None: ...

    def sealed_until(self) -> Mapping[str, int]:
        return self.until

    def take_journaled(self) -> Sequence[Named]:
        return ()

    async def settle(self) -> None: ...


async def start(archived: Archived) -> Started:
    """Start the archive over the files, and record all cameras until rows and files are compared."""
    reports = SealedReports(dict.fromkeys(archived.names, archived.now_ns - 10 * MINUTE_NS))
    rules = RetentionRules(Keep(1e9, 1e9))
    writer = ArchiveWriter(archived.folder, "node", lambda: "archive")
    archive = Archive(archived.folder, writer, reports, retainer=Retainer("recordings", archived.folder, lambda: rules))
    steps = list(_steps(archived.names[0], f"{1:016x}", time.time_ns(), _units(600 * FPS)))
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(archive.run)
        with trio.fail_after(600):
            while archive.fault:  # noqa: ASYNC110 - without a pause, the loop would take the thread's time
                await trio.sleep(0.01)
            recording_s = await _record(archive, archived.names, steps, began)
        compared_s = trio.current_time() - began
        nursery.cancel_scope.cancel()
    assert not reports.faults, reports.faults
    return Started(recording_s, compared_s, archive.statistics().latency.max_s * 1000)


async def _record(archive: Archive, cameras: Sequence[str], steps: Sequence[NewFile | Fragment], began: float) -> float:
    """Offer a fragment of each camera each second until the comparison has ended.

    Returns the seconds until each camera had one that was written.
    """
    recording_s = 0.0
    for number, step in enumerate(steps):
        for camera in cameras:
            assert archive.offer_nowait(Item(camera, f"{1:016x}", step)), archive.fault
        if number == 1:
            while archive.statistics().latency.count < len(cameras):  # noqa: ASYNC110
                await trio.sleep(0.01)
            recording_s = trio.current_time() - began
        elif number > 1:
            await trio.sleep(1.0)
            if archive.statistics().compared is None:
                break
    return recording_s


async def lose_index(archived: Archived) -> Started:
    """Only the whole files stay, and the index is removed."""
    remove_index(archived.folder)
    for camera in archived.names:
        for day in sorted((archived.folder / camera).iterdir()):
            for path in sorted(day.iterdir()):
                if path.name[10:25] < path_of("", archived.first_whole_ns, 1)[-19:-4]:
                    path.unlink()
    return await start(archived)
