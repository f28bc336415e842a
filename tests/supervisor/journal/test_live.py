"""A segment that is read without locks, while its writer commits and copies its WAL."""

import shutil
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from supervisor.journal import live
from supervisor.journal.check import verify
from supervisor.journal.files import list_segments
from supervisor.journal.live import View
from supervisor.journal.store import Store
from tests.kit.journals import append_all, lively

COUNT = "SELECT count(*) FROM event"
READ = """
import sys
from supervisor.journal.check import verify
from pathlib import Path
print([str(damage) for _ in range(8) for damage in verify(Path(sys.argv[1])).damages])
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "journal")
    append_all(store, lively()[:20], 5)
    return store


@pytest.fixture
def view(store: Store, monkeypatch: pytest.MonkeyPatch) -> View:
    """As in another process."""
    monkeypatch.setattr(live, "_written", set())
    return View(list_segments(store.folder)[0].path, sealed=False)


def test_view_stays_one_instant_while_commits_are_only_added(store: Store, view: View) -> None:
    """What is behind its end in the WAL does not concern it."""
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


def test_index_that_somebody_forges_is_of_no_effect(store: Store) -> None:
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
