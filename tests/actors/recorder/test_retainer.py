"""Retention in a real folder: pins, the order of row and file, other people's files, and the room that is left."""

import errno
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import pytest

from actors.media.media import CLOCK_RATE
from actors.recorder import retainer as module
from actors.recorder.archive_writer import ArchiveWriter, SealedFile, path_of
from actors.recorder.index import Index, IndexedFile
from actors.recorder.other_files import OtherFiles
from actors.recorder.retainer import Retainer, margin, measure
from actors.recorder.retention import DAY_NS, DAY_S, Keep, Pinned, RetentionRules
from supervisor.domain.ids import CameraId
from supervisor.ports.archives import CameraTime
from tests.kit.archive import FailingDisk, fails_at

NOW = 1_800_000_000 * 10**9
SIZE = 1000
DIGEST, RECORDING = bytes(32), "0" * 16
GATE, YARD = CameraId("gate"), CameraId("yard")


@attrs.define
class Shelf:
    """An archive of files with `SIZE` bytes each, and its retention."""

    folder: Path
    writer: ArchiveWriter
    index: Index
    disk: FailingDisk
    rules: RetentionRules = attrs.field(factory=lambda: RetentionRules(Keep(14 * DAY_S, 30 * DAY_S)))
    pins: list[Pinned] = attrs.field(factory=list)
    now_ns: int = NOW
    retainer: Retainer = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        mono = iter(range(0, 10**18, 60 * 10**9))
        self.retainer = Retainer(
            "recordings", self.folder, lambda: self.rules, lambda: self.pins, lambda: self.now_ns, lambda: next(mono)
        )

    def put(self, days: float, camera: str = GATE, *, eventful: bool = False) -> str:
        """Add a file of a minute that began so many days ago; returns its path."""
        began_ns = NOW - int(days * DAY_NS)
        path = path_of(camera, began_ns, 1)
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_bytes(bytes(SIZE))
        self.index.add([SealedFile(camera, RECORDING, path, began_ns, 60 * CLOCK_RATE, SIZE, DIGEST, ())])
        if eventful:
            self.index.mark_eventful(camera, began_ns, began_ns + 1)
        return path

    def left(self) -> list[str]:
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.glob("*/*/*.mp4"))

    def rows(self) -> list[str]:
        return sorted(row.path for row in self.index.oldest(1000))

    def turn(self) -> Sequence[str]:
        return [row.path for row, _ in self.retainer.turn(self.writer, self.index)]


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    monkeypatch.setattr(module, "margin", lambda written, held: 0)
    disk = FailingDisk()
    writer = ArchiveWriter(tmp_path / "recordings", "n1", lambda: "a", disk)
    writer.open()
    shelf = Shelf(tmp_path / "recordings", writer, Index(tmp_path / "recordings"), disk)
    shelf.turn()
    yield shelf
    shelf.index.close()
    writer.close()


def test_files_with_and_without_events_are_kept_for_their_own_time(shelf: Shelf) -> None:
    """So are those of a camera with its own rule."""
    gone = [shelf.put(15), shelf.put(31, eventful=True), shelf.put(2, YARD)]
    kept = [shelf.put(13), shelf.put(29, eventful=True), shelf.put(0.5, YARD)]
    shelf.rules = attrs.evolve(shelf.rules, keep_of={YARD: Keep(DAY_S, DAY_S)})
    assert set(shelf.turn()) == set(gone)
    assert shelf.left() == shelf.rows() == sorted(kept)
    assert shelf.turn() == []


def test_file_that_a_fault_has_left_is_removed_by_the_next_turn(shelf: Shelf) -> None:
    """Its row is removed already; nothing else would find the file before the next start."""
    gone = [shelf.put(17), shelf.put(16), shelf.put(15)]
    shelf.disk.fault = fails_at(1, "remove")
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        shelf.turn()
    assert (shelf.rows(), shelf.left()) == ([], gone[1:])
    assert shelf.turn() == gone[1:]
    assert shelf.left() == []


def test_pinned_files_stay_in_a_full_archive(shelf: Shelf) -> None:
    """Also if so many are pinned that retention sees no other file among the oldest."""
    shelf.rules = attrs.evolve(shelf.rules, max_bytes=SIZE)
    pinned = [shelf.put(20 - number / 1000) for number in range(300)]
    others = [shelf.put(5), shelf.put(4), shelf.put(3, YARD)]
    shelf.pins = [Pinned(GATE, NOW - 21 * DAY_NS, NOW - 10 * DAY_NS)]
    assert shelf.turn() == others
    assert shelf.left() == shelf.rows() == sorted(pinned)
    assert shelf.turn() == []
    room = shelf.retainer.room
    assert room is not None
    assert (room.bytes, room.pinned_bytes, room.budget_bytes) == (300 * SIZE, 300 * SIZE, SIZE)
    shelf.pins = []
    assert len(shelf.turn()) == 256
    assert len(shelf.turn()) == 44
    assert shelf.left() == []


def test_pin_of_part_of_a_file_keeps_all_of_it(shelf: Shelf) -> None:
    """And of no file beside it."""
    before, inside, after = (shelf.put(20 + number / 1440) for number in (1, 0, -1))
    began_ns = NOW - 20 * DAY_NS
    shelf.pins = [Pinned(GATE, began_ns + 10**9, began_ns + 2 * 10**9)]
    assert set(shelf.turn()) == {before, after}
    assert shelf.left() == [inside]


def test_row_goes_before_its_file(shelf: Shelf) -> None:
    """A file that cannot be removed is found again; a row without a file would not be true."""
    path, seen = shelf.put(15), list[list[str]]()
    remove = shelf.writer.remove

    def look(path: str) -> None:
        seen.append(shelf.rows())
        remove(path)

    shelf.writer.remove = look  # type: ignore[method-assign]
    assert shelf.turn() == [path]
    assert seen == [[]]


def test_other_files_stay_and_take_room(shelf: Shelf) -> None:
    """Beside the cameras, among them, and in their days; what a name like a recording has, but is elsewhere, too."""
    own = [shelf.put(3), shelf.put(2), shelf.put(1)]
    strangers = [
        "photo.jpg",
        "other/deep/er/film.mp4",
        "gate/notes.txt",
        f"{own[0]}.damaged",
        "gate/" + Path(own[0]).name,
    ]
    for name in strangers:
        (shelf.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (shelf.folder / name).write_bytes(bytes(SIZE // 5))
    os.symlink("/", shelf.folder / "root")
    shelf.rules = attrs.evolve(shelf.rules, max_bytes=3 * SIZE + 10)
    assert shelf.turn() == own[:1]
    room = shelf.retainer.room
    assert room is not None
    assert SIZE <= room.other_bytes < SIZE + 10
    assert room.budget_bytes == 3 * SIZE + 10 - room.other_bytes
    shelf.rules = attrs.evolve(shelf.rules, max_bytes=1)
    shelf.turn()
    assert all((shelf.folder / name).exists() for name in strangers)


def test_other_files_are_counted_some_folders_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them after some turns; those of a folder that is gone are forgotten."""
    monkeypatch.setattr("actors.recorder.other_files.LOOKED_AT", 1)
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_bytes(bytes(10))
    others = OtherFiles(tmp_path)
    assert [others.look() for _ in range(4)] == [10, 20, 30, 30]
    (tmp_path / "b" / "x").unlink()
    (tmp_path / "b").rmdir()
    assert others.look() == 20


class NoticingLock:
    """A lock that sets `waited` when somebody has to wait for it."""

    def __init__(self, waited: threading.Event) -> None:
        self._lock, self._waited = threading.Lock(), waited

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self._waited.set()
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_pin_that_is_made_while_retention_decides_is_answered_after_it(shelf: Shelf) -> None:
    """The next turn knows it: what is measured then is not removed."""
    shelf.put(20)
    times = [CameraTime(GATE, 0, NOW)]
    assert measure(shelf.folder, shelf.retainer, times, None) == {GATE: SIZE}
    decides, go_on, decide = threading.Event(), threading.Event(), shelf.index.oldest
    shelf.retainer.deciding = NoticingLock(go_on)  # type: ignore[assignment]

    def oldest(*arguments: Any) -> list[IndexedFile]:
        found = decide(*arguments)
        decides.set()
        assert go_on.wait(60)
        return found

    shelf.index.oldest = oldest  # type: ignore[method-assign, assignment]
    with ThreadPoolExecutor(1) as threads:
        turn = threads.submit(shelf.turn)
        assert decides.wait(60)
        shelf.pins = [Pinned(GATE, 0, NOW)]
        kept = measure(shelf.folder, shelf.retainer, times, None)
        go_on.set()
        assert len(turn.result()) == 1
    assert kept == {}


def test_measure_counts_files_that_have_something_of_a_time(shelf: Shelf) -> None:
    """Of named cameras, or of all; an archive without an index has none."""
    shelf.put(2), shelf.put(1), shelf.put(1, YARD)
    began_ns = NOW - DAY_NS
    of_gate = [CameraTime(GATE, began_ns + 1, began_ns + 2), CameraTime(GATE, began_ns + 2, began_ns + 3)]
    assert measure(shelf.folder, shelf.retainer, of_gate, None) == {GATE: SIZE}
    assert measure(shelf.folder, shelf.retainer, [], (0, NOW)) == {GATE: 2 * SIZE, YARD: SIZE}
    assert measure(shelf.folder, shelf.retainer, [CameraTime(GATE, 0, began_ns - DAY_NS)], None) == {}
    assert measure(shelf.folder / "none", shelf.retainer, of_gate, (0, NOW)) == {}


def test_clock_that_is_far_ahead_costs_nothing_younger_than_a_day(shelf: Shelf) -> None:
    """Also after files were recorded in that time."""
    kept = [shelf.put(12), shelf.put(0.01)]
    assert shelf.turn() == []
    shelf.now_ns = NOW + 1000 * DAY_NS
    ahead = shelf.put(-1000)
    assert shelf.turn() == []
    shelf.now_ns = 0
    assert shelf.turn() == []
    assert shelf.left() == sorted([*kept, ahead])


def test_failed_removal_is_an_error_of_the_disk(shelf: Shelf) -> None:
    """The archive ends its files, and tries the folder again."""
    shelf.put(15)

    def fail(path: str) -> None:
        raise OSError(errno.EIO, "input/output error")

    shelf.writer.remove = fail  # type: ignore[method-assign]
    with pytest.raises(OSError, match="input/output"):
        shelf.turn()


def test_disk_that_others_fill_costs_only_what_recording_needs() -> None:
    """Twice what is written meanwhile, at most a tenth of the archive, and always enough for some files."""
    mib = 1024 * 1024
    assert margin(50 * mib, 10_000 * mib) == 100 * mib
    assert margin(900 * mib, 10_000 * mib) == 1_000 * mib
    assert margin(1_000 * mib, 1_000 * mib) == 100 * mib
    assert margin(7 * mib, 80 * mib) == margin(-5, 0) == 16 * mib


def test_footage_is_kept_where_its_removal_would_not_help(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others have filled the disk beyond all that could be removed: nothing is recorded, and nothing is lost."""
    kept = [shelf.put(days) for days in (3, 2, 1)]
    monkeypatch.setattr(shelf.writer, "lacking", lambda: 3 * SIZE + 1)
    assert shelf.turn() == []
    monkeypatch.setattr(shelf.writer, "lacking", lambda: 2 * SIZE)
    assert shelf.turn() == kept[:2]
