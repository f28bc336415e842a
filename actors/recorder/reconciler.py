"""Makes the index of an archive and its files agree, while recording goes on. Blocking, in steps of some milliseconds.

Rules of this file:
- A row whose file is gone is removed: a listing of its folder shows it, and no file is opened for it.
- A file without a row gets one. The oldest come first, so that retention never takes a newer file for the oldest one.
- A file that was ended is believed by its beginning and its `mfra`. It is read as a whole only if the journal has not
  sealed it: a seal needs its digest. One that was not ended is repaired.
- A file that cannot be read stays as it is, without a row, and so does one with the name of another time.
- A row that is made again is eventful: nobody knows whether something was detected in its time, and it is not removed
  before those in which nothing was.
"""

import logging
from collections.abc import Iterator, Mapping

import attrs

from actors.media.bitstream import BitstreamError

from .archive_writer import ArchiveWriter, SealedFile, day_ns, day_of, is_named, number_of
from .index import Index, IndexedFile, pack_keys, row_of
from .recording_file import EndedFile, read_ended

ROWS = 64
"""Rows that are added in one transaction."""
logger = logging.getLogger("banken")


@attrs.frozen
class ReconcileStep:
    """How far the comparison is."""

    done: int = 0
    """Days of cameras that were compared."""
    of: int = 0
    """All days of all cameras; 0 before they are known."""
    file: SealedFile | None = None
    """A file whose digest the journal does not have."""

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.done / self.of if self.of else 0.0


def reconcile(writer: ArchiveWriter, index: Index, sealed_until: Mapping[str, int]) -> Iterator[ReconcileStep]:
    """Yield after each step. Raises `apsw.Error`, `OSError` if the folder cannot be used, and `ValueError` for rows
    that cannot be true.

    `sealed_until`: for each camera, the end of the newest file that the journal has sealed, in ns since 1970.
    """
    days = list[tuple[str, str]]()
    for camera in sorted({*writer.cameras(), *index.cameras()}):
        known = {day_of(begins_ns) for begins_ns in index.days(camera)}
        days += [(day, camera) for day in {*writer.days(camera), *known}]
        yield ReconcileStep()
    for done, (day, camera) in enumerate(sorted(days)):
        at = ReconcileStep(done, len(days))
        missing = _compare(writer, index, camera, day)
        yield at
        rows = list[IndexedFile]()
        for path in missing:
            if path in writer.paths or index.has(path):
                continue
            found = _read(writer, path, sealed_until.get(camera, 0))
            if isinstance(found, IndexedFile):
                rows.append(found)
            elif found is not None:
                index.add_rows([attrs.evolve(row_of(found), eventful=True)], journaled=False)
            if len(rows) >= ROWS:
                index.add_rows(rows, journaled=True)
                rows.clear()
            yield attrs.evolve(at, file=found) if isinstance(found, SealedFile) else at
        index.add_rows(rows, journaled=True)


def _compare(writer: ArchiveWriter, index: Index, camera: str, day: str) -> list[str]:
    """Remove the rows of a day whose files are gone, and return the files that have no row."""
    paths = writer.paths_of(camera, day)
    rows, there = index.of_day(camera, day_ns(day)), set(paths)
    index.remove([row for row in rows if row.path not in there])
    there -= {row.path for row in rows}
    return [path for path in paths if path in there]


def _read(writer: ArchiveWriter, path: str, sealed_until: int) -> IndexedFile | SealedFile | None:
    """The row of a file that the journal has sealed, or another file with its digest; None if it gets no row."""
    try:
        try:
            with writer.read(path) as file:
                ended = read_ended(file)
        except BitstreamError:
            return writer.repair_file(path)
        if not is_named(path, ended.about.camera, ended.began_ns):
            return None
        row = _row(path, ended)
        return row if row.ended_ns <= sealed_until else writer.repair_file(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        logger.warning("recording file %s cannot be read: %s", path, error)
        return None


def _row(path: str, ended: EndedFile) -> IndexedFile:
    camera, keys = path.partition("/")[0], pack_keys(ended.keys)
    recording = ended.about.recording
    return IndexedFile(camera, ended.began_ns, number_of(path), recording, ended.duration, ended.size, b"", keys, True)
