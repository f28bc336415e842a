"""The actor of one archive: takes fragments from the recorders, and writes them in its thread.

Rules of this file:
- No recorder waits for the disk. A fragment that does not fit into the buffer is refused, and a gap begins.
- After a fault, the archive takes nothing until the folder can be written again, with new files.
- The index and the files of earlier runs are compared between the batches: `TURN_S` at once, or one file.
- A call that hangs for `ABANDON_S` is left to its thread, with its descriptors: it closes them if the call returns, and
  ends. At most `MOST_STUCK` threads hang so.
"""

import errno
import logging
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from .index import IndexedFile, Named
from .index_rows import IndexRows
from .marks import EventMarks
from .reconciler import ReconcileStep
from .retainer import Retainer
from .retention import RetentionRules

SLOW_S, ABANDON_S, FLUSH_S = 1.0, 30.0, 2.0
SYNC_S = 10.0
MOST_STUCK = 2
RETAIN_S, RETAIN_AT_FIRST_S = 60.0, 1.0
"""How often old files are removed, and how long after the archive was opened. Recording begins before."""
STEADY_S = 60.0
"""Seconds of work after which a fault counts as the first one: the archive is tried again after a second."""
TRY_AGAIN_S = (1.0, 2.0, 5.0, 10.0)
"""Seconds until the folder is tried again after a fault; after the last of these, it is the interval."""
TURN_S, PAUSE_S = 0.02, 0.06
"""How long the comparison works without a pause, and how long its pauses are."""
MOST_LEFT = 4096
"""Files of earlier runs that are sealed in the journal at a start; more at the next one."""
FAULTS = (OSError, MemoryError)
FULL = (errno.ENOSPC, errno.EDQUOT)
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

    def left(self, files: Sequence[IndexedFile]) -> None:
        """Earlier runs have left complete files. The journal may have their digests, or not."""
        ...

    def sealed_until(self) -> Mapping[str, int]:
        """For each camera, the end of the newest file whose digest the journal has, in nanoseconds since 1970."""
        ...

    def take_journaled(self) -> Sequence[Named]:
        """The files whose digests have become durable in the journal since the last call."""
        ...

    async def settle(self) -> None:
        """Journal all digests, and wait a short time until they are durable."""
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


@attrs.frozen
class Left:
    """Complete files of earlier runs whose digests the journal may not have."""

    files: tuple[IndexedFile, ...]


@attrs.frozen
class Compared:
    """How far the comparison of index and files is."""

    step: ReconcileStep | None
    """None: it has ended."""


News = Item | SealedFile | Repaired | Expired | NewestEnds | Left | Compared
"""The thread posts these: an item that is written, and files that are sealed, repaired or removed."""


class Archive:
    """Made once by the daemon for each archive."""

    def __init__(
        self,
        folder: Path,
        writer: ArchiveWriter,
        reports: ArchiveReports,
        sync_s: float = SYNC_S,
        retainer: Retainer | None = None,
    ) -> None:
        """`sync_s`: seconds between two syncs; 0: after each batch. `retainer`: by default, of the usual rules."""
        self._folder, self._writer, self._reports, self._sync_s = folder, writer, reports, sync_s
        self._retainer = retainer or Retainer(folder.name, folder, RetentionRules)
        self._worker = Worker("archive")
        self._left: Call[News] | None = None
        """The call during which the archive was cancelled: its news are heard before the end."""
        self._marks = EventMarks()
        self._rows = self._new_rows()
        self._is_repaired = False
        """Whether the newest files that an earlier run left were repaired. Only the thread uses these two."""
        self._step: ReconcileStep | None = ReconcileStep()
        """How far the comparison of index and files is; None once it has ended."""
        self.fault = "the archive has not been opened yet"
        """Why nothing is taken; empty while the archive works."""
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
            self.fault,
            buffer.size,
            buffer.written,
            buffer.pool,
            buffer.latency(),
            self._disk_s + waited_s,
            waited_s,
            None if self._step is None else self._step.share,
        )

    # ── the actor ───────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Write what is offered, until it is cancelled.

        Cancellation: at any time. Cleanup: within `FLUSH_S`, all that was offered is written, and the
        files are sealed, also in the journal. A thread that hangs is left to itself.
        """
        tries, began_at = 0, 0.0
        try:
            while True:
                try:
                    await self._call(partial(self._open, self._writer, self._rows))
                    self._recover()
                    began_at = trio.current_time()
                    await self._write()
                except FAULTS as error:
                    self._fail(error)
                    tries = 0 if began_at and trio.current_time() - began_at > STEADY_S else tries
                    began_at = 0.0
                await trio.sleep(TRY_AGAIN_S[min(tries, len(TRY_AGAIN_S) - 1)])
                tries += 1
        finally:
            with bounded_shield(FLUSH_S):
                await self._finish()
            self._worker.close()
            self._forget()

    async def _write(self) -> None:
        """Write batches, and sync in time. Raises one of `FAULTS`."""
        due = trio.current_time() + self._sync_s
        retain_at, turn_at = trio.current_time() + RETAIN_AT_FIRST_S, trio.current_time() + PAUSE_S
        while True:
            if not self._buffer:
                with trio.move_on_at(min(due if self._is_dirty else retain_at, retain_at, turn_at)):
                    await self._work.park()
            if trio.current_time() >= retain_at:
                await self._call(partial(self._retain, self._writer, self._rows))
                retain_at = trio.current_time() + RETAIN_S
            sync = trio.current_time() >= due
            await self._write_queue(sync=sync)
            if sync or not self._is_dirty:
                due = trio.current_time() + self._sync_s
            if trio.current_time() >= turn_at:
                turn_at = await self._compare()

    async def _compare(self) -> float:
        """Compare some more. Returns when to go on."""
        if not any(hangs() for hangs in self._stuck):
            await self._call(partial(self._turn, self._writer, self._rows, self._reports.sealed_until()))
        if self._step is None:
            return math.inf if self._rows.is_reconciled else trio.current_time() + RETAIN_S
        return trio.current_time() + PAUSE_S

    async def _write_queue(self, *, sync: bool) -> None:
        batch = self._buffer.take()
        self._is_dirty = bool(batch) or (self._is_dirty and not sync)
        journaled = self._reports.take_journaled()
        if batch or sync or journaled:
            await self._call(partial(self._write_batch, self._writer, self._rows, batch, sync, journaled))
        if sync:
            self._ends.sync()
        self._is_dirty = self._is_dirty and not sync

    async def _finish(self) -> None:
        with suppress(*FAULTS):
            if self._left is not None:
                await self._wait(self._left)
            if not self.fault:
                await self._write_queue(sync=True)
                self.fault = "the archive is stopped"
                await self._write_queue(sync=True)
                await self._call(partial(self._seal_all, self._writer, self._rows))
                await self._reports.settle()
                await self._write_queue(sync=False)
            if not self._stuck:
                await self._call(partial(self._close, self._writer, self._rows))

    async def _call(self, work: Callable[[Callable[[News], None]], Iterable[News] | None]) -> None:
        """Run `work(post)` in the thread. Raises one of `FAULTS`, also if it has not returned after `ABANDON_S`."""
        ended, held = False, self._writer

        def run(post: Callable[[News], None]) -> Iterable[News] | None:
            nonlocal ended
            try:
                return work(post)
            finally:
                ended = True
                if held.is_abandoned:
                    held.close()

        self._stuck = [hangs for hangs in self._stuck if hangs()]
        if len(self._stuck) >= MOST_STUCK:
            raise TimeoutError(errno.ETIMEDOUT, f"{MOST_STUCK} threads hang in this disk")
        self._asked_at = trio.current_time()
        call = self._worker.start(run)
        try:
            with trio.move_on_after(ABANDON_S):
                await self._wait(call)
                return self._answered()
        except trio.Cancelled:
            self._left = call
            raise
        finally:
            self._disk_s += trio.current_time() - self._asked_at
            self._asked_at = None
        self._stuck.append(lambda: not ended)
        self._worker.close(0.0)
        self._worker, self._writer, self._rows = Worker("archive"), self._writer.successor(), self._new_rows()
        self._step = ReconcileStep()
        raise TimeoutError(errno.ETIMEDOUT, f"{self._folder}: the disk has not answered for {ABANDON_S:g} s")

    async def _wait(self, call: Call[News]) -> None:
        """Wait until the call has ended. No nursery: it would cost more than the call."""
        with trio.move_on_after(SLOW_S):
            return await call.wait(self._heard)
        if self._faulty_since is None:
            self._faulty_since = trio.current_time() - SLOW_S
            self._reports.slow()
        return await call.wait(self._heard)

    def _new_rows(self) -> IndexRows:
        return IndexRows(self._folder, self._marks, self._retainer.wall_ns)

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
            logger.error("archive %s: %s", self._folder, error)
            self._reports.failed(why, full=isinstance(error, OSError) and error.errno in FULL)

    def _forget(self) -> None:
        """Nothing is taken before the next `run`, if there is one: after a crash, it repairs what this one has left."""
        self.fault = self.fault or "the archive is stopped"
        self._buffer.clear()
        self._rows, self._is_repaired, self._step = self._new_rows(), False, ReconcileStep()

    def _recover(self) -> None:
        self.fault = ""
        self._answered()

    def _answered(self) -> None:
        """A call has succeeded: unless nothing is taken, the disk is no longer slow."""
        if not self.fault and self._faulty_since is not None:
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
            case Left(files):
                self._reports.left(files)
            case Compared(step):
                self._step = step
            case NewestEnds(ends):
                self._ends.find(ends)
            case Expired(files, code):
                self._reports.expired(files, code)
            case Item():
                self._wrote(news)

    def _wrote(self, item: Item) -> None:
        self._buffer.wrote(item, trio.current_time())
        self._ends.write(item.camera, item.step)
        self._answered()

    # ── in the thread ───────────────────────────────────────────────────────────────────────────────────────────

    def _open(self, writer: ArchiveWriter, rows: IndexRows, post: Callable[[News], None]) -> None:
        writer.give_up()
        writer.open()
        for file in writer.repair():
            self._keep_repaired(rows, file, post)
        if not self._is_repaired and rows.open() is not None:
            with suppress(apsw.Error):  # the next use reports it
                self._repair_newest(writer, rows, post)
            self._is_repaired = True
        if writer.lacking() > 0:
            self._retain(writer, rows, post)
        writer.probe()

    def _keep_repaired(self, rows: IndexRows, file: SealedFile, post: Callable[[News], None]) -> None:
        """A file was repaired: it has its row, and is reported, although the disk may fail at the next one.

        Nobody knows any more whether something was detected in it, so it is kept as if.
        """
        self._marks.note(file.camera, file.began_ns, file.began_ns + 1)
        rows.add([file])
        post(Repaired(file))

    def _repair_newest(self, writer: ArchiveWriter, rows: IndexRows, post: Callable[[News], None]) -> None:
        index = rows.index
        assert index is not None
        post(Left(tuple(index.not_journaled(MOST_LEFT))))
        ends = index.ends()
        for found in writer.repair_newest(index):
            if isinstance(found, SealedFile):
                self._keep_repaired(rows, found, post)
                found = found.camera, found.ended_ns
            camera, ended_ns = found
            ends[camera] = max(ended_ns, ends.get(camera, 0))
        post(NewestEnds(ends))

    def _turn(
        self, writer: ArchiveWriter, rows: IndexRows, sealed_until: Mapping[str, int], post: Callable[[News], None]
    ) -> None:
        writer.require_same()
        until = time.monotonic() + TURN_S
        while True:
            step = rows.reconcile(writer, sealed_until)
            if step is not None and step.file is not None:
                post(Repaired(step.file) if step.file.is_repaired else step.file)
            if step is None or time.monotonic() >= until:
                return post(Compared(step))

    def _retain(self, writer: ArchiveWriter, rows: IndexRows, post: Callable[[News], None]) -> None:
        """Remove files that are too old, or in the way of newer ones."""
        if rows.index is None:
            return
        removed: dict[str, list[IndexedFile]] = {"age": [], "room": []}
        try:
            for file, code in self._retainer.turn(writer, rows.index):
                removed[code].append(file)
        except apsw.Error as error:
            logger.warning("archive %s removes nothing: its index cannot be read: %s", self._folder, error)
        finally:
            for code, files in removed.items():
                if files:
                    post(Expired(tuple(files), code))

    def _write_batch(
        self,
        writer: ArchiveWriter,
        rows: IndexRows,
        batch: Sequence[Item],
        sync: bool,
        journaled: Sequence[Named],
        post: Callable[[News], None],
    ) -> Sequence[News]:
        """Write a batch. Returns its last item, unless it was posted before a sync."""
        sealed = list[SealedFile]()
        try:
            for number, item in enumerate(batch, 1):
                if writer.is_abandoned:
                    raise TimeoutError(errno.ETIMEDOUT, "the disk has answered too late")
                sealed += filter(None, [_step(writer, item)])
                if sync or number < len(batch):
                    post(item)
            if sync:
                writer.sync()
        finally:
            rows.add(sealed)
            for file in sealed:
                post(file)
        rows.mark_journaled(journaled)
        return () if sync else batch[-1:]

    def _seal_all(self, writer: ArchiveWriter, rows: IndexRows, post: Callable[[News], None]) -> None:
        for camera in writer.growing:
            file = writer.seal(camera)
            if file is not None:
                rows.add([file])
                post(file)

    def _close(self, writer: ArchiveWriter, rows: IndexRows, post: Callable[[News], None]) -> None:
        writer.close()
        rows.close()


def _step(writer: ArchiveWriter, item: Item) -> SealedFile | None:
    """Write a step of a recording. Returns the file that it ends."""
    match item.step:
        case NewFile():
            return writer.begin(item.camera, item.recording, item.step)
        case Fragment():
            writer.append(item.camera, item.step)
            return None
        case RecordingEnd():
            return writer.seal(item.camera)


def _words_of(error: BaseException) -> str:
    """The error in words. The path of a file, which is relative to the archive, is left out: it names a camera."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error) or type(error).__name__
    named = isinstance(error.filename, str) and os.path.isabs(error.filename)
    return f"{error.filename}: {error.strerror}" if named else error.strerror
