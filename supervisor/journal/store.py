"""Writes a journal folder: locks it, appends to it, seals full segments and removes old ones. Blocking.

Rules of this file:
- One store owns the folder: see `lock.py`.
- The files are compared with their attributes after our last write (`watch.py`). Files that a commit writes are
  compared before and after it, older segments once in `LOOK_EVERY_S`.
- Files that were replaced are not written again: see `begin_chain`.
- One thread at a time calls `append`, `skip`, `reconnect` and `begin_chain`. Another thread may call `keep` and
  `remove`.
- The next append after a segment is full begins a new one. Sealing the full one never delays an append.
"""

import math
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import apsw
import attrs

from ..domain.events import Recorded
from ..domain.state import State
from ..ports.errors import JournalDamaged, JournalError
from ..ports.questions import Query
from . import codec, manifest
from .codec import GENESIS, Encoded
from .errors import JournalInUse, JournalReplaced, may_pass
from .files import (
    BESIDE,
    ChainStart,
    Segment,
    list_drafts,
    list_segments,
    list_strangers,
    make_private,
    number_of,
    refuse_unsafe_sqlite,
    segment_path,
    set_aside,
    sync_folder,
)
from .lock import FolderLock, is_used
from .reader import SegmentReader
from .retention import DAY_S, Pin, Removal, Retention, expendable, is_pinned, pin_of_time, read_pins, removal_of
from .segment import SegmentWriter, file_digest, make_segment, remove_file, seal
from .watch import FileWatch

LOOK_EVERY_S = 0.4
"""Interval in seconds at which all files are compared: while idle, or otherwise by the next append."""


@attrs.frozen
class Rotation:
    """The limits of a segment. It is small because, until it is sealed, it has no indexes and queries scan it."""

    max_bytes: int = 64 * 1024**2
    max_age_s: float = DAY_S


@attrs.frozen
class SetAsideFile:
    """A file that was renamed because it cannot be used."""

    file: str
    aside: str
    why: str


@attrs.frozen
class Kept:
    """The result of `keep`: segments sealed, files set aside, and segments that retention would remove now."""

    sealed: tuple[str, ...]
    asides: tuple[SetAsideFile, ...] = ()
    expendable: Removal | None = None


@attrs.frozen
class End:
    """The end of a chain: the last event and the digest of the last batch."""

    seq: int
    digest: bytes


@attrs.frozen
class Chain:
    """A new chain to begin: the state from which it begins, the end of the old chain if known, and the reason."""

    head: State
    old: End | None
    why: str
    damaged: tuple[SetAsideFile, ...] = ()
    """Files that must be set aside first. They have no new name yet."""


class Store:
    """Read-write access to a journal folder. `rotation` and `retention` may be changed at any time.

    The folder is opened at once. If `expect` is given, `reconnect` or `begin_chain` opens it.

    Raises `JournalError` if the folder cannot be used: locked by another daemon, written by a newer version, not
    ours, damaged at its end, or not writable. Raises it also if this machine's SQLite is unsafe.
    """

    def __init__(
        self,
        folder: Path,
        rotation: Rotation = Rotation(),
        retention: Retention = Retention(),  # noqa: B008
        expect: End | None = None,
    ) -> None:
        self.folder = folder
        self.rotation = rotation
        self.retention = retention
        self.end = expect or End(0, GENESIS)
        """The acknowledged end of the chain: it is durable."""
        self._attempted: End | None = None
        """The end after a failed write: the files may contain it nevertheless."""
        self.asides: list[SetAsideFile] = []
        """Files that were set aside and not reported yet."""
        self._state: State | None = None
        """The state after the last append; None before the first."""
        self.recovered: State | None = None
        """The state before the first append, if somebody has folded it: its pins hold from the beginning."""
        self._writer: SegmentWriter | None = None
        self._lock: FolderLock | None = None
        self._watch: FileWatch | None = None
        self._broken = False
        """Whether a write has failed since the files were opened."""
        self._looking = threading.Lock()
        """Held while watched files change, and while they are compared, but not while a segment is sealed."""
        self._sealing: str | None = None
        """The segment that is being sealed. It changes by our own writes."""
        self._compared_at = -math.inf
        """When all files were last found unchanged, on the monotonic clock."""
        self._looks_at_wal = 0
        """Checks left that read the whole WAL: two after a commit, since changes within one clock tick look alike."""
        if expect is None:
            try:
                self._hold(make=True)
                self._open_last(create=True)
            except BaseException:
                self._release()
                raise

    @property
    def last_seq(self) -> int:
        """The last stored event."""
        return self.end.seq

    # ── the folder and its last segment ─────────────────────────────────────────────────────────────────────────

    def _hold(self, *, make: bool) -> None:
        refuse_unsafe_sqlite()
        if self._lock is None:
            self._lock = FolderLock(self.folder, make=make)
            self._watch = FileWatch(self._lock)
            if self._lock.aside is not None:
                self.asides.append(SetAsideFile("lock", self._lock.aside, "it is not a file"))

    def clear(self) -> None:
        """Take the lock, and set aside files that prevent reading of segments. Raises `JournalError`, `OSError`."""
        self._hold(make=True)
        self._clear()

    def clear_if_possible(self) -> None:
        """As `clear`. Raises `JournalInUse` if a daemon holds the folder; leaves other errors to the next attempt."""
        try:
            self.clear()
        except (JournalError, OSError) as error:
            if isinstance(error, JournalInUse) and is_used(self.folder):
                raise

    def _release(self) -> None:
        if self._writer is not None:
            self._writer.close()
        if self._lock is not None:
            self._lock.close()
        self._writer = self._lock = self._watch = None

    def _open_last(self, *, create: bool) -> None:
        """Open the last segment, and sync it: an earlier run may have failed to, although it is readable."""
        try:
            self._clear()
            found = list_segments(self.folder)
            if not found and not create:
                raise JournalReplaced(f"{self.folder}: the journal's files are gone")
            path = found[-1].path if found else make_segment(self.folder, State(), 0, GENESIS, time.time_ns())
            sync_folder(self.folder)
        except (OSError, apsw.Error) as error:
            raise JournalError(f"{self.folder}: the journal folder cannot be used: {error}") from None
        self._take(SegmentWriter(path), found[:-1])

    def _clear(self) -> None:
        """Remove incomplete segments, and set aside files that obstruct others."""
        self._put_strangers_aside()
        for draft in list_drafts(self.folder):
            self._remove_file(draft)
        make_private(self.folder)

    def _put_strangers_aside(self, ending: str = "") -> None:
        for name, why in list_strangers(self.folder):
            if name.endswith(ending):
                self.put_aside(name, why)

    def _take(self, writer: SegmentWriter, sealed: Sequence[Segment]) -> None:
        """Write to the segment of `writer` from now on."""
        try:
            writer.sync_again()
            self._watch_files(writer, sealed)
        except BaseException:
            writer.close()
            raise
        self._writer, self._broken, self.end = writer, False, End(writer.last_seq, writer.digest)
        self._attempted = None

    def _watch_files(self, writer: SegmentWriter, older: Sequence[Segment]) -> None:
        assert self._lock is not None
        with self._looking:
            watch = self._watch = FileWatch(self._lock, self._is_ours)
            watch.take(manifest.NAME, *_names(writer), f"{writer.path.name}-journal")
            for segment in older:
                take = watch.take_shared if segment.path.name == self._sealing else watch.take_older
                take(segment.path.name)

    def look(self) -> None:
        """Raise `JournalReplaced` if the files are not as we left them. Before they are open, it does nothing."""
        with self._looking:
            if self._watch is not None and self._writer is not None and not self._broken:
                self._compared_at = -math.inf
                self._watch.look()
                if self._looks_at_wal:
                    self._writer.look_at_wal()
                    self._looks_at_wal -= 1
                self._compared_at = time.monotonic()

    def _is_ours(self, name: str) -> bool:
        """Whether a file whose attributes changed still has the content that we left. Slow: it reads the whole file.

        Raises `OSError` and `JournalError` if the file cannot be read at the moment.
        """
        writer = self._writer
        try:
            if writer is not None and name in _names(writer):
                if name == f"{writer.path.name}-wal":
                    writer.look_at_wal()
                    return True
                return read_through(writer.path) == (writer.last_seq, writer.digest, writer.states)
            known = manifest.read(self.folder)
            if name == manifest.NAME or writer is None:
                return name == manifest.NAME
            sealed = next((line for line in known if line.segment == name), None)
            if sealed is not None:
                return file_digest(self.folder / name) == sealed.sha256
            read_through(self.folder / name)
        except (JournalError, OSError, apsw.Error) as error:
            if may_pass(error.__context__ or error):
                raise
            return False
        return True

    def _look_before_commit(self) -> None:
        """As `look`, but without the older segments if they were compared recently: no commit writes to them."""
        if time.monotonic() >= self._compared_at + LOOK_EVERY_S:
            self.look()
            return
        with self._looking:
            assert self._watch is not None
            self._watch.look_at_written()

    # ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────

    def append(self, batch: Sequence[Recorded], state: State, encoded: Sequence[Encoded] | None = None) -> None:
        """Store `batch`, which follows `last_seq` without a gap, and sync it; `state` is the state after it.

        Without `encoded`, the events are encoded here.
        Raises `apsw.Error`, `OSError`, `MemoryError` and `JournalError`. Then nothing of it counts as stored. Call
        `reconnect` next, or `begin_chain` after `JournalReplaced`.
        """
        with self._breaking():
            self._append([codec.encoded(each) for each in batch] if encoded is None else encoded, state)

    @contextmanager
    def _breaking(self) -> Iterator[None]:
        """After an exception in the block, the files may be inconsistent: do not write to them again."""
        try:
            yield
        except BaseException:
            self._broken = True
            raise

    def _append(self, batch: Sequence[Encoded], state: State) -> None:
        writer = self._opened()
        self._look_before_commit()
        state_is_known = self._state is not None and self._state.seq == self.last_seq  # false after a fault
        if self._state is not None and state_is_known and self._is_full(writer):
            writer = self._begin_segment(self._state)
        with self._looking:
            assert self._watch is not None
            if writer.has_long_wal:
                writer.empty_wal(partial(self._watch.take_written, writer.path.name))
            try:
                writer.append(batch, state)
            finally:
                self._attempted = writer.attempted and End(*writer.attempted)
            self._watch.take_written(_names(writer)[1])  # before it is read: later changes are detected below
            writer.look_at_commit()
            self._looks_at_wal = 2
            self._watch.look_at_written()
        self._state, self.end, self._attempted = state, End(writer.last_seq, writer.digest), None

    def _opened(self) -> SegmentWriter:
        if self._writer is None or self._broken:
            raise JournalError(f"{self.folder}: the journal is not open")
        return self._writer

    def skip(self, state: State) -> None:
        """Continue after `state`; the events between `last_seq` and it were lost. Raises what `append` raises."""
        with self._breaking():
            self._opened()
            self.look()
            self._begin_segment(state)

    def _older_than(self, first: int) -> list[Segment]:
        """The segments before the one that begins with `first`. A foreign segment may follow it."""
        return [segment for segment in list_segments(self.folder) if segment.first < first]

    def _is_full(self, writer: SegmentWriter) -> bool:
        if writer.path == segment_path(self.folder, self.last_seq + 1):
            return False  # it is empty
        age_s = abs(time.time_ns() - writer.created_ns) / 1e9
        return writer.size >= self.rotation.max_bytes or age_s >= self.rotation.max_age_s

    def _begin_segment(self, head: State) -> SegmentWriter:
        before = self._opened()
        before.look_at_wal()  # before it is copied
        self._attempted = End(head.seq, before.digest)
        path = make_segment(self.folder, head, before.last_seq, before.digest, time.time_ns())
        writer = SegmentWriter(path)
        before.close()
        self._watch_files(writer, self._older_than(head.seq + 1))
        self._writer, self._state, self.end, self._attempted = writer, head, End(head.seq, writer.digest), None
        return writer

    def reconnect(self) -> None:
        """Open the files after an error, or for the first time. Then `last_seq` is the last stored and synced event.

        Raises `JournalReplaced` unless the chain ends at the acknowledged end or at the end of the failed write; then
        call `begin_chain` next. Raises `JournalError`, `OSError` and `apsw.Error`; then call it again.
        """
        acknowledged, attempted = self.end, self._attempted
        self._leave()
        self._hold(make=acknowledged.seq == 0)
        assert self._watch is not None
        self._watch.look_at_folder()
        self._open_last(create=acknowledged.seq == 0)
        found, path = self.end, self._opened().path
        if found not in (acknowledged, attempted):
            self.end = acknowledged
            self._leave()
            raise JournalReplaced(
                f"{path}: events up to {acknowledged.seq} were acknowledged, and this chain, which ends with event "
                f"{found.seq}, is another one"
            )

    def _leave(self) -> None:
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None

    # ── a new chain ─────────────────────────────────────────────────────────────────────────────────────────────

    def begin_chain(self, chain: Chain) -> ChainStart:
        """Begin a new chain in the folder as it is now. Returns its record of the old chain.

        Obstructing files are set aside: see `asides`. Raises as `reconnect`; then call it again.
        """
        self._leave()
        if self._lock is not None:
            try:
                FileWatch(self._lock).look_at_folder()
            except JournalReplaced:
                self._release()
        had_folder = chain.old is not None and chain.old.seq > 0
        self._hold(make=not had_folder)
        try:
            self._clear()
            for damaged in chain.damaged:
                if os.path.lexists(self.folder / damaged.file):
                    self.put_aside(damaged.file, damaged.why)
            older = self._usable(chain.head.seq)
            old = chain.old or (End(*read_end(older[-1].path)) if older else None)
            asides = tuple((each.file, each.aside, each.why) for each in self.asides)
            start = ChainStart(old.seq if old else 0, old.digest.hex() if old else "", chain.why, asides)
            after = old.seq if old else chain.head.seq
            path = make_segment(self.folder, chain.head, after, GENESIS, time.time_ns(), start)
        except apsw.Error as error:
            raise JournalError(f"{self.folder}: the journal folder cannot be used: {error}") from None
        try:
            self._take(SegmentWriter(path), older)
        except BaseException:
            with suppress(OSError):
                remove_file(path)
            raise
        self._state = chain.head
        return start

    def _usable(self, last: int) -> list[Segment]:
        """The segments of older chains that end at `last` or before. Other segments are set aside."""
        found = list_segments(self.folder)
        while found:
            segment = found[-1]
            try:
                if segment.first > last:
                    raise JournalDamaged(
                        f"{segment.path.name}: it begins with event {segment.first}, which is not ours"
                    )
                seq, _ = read_end(segment.path)
                if seq <= last:
                    return found
                raise JournalDamaged(f"{segment.path.name}: it ends with event {seq}, which is not ours")
            except JournalDamaged as error:
                self.put_aside(segment.path.name, str(error))
                found.pop()
        return []

    def _remove_file(self, name: str) -> None:
        """Remove a file of a segment, if it exists. A folder of this name is not ours, and is set aside."""
        path = self.folder / name
        if path.is_dir() and not path.is_symlink():
            self.put_aside(name, "it is a folder, in the place of a file of the journal")
        else:
            path.unlink(missing_ok=True)

    def put_aside(self, name: str, why: str) -> None:
        """Rename a file of the folder. Raises `OSError`."""
        self.asides.append(SetAsideFile(name, set_aside(self.folder, name), why))

    # ── sealing and retention ───────────────────────────────────────────────────────────────────────────────────

    def keep(self, now_ns: int) -> Kept:
        """Seal complete segments, and find those that retention removes. Raises `JournalError` and `OSError`."""
        self.look()
        with self._looking:
            self._put_strangers_aside("-journal")
        known = self._manifest()
        named = {sealed.segment for sealed in known}
        found = list_segments(self.folder)
        writer = self._writer
        done = []
        for segment in self._older_than(writer.begins) if writer is not None else ():
            if segment.path.name in named:
                continue
            with self._changing(segment.path.name):
                sealed = seal(segment.path, manifest.digest_of(known[-1] if known else None))
            if sealed is None:
                break
            with self._looking:
                manifest.append(self.folder, known, sealed)
                if self._watch is not None:
                    self._watch.take(manifest.NAME)
            known.append(sealed)
            done.append(sealed.segment)
        there = {segment.path.name for segment in found}
        left = [sealed for sealed in known if sealed.segment in there]
        gone = expendable(left, self._pins(known), self.retention, now_ns)
        asides, self.asides[:] = tuple(self.asides), []
        return Kept(tuple(done), asides, removal_of(gone, self.retention, now_ns))

    @contextmanager
    def _changing(self, name: str) -> Iterator[None]:
        """Around a block in which this segment changes by our own writes, while other threads may compare the files."""
        with self._looking:
            self._sealing = name
            if self._watch is not None:
                self._watch.take_shared(name)
        try:
            yield
        finally:
            with self._looking:
                self._sealing = None
                if self._watch is not None:
                    self._watch.take_older(name)

    def _manifest(self) -> list[manifest.Sealed]:
        """Every line. A damaged manifest is set aside, and a new one is made from the segments."""
        try:
            return manifest.read(self.folder)
        except JournalDamaged as error:
            with self._looking:
                self.put_aside(manifest.NAME, str(error))
                if self._watch is not None:
                    self._watch.take(manifest.NAME)
            return []

    def _pins(self, sealed: Sequence[manifest.Sealed]) -> list[Pin]:
        """The pins of the folder, and those of the state as far as these segments have their time."""
        known = self._state or self.recovered
        held = () if known is None else known.pins.values()
        found = (pin_of_time(pin.from_ns, pin.to_ns, sealed) for pin in held)
        return [*read_pins(self.folder).values(), *(pin for pin in found if pin is not None)]

    def remove(self, removal: Removal) -> tuple[str, ...]:
        """Delete these segments, the oldest first, so that the rest has no holes even after a failure.

        It stops before a segment that was pinned since `keep`. Returns the deleted segments. Raises `JournalError` and
        `OSError`.
        """
        sealed = self._manifest()
        firsts = [number_of(name) or 0 for name in removal.segments]
        done: list[str] = []
        for name, first, following in zip(removal.segments, firsts, (*firsts[1:], removal.last + 1), strict=True):
            if is_pinned(first, following - 1, self._pins(sealed)):
                break
            with self._looking:
                if self._watch is not None:
                    self._watch.forget(name)
                try:
                    for suffix in BESIDE:
                        self._remove_file(f"{name}{suffix}")
                except BaseException:
                    if self._watch is not None:
                        self._watch.take_older(name)
                    raise
            done.append(name)
        sync_folder(self.folder)
        return tuple(done)

    def close(self) -> None:
        """Release the folder, even while a commit hangs on the disk."""
        self._release()


def _names(writer: SegmentWriter) -> tuple[str, str]:
    """The files of a segment that only its writer changes."""
    return writer.path.name, f"{writer.path.name}-wal"


def read_through(path: Path) -> tuple[int, bytes, dict[int, bytes]]:
    """As `read_end`, after a comparison of every event with the chain. Also returns the digests of its states."""
    part = SegmentReader(Segment(1, path), sealed=False)
    try:
        part.checkpoint(part.first - 1)
        digest, expected = part.previous, part.first
        for first, last, stored in part.rows("SELECT first, last, digest FROM batch ORDER BY first"):
            digest = codec.chain(digest, part.select(Query(first - 1, last + 1), last - first + 1, False))
            if first != expected or digest != stored:
                raise JournalDamaged(f"{path}: events {first} to {last} are not what was written")
            expected = last + 1
        return expected - 1, digest, part.states()
    finally:
        part.close()


def read_end(path: Path) -> tuple[int, bytes]:
    """The last event of a segment and the end of its chain. Raises `JournalDamaged` and `JournalError`."""
    part = SegmentReader(Segment(1, path), sealed=False)
    try:
        return part.end()
    finally:
        part.close()
