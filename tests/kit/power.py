"""Power cuts under the real journal: data that SQLite has written but not synced is dropped, torn or kept at random.

Rules of this file:
- Every write, truncation, sync and deletion of SQLite is recorded; an image is a possible content of the disk at one of
  these moments: all synced data, and any part of the rest, in units of a sector.
- New names in a folder are durable once the folder is synced; the store does that before it opens them.
- The check follows the guarantee: a prefix, at least as long as the last acknowledgement, complete and chained.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import apsw
import attrs

from supervisor.domain.events import Recorded
from supervisor.journal import guard, segment
from supervisor.journal.check import verify
from supervisor.journal.files import DRAFT
from supervisor.journal.store import Rotation, Store
from supervisor.ports.errors import JournalError

from .journals import lively, read_all, states

NAME, BASE = "power", guard.WRITER_VFS
SECTOR = 512
UNSEALED = "the manifest does not name it"
"""Nobody seals the many small segments here."""
CHECKPOINT_BYTES = 24 * 4120
"""So seldom is the WAL copied to the main file: often enough to be cut in the middle."""


@attrs.frozen
class Write:
    file: str
    at: int
    data: bytes


@attrs.frozen
class Truncate:
    file: str
    size: int


@attrs.frozen
class Sync:
    file: str


@attrs.frozen
class Delete:
    file: str


@attrs.frozen
class Rename:
    """A finished segment has its name."""

    file: str


@attrs.frozen
class Acknowledgement:
    """Everything up to `seq` was acknowledged."""

    seq: int


Step = Write | Truncate | Sync | Delete | Rename | Acknowledgement


class PowerDisk(apsw.VFS):
    """SQLite's default file layer as long as it is not unregistered; `steps` are what was asked of it."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._known: set[str] = set()
        super().__init__(NAME, BASE, makedefault=True)
        guard.WRITER_VFS = NAME

    def unregister(self) -> None:
        super().unregister()
        guard.WRITER_VFS = BASE

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        path = name.filename() if isinstance(name, apsw.URIFilename) else name or ""
        file = Path(path).name
        if file not in self._known and file + DRAFT in self._known:
            self.steps.append(Rename(file))
        self._known.add(file)
        return PowerFile(self, file, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(filename, syncdir)
        self.steps.append(Delete(Path(filename).name))


class PowerFile(apsw.VFSFile):
    def __init__(self, disk: PowerDisk, file: str, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__(BASE, name, flags)
        self._disk, self._file = disk, file

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        super().xWrite(data, offset)
        self._disk.steps.append(Write(self._file, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        super().xTruncate(newsize)
        self._disk.steps.append(Truncate(self._file, newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802
        super().xSync(flags)
        self._disk.steps.append(Sync(self._file))


@attrs.define
class _Held:
    """One file: what is safe, and what is not yet."""

    safe: bytearray = attrs.field(factory=bytearray)
    pending: list[Write | Truncate] = attrs.field(factory=list)

    def apply(self, step: Write | Truncate, part: slice) -> None:
        if isinstance(step, Truncate):
            del self.safe[step.size :]
            return
        data = step.data[part]
        at = step.at + (part.start or 0)
        self.safe.extend(bytes(max(0, at + len(data) - len(self.safe))))
        self.safe[at : at + len(data)] = data

    def sync(self) -> None:
        for step in self.pending:
            self.apply(step, slice(None))
        self.pending.clear()

    def cut(self, chance: Random) -> None:
        """The power goes: of what is pending, some is kept, some torn, the rest dropped."""
        kept = chance.choice((0.0, 0.5, 0.9))
        for step in self.pending:
            lot = chance.random()
            if lot < kept:
                self.apply(step, slice(None))
            elif isinstance(step, Write) and lot < kept + 0.1:
                sectors = -(-len(step.data) // SECTOR)
                first = chance.randrange(sectors)
                self.apply(step, slice(first * SECTOR, chance.randrange(first, sectors + 1) * SECTOR))
        self.pending.clear()


@attrs.frozen
class Life:
    """The recorded disk operations while `rows` were stored."""

    rows: list[Recorded]
    steps: list[Step]

    def cut(self, folder: Path, chance: Random) -> int:
        """Fill `folder` with a possible image after a cut; returns the sequence number acknowledged at that moment."""
        files: dict[str, _Held] = {}
        acknowledged = 0
        end = chance.randrange(len(self.steps) + 1)
        for step in self.steps[:end]:
            match step:
                case Write() | Truncate():
                    files.setdefault(step.file, _Held()).pending.append(step)
                case Sync():
                    files.setdefault(step.file, _Held()).sync()
                case Delete():
                    files.pop(step.file, None)
                case Rename():
                    files[step.file] = files.pop(step.file + DRAFT)
                case Acknowledgement():
                    acknowledged = step.seq
        for name, held in files.items():
            held.cut(chance)
            (folder / name).write_bytes(held.safe)
        return acknowledged


def live(folder: Path, chance: Random) -> Life:
    """Store a story in batches of any size, in a segment or in several, and note what the disk was asked."""
    rows = lively(30)
    after = states(rows)
    disk = PowerDisk()
    bytes_before, segment.CHECKPOINT_BYTES = segment.CHECKPOINT_BYTES, CHECKPOINT_BYTES
    try:
        store = Store(folder, Rotation(max_bytes=chance.choice((1, 100_000, 2**30))))
        while store.last_seq < len(rows):
            end = min(len(rows), store.last_seq + chance.choice((1, 3, 9, 40)))
            store.append(rows[store.last_seq : end], after[end])
            disk.steps.append(Acknowledgement(end))
        store.close()
    finally:
        segment.CHECKPOINT_BYTES = bytes_before
        disk.unregister()
    return Life(rows, disk.steps)


def look(life: Life, folder: Path, chance: Random) -> str | None:
    """Cut the power once, start again, and say what is wrong; none if nothing is."""
    folder.mkdir()
    try:
        acknowledged = life.cut(folder, chance)
        try:
            Store(folder).close()
            rows = read_all(folder)
            damages = [each for each in verify(folder).damages if UNSEALED not in each.text]
        except JournalError as error:
            return f"damaged: {error}"
    finally:
        shutil.rmtree(folder)
    if rows != life.rows[: len(rows)] or damages:
        return f"not what was written: {damages[:1]}"
    return f"lost: {acknowledged} were acknowledged, {len(rows)} are there" if len(rows) < acknowledged else None


def cut_power(folder: Path, images: int, seed: int, report: Callable[[int], None] = lambda done: None) -> list[str]:
    """Return the faults in `images` images, with the number of each; fifty cuts per run."""
    wrong = []
    life: Life | None = None
    for number in range(images):
        if life is None or number % 50 == 0:
            home = folder / f"life-{number}"
            life = live(home, Random(f"{seed}/{number}"))
            shutil.rmtree(home)
        found = look(life, folder / "image", Random(f"{seed}/{number}/cut"))
        if found is not None:
            wrong.append(f"image {number} of seed {seed}: {found}")
        report(number + 1)
    return wrong
