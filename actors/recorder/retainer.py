"""Removes old recording files, and says how long the room lasts. Blocking; in the thread of the archive's writer.

Rules of this file:
- A row goes before its file: a file without a row is found again, a row without a file would be a lie.
- A file whose row is removed is removed by a later turn if the disk fails.
- Pins are read in the step that decides: what was pinned before that step stays.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from supervisor.domain.ids import CameraId
from supervisor.ports.archives import ArchiveRoom, CameraTime

from .archive_writer import ArchiveWriter
from .forecast import CameraFootage, forecast
from .index import NAME as INDEX
from .index import Index, IndexedFile
from .other_files import OtherFiles
from .retention import (
    DAY_NS,
    HOUR_NS,
    MOST,
    CarefulClock,
    Expendable,
    Pinned,
    RetentionRules,
    Spans,
    expendable,
    spans_of,
)

FEW = 4
"""Rows of each camera and class that are read at first."""
LEAST_MARGIN = 16 * 1024 * 1024


def margin(written: int, held: int) -> int:
    """The bytes that are freed beyond the reserve: twice what was written since the last time, and little of all.

    Somebody else may fill the disk: that costs as much footage as recording needs, and not the whole archive.
    """
    return max(LEAST_MARGIN, min(2 * written, held // 10))


class Retainer:
    """Made once for each archive. `rules` and `pins` are called in the thread, and return values that do not change."""

    def __init__(
        self,
        archive: str,
        folder: Path,
        rules: Callable[[], RetentionRules],
        pins: Callable[[], Iterable[Pinned]] = tuple,
        wall_ns: Callable[[], int] = time.time_ns,
        mono_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._archive, self._rules, self._pins = archive, rules, pins
        self.wall_ns, self._mono_ns = wall_ns, mono_ns
        self._clock, self._others = CarefulClock(), OtherFiles(folder)
        self._leaving = deque[tuple[IndexedFile, str]]()
        """Files whose rows are removed, and that are not removed yet, each with its code."""
        self.deciding = threading.Lock()
        """Held from when the pins are read until the rows are removed."""
        self._sizes: dict[tuple[str, int, int], int] = {}
        """The bytes of pinned times, by camera, beginning and end."""
        self._held = 0
        """Bytes after the last turn."""
        self.room: ArchiveRoom | None = None
        """As of the last turn."""

    def turn(self, writer: ArchiveWriter, index: Index) -> Iterator[tuple[IndexedFile, str]]:
        """Remove up to `MOST` files; yield each with its code, `age` or `room`. Raises `apsw.Error` and `OSError`.

        Files that a fault has left without a row are removed first, by the next turn.
        """
        yield from self._remove(writer)
        rules, other = self._rules(), self._others.look()
        used = {camera: size for camera, (_, size) in index.sizes().items()}
        newest_ns = max(map(index.newest_ns, index.cameras()), default=0)
        now_ns = self._clock.read(self.wall_ns(), self._mono_ns(), newest_ns)
        held, lacking = sum(used.values()), writer.lacking()
        budget = held - lacking
        excess = lacking + margin(held - self._held, held)
        if lacking > held:  # all of it would not help: others have filled the disk
            excess = 0
        if rules.max_bytes is not None:
            budget = min(budget, rules.max_bytes - other)
            excess = max(excess, held - budget)
        with self.deciding:
            pinned = spans_of(self._pins())
            gone = self._expendable(index, pinned, rules, excess, used, now_ns)
            index.remove(gone.rows)
            self._leaving += [(row, "age") for row in gone.aged] + [(row, "room") for row in gone.displaced]
        yield from self._remove(writer)
        for row in gone.rows:
            used[row.camera] -= row.size
        self._held = sum(used.values())
        footage = [
            CameraFootage(camera, size, index.oldest_ns(camera), index.since(camera, now_ns - DAY_NS))
            for camera, size in used.items()
        ]
        first_ns = min((each.oldest_ns for each in footage if each.oldest_ns is not None), default=now_ns)
        self.room = forecast(
            self._archive,
            footage,
            rules,
            pinned=self._pinned_bytes(index, pinned, now_ns),
            other=other,
            budget=budget,
            window_s=(now_ns - max(first_ns, now_ns - DAY_NS)) / 1e9,
            lag_s=gone.lag_s,
        )

    def _remove(self, writer: ArchiveWriter) -> Iterator[tuple[IndexedFile, str]]:
        while self._leaving:
            leaving = self._leaving[0]
            writer.remove(leaving[0].path)
            if self._leaving and self._leaving[0] is leaving:  # a thread that hung may have removed it meanwhile
                self._leaving.popleft()
            yield leaving

    def _expendable(
        self, index: Index, pinned: Spans, rules: RetentionRules, excess: int, used: Mapping[str, int], now_ns: int
    ) -> Expendable:
        """Most often only few files go: then only few rows are read."""
        found = Expendable()
        for count in (FEW, MOST):
            rows = index.oldest(count, pinned)
            found = expendable(rows, pinned, rules, excess, used, now_ns)
            chosen = set(found.rows)
            read, gone = (Counter((row.camera, row.eventful) for row in each) for each in (rows, chosen))
            if not any(read[each] == gone[each] >= count for each in gone):
                break
        return found

    def _pinned_bytes(self, index: Index, pinned: Spans, now_ns: int) -> int:
        """A time is looked up once, unless a file that has something of it may still grow."""
        known, self._sizes = self._sizes, {}
        for camera, spans in pinned.items():
            for span in spans:
                key = camera, *span
                if key not in known or span[1] > now_ns - HOUR_NS:
                    known[key] = index.bytes_of(camera, *span)
                self._sizes[key] = known[key]
        return sum(self._sizes.values())

    def wait_decided(self) -> None:
        """Wait until a decision that is being made has removed its rows. The next one knows the pins of now."""
        with self.deciding:
            pass


def measure(
    folder: Path, retainer: Retainer, times: Sequence[CameraTime], of_all: tuple[int, int] | None
) -> dict[CameraId, int]:
    """The bytes of sealed files that have something of these times, by camera. Raises `apsw.Error`.

    `of_all`: a time of which all cameras of the archive are taken as well. An archive without an index has none.
    """
    retainer.wait_decided()
    if not (folder / INDEX).exists():
        return {}
    index = Index(folder, read_only=True)
    try:
        wanted = [Pinned(each.camera, each.from_ns, each.to_ns) for each in times]
        if of_all is not None:
            wanted += [Pinned(camera, *of_all) for camera in index.cameras()]
        sizes = {
            CameraId(camera): sum(index.bytes_of(camera, *span) for span in spans)
            for camera, spans in spans_of(wanted).items()
        }
        return {camera: size for camera, size in sizes.items() if size}
    finally:
        index.close()
