"""A journal folder that is written: locked, appended to, its full segments sealed and its old ones let go. Blocking.

Rules of this file:
- One store owns the folder; a lock beside the files keeps other daemons out.
- `append`, `skip` and `reconnect` are called by one thread at a time, `keep` by another if need be.
- A segment that is full is left at the next append; sealing it can wait, and never makes an append wait.
"""

import fcntl
import os
import time
from collections.abc import Sequence
from pathlib import Path

import apsw
import attrs

from ..domain.events import Recorded
from ..domain.state import State
from . import manifest
from .codec import GENESIS
from .errors import JournalError
from .files import DRAFT, PREFIX, list_segments, refuse_unsafe_sqlite, segment_path, sync_folder
from .retention import DAY_S, Retention, expendable, read_pins
from .segment import SegmentWriter, make_segment, seal


@attrs.frozen
class Rotation:
    """When a segment is full."""

    max_bytes: int = 256 * 1024**2
    max_age_s: float = DAY_S


@attrs.frozen
class Kept:
    """What `keep` has done."""

    sealed: tuple[str, ...]
    removed: tuple[str, ...]


class Store:
    """The read-write side of a journal folder. `rotation` and `retention` may be changed at any time.

    Raises `JournalError` when the folder cannot be used: locked by another daemon, written by a newer version, not
    ours, damaged at its end, not writable, or when this machine's SQLite is unsafe.
    """

    def __init__(
        self,
        folder: Path,
        rotation: Rotation = Rotation(),
        retention: Retention = Retention(),  # noqa: B008
    ) -> None:
        refuse_unsafe_sqlite()
        self.folder = folder
        self.rotation = rotation
        self.retention = retention
        self._state: State | None = None
        """After the last append; none before the first."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except (OSError, ValueError) as error:
            raise JournalError(f"{str(folder)!r}: the journal folder cannot be used: {error}") from None
        try:
            self._take_lock()
            self._open_last(create=True)
        except BaseException:
            os.close(self._lock)
            raise

    @property
    def last_seq(self) -> int:
        """The last event that is stored."""
        return self._writer.last_seq

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._lock, 32, 0).decode(errors="replace").strip() or "unknown"
            raise JournalError(
                f"{self.folder}: the journal is in use by another daemon (pid {holder}); "
                "stop that one, or give this one a journal of its own"
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def _open_last(self, *, create: bool) -> None:
        """Open the last segment, and sync what it holds: an earlier life may have failed to, though it reads well."""
        try:
            for draft in self.folder.glob(f"{PREFIX}*{DRAFT}*"):  # of a segment that was never finished
                draft.unlink()
            found = list_segments(self.folder)
            if not found and not create:
                raise JournalError(f"{self.folder}: the journal's files are gone")
            path = found[-1].path if found else make_segment(self.folder, State(), 0, GENESIS, time.time_ns())
            sync_folder(self.folder)
        except (OSError, apsw.Error) as error:
            raise JournalError(f"{self.folder}: the journal folder cannot be used: {error}") from None
        writer = SegmentWriter(path)
        try:
            writer.sync_again()
        except BaseException:
            writer.close()
            raise
        self._writer = writer

    def append(self, batch: Sequence[Recorded], state: State) -> None:
        """Store `batch`, which follows `last_seq` without a gap, and sync it; `state` is the one after it.

        Raises `apsw.Error` and `OSError`; then nothing of it counts as stored, and `reconnect` comes next.
        """
        state_is_known = self._state is not None and self._state.seq == self.last_seq  # not after a fault
        if self._state is not None and state_is_known and self._is_full():
            self._begin_segment(self._state)
        self._writer.append(batch, state)
        self._state = state

    def skip(self, state: State) -> None:
        """Go on after `state`; the events between `last_seq` and it were lost. Raises what `append` raises."""
        self._begin_segment(state)

    def _is_full(self) -> bool:
        if self._writer.path == segment_path(self.folder, self.last_seq + 1):
            return False  # nothing is in it
        age_s = abs(time.time_ns() - self._writer.created_ns) / 1e9
        return self._writer.size >= self.rotation.max_bytes or age_s >= self.rotation.max_age_s

    def _begin_segment(self, head: State) -> None:
        before = self._writer
        path = make_segment(self.folder, head, before.last_seq, before.digest, time.time_ns())
        self._writer, self._state = SegmentWriter(path), head
        before.close()

    def reconnect(self) -> None:
        """Open the file anew after an error; `last_seq` then says what had been stored, and synced.

        Raises `JournalError`, and `apsw.Error`; then it must be called again.
        """
        promised = self._writer
        promised.close()
        self._open_last(create=False)
        if self._writer.last_seq < promised.last_seq:
            found, self._writer = self._writer, promised
            found.close()
            there = f"events up to {promised.last_seq} were promised, and {found.last_seq} are there"
            raise JournalError(f"{found.path}: {there}")

    def keep(self, now_ns: int) -> Kept:
        """Seal what is complete and let go what retention no longer asks for. Raises `JournalError` and `OSError`."""
        known = manifest.read(self.folder)
        named = {sealed.segment for sealed in known}
        found = list_segments(self.folder)
        removed = self._let_go(known, {segment.path.name for segment in found}, now_ns)
        done = []
        for segment in found[:-1]:
            if segment.path.name in named or segment.path.name in removed:
                continue
            sealed = seal(segment.path, manifest.digest_of(known[-1] if known else None))
            if sealed is None:
                break
            manifest.append(self.folder, known, sealed)
            known.append(sealed)
            done.append(sealed.segment)
        return Kept(tuple(done), tuple(removed))

    def _let_go(self, known: Sequence[manifest.Sealed], there: set[str], now_ns: int) -> list[str]:
        """The oldest first, so that what is left has no holes whatever happens on the way."""
        left = [sealed for sealed in known if sealed.segment in there]
        gone = expendable(left, list(read_pins(self.folder).values()), self.retention, now_ns)
        for sealed in gone:
            for path in self.folder.glob(f"{sealed.segment}*"):
                path.unlink()
        if gone:
            sync_folder(self.folder)
        return [sealed.segment for sealed in gone]

    def close(self) -> None:
        """Let the folder go. Also while a hung disk still holds a commit."""
        self._writer.close()
        os.close(self._lock)
