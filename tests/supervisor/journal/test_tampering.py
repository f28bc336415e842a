"""The changes to a journal that `banken verify` finds, by itself and with a digest noted elsewhere.

Each row of the table is a change that once went unnoticed. `ALONE` names those that verify finds by itself; the others
are limits of every chain without a key, which a digest or an anchor from outside makes up for.
"""

import os
import shutil
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import apsw
import msgspec
import pytest
from click.testing import CliRunner, Result

from supervisor.__main__ import main
from supervisor.domain.events import EventsLost, Recorded, SegmentsRemoved
from supervisor.domain.evolve import evolve
from supervisor.domain.ids import NodeId
from supervisor.domain.state import State, state_hash
from supervisor.journal import check, checkpoint, codec
from supervisor.journal.anchor import Anchor, append_anchor, find_head, read_anchors
from supervisor.journal.expect import Expectations
from supervisor.journal.files import INTERNAL_PRINCIPALS, lengthen, list_segments
from supervisor.journal.reader import Reader, SegmentReader
from supervisor.journal.recovery import find
from supervisor.journal.segment import make_indexes, make_segment
from supervisor.journal.store import Chain, Rotation, Store
from supervisor.ports.errors import JournalError
from supervisor.ports.questions import Query
from tests.kit.domain import GATE
from tests.kit.journals import TINY, append_all, chain_began, lively, of_journal, states, write_journal

BATCH = 7
AT = "2027-01-15T08:00:00Z"


@pytest.fixture
def rows() -> list[Recorded]:
    return lively(35)


@pytest.fixture
def folder(tmp_path: Path, rows: Sequence[Recorded]) -> Path:
    return write_segments(tmp_path / "journal", rows)


def write_segments(folder: Path, rows: Sequence[Recorded]) -> Path:
    """A closed journal of four segments, of which three are sealed."""
    store, after = Store(folder), states(rows)
    for begin in range(0, len(rows), BATCH):
        store.rotation = TINY if begin // BATCH in (8, 16, 24) else Rotation()
        store.append(rows[begin : begin + BATCH], after[min(begin + BATCH, len(rows))])
    store.keep(rows[-1].wall_ns)
    store.close()
    return folder


def run(folder: Path, *options: str) -> Result:
    done = CliRunner().invoke(main, ["verify", str(folder), *options])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def statements(folder: Path, sql: str, index: int = -1) -> None:
    db = apsw.Connection(str(list_segments(folder)[index].path))
    db.execute(sql)
    db.close()


def cut_off_the_last_batches(folder: Path) -> None:
    for _ in range(2):
        statements(
            folder,
            "DELETE FROM event WHERE seq >= (SELECT max(first) FROM batch);"
            "DELETE FROM batch WHERE first = (SELECT max(first) FROM batch);"
            "DELETE FROM state_hash WHERE seq > (SELECT max(seq) FROM event);"
            "DELETE FROM checkpoint WHERE seq > (SELECT max(seq) FROM event)",
        )


def remove_the_newest(folder: Path) -> None:
    list_segments(folder)[-1].path.unlink()


def remove_the_newest_two_and_their_lines(folder: Path) -> None:
    """And the line of the one that is then the last: a last segment has none."""
    for segment in list_segments(folder)[-2:]:
        segment.path.unlink()
    lines = (folder / "manifest.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "manifest.jsonl").write_bytes(b"".join(lines[:-2]))


def put_an_older_copy_back(folder: Path) -> None:
    shutil.rmtree(folder)
    write_segments(folder, lively(35)[:150])


def make_history_again(folder: Path) -> None:
    """Another client in every event, and a chain that fits."""
    shutil.rmtree(folder)
    rows = []
    for row in lively(35):
        data = msgspec.json.encode(row.event).replace(b"192.0.2.9", b"192.0.2.8")
        rows.append(msgspec.structs.replace(row, event=msgspec.json.decode(data, type=type(row.event))))
    assert rows != lively(35)
    write_segments(folder, rows)


def edit_the_last_line(folder: Path) -> None:
    lines = (folder / "manifest.jsonl").read_bytes().splitlines(keepends=True)
    lines[-1] = lines[-1].replace(b'"bytes":', b'"bytes":1')
    (folder / "manifest.jsonl").write_bytes(b"".join(lines))


def edit_the_times_of_the_last_line(folder: Path) -> None:
    lines = (folder / "manifest.jsonl").read_bytes().splitlines(keepends=True)
    lines[-1] = lines[-1].replace(b'"ended_ns":1', b'"ended_ns":2')
    (folder / "manifest.jsonl").write_bytes(b"".join(lines))


def append_garbage(folder: Path) -> None:
    with open(list_segments(folder)[-1].path, "ab") as file:
        file.write(b"x" * 8192)


def repeat_the_event(folder: Path, sql_of_seq: str, index: int) -> None:
    """Another copy of the last event of a segment, whole as it is, under another number."""
    path = list_segments(folder)[index].path
    db = apsw.Connection(str(path))
    (row,) = db.execute("SELECT * FROM event ORDER BY seq DESC LIMIT 1").fetchall()
    seq = db.execute(f"SELECT {sql_of_seq} FROM segment").get
    words = dict(db.execute("SELECT id, text FROM word"))
    named = [words[value] if place in (3, 4, 7, 11) else value for place, value in enumerate(row)]
    named[0], named[10] = seq, lengthen(str(row[10]))
    crc = zlib.crc32(codec.canonical(tuple(named[:13])))
    db.execute(f"INSERT INTO event VALUES ({','.join('?' * 14)})", (seq, *row[1:13], crc))
    db.close()


ALONE: dict[str, tuple[Callable[[Path], object], str]] = {
    "extra table": (lambda folder: statements(folder, "CREATE TABLE more (x)"), "other tables"),
    "extra view": (lambda folder: statements(folder, "CREATE VIEW more AS SELECT 1"), "other tables"),
    "garbage behind the last file": (append_garbage, "something behind the end of the file"),
    "broken pins": (lambda folder: (folder / "pins.json").write_text("{"), "the pins cannot be read"),
    "last line of the manifest": (edit_the_last_line, "its line in the manifest has another bytes"),
    "times in the manifest": (edit_the_times_of_the_last_line, "its line in the manifest has another ended_ns"),
    "newest segment removed": (remove_the_newest, "the segment that was begun after it is missing"),
    "no manifest": (lambda folder: (folder / "manifest.jsonl").unlink(), "the manifest does not name it"),
    "event of an earlier segment": (lambda folder: repeat_the_event(folder, "first - 3", -1), "an event that belongs"),
    "event before the first": (lambda folder: repeat_the_event(folder, "0", 0), "an event that belongs"),
    "event below zero": (lambda folder: repeat_the_event(folder, "-first", -1), "an event that belongs"),
    "event of a later segment": (lambda folder: repeat_the_event(folder, "first + 2 * 56", 0), "an event that belongs"),
    "state after the end": (
        lambda folder: statements(folder, "INSERT INTO checkpoint SELECT seq + 9999, state FROM checkpoint"),
        "a state that belongs",
    ),
    "state hash before the first event": (
        lambda folder: statements(folder, "INSERT INTO state_hash SELECT seq - 9, rule, hash FROM state_hash"),
        "a state hash that belongs",
    ),
    "no state hash": (lambda folder: statements(folder, "DELETE FROM state_hash"), "its state hash is missing"),
}


def one_segment(folder: Path) -> None:
    write_journal(folder, lively(5), BATCH)


def no_event(folder: Path) -> None:
    Store(folder).close()


def next_segment(folder: Path) -> None:
    write_segments(folder, lively(35))


def oldest_with_the_line_before(folder: Path) -> None:
    next_segment(folder)
    for segment in list_segments(folder)[:-1]:
        segment.path.unlink()


def oldest_without_a_manifest(folder: Path) -> None:
    oldest_with_the_line_before(folder)
    (folder / "manifest.jsonl").unlink()


def new_chain(folder: Path) -> None:
    rows, after = lively(5), states(lively(5))
    store = Store(folder)
    append_all(store, rows[:20], BATCH)
    start = store.begin_chain(Chain(after[20], store.end, "the lock is gone"))
    row = chain_began(rows[19], start)
    store.append([row], evolve(after[20], row))
    store.close()


def oldest_behind_a_gap(folder: Path) -> None:
    rows, after = lively(5), states(lively(5))
    store = Store(folder)
    append_all(store, rows[:20], 20)
    store.skip(after[30])
    row = of_journal(rows[29], EventsLost(21, 30, 10))
    store.append([row], evolve(after[30], row))
    store.close()
    list_segments(folder)[0].path.unlink()


def oldest_without_an_event(folder: Path) -> None:
    """A crash came between a gap and the event that names it."""
    one_segment(folder)
    store = Store(folder)
    store.skip(msgspec.structs.replace(states(lively(5))[-1], seq=store.last_seq + 10))
    store.keep(0)
    store.close()
    list_segments(folder)[0].path.unlink()


EDGES = {
    "first less": "first = first - 1",
    "first more": "first = first + 1",
    "after less": "after = after - 1",
    "after more": "after = after + 1",
    "after far less": "after = -3",
    "previous": f"previous = x'{'07' * 32}'",
    "genesis": "previous = zeroblob(32)",
    "start added": """start = '{"last": 0, "digest": "", "why": "rolled back"}'""",
    "start removed": "start = NULL",
    "start names another event": "start = json_set(start, '$.last', json_extract(start, '$.last') - 1)",
    "start names no event": "start = json_set(start, '$.last', 0, '$.digest', '')",
    "start names another digest": "start = json_set(start, '$.digest', '00')",
    "start names another reason": "start = json_set(start, '$.why', 'nothing')",
}
"""Changes to the head of a segment. `created_ns` and the files that `start` names prove nothing."""
BEGUN = [kind for kind in EDGES if kind.startswith("start ") and kind != "start added"]
PLACES: dict[Callable[[Path], None], list[str]] = {
    one_segment: [kind for kind in EDGES if kind not in ("genesis", *BEGUN)],
    next_segment: [kind for kind in EDGES if kind not in BEGUN],
    oldest_with_the_line_before: [kind for kind in EDGES if kind not in BEGUN],
    oldest_without_a_manifest: [kind for kind in EDGES if kind not in BEGUN],
    oldest_behind_a_gap: [kind for kind in EDGES if kind not in BEGUN],
    new_chain: [kind for kind in EDGES if kind != "genesis"],
    oldest_without_an_event: [kind for kind in EDGES if not kind.startswith("start ")],
    no_event: ["first less", "first more", "after less", "after more", "previous"],
}
"""Places that a last segment may have, and the changes that are one there. No manifest covers it."""
FAR = zlib.compress(b'{"seq":1000000}')
META = {
    "format": "PRAGMA user_version = 1",
    "application": "PRAGMA application_id = 1",
    "word": "UPDATE word SET text = text || 'x' WHERE id = (SELECT type FROM event WHERE seq = 1)",
    "first of a batch": "UPDATE batch SET first = first - 1 WHERE first > 1",
    "last of a batch": "UPDATE batch SET last = last - 1 WHERE first = 1",
    "digest of a batch": "UPDATE batch SET digest = zeroblob(32) WHERE first = 1",
    "digest of the last batch": "UPDATE batch SET digest = zeroblob(32) WHERE first = (SELECT max(first) FROM batch)",
    "batch joined to the next one": "DELETE FROM batch WHERE first = 1; UPDATE batch SET first = 1 WHERE first = 8",
    "hash of a state": "UPDATE state_hash SET hash = '00'",
    "rule of a state hash": "UPDATE state_hash SET rule = rule - 1",
    "place of a state hash": "UPDATE state_hash SET seq = seq + 7",
    "state": "UPDATE checkpoint SET state = zeroblob(10)",
    "place of a state": "UPDATE checkpoint SET seq = seq + 7",
    "no state": "DELETE FROM checkpoint",
    "number within a state": f"UPDATE checkpoint SET state = x'{FAR.hex()}'",
    "bytes behind a state": "UPDATE checkpoint SET state = CAST(state || x'00' AS BLOB)",
}


@pytest.mark.parametrize(
    ("make", "kind"), [pytest.param(make, kind) for make, kinds in PLACES.items() for kind in kinds]
)
def test_edge_of_a_segment_that_is_changed_is_damage(tmp_path: Path, make: Callable[[Path], None], kind: str) -> None:
    """Its head says no more than its events, its neighbour and the manifest: `verify` compares them."""
    make(tmp_path / "journal")
    assert run(tmp_path / "journal").exit_code == 0
    statements(tmp_path / "journal", f"UPDATE segment SET {EDGES[kind]}")
    done = run(tmp_path / "journal")
    assert done.exit_code == 1, done.output


@pytest.mark.parametrize("kind", META)
def test_meta_value_of_a_segment_that_is_changed_is_damage(tmp_path: Path, kind: str) -> None:
    """Everything in a last segment beside its events is compared with them."""
    one_segment(tmp_path / "journal")
    assert run(tmp_path / "journal").exit_code == 0
    statements(tmp_path / "journal", META[kind])
    done = run(tmp_path / "journal")
    assert done.exit_code in (1, 2), done.output


def forge_head(folder: Path, index: int) -> None:
    """Another checkpoint in a segment, with its number and its hash."""
    path = list_segments(folder)[index].path
    db = apsw.Connection(str(path))
    first = db.execute("SELECT first FROM segment").get
    state = State(seq=first - 1, node=NodeId(str(db.execute("SELECT text FROM word WHERE id = 3").get)))
    db.execute("UPDATE checkpoint SET state = ? WHERE seq = ?", (checkpoint.pack(state), state.seq))
    db.execute("UPDATE state_hash SET hash = ? WHERE seq = ?", (state_hash(state), state.seq))
    db.close()


@pytest.mark.parametrize("make", [no_event, next_segment, new_chain])
def test_checkpoint_that_is_forged_with_its_hash_is_damage(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """The events before it lead to another one; before event 1 nothing is known."""
    make(tmp_path / "journal")
    forge_head(tmp_path / "journal", -1)
    done = run(tmp_path / "journal")
    assert (done.exit_code, "not what the events before it lead to" in done.output) == (1, True), done.output


def test_checkpoint_that_names_another_event_is_not_used(tmp_path: Path) -> None:
    """Neither by a question nor by a start, and `verify` names it, also where no segment before it is left."""
    folder = tmp_path / "journal"
    oldest_with_the_line_before(folder)
    statements(folder, META["number within a state"])
    with pytest.raises(JournalError, match="that of event 1000000"):
        Reader(folder).state_at(10**6)
    assert [damaged.file for damaged in find(folder).damaged] == [list_segments(folder)[0].path.name]
    assert "that of event 1000000" in run(folder).output


ASKERS = (*INTERNAL_PRINCIPALS, "client:192.0.2.9")


def schema(folder: Path, *changes: str) -> None:
    """Change the tables of the last segment directly, each change on a separate connection."""
    for sql in changes:
        statements(folder, f"PRAGMA writable_schema = ON; {sql}")


def with_indexes(folder: Path) -> None:
    """One segment that was complete, and was not sealed yet, of events as a daemon writes them."""
    rows = [
        msgspec.structs.replace(row, principal=ASKERS[row.seq % 3], correlation=f"{row.seq % 5:016x}")
        for row in lively(5)
    ]
    write_journal(folder, rows, BATCH)
    db = apsw.Connection(str(list_segments(folder)[0].path))
    make_indexes(db)
    db.close()


def empty_an_index(folder: Path) -> None:
    schema(
        folder,
        "UPDATE sqlite_schema SET sql = sql || ' WHERE seq < 0' WHERE name = 'event_camera'",
        "REINDEX event_camera; "
        "UPDATE sqlite_schema SET sql = replace(sql, ' WHERE seq < 0', '') WHERE name = 'event_camera'",
    )


def move_a_word_behind_its_index(folder: Path) -> None:
    """Its row and its events have another number, and the index of the words still has the old one."""
    word = f"(SELECT id FROM word WHERE text = '{ASKERS[2]}')"
    index = "name = 'sqlite_autoindex_word_1'"
    table = "UPDATE sqlite_schema SET sql = replace(sql, 'NOT NULL{}', 'NOT NULL{}') WHERE name = 'word'"
    db = apsw.Connection(str(list_segments(folder)[-1].path))
    page = db.execute(f"SELECT rootpage FROM sqlite_schema WHERE {index}").get
    db.close()
    schema(
        folder,
        f"{table.format(' UNIQUE', '')}; DELETE FROM sqlite_schema WHERE {index}",
        f"UPDATE event SET principal = 999 WHERE principal = {word}; UPDATE word SET id = 999 WHERE id = {word}",
        f"{table.format('', ' UNIQUE')};"
        f"INSERT INTO sqlite_schema VALUES ('index', 'sqlite_autoindex_word_1', 'word', {page}, NULL)",
    )


HIDDEN: dict[str, tuple[Callable[[Path], object], Query]] = {
    "correlations as texts": (
        lambda folder: statements(folder, "UPDATE event SET correlation = printf('%016x', correlation)"),
        Query(correlation="0" * 15 + "1"),
    ),
    "empty index": (empty_an_index, Query(camera=GATE)),
    "word that its index does not find": (move_a_word_behind_its_index, Query(principal=ASKERS[2])),
}
"""Changes of a last segment that leave every event as it is, and a question that then finds none."""


@pytest.mark.parametrize("kind", HIDDEN)
def test_change_that_hides_events_from_a_question_is_damage(tmp_path: Path, kind: str) -> None:
    """`verify` compares how a value is stored, and what an index holds."""
    folder = tmp_path / "journal"
    with_indexes(folder)
    change, query = HIDDEN[kind]
    assert run(folder).exit_code == 0
    assert Reader(folder).page(query)
    change(folder)
    assert Reader(folder).page(query) == []
    done = run(folder)
    assert done.exit_code == 1, done.output


def test_numbers_of_words_change_no_answer(tmp_path: Path) -> None:
    """Also where a client has one of the numbers that those have whom nobody looks for."""
    folder = tmp_path / "journal"
    with_indexes(folder)
    before = [Reader(folder).page(Query(principal=text), limit=1000) for text in ASKERS]
    assert all(before)
    statements(
        folder,
        "UPDATE event SET principal = -1 - principal WHERE principal IN (1, 2);"
        "UPDATE word SET id = -1 - id WHERE id IN (1, 2);"
        f"UPDATE event SET principal = 1 WHERE principal = (SELECT id FROM word WHERE text = '{ASKERS[2]}');"
        f"UPDATE word SET id = 1 WHERE text = '{ASKERS[2]}'",
    )
    assert [Reader(folder).page(Query(principal=text), limit=1000) for text in ASKERS] == before
    assert run(folder).exit_code == 0
    assert Reader(folder).page(Query(principal="nobody")) == []


OUTSIDE: dict[str, Callable[[Path], None]] = {
    "last batches cut off": cut_off_the_last_batches,
    "newest two removed with their lines": remove_the_newest_two_and_their_lines,
    "older copy put back": put_an_older_copy_back,
    "history made again": make_history_again,
}


@pytest.mark.parametrize("kind", ALONE)
def test_a_change_beside_the_chain_is_found_by_verify_alone(folder: Path, kind: str) -> None:
    """It is damage, with its place, and exit 1."""
    assert run(folder).exit_code == 0
    change, said = ALONE[kind]
    change(folder)
    done = run(folder)
    assert (done.exit_code, said in done.stdout) == (1, True), done.output


@pytest.mark.parametrize(
    ("seq", "index"), [("first - 3", -1), ("0", 0), ("-5", -1), ("first + 2 * 56", 0), ("first + 2 * 56", 1)]
)
def test_event_under_a_number_of_another_segment_is_not_shown(
    folder: Path, rows: Sequence[Recorded], seq: str, index: int
) -> None:
    """A changed file adds no event to the answers, in any order and for any query."""
    repeat_the_event(folder, seq, index)
    reader = Reader(folder)
    assert list(reader.events()) == list(rows)
    assert reader.page(limit=1000) == list(rows)
    assert reader.page(limit=1000, newest=True) == list(rows)
    assert reader.page(Query(after=-100), limit=1000) == list(rows)
    assert [len(reader.page(Query(after=row.seq - 1, before=row.seq + 1))) for row in rows] == [1] * len(rows)
    assert reader.bounds() == (1, len(rows))
    reader.close()


@pytest.mark.parametrize("table", ["state_hash", "checkpoint"])
def test_state_that_is_due_and_missing_is_damage(
    folder: Path, rows: Sequence[Recorded], monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    """Without it, a replay of what follows is compared with nothing."""
    for name in ("HASH_EVERY", "CHECKPOINT_EVERY"):
        for module in ("segment", "consistency"):
            monkeypatch.setattr(f"supervisor.journal.{module}.{name}", 20)
    other = write_segments(folder.with_name("other"), rows)
    assert run(other).exit_code == 0
    statements(other, f"DELETE FROM {table} WHERE seq = (SELECT max(seq) FROM {table})")
    done = run(other)
    assert (done.exit_code, "though one is due" in done.stdout) == (1, True), done.output


@pytest.mark.parametrize("kind", OUTSIDE)
def test_a_limit_of_the_chain_is_found_with_a_digest_from_outside(folder: Path, kind: str) -> None:
    """Alone it counts as whole, which the documents say; the digest that was noted before is not met."""
    before = check.verify(folder)
    OUTSIDE[kind](folder)
    assert run(folder).exit_code == 0
    done = run(folder, "--expect", before.digest)
    assert (done.exit_code, "digest that was expected" in done.stdout) == (1, True), done.output


@pytest.mark.parametrize("kind", OUTSIDE)
def test_a_limit_of_the_chain_is_found_with_anchors(folder: Path, tmp_path: Path, kind: str) -> None:
    """Also when only one of many anchors is of the part that was changed."""
    anchors = tmp_path / "anchors.jsonl"
    write_anchors(folder, anchors)
    assert run(folder, "--anchors", str(anchors)).exit_code == 0
    OUTSIDE[kind](folder)
    done = run(folder, "--anchors", str(anchors))
    wanted = "history up to there was" if kind == "history made again" else "events were cut off"
    assert (done.exit_code, wanted in done.stdout) == (1, True), done.output


def write_anchors(folder: Path, path: Path) -> None:
    head = find_head(folder, AT)
    assert head is not None
    for segment in list_segments(folder):
        db = apsw.Connection(str(segment.path), flags=apsw.SQLITE_OPEN_READONLY)
        for seq, digest in list(db.execute("SELECT last, digest FROM batch ORDER BY first"))[::9]:
            append_anchor(path, Anchor(head.journal, seq, digest.hex(), AT))
        db.close()
    append_anchor(path, head)


def test_digest_of_the_end_differs_from_one_within(folder: Path, rows: Sequence[Recorded]) -> None:
    """Groups of four and a beginning of 16 digits are taken, as a digest is read out."""
    before = check.verify(folder)
    done = run(folder, "--expect", f"{before.digest[:8]} {before.digest[8:16].upper()}")
    assert f"that of the end of the chain, event {len(rows)}" in done.stdout
    db = apsw.Connection(str(list_segments(folder)[0].path), flags=apsw.SQLITE_OPEN_READONLY)
    (digest,) = (db.execute("SELECT digest FROM batch WHERE last = ?", (BATCH,)).get,)
    db.close()
    done = run(folder, "--expect", digest.hex(), "--expect", before.digest)
    assert f"within the chain, at event {BATCH}; {len(rows) - BATCH} events follow" in done.stdout
    assert done.exit_code == 0
    assert run(folder, "--expect", "00" * 32).exit_code == 1
    assert run(folder, "--expect", "0011").exit_code == 2


def test_anchors_of_what_retention_removed_are_not_compared(folder: Path, tmp_path: Path) -> None:
    """They are counted, where an event reports the removal and a later anchor is met; else it is a failure."""
    anchors = tmp_path / "anchors.jsonl"
    write_anchors(folder, anchors)
    first, second, _, last = list_segments(folder)
    first.path.unlink()
    done = run(folder, "--anchors", str(anchors))
    assert (done.exit_code, "no event says that retention removed those before" in done.stdout) == (1, True)
    report_removal(folder, second.first - 1)
    done = run(folder, "--anchors", str(anchors))
    assert done.exit_code == 0, done.output
    assert "which are not there any more: not compared" in done.stdout
    done = run(last.path, "--anchors", str(anchors))
    assert (done.exit_code, "not compared" in done.stdout) == (0, True), "one segment is a part of a journal"


@pytest.mark.parametrize("distance", [0, 50])
def test_events_that_are_made_again_behind_the_last_anchor_prove_nothing(
    folder: Path, tmp_path: Path, rows: Sequence[Recorded], distance: int
) -> None:
    """Neither does the digest in their head, nor their own report that retention removed what the anchors know."""
    head = find_head(folder, AT)
    assert head is not None
    append_anchor(tmp_path / "anchors.jsonl", head)
    shutil.rmtree(folder)
    make_behind(folder, head.seq + distance, bytes.fromhex(head.digest), rows[:20])
    report_removal(folder, head.seq + distance)
    assert run(folder).exit_code == 0
    done = run(folder, "--anchors", str(tmp_path / "anchors.jsonl"))
    assert (done.exit_code, "anchor is met" in done.stdout) == (1, False), done.output
    assert "1 anchor is of events before" in done.stdout
    done = run(folder, "--expect", head.digest)
    assert (done.exit_code, "no batch of the chain has the digest" in done.stdout) == (1, True), done.output


def make_behind(folder: Path, last: int, digest: bytes, rows: Sequence[Recorded]) -> None:
    """A journal of these events, whose first segment says that it follows event `last` and `digest`."""
    folder.mkdir()
    later = [
        msgspec.structs.replace(row, seq=row.seq + last, cause=None if row.cause is None else row.cause + last)
        for row in rows
    ]
    state = State(seq=last)
    make_segment(folder, state, last, digest, 0)
    for row in later:
        state = evolve(state, row)
    store = Store(folder)
    store.append(later, state)
    store.close()


def test_oldest_segment_that_retention_did_not_report_is_missed(folder: Path) -> None:
    """A journal in which retention reported something names all that retention removed; without, it is a note."""
    first, second, third, _ = list_segments(folder)
    first.path.unlink()
    done = run(folder)
    assert (done.exit_code, "no event says that retention removed them" in done.stdout) == (0, True)
    report_removal(folder, second.first - 1)
    assert run(folder).exit_code == 0
    second.path.unlink()
    done = run(folder)
    assert (done.exit_code, "retention reported to have removed those up to" in done.stdout) == (1, True), done.output
    report_removal(folder, third.first - 1)
    assert run(folder).exit_code == 0


def report_removal(folder: Path, last: int) -> None:
    store = Store(folder)
    reader = Reader(folder)
    state = reader.state_at(store.last_seq)
    before = reader.page(limit=1, newest=True)[0]
    reader.close()
    row = of_journal(before, SegmentsRemoved(("segment",), 1, last, 1, "too old"))
    store.append([row], evolve(state, row))
    store.close()


def test_anchors_of_another_journal_prove_nothing(folder: Path, tmp_path: Path) -> None:
    """None of this journal is a failure; some of others beside ours are counted."""
    anchors = tmp_path / "anchors.jsonl"
    append_anchor(anchors, Anchor("another", 3, "00" * 32, AT))
    done = run(folder, "--anchors", str(anchors))
    assert (done.exit_code, "is of this journal" in done.stdout) == (1, True)
    write_anchors(folder, anchors)
    done = run(folder, "--anchors", str(anchors))
    assert (done.exit_code, "1 anchor is of another journal" in done.stdout) == (0, True), done.output


def test_a_file_of_anchors_is_for_its_owner_and_survives_a_torn_line(tmp_path: Path) -> None:
    """A crash may cut off the last line; the next one begins on a new line."""
    path = tmp_path / "anchors.jsonl"
    one, other = Anchor("node", 1, "aa", AT), Anchor("node", 2, "bb", AT)
    append_anchor(path, one)
    assert path.stat().st_mode & 0o777 == 0o600
    with open(path, "ab") as file:
        file.write(msgspec.json.encode(other)[:20])
    assert list(read_anchors(path)) == [one]
    append_anchor(path, other)
    assert list(read_anchors(path)) == [one, other]


@pytest.mark.parametrize("content", [b"hello\n", b'{"journal": "x"}\n', b"[1]\n"])
def test_a_file_that_holds_other_things_is_refused_with_its_line(tmp_path: Path, folder: Path, content: bytes) -> None:
    """Exit 2 and `FILE:LINE`; a pipe is not waited for, and a missing file is named."""
    path = tmp_path / "anchors.jsonl"
    path.write_bytes(b"\n" + content)
    with pytest.raises(JournalError, match=r"anchors\.jsonl:2: this is not an anchor"):
        read_anchors(path)
    assert run(folder, "--anchors", str(path)).exit_code == 2
    path.unlink()
    assert run(folder, "--anchors", str(path)).exit_code == 2
    os.mkfifo(path)
    assert run(folder, "--anchors", str(path)).exit_code == 2


def test_an_index_that_was_dropped_is_found(folder: Path, tmp_path: Path) -> None:
    """In a sealed segment, and in the last one of format 1, which was made with its indexes."""
    statements(folder, "DROP INDEX event_stream", 0)
    assert run(folder).exit_code == 1
    old = Path(shutil.copytree(Path(__file__).parents[2] / "journals" / "v1", tmp_path / "old"))
    assert run(old).exit_code == 0
    statements(old, "DROP INDEX event_stream")
    assert "it has lost indexes: event_stream" in run(old).stdout


def test_the_time_at_which_the_last_segment_was_made_proves_nothing(folder: Path) -> None:
    """A limit: it says when the next segment is due, and no digest covers it until the segment is sealed."""
    statements(folder, "UPDATE segment SET created_ns = 5")
    assert run(folder).exit_code == 0
    statements(folder, "UPDATE segment SET created_ns = 5", 0)
    assert run(folder).exit_code == 1


def test_journal_without_an_event_has_no_end(tmp_path: Path) -> None:
    """And one whose last segment is still empty ends in the segment before."""
    Store(tmp_path / "empty").close()
    assert find_head(tmp_path / "empty", AT) is None
    rows = lively(1)
    store = Store(tmp_path / "journal")
    append_all(store, rows, BATCH)
    head = find_head(tmp_path / "journal", AT)
    store.close()
    found = check.verify(tmp_path / "journal", expected=Expectations([head.digest if head else ""]))
    assert head == Anchor(found.journal or "", len(rows), found.digest, AT)


MANY = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 3000) INSERT INTO"
WITHOUT_END = {
    "batches before the first": f"{MANY} batch SELECT -n, 1000000000, zeroblob(32) FROM n",
    "batches within others": f"{MANY} batch SELECT 8 + n, 1000000000, zeroblob(32) FROM n WHERE n % 7 != 0",
    "batches that end before they begin": f"{MANY} batch SELECT 900 + n, 2, zeroblob(32) FROM n",
    "batches behind the last": f"{MANY} batch SELECT 900 + n, 900 + n, zeroblob(32) FROM n",
    "state hashes": "INSERT OR IGNORE INTO state_hash SELECT seq, 2, '00' FROM event",
}


@pytest.mark.parametrize("kind", WITHOUT_END)
def test_segment_with_damage_without_end_is_left_after_a_hundred_places(
    tmp_path: Path, rows: Sequence[Recorded], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """No batch that begins in a wrong place is read, and the segments after it are still looked at."""
    folder, asked = tmp_path / "journal", []
    store = Store(folder)
    append_all(store, rows[:150], BATCH)
    store.rotation = TINY
    append_all(store, rows, 150)
    store.close()
    select = SegmentReader.select

    def count(part: SegmentReader, query: Query, limit: int, newest: bool) -> list[codec.Row]:
        asked.append(part.path)
        return select(part, query, limit, newest)

    monkeypatch.setattr(SegmentReader, "select", count)
    assert not check.verify(folder).damages
    honest = len(asked)
    statements(folder, WITHOUT_END[kind], 0)
    statements(folder, "UPDATE state_hash SET hash = '00'", 1)
    found = check.verify(folder).damages
    names = [damage.segment for damage in found]
    first, second = (segment.path.name for segment in list_segments(folder))
    assert (names.count(first), second in names) == (check.MOST_DAMAGES + 1, True)
    assert any("the rest of it is not looked at" in damage.text for damage in found)
    assert len(asked) - honest <= honest + (check.MOST_DAMAGES if "behind" in kind else 1)
