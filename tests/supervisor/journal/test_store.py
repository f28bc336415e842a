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

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.evolve import fold
from supervisor.domain.ids import PeerId
from supervisor.domain.state import state_hash
from supervisor.journal import codec
from supervisor.journal.errors import JournalError
from supervisor.journal.store import FORMAT, SEGMENT, Reader, Store
from tests.kit.domain import ASKED, GATE, PICTURE, TEMPORARY, child, live, peer


def lively() -> list[e.Recorded]:
    """Some of everything."""
    story = live().given(child(), peer(), c.ReportPeerConnected(PeerId("peer-1")), c.ReportLoss(GATE, TEMPORARY, 0.3))
    for number in range(20):
        story.after(1).given(c.ConnectCamera(GATE), c.ReportLive(GATE, PICTURE), peer(f"more-{number}"))
        story.given(c.ReportPeerClosed(PeerId(f"more-{number}"), ASKED), c.ReportLoss(GATE, TEMPORARY, 0.5))
    return story.recorded


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A journal folder with something in it, in three batches."""
    rows = lively()
    store = Store(tmp_path / "journal")
    for batch in (rows[:2], rows[2:50], rows[50:]):
        store.append(batch)
    store.close()
    return tmp_path / "journal"


def change(folder: Path, statement: str) -> None:
    """What a tamperer, or rot, might do."""
    db = apsw.Connection(str(folder / SEGMENT))
    db.execute(statement)
    db.close()


def test_what_was_stored_is_read_back() -> None:
    """Through the row and back, every event is what it was."""
    for recorded in lively():
        assert codec.decode(codec.encode(recorded)) == recorded


@pytest.mark.parametrize("column", range(14))
def test_damage_in_any_column_is_found(column: int) -> None:
    """A number that is one more, a text that is one letter longer; in any row, wherever it is."""
    row = list(codec.encode(lively()[-1]))
    row[column] = (row[column] or 0) + 1 if not isinstance(row[column], str) else row[column] + " "
    with pytest.raises(JournalError, match="is damaged"):
        codec.decode(tuple(row))


def test_a_reopened_journal_goes_on_where_it_was(folder: Path) -> None:
    rows = lively()
    store = Store(folder)
    assert store.last_seq == len(rows)
    following = replace(rows[-1], seq=len(rows) + 1)
    store.append([following])
    store.close()
    reader = Reader(folder)
    assert list(reader.all()) == [*rows, following]
    reader.verify_chain()
    assert reader.bounds() == (1, len(rows) + 1)
    reader.close()


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("UPDATE event SET body = replace(body, 'gate', 'gaze') WHERE seq = 9", "event 9 is damaged"),
        ("UPDATE event SET wall_ns = wall_ns + 1 WHERE seq = 60", "event 60 is damaged"),
        ("DELETE FROM event WHERE seq = 30", "events 30 to 30 are missing"),
        ("DELETE FROM event WHERE seq < 4", "events 1 to 3 are missing"),
        ("DROP TABLE event", "the journal cannot be read: no such table"),
    ],
)
def test_damage_is_named_with_its_place(folder: Path, statement: str, complaint: str) -> None:
    """Reading stops at the first event that is not what was written."""
    change(folder, statement)
    reader = Reader(folder)
    with pytest.raises(JournalError, match=complaint):
        list(reader.all())
    reader.close()


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        ("UPDATE event SET principal = 'nobody', crc = 0 WHERE seq = 9", "events 3 to 50"),
        ("DELETE FROM event WHERE seq = 1", "events 1 to 2"),
        ("DELETE FROM batch WHERE first = 3", "events 51 to "),
        ("UPDATE batch SET digest = zeroblob(32) WHERE first = 51", "events 51 to "),
    ],
)
def test_tampering_breaks_the_chain(folder: Path, statement: str, where: str) -> None:
    """Even one that mends the checksums: the digest of the batch no longer fits."""
    reader = Reader(folder)
    reader.verify_chain()
    reader.close()
    change(folder, statement)
    reader = Reader(folder)
    with pytest.raises(JournalError, match=where):
        reader.verify_chain()
    reader.close()


def test_a_promise_that_was_broken_is_noticed(folder: Path) -> None:
    """Missing last events leave no gap to see; the batch that promised them does."""
    change(folder, "DELETE FROM event WHERE seq > (SELECT max(seq) - 3 FROM event)")
    with pytest.raises(JournalError, match=r"the last event is \d+, but \d+ were promised"):
        Store(folder)


def test_events_after_the_last_batch_belong_to_nobody(folder: Path) -> None:
    change(folder, "DELETE FROM batch WHERE first = 51")
    reader = Reader(folder)
    with pytest.raises(JournalError, match="belong to no batch"):
        reader.verify_chain()
    reader.close()


def test_every_commit_is_synced(tmp_path: Path) -> None:
    """Killing a process cannot show a lost sync, pulling the plug would: so the settings themselves are looked at."""
    store = Store(tmp_path)
    assert (store._db.pragma("synchronous"), store._db.pragma("journal_mode")) == (2, "wal")
    store.close()


def test_a_second_daemon_is_kept_out(folder: Path) -> None:
    """It is told who holds the journal; a reader is not kept out."""
    store = Store(folder)
    with pytest.raises(JournalError, match=rf"in use by another daemon \(pid {os.getpid()}\)"):
        Store(folder)
    reader = Reader(folder)
    assert reader.page(0, limit=1)
    reader.close()
    store.close()
    Store(folder).close()


@pytest.mark.parametrize("opener", [Store, Reader])
def test_a_newer_format_is_refused(folder: Path, opener: type[Store] | type[Reader]) -> None:
    change(folder, f"PRAGMA user_version = {FORMAT + 1}")
    with pytest.raises(JournalError, match=rf"has format {FORMAT + 1}, written by a newer banken"):
        opener(folder)


def test_a_newer_event_is_refused(folder: Path) -> None:
    """Not skipped in silence: a state without it would be wrong."""
    newer = codec.encode(lively()[0])
    row = (*newer[:8], 99, *newer[9:13])
    change(folder, "DELETE FROM event WHERE seq = 1")
    db = apsw.Connection(str(folder / SEGMENT))
    db.execute(f"INSERT INTO event VALUES ({','.join('?' * 14)})", (*row, zlib.crc32(codec._canonical(row))))
    db.close()
    reader = Reader(folder)
    with pytest.raises(JournalError, match="event 1 is a RunStarted of version 99, written by a newer banken"):
        list(reader.all())
    reader.close()


@pytest.mark.parametrize("opener", [Store, Reader])
@pytest.mark.parametrize("kind", ["garbage", "another program's database", "a folder"])
def test_what_is_no_journal_is_left_alone(tmp_path: Path, opener: type[Store] | type[Reader], kind: str) -> None:
    path = tmp_path / SEGMENT
    if kind == "garbage":
        path.write_bytes(b"this is not a database, " * 100)
    elif kind == "a folder":
        path.mkdir()
    else:
        db = apsw.Connection(str(path))
        db.execute("CREATE TABLE theirs (x)")
        db.close()
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(JournalError, match=SEGMENT):
        opener(tmp_path)
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_place_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match=r"cannot be used: .*Not a directory"):
        Store(tmp_path / "file" / "journal")
    with pytest.raises(JournalError, match="there is no journal here"):
        Reader(tmp_path)


def test_pages_filter_by_camera_type_and_time(folder: Path) -> None:
    rows = lively()
    reader = Reader(folder)
    assert [r.seq for r in reader.page(0, limit=5)] == [1, 2, 3, 4, 5]
    assert [r.seq for r in reader.page(0, limit=3, newest=True)] == [len(rows) - 2, len(rows) - 1, len(rows)]
    assert {r.type for r in reader.page(0, limit=500, types=["Peer*"])} == {"PeerOpened", "PeerConnected", "PeerClosed"}
    of_gate = [r for r in rows if getattr(r.event, "camera", None) == GATE]
    assert reader.page(0, limit=500, camera=GATE) == of_gate
    late = rows[-1].wall_ns
    assert reader.page(0, limit=500, since_ns=late) == [r for r in rows if r.wall_ns >= late]
    reader.close()


WRITER = """
import sys
from pathlib import Path
from supervisor.journal.store import Store
from tests.supervisor.journal.test_store import lively
from msgspec.structs import replace
store = Store(Path(sys.argv[1]))
rows = lively()
for number in range(10_000):
    batch = [replace(row, seq=store.last_seq + 1 + index) for index, row in enumerate(rows[:7])]
    store.append(batch)
    print(store.last_seq, flush=True)
"""


@pytest.mark.parametrize("acknowledged", [1, 40, 200])
def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, acknowledged: int) -> None:
    """A writer is killed with SIGKILL after some acknowledgements; all of them are there, and a whole prefix."""
    folder = tmp_path / "journal"
    with subprocess.Popen([sys.executable, "-c", WRITER, folder], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(acknowledged):
            last = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
    Store(folder).close()
    reader = Reader(folder)
    rows = list(reader.all())
    assert len(rows) >= last
    assert len(rows) % 7 == 0
    reader.verify_chain()
    reader.close()


def test_the_hash_of_the_live_state_is_kept_beside_the_events(tmp_path: Path) -> None:
    """What was folded live can be compared, much later, with what a reader folds."""
    rows = lively()
    store = Store(tmp_path)
    store.append(rows[:40], (33, state_hash(fold(rows[:33]))))
    store.append(rows[40:])
    store.close()
    reader = Reader(tmp_path)
    assert reader.state_hashes() == {33: state_hash(fold(list(reader.all())[:33]))}
    reader.close()


def test_folding_a_stored_journal_gives_the_state_it_had(folder: Path) -> None:
    reader = Reader(folder)
    assert state_hash(fold(reader.all())) == state_hash(fold(lively()))
    reader.close()
