"""The journal on a real disk: durable, chained, checked, and never taken for what it is not."""

import os
import signal
import subprocess
import sys
import zlib
from pathlib import Path

import apsw
import pytest
from msgspec.structs import replace

from supervisor.domain.events import Recorded
from supervisor.domain.evolve import fold
from supervisor.domain.state import State, state_hash
from supervisor.journal import codec
from supervisor.journal.check import verify
from supervisor.journal.files import FORMAT, segment_path
from supervisor.journal.reader import Reader
from supervisor.journal.store import Store
from supervisor.ports.errors import JournalError
from supervisor.ports.questions import Query
from tests.kit.domain import GATE
from tests.kit.journals import change, lively, read_all, states, write_journal

NAME = segment_path(Path(), 1).name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A journal folder with something in it, in batches of fifty."""
    return write_journal(tmp_path / "journal", lively())


def test_stored_events_are_read_back_unchanged() -> None:
    """Through the row and back, every event is what it was."""
    for recorded in lively():
        assert codec.decode(codec.encode(recorded)) == recorded


def test_a_reopened_journal_goes_on_where_it_was(folder: Path) -> None:
    """The next event has the next number, and reader and store agree on it."""
    rows = lively()
    store = Store(folder)
    assert store.last_seq == len(rows)
    following = replace(rows[-1], seq=len(rows) + 1)
    store.append([following], replace(states(rows)[-1], seq=len(rows) + 1))
    store.close()
    assert read_all(folder) == [*rows, following]
    reader = Reader(folder)
    assert reader.bounds() == (1, len(rows) + 1)
    reader.close()


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("UPDATE event SET body = replace(body, 'gate', 'gaze') WHERE seq = 9", "event 9 is damaged"),
        ("UPDATE event SET wall_ns = wall_ns + 1 WHERE seq = 60", "event 60 is damaged"),
        ("UPDATE word SET text = 'Peer' || text WHERE text LIKE 'Camera%'", "event 3 is damaged"),
        ("DELETE FROM event WHERE seq = 30", "events 30 to 30 are missing"),
        ("DELETE FROM event WHERE seq < 4", "events 1 to 3 are missing"),
        ("DROP VIEW events; DROP TABLE event", "it has other tables than a segment"),
    ],
)
def test_damage_is_named_with_its_place(folder: Path, statement: str, complaint: str) -> None:
    """Reading stops at the first event that is not what was written, and verifying names it."""
    change(folder, statement)
    with pytest.raises(JournalError, match=complaint):
        read_all(folder)
    assert verify(folder).damages


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        ("UPDATE event SET stream = 'nobody', crc = 0 WHERE seq = 9", "events 1 to 50"),
        ("DELETE FROM event WHERE seq = 1", "events 1 to 50"),
        ("DELETE FROM batch WHERE first = 51", "events 101 to "),
        ("UPDATE batch SET digest = zeroblob(32) WHERE first = 51", "events 51 to 100"),
    ],
)
def test_tampering_breaks_the_chain(folder: Path, statement: str, where: str) -> None:
    """Even a change that repairs the checksums: the digest of the batch no longer fits."""
    assert not verify(folder).damages
    change(folder, statement)
    assert where in str(verify(folder).damages[0])


def test_missing_acknowledged_events_at_the_end_are_noticed(folder: Path) -> None:
    """Missing last events leave no visible gap; the batch that acknowledged them shows it."""
    change(folder, "DELETE FROM event WHERE seq > (SELECT max(seq) - 3 FROM event)")
    with pytest.raises(JournalError, match=r"the last event is \d+, but \d+ were acknowledged"):
        Store(folder)


def test_events_after_the_last_batch_are_damage(folder: Path) -> None:
    """Rows without their batch are damage, since a batch is written as a whole."""
    change(folder, "DELETE FROM batch WHERE first > 51")
    assert "belong to no batch" in str(verify(folder).damages[0])


def test_a_state_that_did_not_come_of_the_events_is_noticed(folder: Path) -> None:
    """A stored hash that the events do not lead to is damage."""
    change(folder, "UPDATE state_hash SET hash = 'another'")
    assert "leads to another state" in str(verify(folder).damages[0])


def test_every_commit_is_synced(tmp_path: Path) -> None:
    """Killing a process cannot show a lost sync, pulling the plug would: so the settings themselves are looked at."""
    store = Store(tmp_path)
    assert store._writer is not None
    db = store._writer._db
    assert (db.pragma("synchronous"), db.pragma("journal_mode")) == (2, "wal")
    store.close()


def test_a_second_daemon_is_kept_out(folder: Path) -> None:
    """The error names the holder of the journal; a reader is not kept out."""
    store = Store(folder)
    with pytest.raises(JournalError, match=rf"in use by another daemon.*pid {os.getpid()}\)"):
        Store(folder)
    assert read_all(folder)
    store.close()
    Store(folder).close()


@pytest.mark.parametrize("opener", [Store, Reader])
def test_a_newer_format_is_refused(folder: Path, opener: type[Store] | type[Reader]) -> None:
    """Reader and store both stop before they read or change a journal of a later release."""
    change(folder, f"PRAGMA user_version = {FORMAT + 1}")
    with pytest.raises(JournalError, match=rf"has format {FORMAT + 1}, written by a newer banken"):
        opener(folder)


def test_a_newer_event_is_refused(folder: Path) -> None:
    """Not skipped in silence: a state without it would be wrong."""
    newer = codec.encode(lively()[0])
    crc = zlib.crc32(codec.canonical((*newer[:8], 99, *newer[9:13])))
    change(folder, f"UPDATE event SET version = 99, crc = {crc} WHERE seq = 1")
    with pytest.raises(JournalError, match="event 1 is a RunStarted of version 99, written by a newer banken"):
        read_all(folder)


@pytest.mark.parametrize("opener", [Store, Reader])
@pytest.mark.parametrize("kind", ["garbage", "another program's database", "a folder"])
def test_file_that_is_not_a_journal_is_not_changed(
    tmp_path: Path, opener: type[Store] | type[Reader], kind: str
) -> None:
    """The error names the file, and not one byte of it changes."""
    path = tmp_path / NAME
    if kind == "garbage":
        path.write_bytes(b"this is not a database, " * 100)
    elif kind == "a folder":
        path.mkdir()
    else:
        db = apsw.Connection(str(path))
        db.execute("CREATE TABLE theirs (x)")
        db.close()
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(JournalError, match=NAME):
        opener(tmp_path)
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_place_that_cannot_be_used(tmp_path: Path) -> None:
    """A path below a file, and a folder without a journal, are errors in words."""
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match=r"cannot be used: .*Not a directory"):
        Store(tmp_path / "file" / "journal")
    with pytest.raises(JournalError, match="there is no journal here"):
        Reader(tmp_path)


def test_pages_filter_by_everything_that_an_event_has(folder: Path) -> None:
    """Number, type with wildcard, camera, stream, correlation, principal and time."""
    rows = lively()
    reader = Reader(folder)
    assert [r.seq for r in reader.page(limit=5)] == [1, 2, 3, 4, 5]
    assert [r.seq for r in reader.page(limit=3, newest=True)] == [len(rows) - 2, len(rows) - 1, len(rows)]
    assert [r.seq for r in reader.page(Query(after=7, before=10))] == [8, 9]
    found = reader.page(Query(types=["Peer*"]))
    assert {r.type for r in found} == {"PeerOpened", "PeerConnected", "PeerClosed"}
    assert reader.page(Query(camera=GATE)) == [r for r in rows if getattr(r.event, "camera", None) == GATE]
    assert reader.page(Query(stream="child/*")) == [r for r in rows if r.stream.startswith("child/")]
    assert reader.page(Query(correlation=rows[5].correlation)) == [
        r for r in rows if r.correlation == rows[5].correlation
    ]
    assert reader.page(Query(principal="nobody")) == []
    late = rows[-1].wall_ns
    assert reader.page(Query(since_ns=late)) == [r for r in rows if r.wall_ns >= late]
    assert reader.page(Query(until_ns=late - 1)) == [r for r in rows if r.wall_ns < late]
    reader.close()


WRITER = """
import sys
from pathlib import Path
from msgspec.structs import replace
from supervisor.domain.state import State
from supervisor.journal.store import Store
from tests.kit.journals import lively
store = Store(Path(sys.argv[1]))
rows = lively()
for number in range(10_000):
    batch = [replace(row, seq=store.last_seq + 1 + index) for index, row in enumerate(rows[:7])]
    store.append(batch, State(seq=batch[-1].seq))
    print(store.last_seq, flush=True)
"""


@pytest.mark.parametrize("acknowledged", [1, 40, 200])
def test_acknowledged_events_survive_a_kill(tmp_path: Path, acknowledged: int) -> None:
    """A writer is killed with SIGKILL after some acknowledgements; all of them are there, and a whole prefix."""
    folder = tmp_path / "journal"
    with subprocess.Popen([sys.executable, "-c", WRITER, folder], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        last = [int(writer.stdout.readline()) for _ in range(acknowledged)][-1]
        os.kill(writer.pid, signal.SIGKILL)
    Store(folder).close()
    rows = read_all(folder)
    assert len(rows) >= last
    assert len(rows) % 7 == 0
    assert not [damage for damage in verify(folder).damages if "chain" in damage.text]


def test_folding_a_stored_journal_gives_the_state_it_had(folder: Path) -> None:
    """The hash is that of the events in memory, so that storing loses no field."""
    assert state_hash(fold(read_all(folder))) == state_hash(fold(lively()))


def test_verify_beside_a_writer_reports_no_damage(folder: Path) -> None:
    """Events that are written during the check are not damage."""
    rows = lively(40)
    after = states(rows)
    store = Store(folder)
    found = verify(folder, progress=lambda seq: _append_some(store, rows, after))
    store.close()
    assert store.last_seq > len(lively())
    assert not found.damages


def _append_some(store: Store, rows: list[Recorded], after: list[State]) -> None:
    begin = store.last_seq
    end = min(begin + 7, len(rows))
    if end > begin:
        store.append(rows[begin:end], after[end])
