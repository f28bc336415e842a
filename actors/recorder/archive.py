"""The actor of one archive: takes fragments from the recorders, and writes them in its thread.

Rules of this file:
- No recorder waits for the disk. A fragment that does not fit into the buffer is refused, and a gap begins.
- After a fault, the archive takes nothing until the folder can be written again, with new files.
- A call that hangs for `ABANDON_S` is left to its thread, with its descriptors. At most `MOST_STUCK` threads hang so.
"""

import errno
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol

import apsw
import attrs
import trio

from supervisor.base.shield import bounded_shield
from supervisor.base.worker import Call, Worker
from supervisor.ports.statistics import ArchiveStatistics

from .archive_writer import ArchiveWriter, SealedFile
from .buffer import Buffer, Item, RecordingEnd
from .cutter import Fragment, NewFile
from .ends import Ends
from .index import Index, IndexedFile
from .marks import EventMarks
from .retention import MOST, Keep, expendable

SLOW_S, ABANDON_S, FLUSH_S = 1.0, 30.0, 2.0
SYNC_S = 10.0
MOST_STUCK = 2
RETAIN_S = 60.0
"""How often old files are removed."""
MARGIN = 256 * 1024 * 1024
"""Bytes that retention frees beyond the reserve: what is recorded until the next time."""
TRY_AGAIN_S = (1.0, 2.0, 5.0, 10.0)
"""Seconds until the folder is tried again after a fault; after the last of these, it is the interval."""
FAULTS = (OSError, MemoryError)
FULL = (errno.ENOSPC, errno.EDQUOT)
MOST_ROWS = 10_000
"""Rows that wait for an index that cannot be written. At the next start, it is made from the files."""
logger = logging.getLogger("banken")


class ArchiveReports(Protocol):
    """Takes the news of an archive. Each method is called in the loop, and does not wait."""

    def slow(self) -> None:
        """The disk has not answered for `SLOW_S`."""
        ...

    def failed(self, why: str, *, full: bool) -> None:
        """Nothing is written until `recovered`. `full`: the disk is."""
        ...

    def recovered(self, after_s: float) -> None:
        """The disk writes again, so many seconds after it was slow or failed."""
        ...

    def sealed(self, file: SealedFile) -> None:
        """A file is complete, and in the index."""
        ...

    def expired(self, files: Sequence[IndexedFile], code: str) -> None:
        """Retention has removed files: for their `age`, or to make `room`."""
        ...

    def repaired(self, file: SealedFile) -> None:
        """A file that a fault has ended was cut behind its last synced fragment."""
        ...


@attrs.frozen
class Repaired:
    file: SealedFile


@attrs.frozen
class Expired:
    """Files that retention has removed."""

    files: tuple[IndexedFile, ...]
    code: str
    """`age` or `room`."""


@attrs.frozen
class NewestEnds:
    """When the newest file of each camera ended, at the start."""

    ends: dict[str, int]


News = Item | SealedFile | Repaired | Expired | NewestEnds
"""The thread posts these: an item that is written, and files that are sealed, repaired or removed."""


class Archive:
    """Made once by the daemon for each archive."""

    def __init__(
        self,
        folder: Path,
        writer: ArchiveWriter,
        reports: ArchiveReports,
        sync_s: float = SYNC_S,
        keep: Keep = Keep(),  # noqa: B008
        max_bytes: int | None = None,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """`sync_s`: seconds between two syncs; 0: after each batch. `max_bytes`: None for no limit but the disk."""
        self._folder, self._writer, self._reports, self._sync_s = folder, writer, reports, sync_s
        self._keep, self._max_bytes, self._wall_ns = keep, max_bytes, wall_ns
        self._worker = Worker("archive")
        self._left: Call[News] | None = None
        """The call during which the archive was cancelled: its news are heard before the end."""
        self._index: Index | None = None
        self._rows: list[SealedFile] = []
        """Files that are not in the index yet."""
        self._is_repaired = False
        """Whether the files that an earlier run left were repaired. Only the thread uses these three."""
        self.fault = "the archive has not been opened yet"
        """Why nothing is taken; empty while the archive works."""
        self._marks = EventMarks()
        self._buffer, self._ends = Buffer(), Ends()
        self._work = trio.lowlevel.ParkingLot()
        self._stuck: list[Callable[[], bool]] = []
        """For each abandoned thread, whether it hangs."""
        self._faulty_since: float | None = None
        self._is_dirty = False
        self._disk_s = 0.0
        self._asked_at: float | None = None
        """Since when the call that runs now has been waited for."""

    # ── for the recorders ───────────────────────────────────────────────────────────────────────────────────────

    def offer_nowait(self, item: Item) -> bool:
        """Take the next step of a recording. False if the archive has a fault, or no room in its buffer.

        Also False for a fragment of a file that a fault has ended meanwhile: its recorder begins another one.
        """
        if self.fault or not self._buffer.offer(item, trio.current_time()):
            return False
        self._ends.take(item.camera, item.step)
        self._work.unpark_all()
        return True

    def has_begun(self, camera: str) -> bool:
        """Whether the archive has the beginning of a file of this camera. Not after a fault, also after a short one."""
        return self._buffer.has_begun(camera)

    def last_ns(self, camera: str) -> int:
        """When the recorded video of a camera ends, by its wall time. After a fault, only what was synced counts.

        0 if that is not known.
        """
        return self._ends.last_ns(camera)

    @property
    def is_synced(self) -> bool:
        """Whether all that was taken is on the disk."""
        return not self._buffer and not self._is_dirty

    def mark_nowait(self, camera: str, from_ns: int, to_ns: int) -> None:
        """Something was detected: the files of the camera that overlap this time are eventful."""
        self._marks.note(camera, from_ns, to_ns)

    def statistics(self) -> ArchiveStatistics:
        waited_s = 0.0 if self._asked_at is None else trio.current_time() - self._asked_at
        buffer = self._buffer
        return ArchiveStatistics(
            self.fault, buffer.size, buffer.written, buffer.latency(), self._disk_s + waited_s, waited_s
        )

    # ── the actor ───────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Write what is offered, until it is cancelled.

        Cancellation: at any time. Cleanup: within `FLUSH_S`, all that was offered is written, and the files are sealed.
        A thread that hangs is left to itself.
        """
        tries = 0
        try:
            while True:
                try:
                    await self._call(partial(self._open, self._writer))
                    tries = 0
                    self._recover()
                    await self._write()
                except FAULTS as error:
                    self._fail(error)
                await trio.sleep(TRY_AGAIN_S[min(tries, len(TRY_AGAIN_S) - 1)])
                tries += 1
        finally:
            with bounded_shield(FLUSH_S):
                await self._finish()
            self._worker.close()

    async def _write(self) -> None:
        """Write batches, and sync in time. Raises one of `FAULTS`."""
        due = trio.current_time() + self._sync_s
        retain_at = trio.current_time() + RETAIN_S
        while True:
            if not self._buffer:
                with trio.move_on_at(min(due if self._is_dirty else retain_at, retain_at)):
                    await self._work.park()
            if trio.current_time() >= retain_at:
                await self._call(partial(self._retain, self._writer))
                retain_at = trio.current_time() + RETAIN_S
            sync = trio.current_time() >= due
            await self._write_queue(sync=sync)
            if sync or not self._is_dirty:
                due = trio.current_time() + self._sync_s

    async def _write_queue(self, *, sync: bool) -> None:
        batch = self._buffer.take()
        self._is_dirty = bool(batch) or (self._is_dirty and not sync)
        await self._call(partial(self._write_batch, self._writer, batch, sync))
        if sync:
            self._ends.sync()
        self._is_dirty = self._is_dirty and not sync

    async def _finish(self) -> None:
        with suppress(*FAULTS):
            if self._left is not None:
                await self._wait(self._left)
            if not self.fault:
                await self._write_queue(sync=True)
                await self._call(partial(self._seal_all, self._writer))
            if not self._stuck:
                await self._call(partial(self._close, self._writer))

    async def _call(self, work: Callable[[Callable[[News], None]], None]) -> None:
        """Run `work(post)` in the thread. Raises one of `FAULTS`, also if it has not returned after `ABANDON_S`."""
        ended = False

        def run(post: Callable[[News], None]) -> None:
            nonlocal ended
            try:
                work(post)
            finally:
                ended = True

        if sum(hangs() for hangs in self._stuck) >= MOST_STUCK:
            raise TimeoutError(errno.ETIMEDOUT, f"{MOST_STUCK} threads hang in this disk")
        self._asked_at = trio.current_time()
        call = self._worker.start(run)
        try:
            with trio.move_on_after(ABANDON_S):
                return await self._wait(call)
        except trio.Cancelled:
            self._left = call
            raise
        finally:
            self._disk_s += trio.current_time() - self._asked_at
            self._asked_at = None
        self._stuck.append(lambda: not ended)
        self._worker, self._writer, self._index = Worker("archive"), self._writer.successor(), None
        raise TimeoutError(errno.ETIMEDOUT, f"{self._folder}: the disk has not answered for {ABANDON_S:g} s")

    async def _wait(self, call: Call[News]) -> None:
        """Wait until the call has ended. No nursery: it would cost more than the call."""
        with trio.move_on_after(SLOW_S):
            return await call.wait(self._heard)
        if self._faulty_since is None:
            self._faulty_since = trio.current_time() - SLOW_S
            self._reports.slow()
        return await call.wait(self._heard)

    def _fail(self, error: BaseException) -> None:
        """Take nothing any more, and forget what waits: its recorders begin a gap."""
        why = _words_of(error)
        self._buffer.clear()
        self._ends.fail()
        self._is_dirty = False
        if self._faulty_since is None:
            self._faulty_since = trio.current_time()
        if why != self.fault:
            self.fault = why
            logger.error("archive %s: %s", self._folder, why)
            self._reports.failed(why, full=isinstance(error, OSError) and error.errno in FULL)

    def _recover(self) -> None:
        self.fault = ""
        if self._faulty_since is not None:
            after_s, self._faulty_since = trio.current_time() - self._faulty_since, None
            self._reports.recovered(after_s)

    def _heard(self, news: News) -> None:
        match news:
            case SealedFile():
                self._ends.seal(news)
                self._reports.sealed(news)
            case Repaired(file):
                self._ends.repair(file)
                self._reports.repaired(file)
            case NewestEnds(ends):
                self._ends.find(ends)
            case Expired(files, code):
                self._reports.expired(files, code)
            case Item():
                self._wrote(news)

    def _wrote(self, item: Item) -> None:
        self._buffer.wrote(item, trio.current_time())
        self._ends.write(item.camera, item.step)
        self._recover()

    # ── in the thread ───────────────────────────────────────────────────────────────────────────────────────────

    def _open(self, writer: ArchiveWriter, post: Callable[[News], None]) -> None:
        writer.give_up()
        writer.open()
        self._keep_repaired(writer.repair(), post)
        if not self._is_repaired:
            with suppress(apsw.Error):  # `_add_rows` reports it
                self._index = self._index or Index(self._folder)
                self._keep_repaired(writer.repair_newer(self._index), post)
                post(NewestEnds(self._index.ends()))
            self._is_repaired = True
        self._retain(writer, post)
        writer.probe()

    def _keep_repaired(self, files: Iterable[SealedFile], post: Callable[[News], None]) -> None:
        """Each has its row and is reported, although the disk may fail at the next one.

        Nobody knows any more whether something was detected in it, so it is kept as if.
        """
        for file in files:
            self._marks.note(file.camera, file.began_ns, file.began_ns + 1)
            self._add_rows([file])
            post(Repaired(file))

    def _retain(self, writer: ArchiveWriter, post: Callable[[News], None]) -> None:
        """Remove files that are too old, or in the way of newer ones. Their rows go first: a file is found again."""
        if self._index is None:
            return
        try:
            used = sum(size for _, size in self._index.sizes().values())
            excess = max(writer.lacking(MARGIN), -1 if self._max_bytes is None else used - self._max_bytes)
            newest_ns = max(map(self._index.newest_ns, self._index.cameras()), default=0)
            gone = expendable(self._index.oldest(MOST), (), self._keep, {}, excess, newest_ns, self._wall_ns())
            self._index.remove(gone.rows)
        except apsw.Error as error:
            logger.warning("archive %s removes nothing: its index cannot be read: %s", self._folder, error)
            return
        for files, code in ((gone.aged, "age"), (gone.displaced, "room")):
            for file in files:
                writer.remove(file.path)
            if files:
                post(Expired(files, code))

    def _write_batch(
        self, writer: ArchiveWriter, batch: Sequence[Item], sync: bool, post: Callable[[News], None]
    ) -> None:
        sealed = []
        for item in batch:
            match item.step:
                case NewFile():
                    sealed.append(writer.begin(item.camera, item.recording, item.step))
                case Fragment():
                    writer.append(item.camera, item.step)
                case RecordingEnd():
                    sealed.append(writer.seal(item.camera))
            post(item)
        if sync:
            writer.sync()
        files = [file for file in sealed if file is not None]
        self._add_rows(files)
        for file in files:
            post(file)

    def _seal_all(self, writer: ArchiveWriter, post: Callable[[News], None]) -> None:
        files = [file for camera in writer.growing for file in [writer.seal(camera)] if file is not None]
        self._add_rows(files)
        for file in files:
            post(file)

    def _add_rows(self, files: Sequence[SealedFile]) -> None:
        """Add rows to the index, and marks of detections. A fault of the index ends no recording: they wait."""
        self._rows = [*self._rows, *files][-MOST_ROWS:]
        if not self._rows and self._index is None:
            return
        try:
            self._index = self._index or Index(self._folder)
            if self._rows:
                self._index.add(self._rows)
            self._marks.apply(self._index, self._wall_ns(), is_sealed=bool(self._rows))
            self._rows = []
        except apsw.Error as error:
            logger.warning("the index of archive %s cannot be written: %s", self._folder, error)
            if self._index is not None:
                self._index.close()
            self._index = None

    def _close(self, writer: ArchiveWriter, post: Callable[[News], None]) -> None:
        writer.close()
        if self._index is not None:
            self._index.close()


def _words_of(error: BaseException) -> str:
    """The error in words, with the file that it names."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error) or type(error).__name__
    return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
