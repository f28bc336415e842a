"""A segment that is read without locks, while its writer commits and copies its WAL."""

import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from supervisor.journal import guard, live, segment
from supervisor.journal.check import verify
from supervisor.journal.files import list_segments
from supervisor.journal.live import View
from supervisor.journal.store import Rotation, Store
from supervisor.ports.errors import JournalDamaged
from tests.kit.journals import append_all, lively

COUNT = "SELECT count(*) FROM event"
READ = """
import sys
from supervisor.journal.check import verify
from pathlib import Path
print([str(damage) for _ in range(8) for damage in verify(Path(sys.argv[1])).damages])
"""

ASK = """
import apsw, sys
try:
    print(apsw.Connection(sys.argv[1]).execute("SELECT count(*) FROM event").get)
except apsw.BusyError:
    print("locked")
"""


def ask_elsewhere(path: Path) -> str:
    """The answer that another process gets from the segment: a count, or `locked`."""
    done = subprocess.run([sys.executable, "-c", ASK, path], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


def held(path: Path) -> int:
    """How many descriptors this process has of a file."""
    return sum(os.path.realpath(f"/proc/self/fd/{name}") == str(path) for name in os.listdir("/proc/self/fd"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "journal")
    append_all(store, lively()[:20], 5)
    return store


@pytest.fixture
def view(store: Store) -> View:
    """As in another process."""
    return View(list_segments(store.folder)[0].path, sealed=False, written={})


def test_view_stays_one_instant_while_commits_are_only_added(store: Store, view: View) -> None:
    """Frames behind its end in the WAL do not concern it."""
    assert view.open().execute(COUNT).get == 20
    append_all(store, lively()[:30], 5)
    assert view.open().execute(COUNT).get == 20
    assert view.is_one_instant()
    view.close()
    store.close()


def test_view_is_no_instant_any_more_when_the_wal_was_copied_or_begins_again(store: Store, view: View) -> None:
    """Pages that are newer than it are in the main file then, or the WAL holds others than it knows."""
    view.open()
    append_all(store, lively()[:30], 5)
    assert store._writer is not None
    store._writer.empty_wal(lambda: None)
    assert not view.is_one_instant()
    view.close()
    view.open()
    assert view.is_one_instant()
    store._watch_files(store._writer, [])
    append_all(store, lively()[:35], 5)
    assert not view.is_one_instant()
    view.close()
    store.close()


def test_newer_commits_are_seen_after_a_while(store: Store, view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    """A view is opened again when the WAL has grown since."""
    monkeypatch.setattr(live, "REUSE_S", 0.0)
    assert view.open().execute(COUNT).get == 20
    append_all(store, lively()[:30], 5)
    assert view.open().execute(COUNT).get == 30
    view.close()
    store.close()


def test_process_that_reads_leaves_no_file_and_sees_a_whole_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process verifies the journal again and again while the WAL is copied with each few commits."""
    monkeypatch.setattr("supervisor.journal.segment.CHECKPOINT_BYTES", 100_000)
    store, rows = Store(tmp_path / "journal"), lively(60)
    append_all(store, rows[:20], 5)
    before = sorted(path.name for path in store.folder.iterdir())
    with subprocess.Popen([sys.executable, "-c", READ, store.folder], stdout=subprocess.PIPE, text=True) as reader:
        while reader.poll() is None and store.last_seq < len(rows):
            append_all(store, rows[: store.last_seq + 1], 1)
        assert reader.communicate()[0] == "[]\n"
    assert sorted(path.name for path in store.folder.iterdir()) == before
    store.close()


def test_forged_index_of_the_wal_has_no_effect(store: Store) -> None:
    """A `-shm` beside the live segment that says that all was copied: nobody reads it, and no commit is overwritten."""
    rows = lively()
    append_all(store, rows[:60], 2)
    path = list_segments(store.folder)[0].path
    copy = shutil.copytree(store.folder, store.folder.with_name("copy")) / path.name
    theirs = apsw.Connection(str(copy))
    assert theirs.execute(COUNT).get == 60
    index = bytearray(copy.with_name(f"{copy.name}-shm").read_bytes())
    theirs.close()
    index[96:100] = index[16:20]  # nBackfill = mxFrame
    path.with_name(f"{path.name}-shm").write_bytes(index)
    append_all(store, rows, 2)
    crashed = shutil.copytree(store.folder, store.folder.with_name("crashed"))
    store.close()
    again = Store(crashed)
    assert again.last_seq == len(rows)
    again.close()
    assert not verify(crashed).damages


def close(store: Store, view: View) -> None:
    view.close()


def open_again(store: Store, view: View) -> None:
    """As by a question that comes later: the WAL has grown."""
    append_all(store, lively()[:25], 5)
    assert view.open().execute(COUNT).get == 25


def drop(store: Store, view: View) -> None:
    """The caller has the last reference."""


@pytest.mark.parametrize("end", [close, open_again, drop])
def test_writer_keeps_its_lock_when_a_view_from_before_it_ends(
    store: Store, monkeypatch: pytest.MonkeyPatch, end: Callable[[Store, View], None]
) -> None:
    """After a fault a question is asked while no writer has the file; the view that it left ends when one has it."""
    monkeypatch.setattr(live, "REUSE_S", 0.0)
    path = list_segments(store.folder)[0].path
    store._leave()
    view = View(path, sealed=False)
    assert view.open().execute(COUNT).get == 20
    store.reconnect()
    assert ask_elsewhere(path) == "locked"
    end(store, view)
    del view
    gc.collect()
    assert ask_elsewhere(path) == "locked"
    append_all(store, lively()[:30], 5)
    store.close()
    assert held(path) == 0
    after = View(path, sealed=False)
    assert after.open().execute(COUNT).get == 30
    assert ask_elsewhere(path) == "30"
    after.close()


def test_writer_keeps_its_lock_when_a_view_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question that was asked while no writer had the file fails when one has it."""
    path = list_segments(store.folder)[0].path
    store._leave()

    def refuse(*_: object) -> None:
        store.reconnect()
        raise JournalDamaged("not ours")

    with monkeypatch.context() as patch:
        patch.setattr(guard, "refuse_foreign_schema", refuse)
        patch.setattr(segment, "refuse_foreign_schema", lambda *_: None)
        with pytest.raises(JournalDamaged, match="not ours"):
            View(path, sealed=False).open()
    assert ask_elsewhere(path) == "locked"
    store.close()
    assert held(path) == 0


def test_segment_stays_locked_while_it_is_sealed_and_a_view_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The view was opened after the last append; the WAL is still there, since an older reader has it open."""
    store, rows = Store(tmp_path / "journal"), lively()
    append_all(store, rows[:20], 5)
    path = list_segments(store.folder)[0].path
    older, view = View(path, sealed=False), View(path, sealed=False)
    assert older.open().execute(COUNT).get == 20
    store.rotation = Rotation(max_bytes=1)
    append_all(store, rows[:25], 5)
    assert view.open().execute(COUNT).get == 20
    seen: list[str] = []

    def end_view(db: apsw.Connection) -> None:
        view.close()
        seen.append(ask_elsewhere(path))

    monkeypatch.setattr(segment, "make_indexes", end_view)
    store.keep(rows[-1].wall_ns)
    older.close()
    store.close()
    assert seen == ["locked"]
