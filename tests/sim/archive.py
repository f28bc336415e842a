"""The archive's disk in a simulation: its thread and the loop take turns, so that a seed is the same life each time.

Rules of this file:
- Either the loop runs or one thread of an archive. While a thread waits for the disk, the loop runs.
- A call that the archive has abandoned runs to its end, whenever the disk lets it: as a thread would.
- Files are real, in a folder of memory. A kill is a copy of that folder: all that the kernel has taken survives.
"""

import errno
import os
import random
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from unittest.mock import patch

import attrs
import trio

from actors.recorder import archive, crew
from actors.recorder.archive_writer import ArchiveWriter
from actors.recorder.disk import Disk
from supervisor.base.clock import TrioClock
from supervisor.base.worker import Call, Worker

Item = TypeVar("Item")

MEMORY = Path("/dev/shm")
STALLS_S = (1.0, 5.0, 60.0)
ERRORS = (errno.EIO, errno.EROFS, errno.ENOSPC)
STEPS_S = (-3600.0, -5.0, 0.5, 3.0, 7200.0)


class Abandoned(BaseException):
    """The simulation has ended while a thread waited for the disk."""


class Turns:
    """One thread that runs only while the loop waits for it."""

    def __init__(self) -> None:
        self._go, self._back = threading.Lock(), threading.Lock()
        self._go.acquire()
        self._back.acquire()
        self._work: Callable[[], None] | None = None
        self._until = 0.0
        self._ends = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while True:
            self._go.acquire()
            work, self._work = self._work, None
            if work is None:
                return
            work()
            self._until = 0.0
            self._back.release()

    def turn(self, work: Callable[[], None] | None = None) -> float:
        """Let the thread run `work`, or go on; returns until when it waits, or 0 if it has ended. Blocking."""
        if work is not None:
            self._work = work
        if not self._thread.is_alive():
            self._thread.start()
        self._go.release()
        self._back.acquire()
        return self._until

    def wait(self, until: float) -> None:
        """Called in the thread: let the loop run until then."""
        self._until = until
        self._back.release()
        self._go.acquire()
        if self._ends:
            raise Abandoned

    def end(self, *, waits: bool) -> None:
        """End the thread, which waits for the disk or has no work. Blocking."""
        self._ends = True
        if self._thread.is_alive():
            self._go.release()
            if waits:
                self._back.acquire()
                self._go.release()
            self._thread.join()


_turns = threading.local()


class TurnCall(Call[Item]):
    """A call in a thread that runs while the loop waits for it: the loop may be changed at once."""

    def _tell(self, change: Callable[[], object]) -> None:
        change()

    def wake(self) -> None:
        """Let the caller look at what was posted."""
        self._caller.unpark_all()


class TurnWorker(Worker):
    """A worker whose thread is one of `Turns`. The calls run in `stage`, also when their callers have gone."""

    def __init__(self, stage: trio.Nursery, name: str) -> None:
        super().__init__(name)
        self._stage, self._turns, self._lock = stage, Turns(), trio.Lock()

    def start(self, work: Callable[[Callable[[Item], None]], Iterable[Item] | None]) -> Call[Item]:
        call = TurnCall(work, trio.lowlevel.current_trio_token())
        self._stage.start_soon(self._drive, call)
        return call

    async def _drive(self, call: TurnCall[Any]) -> None:
        def run() -> None:
            _turns.turns = self._turns
            call.run()

        async with self._lock:
            until = self._turns.turn(run)
            try:
                while until:
                    call.wake()
                    await trio.sleep_until(until)
                    until = self._turns.turn()
            except trio.Cancelled:
                self._turns.end(waits=True)
                raise
            call.wake()

    def close(self, within_s: float = 0.5) -> None:
        """The thread ends if it has no work."""
        if not self._lock.locked():
            self._turns.end(waits=False)


@attrs.define(slots=False)
class ArchiveDisk(Disk):
    """Files of memory on a disk that stands still, fails, is full, or loses its mount, as `run_archive_faults` says."""

    clock: trio.abc.Clock
    accuse: Callable[[str], None]
    stands_until: float = 0.0
    error: int = 0
    """The number of the error with which writing fails; 0 if it does not."""
    calls_left: int = 0
    """After how many more calls the next one fails once, while `once` is set."""
    once: bool = False
    room: int = 1 << 40
    synced: dict[str, int] = attrs.field(factory=dict)
    """Bytes of each file that were synced."""
    failed: int = 0
    """Calls that were made to fail or to wait."""
    torn: tuple[str, int, int] = ("", 0, 0)
    """The last write to a file: its path, and its bytes before and after."""
    unusable: set[str] = attrs.field(factory=set)
    """Files at which a call has failed: they may have no row until the next start."""
    removed: int = 0
    """Files with synced video that were removed."""
    _paths: dict[int, str] = attrs.field(factory=dict)

    def _ask(self, path: str = "") -> None:
        try:
            self._answer()
        except OSError:
            self.unusable.add(path)
            raise

    def _answer(self) -> None:
        while self.clock.current_time() < self.stands_until:
            self.failed += 1
            _turns.turns.wait(self.stands_until)
        if self.once and self.calls_left == 0:
            self.once = False
            self.failed += 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.calls_left -= self.once
        if self.error:
            self.failed += 1
            raise OSError(self.error, os.strerror(self.error))

    def create(self, path: str, folder: int) -> int:
        self._ask()
        descriptor = super().create(path, folder)
        self._paths[descriptor] = path
        return descriptor

    def open_again(self, path: str, folder: int) -> int:
        self._ask(path)
        descriptor = super().open_again(path, folder)
        self._paths[descriptor] = path
        return descriptor

    def write(self, descriptor: int, data: bytes) -> None:
        try:
            self._ask(self._paths[descriptor])
        except OSError:
            super().write(descriptor, data[: len(data) // 2])
            raise
        before = os.fstat(descriptor).st_size
        super().write(descriptor, data)
        self.torn = (self._paths[descriptor], before, before + len(data))

    def sync(self, descriptor: int, *, done: int) -> None:
        self._ask(self._paths[descriptor])
        size = os.fstat(descriptor).st_size
        self._ask(self._paths[descriptor])
        self.synced[self._paths[descriptor]] = size

    def sync_folder(self, path: str, folder: int) -> None:
        self._ask()

    def truncate(self, descriptor: int, size: int) -> None:
        self._ask(self._paths[descriptor])
        path = self._paths[descriptor]
        if size < self.synced.get(path, 0):
            self.accuse(f"{path} had {self.synced[path]} bytes synced, and is cut to {size}")
        os.ftruncate(descriptor, size)

    def remove(self, path: str, folder: int) -> None:
        self._ask()
        super().remove(path, folder)
        if path.endswith(".mp4"):
            self.removed += self.synced.pop(path, 0) > 0

    def close(self, descriptor: int) -> None:
        self._paths.pop(descriptor, None)
        super().close(descriptor)

    def free(self, folder: int) -> int:
        return self.room


@attrs.define
class SteppedClock:
    """Follows trio's clock, also in another thread; the wall clock may be set."""

    clock: trio.abc.Clock = attrs.field(factory=trio.lowlevel.current_clock)
    step_ns: int = 0
    was_set_back: bool = False

    def wall_ns(self) -> int:
        return TrioClock().epoch_ns + self.step_ns + self.mono_ns()

    def mono_ns(self) -> int:
        return int(self.clock.current_time() * 1e9)


async def run_archive_faults(disk: ArchiveDisk, folder: Path, clock: SteppedClock, chance: random.Random) -> None:
    """Apply faults of the archive's disk and steps of the clock, one after the other.

    Cancellation: at any time. Cleanup: the disk works, and is mounted.
    """
    away = folder.with_name("away")
    try:
        while True:
            await trio.sleep(chance.expovariate(1 / 180))
            match chance.choice(("stall", "stall", "error", "once", "unmount", "clock")):
                case "stall":
                    disk.stands_until = trio.current_time() + chance.choice(STALLS_S)
                case "error":
                    disk.error = chance.choice(ERRORS)
                    await trio.sleep(chance.expovariate(1 / 40))
                    disk.error = 0
                case "once":
                    disk.once, disk.calls_left = True, chance.randrange(40)
                case "clock":
                    step_s = chance.choice(STEPS_S)
                    clock.step_ns += round(step_s * 1e9)
                    clock.was_set_back |= step_s < 0
                case _:
                    await _unmount(folder, away, chance.expovariate(1 / 60))
    finally:
        disk.error, disk.once, disk.stands_until = 0, False, 0.0


async def _unmount(folder: Path, away: Path, seconds: float) -> None:
    """Below the mount point there is an empty folder, on another disk."""
    folder.rename(away)  # noqa: ASYNC240 - in memory
    folder.mkdir()  # noqa: ASYNC240
    try:
        await trio.sleep(seconds)
    finally:
        shutil.rmtree(folder)
        away.rename(folder)  # noqa: ASYNC240


async def _run(work: Callable[[], Any], **_: object) -> Any:
    """Instead of a thread, whose end no seed decides."""
    await trio.lowlevel.checkpoint()
    return work()


@contextmanager
def archive_in_memory(stage: trio.Nursery, accuse: Callable[[str], None]) -> Iterator[tuple[Path, ArchiveDisk]]:
    """The archive of this block writes to the disk of the simulation."""
    disk = ArchiveDisk(trio.lowlevel.current_clock(), accuse)
    with TemporaryDirectory(prefix="banken-sim-", dir=MEMORY) as folder:
        home = Path(folder) / "recordings"

        def make_writer(path: Path, node: str, new_id: Callable[[], str], **more: Any) -> ArchiveWriter:
            own = disk if path == home else ArchiveDisk(disk.clock, disk.accuse)
            return ArchiveWriter(path, node, new_id, own, **more)

        with (
            patch.object(archive, "Worker", partial(TurnWorker, stage)),
            patch.object(archive, "TURN_S", 0.0),  # of the real clock: one file at once
            patch.object(crew, "ArchiveWriter", make_writer),
            patch.object(crew, "run_in_thread", _run),
        ):
            yield home, disk
