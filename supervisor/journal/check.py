"""Verifies a whole journal: files, manifest, chain, checksums, and that the replayed states equal the live states.

Alone, it detects damage and clumsy changes. Anybody who can write to the folder can also cut off the end, restore an
older copy, or rewrite all of it. Only a digest or an anchor that is stored elsewhere shows that.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import attrs

from ..domain.errors import IllegalTransition
from ..domain.events import SegmentsRemoved
from ..domain.evolve import evolve
from ..domain.state import RULE, State, state_hash
from ..ports.errors import JournalError
from ..ports.questions import NEVER, Query
from . import checkpoint, codec, manifest
from .consistency import compare_line, damage_of_pins, misplaced, overdue, removed, strays, trailing_bytes, unsealed
from .expect import Expectations
from .files import Segment
from .legacy_hash import WrittenState
from .reader import PAGE, Damage, Reader, SegmentReader
from .retention import PINS
from .segment import file_digest

MOST_DAMAGES = 100
"""Damages of a segment after which the rest of it is skipped, so that a small file does not take long."""
OTHER_FILE = "the file is not the one that was sealed"


@attrs.frozen
class Verified:
    """The result: what was checked, and the damages. Without damage, `damages` is empty."""

    events: int
    segments: int
    hashes: int
    """State hashes and checkpoints that the fold was compared with."""
    gaps: tuple[tuple[int, int], ...]
    """First and last of events that were never stored, according to the journal itself."""
    damages: tuple[Damage, ...]
    journal: str | None = None
    """The node that the journal belongs to; None without an event."""
    last: int = 0
    """The last event of the chain."""
    digest: str = ""
    """The digest at the end of the chain, in hex; empty if it cannot be read."""
    met: tuple[str, ...] = ()
    """Matches with given digests and anchors, and facts that cannot be checked. They are not damage."""


def verify(
    path: Path, progress: Callable[[int], None] = lambda seq: None, expected: Expectations | None = None
) -> Verified:
    """Read the complete journal at `path`, and compare its chain with the `expected` digests and anchors.

    `progress` is called with the sequence number reached. Raises `JournalError` only if `path` is not a journal.
    """
    verification = _Verification(path, progress, expected or Expectations())
    try:
        return verification.run()
    finally:
        verification.close()


class _TooManyDamages(Exception):
    """A segment has `MOST_DAMAGES` damages, so the rest of it is skipped."""


class _Verification:
    def __init__(self, path: Path, progress: Callable[[int], None], expected: Expectations) -> None:
        self._progress, self._expected = progress, expected
        self._damages: list[Damage] = []
        self._reader = Reader(path, salvage=self._damages.append, linked=False)
        self.close = self._reader.close
        self._gaps: list[tuple[int, int]] = []
        self._events = self._hashes = 0
        self._journal: str | None = None
        self._after = self._removed = 0
        """The event that the first segment follows, and the last event that retention reported as removed."""
        self._first = 1
        """The first event that may be here."""
        self._left = MOST_DAMAGES
        """Further damages that may be reported for the current segment."""
        self._notes: list[str] = []
        self._written: WrittenState | None = None
        self._folded: State | None = State()
        """The state after the previous segment; None if it cannot be folded."""

    def run(self) -> Verified:
        sealed = self._manifest()
        digest: bytes | None = None
        last: int | None = None
        segments = 0
        for part in self._reader.parts():
            segments += 1
            try:
                digest, last = self._segment(part, sealed, segments == 1, last or 0, digest)
            except _TooManyDamages:
                digest, last = None, part.first - 1
        left = self._reader.segments()
        there = {segment.path.name for segment in left}
        for line in sealed.values():
            if line.first >= left[0].first and line.segment not in there:
                self._damages.append(Damage(line.segment, line.first, line.last, "it was sealed, and is missing"))
        self._folder(left, sealed)
        self._oldest(left[0], is_whole=bool(sealed))
        met = self._outside(left, last or 0)
        ends = (last or 0, digest.hex() if digest is not None else "")
        return Verified(
            self._events, segments, self._hashes, tuple(self._gaps), tuple(self._damages), self._journal, *ends, met
        )

    def _segment(
        self,
        part: SegmentReader,
        sealed: Mapping[str, manifest.Sealed],
        is_oldest: bool,
        before: int,
        digest: bytes | None,
    ) -> tuple[bytes | None, int]:
        """Check a segment. The one before it ends with event `before` and with `digest`, None if it cannot be read.

        Returns the end of its chain, or None if it breaks, and its last event. Raises `_TooManyDamages`.
        """
        self._left, line = MOST_DAMAGES, sealed.get(part.path.name)
        size = self._file(part, line)
        if is_oldest:
            self._first = part.first
            self._after = 0 if part.start is not None else part.after
            if part.previous != codec.GENESIS:
                self._expected.show(part.after, part.previous)
        if digest is not None and not part.follows(before, digest):
            self._wrong(part, part.first, part.first, _broken(part, before))
        if part.first != part.after + 1 and part.start is None:
            self._gaps.append((part.after + 1, part.first - 1))
        removed_before = [known for known in sealed.values() if known.first < part.first] if is_oldest else []
        text = misplaced(part, is_oldest, removed_before[-1] if removed_before else None)
        if text is not None:
            self._wrong(part, part.first, part.first, text)
        end, last = self._chain(part)
        self._fold(part)
        self._beside(part, line, size, last, end)
        return end, last

    def _outside(self, left: Sequence[Segment], last: int) -> tuple[str, ...]:
        """Compare with digests and anchors from elsewhere. Returns the matches; a mismatch is damage."""
        removed = None if self._reader.path.is_file() else self._removed
        found = self._expected.conclude(self._journal, self._first, last, removed)
        for each in found:
            if each.wrong:
                self._damages.append(Damage(left[-1].path.name, each.first, each.last, each.text))
        return (*self._notes, *(each.text for each in found if not each.wrong))

    def _beside(
        self, part: SegmentReader, line: manifest.Sealed | None, size: int, last: int, digest: bytes | None
    ) -> None:
        """Check what the chain does not cover of a segment: its line in the manifest, its indexes, its file's end."""
        try:
            for first, final, wrong in (*strays(part), *overdue(part)):
                self._wrong(part, first, final, wrong)
            if line is not None:
                text = compare_line(part, line, size, last, digest)
                if text is not None and Damage(part.path.name, line.first, line.last, OTHER_FILE) not in self._damages:
                    self._wrong(part, line.first, line.last, text)
                return
            if trailing_bytes(part, size):
                self._wrong(part, last, last, "there is something behind the end of the file")
            if part.format == 1 and part.missing_indexes():
                self._wrong(part, part.first, last, f"it has lost indexes: {', '.join(part.missing_indexes())}")
            if (text := part.fault_of_indexes()) is not None:
                self._wrong(part, part.first, last, f"SQLite finds that it is not whole: {text}")
        except JournalError as error:
            self._wrong(part, part.first, last, str(error))

    def _oldest(self, segment: Segment, *, is_whole: bool) -> None:
        """Check that retention reported the events missing at the old end. A part of a journal has no manifest."""
        text = removed(self._after, self._removed) if is_whole else None
        if text is not None:
            self._damages.append(Damage(segment.path.name, 1, self._after, text))
        elif self._after and not self._removed:
            text = f"events up to {self._after} are not here, and no event says that retention removed them"
            self._notes.append(text)

    def _folder(self, left: Sequence[Segment], sealed: Mapping[str, manifest.Sealed]) -> None:
        """Check the manifest's coverage and the pins."""
        if self._reader.path.is_file():
            return
        for segment, text in unsealed(left, sealed):
            self._damages.append(Damage(segment.path.name, segment.first, segment.first, text))
        of_pins = damage_of_pins(self._reader.path)
        if of_pins is not None:
            self._damages.append(Damage(PINS, 0, 0, of_pins))

    def _wrong(self, part: SegmentReader, first: int, last: int, text: str) -> None:
        self._damages.append(Damage(part.path.name, first, last, text))
        self._left -= 1
        if self._left == 0:
            text = f"{MOST_DAMAGES} places of this segment are damaged, and the rest of it is not looked at"
            self._damages.append(Damage(part.path.name, part.first, NEVER - 1, text))
            raise _TooManyDamages

    def _manifest(self) -> dict[str, manifest.Sealed]:
        if self._reader.path.is_file():
            return {}
        try:
            return {sealed.segment: sealed for sealed in manifest.read(self._reader.path)}
        except JournalError as error:
            self._damages.append(Damage(manifest.NAME, 0, 0, str(error)))
            return {}

    def _file(self, part: SegmentReader, sealed: manifest.Sealed | None) -> int:
        """Check the file as a whole. Returns its size in bytes."""
        size = part.path.stat().st_size
        if sealed is not None and file_digest(part.path) != sealed.sha256:
            self._wrong(part, sealed.first, sealed.last, OTHER_FILE)
        return size

    def _chain(self, part: SegmentReader) -> tuple[bytes | None, int]:
        """Follow the chain through a segment. Returns its end, or None if it breaks, and the last event."""
        digest, expected = part.previous, part.first
        select = partial(part.select, limit=PAGE * 2, newest=False)
        try:
            for first, last, stored in part.rows("SELECT first, last, digest FROM batch ORDER BY first"):
                rows = select(Query(after=first - 1, before=last + 1)) if first == expected <= last else []
                if not rows or len(rows) != last - first + 1 or codec.chain(digest, rows) != stored:
                    self._wrong(part, first, last, "not what was written: the chain breaks here")
                else:
                    self._expected.show(last, stored)
                digest, expected = stored, max(expected, last + 1)
                self._progress(last)
            unpromised = "SELECT min(seq), max(seq) FROM event WHERE seq > (SELECT coalesce(max(last), 0) FROM batch)"
            beyond = part.rows(unpromised)[0]  # in one statement: a daemon may be writing
        except JournalError as error:
            self._wrong(part, expected, expected, str(error))
            return None, expected - 1
        if beyond[0] is not None:
            self._wrong(part, beyond[0], beyond[1], "they belong to no batch")
        return digest, expected - 1

    def _fold(self, part: SegmentReader) -> None:
        """Fold a segment from the state at its head, and compare with every stored hash and state."""
        seq = part.first - 1
        try:
            hashes = {seq: (rule, digest) for seq, rule, digest in part.hashes()}
            states = {seq for (seq,) in part.rows("SELECT seq FROM checkpoint")}
            state, before, self._folded = part.checkpoint(seq), self._folded, None
            if before is not None and before.seq == seq and _unpacked(state) != before:
                self._wrong(part, seq, seq, "the state at its head is not what the events before it lead to")
            self._compare(part, state, hashes, states)
            while rows := part.read(Query(after=seq), PAGE, False):
                for row in rows:
                    recorded = codec.decode(row)
                    state, seq, self._journal = evolve(state, recorded), row[0], row[3]
                    if isinstance(recorded.event, SegmentsRemoved):
                        self._removed = max(self._removed, recorded.event.last)
                    self._events += 1
                    self._compare(part, state, hashes, states)
                self._progress(seq)
            self._folded = state
        except JournalError as error:
            self._wrong(part, seq + 1, seq + 1, str(error))
        except (KeyError, IllegalTransition) as error:
            self._wrong(part, seq + 1, seq + 1, f"it cannot follow from what was before: {error}")

    def _compare(self, part: SegmentReader, state: State, hashes: dict[int, tuple[int, str]], states: set[int]) -> None:
        if state.seq in hashes:
            self._hashes += 1
            rule, digest = hashes[state.seq]
            if rule > RULE:
                self._wrong(part, state.seq, state.seq, f"its state hash is by rule {rule}, of a newer banken")
            elif state_hash(state, rule) != digest and not self._is_as_written(part, state.seq, digest, rule):
                self._wrong(part, state.seq, state.seq, "replayed, it leads to another state than the one that ran")
        if state.seq in states:
            self._hashes += 1
            if _unpacked(part.checkpoint(state.seq)) != state:
                self._wrong(part, state.seq, state.seq, "the state stored here is not what the events lead to")

    def _is_as_written(self, part: SegmentReader, seq: int, digest: str, rule: int) -> bool:
        """Whether a hash by rule 1 matches the same state with its numbers as they were written."""
        if rule != 1:
            return False
        if self._written is None or self._written.part is not part:
            self._written = WrittenState(part)
        return state_hash(self._written.at(seq), rule) == digest


def _unpacked(state: State) -> State:
    """The state after packing and unpacking."""
    return checkpoint.unpack(checkpoint.pack(state))


def _broken(part: SegmentReader, last: int) -> str:
    """Why a segment does not continue the one before it, which ends with event `last`."""
    if part.start is None:
        return "it does not follow from the segment before it"
    if part.start.last > last:
        return f"a new chain begins; of the old one, which ended with event {part.start.last}, only {last} is here"
    return f"a new chain begins; the old one ended with event {part.start.last}, and {last} here is not its end"
