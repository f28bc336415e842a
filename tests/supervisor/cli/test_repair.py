"""`banken repair`: it shows what a start of the daemon would set aside, and does the same with --yes."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from supervisor.__main__ import main
from supervisor.journal.check import verify
from supervisor.journal.files import list_segments
from supervisor.journal.store import Rotation, Store
from tests.kit.journals import lively, read_all, write_journal

TINY = Rotation(max_bytes=1)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return write_journal(tmp_path / "journal", lively(), batch=10, rotation=TINY)


def repair(journal: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["repair", str(journal), *options])


def test_repair_of_a_whole_journal_changes_nothing(journal: Path) -> None:
    """It says so, ends with 0 and touches no file, with --yes as well."""
    before = {path: path.read_bytes() for path in journal.iterdir()}
    for options in ((), ("--yes",)):
        done = repair(journal, *options)
        assert (done.exit_code, "nothing to repair" in done.stdout) == (0, True)
    assert {path: path.read_bytes() for path in journal.iterdir() if path in before} == before


def test_repair_names_a_damaged_segment_and_waits_for_yes(journal: Path) -> None:
    """Without --yes: exit 1, the file is named, nothing is renamed."""
    newest = list_segments(journal)[-1].path
    newest.write_bytes(b"no database")
    names = sorted(os.listdir(journal))
    done = repair(journal)
    assert done.exit_code == 1
    assert newest.name in done.stdout
    assert sorted(os.listdir(journal)) == names


def test_repair_with_yes_sets_the_damage_aside_and_keeps_the_rest(journal: Path) -> None:
    """Nothing is deleted; a new chain begins behind what can be read, and a daemon can go on with it."""
    newest = list_segments(journal)[-1]
    newest.path.write_bytes(b"no database")
    done = repair(journal, "--yes")
    assert done.exit_code == 0
    asides = [path for path in journal.iterdir() if path.is_file() and path.read_bytes() == b"no database"]
    assert [path.name == newest.path.name for path in asides] == [False]
    kept = read_all(journal)
    assert kept == lively()[: newest.first - 1]
    assert repair(journal).exit_code == 0


def test_repair_refuses_a_journal_that_a_daemon_uses(journal: Path) -> None:
    """One line, exit 2, and no file is renamed."""
    newest = list_segments(journal)[-1].path
    newest.write_bytes(b"no database")
    other = write_journal(journal.parent / "other", lively(), batch=10)
    store = Store(other)
    damaged = list_segments(other)[-1].path
    damaged.write_bytes(b"no database")
    done = repair(other, "--yes")
    store.close()
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
    assert damaged.exists()


@pytest.mark.parametrize("name", ["segment-0000000001.sqlite-journal", "segment-0000099999.sqlite-wal"])
def test_repair_sets_strange_files_aside_before_it_looks_at_segments(journal: Path, name: str) -> None:
    """They are named first; with --yes they get another name, and the journal is whole."""
    (journal / name).write_bytes(b"text" * 150)
    done = repair(journal)
    assert (done.exit_code, name in done.stdout, (journal / name).exists()) == (1, True, True)
    done = repair(journal, "--yes")
    assert (done.exit_code, "nothing to repair" in done.stdout) == (0, True)
    assert [path.read_bytes() for path in journal.glob("damaged-*")] == [b"text" * 150]
    assert read_all(journal) == lively()


def test_repair_of_no_journal_is_refused(tmp_path: Path) -> None:
    """A missing folder and an empty one: one line, exit 2, nothing made."""
    for path in (tmp_path / "missing", tmp_path):
        done = repair(path, "--yes")
        assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
    assert list(tmp_path.iterdir()) == []


def test_repaired_journal_shows_what_is_missing(journal: Path) -> None:
    """`banken verify` still reports the events that the damaged segment held."""
    list_segments(journal)[1].path.write_bytes(b"no database")
    for segment in list_segments(journal)[2:]:
        segment.path.write_bytes(b"no database")
    assert repair(journal, "--yes").exit_code == 0
    assert verify(journal).damages
