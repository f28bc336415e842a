"""Journals of strangers: whatever a folder holds, a command answers or refuses, in bounded time and memory."""

import os
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import apsw
import pytest
from click.testing import CliRunner, Result

from supervisor.__main__ import main
from supervisor.compose.replay import open_past
from supervisor.domain.errors import Rejected
from supervisor.journal import guard
from supervisor.journal.files import segment_path
from supervisor.journal.reader import Reader
from supervisor.ports.errors import JournalError
from tests.kit.journals import change, lively, write_journal

COMMANDS = [
    ["events", "J"], ["why", "gate", "J"], ["trace", "#3", "J"], ["state", "J"], ["verify", "J"], ["timeline", "J"],
    ["stats", "J"], ["diff", "J"], ["bisect", "len(peers)>3", "J"], ["pin", "name", "J"],
    ["incident", "export", "J", "--from", "#2", "--to", "#9", "-o", "OUT"],
]  # fmt: skip
ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_journal(tmp_path / "journal", lively(5))


def ask(folder: Path, arguments: list[str]) -> Result:
    places = {"J": str(folder), "OUT": str(folder.parent / "out.zip")}
    return CliRunner().invoke(main, [places.get(word, word) for word in arguments])


def refused(folder: Path, arguments: list[str]) -> str:
    """The output of the command: damage with exit 1, or one line with exit 2, and no traceback."""
    done = ask(folder, arguments)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == (1 if "damaged: " in done.output else 2), done.output
    return done.output


def pipe_beside(folder: Path) -> None:
    os.mkfifo(segment_path(folder, 1).with_name(segment_path(folder, 1).name + "-journal"))


def replaced(make: Callable[[Path], None]) -> Callable[[Path], None]:
    def replace(folder: Path) -> None:
        path = segment_path(folder, 1)
        path.unlink()
        make(path)

    return replace


def statements(sql: str) -> Callable[[Path], None]:
    return lambda folder: change(folder, sql)


def large_state(folder: Path) -> None:
    db = apsw.Connection(str(segment_path(folder, 1)))
    db.execute("UPDATE checkpoint SET state = ?", (zlib.compress(b" " * (64 << 20), 9),))
    db.close()


def other_types(folder: Path) -> None:
    """A table that was not strict when the row was written, and is again when it is read."""
    for before, after in (") STRICT", ")"), (")", ") STRICT"):
        db = apsw.Connection(str(segment_path(folder, 1)))
        db.pragma("writable_schema", 1)
        if after == ") STRICT":
            db.execute("UPDATE event SET body = 5, wall_ns = 'never', stream = x'00'")
        end = f"substr(sql, 1, length(sql) - {len(before)}) || '{after}'"
        db.execute(f"UPDATE sqlite_schema SET sql = {end} WHERE name = 'event'")
        db.close()


HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "endless view": (
        statements(
            "ALTER TABLE segment RENAME TO other; CREATE VIEW segment AS "
            f"{ENDLESS} SELECT first, after, previous, created_ns FROM other, c WHERE x < 0"
        ),
        "other tables",
    ),
    "large view": (
        statements("DROP TABLE word; CREATE VIEW word AS SELECT 1 AS id, hex(zeroblob(900000000)) AS text"),
        "other tables",
    ),
    "trigger": (
        statements("CREATE TRIGGER more AFTER INSERT ON event BEGIN SELECT 1; END"),
        "other tables",
    ),
    "virtual table": (statements("CREATE VIRTUAL TABLE more USING fts5(text)"), "other tables"),
    "index that computes": (statements("CREATE INDEX more ON event (hex(zeroblob(9)))"), "other tables"),
    "other columns": (statements("ALTER TABLE batch ADD COLUMN more TEXT"), "other tables"),
    "pipe": (replaced(os.mkfifo), "a pipe"),
    "pipe beside": (pipe_beside, "no segment has such a file"),
    "device": (replaced(lambda path: path.symlink_to("/dev/zero")), "a device"),
    "folder": (replaced(Path.mkdir), "a folder"),
    "no head": (statements("DELETE FROM segment"), "the head of the segment is damaged"),
    "two heads": (statements("INSERT INTO segment SELECT * FROM segment"), "the head of the segment is damaged"),
}


EVERY = [(kind, command) for kind in ("endless view", "pipe") for command in COMMANDS]
EVERY += [(kind, command) for kind in list(HOSTILE)[1:] if kind != "pipe" for command in (COMMANDS[0], COMMANDS[4])]


@pytest.mark.parametrize(("kind", "arguments"), EVERY, ids=lambda value: value if isinstance(value, str) else value[0])
def test_a_foreign_segment_is_refused_by_every_command(folder: Path, kind: str, arguments: list[str]) -> None:
    """Before anything in it is run or read, with one line that says why."""
    harm, why = HOSTILE[kind]
    harm(folder)
    assert why in refused(folder, arguments)


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_foreign_segment_is_refused_by_replay(folder: Path, kind: str) -> None:
    """The dashboard over a journal opens it in the same way."""
    HOSTILE[kind][0](folder)
    with pytest.raises((JournalError, Rejected)):
        open_past(folder, None)


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0])
@pytest.mark.parametrize("harm", [large_state, other_types])
def test_values_that_no_banken_writes_end_a_command_with_a_line(
    folder: Path, harm: Callable[[Path], None], arguments: list[str]
) -> None:
    """A state that unpacks to more than any has, and columns of other types."""
    harm(folder)
    done = ask(folder, arguments)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    if arguments[0] in ("state", "verify"):
        assert done.exit_code in (1, 2)


@pytest.mark.parametrize("name", ["manifest.jsonl", "pins.json"])
@pytest.mark.parametrize("kind", ["pipe", "large"])
def test_files_beside_the_segments_are_bounded(folder: Path, name: str, kind: str) -> None:
    """A pipe in the place of one is not waited for, and a huge one is not read."""
    (folder / name).unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(folder / name)
    else:
        (folder / name).write_bytes(b"")
        os.truncate(folder / name, 1 << 40)
    said = refused(folder, ["verify" if name == "manifest.jsonl" else "pins", "J"])
    assert "a pipe" in said or "the read limit" in said


def test_a_name_with_too_large_a_number_is_no_segment(folder: Path) -> None:
    """A number beyond every sequence number, or in other digits, is not the name of a segment."""
    for number in ("9" * 40, "٣", "1" * 19):
        (folder / f"segment-{number}.sqlite").write_bytes(b"")
    assert ask(folder, ["events", "J"]).exit_code == 0


def test_a_statement_ends_after_its_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose pages lead in circles keeps nobody for longer than the limit."""
    reader = Reader(folder)
    part = next(reader.parts())
    monkeypatch.setattr(guard, "STATEMENT_S", 0.05)
    with pytest.raises(JournalError, match="gave no answer within"):
        part.rows(f"{ENDLESS} SELECT count(*) FROM c")
    reader.close()


def test_rows_and_bytes_of_a_statement_are_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files may lead to many rows: overflow pages can be shared."""
    reader = Reader(folder)
    part = next(reader.parts())
    with pytest.raises(JournalError, match="more than any journal"):
        part.rows(f"{ENDLESS} SELECT x, hex(zeroblob(1000000)) FROM c")
    with pytest.raises(JournalError, match="more than any journal"):
        part.rows(f"{ENDLESS} SELECT x, zeroblob(60000) FROM c")
    with pytest.raises(JournalError, match="too big"):
        part.rows("SELECT hex(zeroblob(900000000))")
    monkeypatch.setattr("supervisor.journal.reader.MAX_ROWS", 1000)
    with pytest.raises(JournalError, match="more than any journal"):
        part.rows(f"{ENDLESS} SELECT x FROM c")
    reader.close()


def test_long_digests_and_hashes_are_counted(folder: Path) -> None:
    """Of every statement, not only of those that read events: a few long blobs would fill the memory."""
    change(folder, f"INSERT INTO batch {ENDLESS} SELECT x + 1000, x + 1000, zeroblob(15000000) FROM c LIMIT 8")
    change(folder, f"INSERT INTO state_hash {ENDLESS} SELECT x + 1000, 2, printf('%.15000000c', 'x') FROM c LIMIT 8")
    reader = Reader(folder)
    part = next(reader.parts())
    tracemalloc.start()
    try:
        for read in (part.hashes, lambda: part.rows("SELECT first, last, digest FROM batch")):
            with pytest.raises(JournalError, match="more than any journal"):
                read()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    reader.close()
    assert most < 2 * guard.MAX_PAGE


def test_a_journal_without_its_indexes_is_read(folder: Path) -> None:
    """They make it fast, and prove nothing."""
    change(folder, "CREATE INDEX event_stream ON event (stream)")
    assert "gate" in ask(folder, ["why", "gate", "J"]).output
    change(folder, "DROP INDEX event_stream")
    assert "gate" in ask(folder, ["why", "gate", "J"]).output


@pytest.mark.parametrize("arguments", [["events", "J"], ["state", "J"], ["verify", "J"]], ids=lambda words: words[0])
def test_incident_bundle_in_place_of_a_journal_is_named(tmp_path: Path, arguments: list[str]) -> None:
    """The error of a command says which other command unpacks it."""
    bundle = tmp_path / "night.zip"
    with ZipFile(bundle, "w") as file:
        file.writestr("report.html", "")
    assert "banken incident import unpacks" in refused(bundle, arguments)
