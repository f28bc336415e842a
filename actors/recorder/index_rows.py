"""The rows of an archive's index, as its thread adds them. Blocking.

Rules of this file:
- A fault of the index ends no recording: its rows wait, and the files are found again if too many do.
- A damaged index is removed. It is made again from the files while recording goes on.
- A thread that hangs keeps its own rows: another thread opens the index again.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import apsw

from .archive_writer import ArchiveWriter, SealedFile
from .index import DAMAGED, Index, Named, remove_index
from .marks import EventMarks
from .reconciler import ReconcileStep, reconcile

MOST_ROWS = 10_000
"""Rows that wait for an index that cannot be written."""
logger = logging.getLogger("banken")


class IndexRows:
    """Made once for each thread of an archive."""

    def __init__(
        self, folder: Path, marks: EventMarks | None = None, wall_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._folder, self._marks, self._wall_ns = folder, marks or EventMarks(), wall_ns
        self.index: Index | None = None
        """None before `open`, and after a fault."""
        self._waiting: list[SealedFile] = []
        self._steps: Iterator[ReconcileStep] | None = None
        self.is_reconciled = False
        """Whether the index has been compared with all files."""

    def open(self) -> Index | None:
        """Return the index, which is made if it does not exist; None if that is not possible now."""
        try:
            self.index = self.index or Index(self._folder)
        except apsw.Error as error:
            self.fail(error)
        return self.index

    def add(self, files: Sequence[SealedFile]) -> None:
        """Add rows, those that wait, and marks of detections."""
        self._waiting += files
        if len(self._waiting) > MOST_ROWS:
            del self._waiting[:-MOST_ROWS]
            self._begin_again()
        if not self._waiting and self.index is None:
            return
        try:
            index = self.open()
            if index is not None:
                if self._waiting:
                    index.add(self._waiting)
                self._marks.apply(index, self._wall_ns(), is_sealed=bool(self._waiting))
                self._waiting = []
        except apsw.Error as error:
            self.fail(error)

    def mark_journaled(self, files: Sequence[Named]) -> None:
        """Note that the journal has the digests of these files. If that fails, they are looked up at the next start."""
        if files and self.index is not None:
            try:
                self.index.mark_journaled(files)
            except apsw.Error as error:
                self.fail(error)

    def reconcile(self, writer: ArchiveWriter, sealed_until: Mapping[str, int]) -> ReconcileStep | None:
        """Compare some more files with their rows; None once all are."""
        if self.is_reconciled or self.open() is None:
            return None
        assert self.index is not None
        self._steps = self._steps or reconcile(writer, self.index, sealed_until)
        try:
            step = next(self._steps, None)
            if step is None:
                self.index.mark_whole()
        except (apsw.Error, ValueError, OverflowError) as error:
            self.fail(error)
            return ReconcileStep()
        self.is_reconciled = step is None
        return step

    def fail(self, error: Exception) -> None:
        """Close the index after an error. It is removed if it is damaged."""
        logger.warning("the index of archive %s cannot be used: %s", self._folder, error)
        self.close()
        if isinstance(error, (*DAMAGED, ValueError, OverflowError)):
            remove_index(self._folder)
            self._begin_again()

    def _begin_again(self) -> None:
        self._steps, self.is_reconciled = None, False

    def close(self) -> None:
        if self.index is not None:
            self.index.close()
        self.index = self._steps = None
