"""A store whose files were touched: it notices before it writes, and begins a new chain that names the old one."""

import errno
import fcntl
import os
import shutil
import socket
import stat
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import apsw
import msgspec
import pytest
from msgspec.structs import replace

from supervisor.domain.state import State
from supervisor.journal import checkpoint, manifest
from supervisor.journal.check import verify
from supervisor.journal.codec import GENESIS
from supervisor.journal.errors import JournalInUse, JournalReplaced
from supervisor.journal.files import BESIDE, MAX_FIRST, SCHEMA_1, list_segments, number_of, segment_path, set_aside
from supervisor.journal.reader import Reader
from supervisor.journal.recovery import ROOM, SPAN, find, recover
from supervisor.journal.segment import SegmentWriter, make_segment, seal
from supervisor.journal.store import Chain, End, Rotation, Store
from supervisor.journal.watch import FileWatch
from supervisor.journal.writer import ThreadedStore
from supervisor.ports.errors import JournalError
from tests.kit.journals import TINY, append_all, chain_began, change, lively, read_all, states, write_journal
from tests.kit.limits import no_descriptor


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Forty events in two segments, and open."""
    store = Store(tmp_path / "journal", TINY)
    append_all(store, lively()[:40], 20)
    store.rotation = Rotation()
    return store


def newest(store: Store) -> Path:
    return list_segments(store.folder)[-1].path


def copy_over(store: Store) -> None:
    """The same content, written in place by somebody else."""
    data = newest(store).read_bytes()
    newest(store).write_bytes(data)


TOUCHES: dict[str, Callable[[Store], object]] = {
    "content written in place": copy_over,
    "time of change": lambda store: os.utime(newest(store), ns=(1, 1)),
    "segment in another folder": lambda store: newest(store).rename(store.folder.parent / "elsewhere"),
    "hard link in its place": lambda store: exchange(newest(store)),
    "older segment": lambda store: os.truncate(list_segments(store.folder)[0].path, 100),
    "lock": lambda store: exchange(store.folder / "lock"),
    "folder copied": lambda store: copy_folder(store.folder),
    "wal": lambda store: os.truncate(f"{newest(store)}-wal", 100),
    "content, and its time put back": lambda store: overwrite(newest(store)),
    "content of an older segment, and its time put back": lambda store: overwrite(list_segments(store.folder)[0].path),
    "content of the wal, and its time put back": lambda store: overwrite(Path(f"{newest(store)}-wal")),
    "checksum in the wal's header, and its time put back": lambda store: flip(Path(f"{newest(store)}-wal"), 24),
    "checksum of a frame, and its time put back": lambda store: flip(Path(f"{newest(store)}-wal"), 32 + 16),
    "number of the state, and the time put back": lambda store: forge_state(newest(store), State(seq=1_000_000)),
    "state with its number, and the time put back": lambda store: forge_state(newest(store), State(seq=20)),
    "rollback journal": lambda store: Path(f"{newest(store)}-journal").touch(),
    "mode of the segment": lambda store: newest(store).chmod(0),
    "mode of the wal": lambda store: Path(f"{newest(store)}-wal").chmod(0),
}


def exchange(path: Path) -> None:
    shutil.copy2(path, path.with_suffix(".copy"))
    path.with_suffix(".copy").rename(path)


def overwrite(path: Path) -> None:
    found = path.stat()
    with path.open("r+b") as file:
        file.write(bytes(found.st_size))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def flip(path: Path, offset: int) -> None:
    """Change one byte in place, and put the time back."""
    found = path.stat()
    with path.open("r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def forge_state(path: Path, state: State) -> None:
    """Put `state` in the place of the one at the head, in place."""
    found, data = path.stat(), path.read_bytes()
    db = apsw.Connection(path.as_uri() + "?immutable=1", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    old = bytes(db.execute("SELECT state FROM checkpoint ORDER BY seq LIMIT 1").get)
    db.close()
    forged = deflated(msgspec.json.encode({"seq": state.seq}), len(old))
    assert checkpoint.unpack(forged) == state
    assert data.count(old) == 1
    with path.open("r+b") as file:
        file.seek(data.index(old))
        file.write(forged)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def deflated(data: bytes, size: int) -> bytes:
    """`data` compressed to just so many bytes: JSON may end with spaces, which are stored as they are."""
    for spaces in range(size):
        found = zlib.compress(data + b" " * spaces, 0)
        if len(found) == size:
            return found
    raise AssertionError(f"{size} bytes are too few")


def copy_folder(folder: Path) -> None:
    folder.rename(folder.with_name("away"))
    shutil.copytree(folder.with_name("away"), folder, copy_function=shutil.copy2)


@pytest.mark.parametrize("touch", TOUCHES)
def test_touched_file_is_noticed_before_a_commit(store: Store, touch: str) -> None:
    """Nothing is written to files that are not as we left them."""
    rows = lively()
    TOUCHES[touch](store)
    with pytest.raises(JournalReplaced):
        store.look()
    with pytest.raises(JournalReplaced):
        store.append(rows[40:50], states(rows)[50])
    assert store.last_seq == 40
    store.close()


def test_reading_linking_and_copying_are_no_touch(store: Store) -> None:
    """Readers, a backup by `cp` and one by hard links disturb nothing."""
    rows = lively()
    assert read_all(store.folder) == rows[:40]
    shutil.copytree(store.folder, store.folder.with_name("backup"))
    for path in list(store.folder.iterdir()):
        os.link(path, store.folder.with_name(f"link-{path.name}"))
    store.look()
    newest(store).chmod(0o640)
    verify(store.folder)
    append_all(store, rows[:50], 10)
    store.look()
    store.close()
    assert not verify(store.folder).damages


def test_files_compared_while_a_segment_is_sealed_are_not_replaced(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sealing writes to a segment for long: neither an idle look nor an append takes that for somebody else's act."""
    rows, met = lively(), []

    def seal_and_look(path: Path, previous: str) -> manifest.Sealed | None:
        sealed = seal(path, previous)
        store.look()
        store.rotation = TINY
        append_all(store, rows[: store.last_seq + 10], 10)
        store.look()
        met.append(path.name)
        return sealed

    monkeypatch.setattr("supervisor.journal.store.seal", seal_and_look)
    store.keep(0)
    store.look()
    append_all(store, rows[:80], 10)
    monkeypatch.undo()
    store.keep(0)
    store.close()
    assert met == ["segment-0000000001.sqlite"]
    assert read_all(store.folder) == rows[:80]
    assert not verify(store.folder).damages


@pytest.mark.parametrize("touch", [exchange, lambda path: os.truncate(path, 100)], ids=["exchanged", "truncated"])
def test_segment_touched_while_it_is_sealed_is_noticed(
    store: Store, monkeypatch: pytest.MonkeyPatch, touch: Callable[[Path], object]
) -> None:
    """Its content is ours to change then; its inode is not, and it does not shrink."""

    def seal_and_look(path: Path, previous: str) -> manifest.Sealed | None:
        touch(path)
        with pytest.raises(JournalReplaced):
            store.look()
        return None

    monkeypatch.setattr("supervisor.journal.store.seal", seal_and_look)
    store.keep(0)
    store.close()


def test_older_segments_are_compared_by_an_append_after_a_while(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by each one: there may be many. A busy journal has no idle look, so an append makes up for it."""
    rows = lively()
    store.look()
    monkeypatch.setattr("supervisor.journal.store.LOOK_EVERY_S", 3600.0)  # however slow the machine is
    os.truncate(list_segments(store.folder)[0].path, 100)
    append_all(store, rows[:50], 10)
    monkeypatch.setattr("supervisor.journal.store.LOOK_EVERY_S", 0.0)
    with pytest.raises(JournalReplaced):
        append_all(store, rows[:60], 10)
    assert store.last_seq == 50
    store.close()


def test_lost_descriptor_of_the_lock_begins_a_new_chain(store: Store) -> None:
    """A network file system may refuse the files that are held open: the lock is let go, and taken again."""
    assert store._lock is not None
    os.close(store._lock.descriptor)
    with pytest.raises(JournalReplaced, match="lock is lost"):
        store.look()
    store.begin_chain(Chain(states(lively())[40], store.end, "the lock is lost"))
    append_all(store, lively()[:50], 10)
    store.close()
    assert read_all(store.folder) == lively()[:50]


def test_segment_of_a_new_chain_that_cannot_be_opened_is_not_set_aside(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a limit on open files the same beginning is tried again: it leaves nothing in its own way."""
    chain = Chain(states(lively())[40], store.end, "the lock is gone")
    with monkeypatch.context() as patch:
        patch.setattr("supervisor.journal.store.SegmentWriter", refuse_to_open)
        for _ in range(3):
            with pytest.raises(OSError, match="Too many open files"):
                store.begin_chain(chain)
    store.begin_chain(chain)
    append_all(store, lively()[:50], 10)
    store.close()
    assert store.asides == []
    assert read_all(store.folder) == lively()[:50]


def refuse_to_open(path: Path) -> SegmentWriter:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))


@pytest.mark.parametrize(("shared", "batch"), [(0, 45), (0, 40), (40, 50)])
def test_other_journal_put_in_place_during_a_fault_is_not_continued(store: Store, shared: int, batch: int) -> None:
    """Neither one whose batches end elsewhere, nor another end of the same one: only our own write may be there."""
    rows = lively()
    others = [*rows[:shared], *(replace(row, mono_ns=row.mono_ns + 1) for row in rows[shared:90])]
    with pytest.raises(AttributeError):
        store.append([None], State())  # type: ignore[list-item]
    end = store.end
    for path in store.folder.glob("segment-*"):
        path.unlink()
    other = Store(store.folder.with_name("other"))
    append_all(other, others[:shared], 20)
    append_all(other, others, batch)
    other.close()
    for path in other.folder.glob("segment-*"):
        path.rename(store.folder / path.name)
    with pytest.raises(JournalReplaced, match="is another one"):
        store.reconnect()
    assert store.end == end
    store.close()


def test_failed_write_that_is_in_the_files_is_ours_after_a_fault(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit was made, and the answer was an error: what is stored then is the chain's end."""
    rows, after = lively(), states(lively())
    with monkeypatch.context() as patch:
        patch.setattr(FileWatch, "take_written", refuse_look)
        with pytest.raises(OSError, match="Input/output error"):
            store.append(rows[40:50], after[50])
    assert store.end.seq == 40
    store.reconnect()
    assert store.end.seq == 50
    with monkeypatch.context() as patch:
        patch.setattr("supervisor.journal.store.SegmentWriter", refuse_to_open)
        with pytest.raises(OSError, match="Too many open files"):
            store.skip(after[60])
    store.reconnect()
    store.append(rows[60:70], after[70])
    assert store.end.seq == 70
    store.close()
    found = verify(store.folder)
    assert found.gaps == ((51, 60),)
    assert [damage for damage in found.damages if "manifest" not in damage.text] == []


def refuse_look(watch: FileWatch, *names: str) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_new_chain_names_the_old_one_and_the_journal_is_whole(store: Store) -> None:
    """Where nothing was lost, the old chain ends where the new one says."""
    rows, after = lively(), states(lively())
    old = store.end
    (store.folder / "lock").unlink()
    with pytest.raises(JournalReplaced):
        store.append(rows[40:50], after[50])
    start = store.begin_chain(Chain(after[40], old, "the lock is gone"))
    assert (start.last, start.digest, start.why) == (40, old.digest.hex(), "the lock is gone")
    begun = chain_began(rows[39], start)
    store.append([begun], after[40])
    store.keep(0)
    store.close()
    assert read_all(store.folder) == [*rows[:40], begun]
    found = verify(store.folder)
    assert (found.damages, found.gaps) == ((), ())
    reader = Reader(store.folder)
    assert [part.start for part in reader.parts()] == [None, None, start]
    reader.close()


def test_chain_that_is_not_the_named_one_is_damage(store: Store) -> None:
    """Somebody cut the end of the old chain, or put another one there."""
    rows, after = lively(), states(lively())
    store.begin_chain(Chain(after[50], End(50, bytes(32)), "rolled back"))
    store.append(rows[50:60], after[60])
    store.close()
    assert "of the old one, which ended with event 50, only 40 is here" in str(verify(store.folder).damages[0])


def test_segment_beyond_the_new_chain_is_set_aside(store: Store) -> None:
    """Another journal's files, with numbers that ours will have."""
    rows, after = lively(), states(lively())
    start = store.begin_chain(Chain(after[20], End(20, bytes(32)), "another journal"))
    assert [aside.file for aside in store.asides] == ["segment-0000000021.sqlite"]
    assert start.last == 20
    append_all(store, rows[:30], 10)
    store.close()
    assert read_all(store.folder) == rows[:30]


def theirs(folder: Path, batch: int) -> Path:
    """A journal of another node, with a segment for each batch."""
    rows = [replace(row, node="another") for row in lively()[:60]]
    return write_journal(folder / "theirs", rows, batch=batch, rotation=TINY)


@pytest.mark.parametrize("name", ["segment-0000005000.sqlite", "segment-0000000041.sqlite"])
def test_newest_segment_of_another_journal_is_set_aside(store: Store, tmp_path: Path, name: str) -> None:
    """Under a foreign name or its own: the journal goes on from the end of its chain."""
    end = store.end
    store.close()
    other = theirs(tmp_path, 20)
    source = other / name
    shutil.copy(source if source.exists() else other / "segment-0000000001.sqlite", store.folder / name)
    found = recover(store.folder)
    assert found.chain is not None
    assert (found.chain.old, [aside.file for aside in found.chain.damaged]) == (end, [name])
    found.store.begin_chain(found.chain)
    assert [aside.file for aside in found.store.asides] == [name]
    found.store.close()
    assert read_all(store.folder) == lively()[:40]


@pytest.mark.parametrize(
    "act", ["another journal's is put before it", "the one before it is gone", "none is before it"]
)
def test_newest_segment_of_this_journal_is_kept_whatever_is_before_it(tmp_path: Path, act: str) -> None:
    """That it does not follow from the one before it proves nothing: verify says it."""
    journal = write_journal(tmp_path / "journal", lively()[:60], batch=20, rotation=TINY)
    (journal / "manifest.jsonl").unlink()
    if act == "another journal's is put before it":
        shutil.copy(theirs(tmp_path, 30) / "segment-0000000031.sqlite", journal)
    for segment in list_segments(journal)[:-1]:
        if act == "none is before it" or (act == "the one before it is gone" and segment.first == 21):
            segment.path.unlink()
    found = find(journal)
    assert (found.damaged, found.state.seq) == ((), 60)


def test_segment_under_another_name_is_set_aside(store: Store) -> None:
    """Also one of this journal: its events have other numbers than its name says."""
    store.close()
    newest(store).rename(store.folder / "segment-0000005000.sqlite")
    found = find(store.folder)
    assert [aside.file for aside in found.damaged] == ["segment-0000005000.sqlite"]
    assert found.end is not None
    assert found.end.seq == 20


def test_lock_belongs_to_the_folder(store: Store) -> None:
    """Deleting the lock file lets nobody in; a release that knows only the file is kept out by the file."""
    with (store.folder / "lock").open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    (store.folder / "lock").unlink()
    with pytest.raises(JournalInUse, match="in use by another daemon"):
        Store(store.folder)
    with pytest.raises(JournalInUse):
        recover(store.folder)
    store.close()
    Store(store.folder).close()


@pytest.mark.parametrize("name", [".", "lock"])
def test_lock_of_no_daemon_is_a_fault_until_it_is_let_go(store: Store, name: str) -> None:
    """A program that can read the folder can lock it. The state is known; nothing is written until the next attempt."""
    store.close()
    (store.folder / "lock").write_text("0\n")  # the last daemon was not this process
    held = os.open(store.folder / name, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_SH)
    found = recover(store.folder)
    assert found.fault is not None
    assert "another program has locked its folder" in found.fault
    assert (found.state.seq, found.chain) == (40, None)
    with pytest.raises(JournalInUse):
        found.store.reconnect()
    os.close(held)
    found.store.reconnect()
    found.store.append(lively()[40:50], states(lively())[50])
    found.store.close()
    assert read_all(store.folder) == lively()[:50]


@pytest.mark.parametrize("lock", ["there", "removed"])
def test_lock_of_a_daemon_refuses_a_start(store: Store, lock: str) -> None:
    """Also where the file with its pid is gone."""
    if lock == "removed":
        (store.folder / "lock").unlink()
    with pytest.raises(JournalInUse):
        recover(store.folder)
    store.close()


def test_files_are_private(tmp_path: Path) -> None:
    """0600 and 0700, whatever the umask; files of older releases get the mode when they are opened for writing."""
    before = os.umask(0)
    try:
        folder = write_journal(tmp_path / "new" / "journal", lively(), batch=20, rotation=TINY)
        for path in folder.iterdir():
            path.chmod(0o644)
        store = Store(folder)
        append_all(store, lively(25), 20)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert set(modes.values()) == {0o600}, modes
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "manifest.jsonl" in modes


def test_damaged_manifest_is_set_aside_and_made_again(store: Store) -> None:
    """Sealing and retention go on; the segments are sealed again."""
    store.keep(0)
    store.close()
    (store.folder / "manifest.jsonl").write_text("{x\n")
    again = Store(store.folder)
    kept = again.keep(0)
    again.close()
    assert [aside.file for aside in kept.asides] == [manifest.NAME]
    assert [line.segment for line in manifest.read(store.folder)] == ["segment-0000000001.sqlite"]
    assert not verify(store.folder).damages


@pytest.mark.parametrize("where", ["last", "all"])
def test_recovery_goes_on_from_the_newest_segment_that_is_whole(store: Store, where: str) -> None:
    """A number that an event may have had is not given again."""
    store.close()
    segments = list_segments(store.folder)
    for segment in segments if where == "all" else segments[-1:]:
        segment.path.write_bytes(b"rot" * 1000)
    found = find(store.folder)
    assert found.state.seq == 21 + 2**24
    assert found.end == (End(0, b"") if where == "all" else End(20, store_digest(store, 0)))
    assert [aside.file for aside in found.damaged] == [
        segment.path.name for segment in reversed(segments if where == "all" else segments[-1:])
    ]


def store_digest(store: Store, number: int) -> bytes:
    reader = Reader(list_segments(store.folder)[number].path)
    (part,) = reader.parts()
    digest = part.rows("SELECT digest FROM batch ORDER BY first DESC LIMIT 1")[0][0]
    reader.close()
    return bytes(digest)


def test_unfinished_chain_is_reported_at_the_next_start(store: Store) -> None:
    """A crash, or `banken repair`, left a new chain without an event: its start is still there to be reported."""
    old = store.end
    start = store.begin_chain(Chain(states(lively())[40], old, "repaired"))
    store.close()
    recovered = recover(store.folder)
    recovered.store.close()
    assert recovered.start == start
    assert (recovered.chain, recovered.fault, recovered.state.seq) == (None, None, 40)


def test_segment_of_format_1_is_written_on_in_its_format(tmp_path: Path) -> None:
    """Until it is full; the next one has the newest format. Both together are one whole journal."""
    frozen = Path(__file__).parents[2] / "journals" / "v1"
    folder = shutil.copytree(frozen, tmp_path / "journal")
    rows = read_all(folder)
    state = Reader(folder).state_at(len(rows))
    store = Store(folder, Rotation(max_age_s=1e12))
    more = [replace(rows[-1], seq=len(rows) + number, stream_version=9) for number in range(1, 2001)]
    for begin in range(0, 1500, 500):
        batch = more[begin : begin + 500]
        store.append(batch, replace(state, seq=batch[-1].seq))
    store.rotation = TINY
    store.append(more[1500:], replace(state, seq=more[-1].seq))
    store.close()
    reader = Reader(folder)
    assert [part.format for part in reader.parts()] == [1, 1, 1, 1, 2]
    rules = [{rule for _, rule, _ in part.hashes()} for part in reader.parts()]
    reader.close()
    assert rules == [{1}, {1}, {1}, {1}, {2}]
    assert [row.seq for row in read_all(folder)] == list(range(1, len(rows) + 2001))
    assert [damage for damage in verify(folder).damages if "chain" in damage.text] == []


def test_indexes_are_made_when_a_segment_is_sealed(store: Store) -> None:
    """The live segment has none; a sealed one of format 2 has those of format 1."""
    store.keep(0)
    store.close()
    reader = Reader(store.folder)
    found = [
        {name for (name,) in part.rows("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")}
        for part in reader.parts()
    ]
    reader.close()
    assert found[1] == set()
    assert found[0] == {line.split()[2] for line in SCHEMA_1.replace(";", "\n").splitlines() if "CREATE INDEX" in line}


def test_first_start_begins_with_event_1(tmp_path: Path) -> None:
    """A folder that is missing is made, and is empty: nothing can have been in it."""
    recovered = recover(tmp_path / "new" / "journal")
    recovered.store.close()
    assert (recovered.state, recovered.store.end) == (State(), End(0, GENESIS))
    assert (recovered.fault, recovered.chain) == (None, None)


def test_damaged_event_before_the_last_checkpoint_stops_no_start(store: Store) -> None:
    """It is not needed for the state; reading and verifying name it."""
    store.close()
    change(store.folder, "UPDATE event SET crc = 0 WHERE seq = 5", 1)
    recovered = recover(store.folder)
    recovered.store.close()
    assert recovered.fault is None
    assert verify(store.folder).damages


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("size", [0, 20, 4000, 6000, 100_000])
def test_wal_shortened_while_a_batch_is_stored_is_noticed(
    store: Store, monkeypatch: pytest.MonkeyPatch, moment: str, size: int
) -> None:
    """SQLite writes on behind the hole, where no recovery finds the batch: it is not acknowledged."""
    rows, append = lively(), SegmentWriter.append
    append_all(store, rows[:60], 4)

    def append_and_shorten(self: SegmentWriter, *batch: object) -> None:
        path = f"{self.path}-wal"
        if moment == "before":
            os.truncate(path, min(size, os.stat(path).st_size - 4120))
        append(self, *batch)  # type: ignore[arg-type]
        if moment == "after":
            os.truncate(path, min(size, os.stat(path).st_size - 4120))

    monkeypatch.setattr(SegmentWriter, "append", append_and_shorten)
    with pytest.raises(JournalReplaced):
        append_all(store, rows[:70], 10)
    assert store.last_seq == 60
    store.close()


def do_after_append(monkeypatch: pytest.MonkeyPatch, act: Callable[[Path], None]) -> None:
    """Do something to each segment that a batch was stored in, before anybody looks at it."""
    append = SegmentWriter.append

    def append_and_act(self: SegmentWriter, *batch: object) -> None:
        append(self, *batch)  # type: ignore[arg-type]
        act(self.path)

    monkeypatch.setattr(SegmentWriter, "append", append_and_act)


@pytest.mark.parametrize("offset", [32 + 16, 32 + 24 + 4000])
def test_wal_overwritten_while_a_batch_is_stored_is_noticed_by_the_next_look(
    store: Store, monkeypatch: pytest.MonkeyPatch, offset: int
) -> None:
    """A frame of an earlier commit: the change has the time of the daemon's write, and a recovery stops there."""
    rows = lively()
    append_all(store, rows[:60], 4)
    do_after_append(monkeypatch, lambda segment: flip(segment.with_name(f"{segment.name}-wal"), offset))
    append_all(store, rows[:64], 4)
    with pytest.raises(JournalReplaced):
        store.look()
    store.close()


def test_wal_overwritten_within_a_tick_of_the_clock_is_noticed_by_the_second_look(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look right after a commit: what follows has the same time, and is seen by its content once more."""
    append_all(store, lively()[:44], 4)
    store.look()
    flip(Path(f"{newest(store)}-wal"), 24)
    monkeypatch.setattr(FileWatch, "look", lambda watch: None)
    with pytest.raises(JournalReplaced, match="not whole"):
        store.look()
    store.close()


@pytest.mark.parametrize("back", [1, 4120 - 16, 4120 - 20])
def test_frame_overwritten_before_it_is_read_back_is_not_acknowledged(
    store: Store, monkeypatch: pytest.MonkeyPatch, back: int
) -> None:
    """The page, or the checksum of the batch itself: no recovery would find it."""
    rows = lively()
    append_all(store, rows[:60], 4)

    def flip_a_byte(segment: Path) -> None:
        path = segment.with_name(f"{segment.name}-wal")
        flip(path, path.stat().st_size - back)

    do_after_append(monkeypatch, flip_a_byte)
    with pytest.raises(JournalReplaced):
        append_all(store, rows[:64], 4)
    assert store.last_seq == 60
    store.close()


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_file_replaced_by_its_copy_while_a_batch_is_stored_is_noticed(
    store: Store, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """It holds the batch, but what SQLite writes next goes to the other one: nothing is acknowledged."""
    rows = lively()
    append_all(store, rows[:60], 4)

    def replace(segment: Path) -> None:
        path, copy = segment.with_name(f"{segment.name}{suffix}"), store.folder.with_name("copy")
        copy.write_bytes(path.read_bytes())
        copy.chmod(0o600)
        copy.replace(path)

    do_after_append(monkeypatch, replace)
    with pytest.raises(JournalReplaced, match="another file is"):
        append_all(store, rows[:70], 10)
    assert store.last_seq == 60
    store.close()


@pytest.mark.parametrize("is_touched", [True, False])
def test_segment_overwritten_while_the_wal_is_copied_to_it_is_noticed(
    store: Store, monkeypatch: pytest.MonkeyPatch, is_touched: bool
) -> None:
    """The change has the time of the daemon's write; so the pages that were copied are compared with the WAL."""
    rows, take = lively(), FileWatch.take_written
    append_all(store, rows[:60], 10)
    assert store._writer is not None
    place = max(store._writer._wal.pages()) + 100

    def flip_and_take(self: FileWatch, name: str) -> None:
        if name == newest(store).name and is_touched:
            flip(newest(store), place)
        take(self, name)

    monkeypatch.setattr("supervisor.journal.segment.CHECKPOINT_BYTES", 1)
    monkeypatch.setattr(FileWatch, "take_written", flip_and_take)
    with pytest.raises(JournalReplaced, match="while the WAL was copied") if is_touched else nullcontext():
        append_all(store, rows, 10)
    assert store.last_seq == (60 if is_touched else len(rows))
    store.close()


def test_commits_are_read_back_over_restarts_of_the_wal(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The WAL begins again after each copy to the main file, and waits where a reader is in the way."""
    monkeypatch.setattr("supervisor.journal.segment.CHECKPOINT_BYTES", 20_000)
    rows = lively()
    append_all(store, rows[:100], 1)
    reader = Reader(store.folder)
    events = reader.events()
    assert next(events) == rows[0]
    append_all(store, rows, 1)
    reader.close()
    store.look()
    assert os.stat(f"{newest(store)}-wal").st_size < 100_000
    store.close()
    assert read_all(store.folder) == rows


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as unbound:
        unbound.bind(os.path.relpath(path))


def replace_lock(make: Callable[[Path], object]) -> Callable[[Path], object]:
    """A change of a journal's folder: in the place of the lock is the thing that `make` creates."""

    def replace(folder: Path) -> None:
        (folder / "lock").unlink()
        make(folder / "lock")

    return replace


OBSTACLES: dict[str, Callable[[Path], object]] = {
    "lock is a link": replace_lock(lambda lock: lock.symlink_to("/nowhere/lock")),
    "lock is a pipe": replace_lock(os.mkfifo),
    "lock is a socket": replace_lock(bind),
    "lock is a folder": replace_lock(Path.mkdir),
    "draft is a folder": lambda folder: (folder / "segment-0000000041.sqlite.new" / "in").mkdir(parents=True),
    "next draft is a folder": lambda folder: (folder / "segment-0016777257.sqlite.new").mkdir(),
    "segment is a dangling link": lambda folder: (folder / "segment-0000000500.sqlite").symlink_to("nowhere"),
    "segment is a link to itself": lambda folder: (folder / "segment-0000000500.sqlite").symlink_to(
        "segment-0000000500.sqlite"
    ),
    "number of 18 digits": lambda folder: (folder / "segment-999999999999999999.sqlite").write_bytes(b"junk"),
    "largest number": lambda folder: (folder / f"segment-{MAX_FIRST}.sqlite").write_bytes(b"junk"),
    "number after it": lambda folder: (folder / f"segment-{MAX_FIRST + 1}.sqlite").write_bytes(b"junk"),
    "no number": lambda folder: (folder / "segment-one.sqlite").mkdir(),
    "rollback journal": lambda folder: (folder / "segment-0000000021.sqlite-journal").write_bytes(b"text" * 150),
    "rollback journal of an older segment": lambda folder: (folder / "segment-0000000001.sqlite-journal").touch(),
    "rollback journal is a pipe": lambda folder: os.mkfifo(folder / "segment-0000000021.sqlite-journal"),
    "rollback journal is a dangling link": lambda folder: (folder / "segment-0000000021.sqlite-journal").symlink_to(
        "x"
    ),
    "wal of no segment": lambda folder: (folder / "segment-0000000041.sqlite-wal").write_bytes(b"junk"),
}


@pytest.mark.parametrize("obstacle", OBSTACLES)
@pytest.mark.parametrize("live", [False, True], ids=["at a start", "under a running store"])
def test_obstacle_in_the_folder_is_set_aside_and_writing_goes_on(store: Store, obstacle: str, live: bool) -> None:
    """An obstacle under the name of a journal file: the first attempt after it writes, and the next start reads it."""
    rows = lively()
    if not live:
        store.close()
    OBSTACLES[obstacle](store.folder)
    if live:
        store.begin_chain(Chain(states(rows)[40], store.end, "the lock is gone"))
        head = states(rows)[40]
    else:
        found = recover(store.folder)
        store, head = found.store, found.state
        if found.chain is not None:
            store.begin_chain(found.chain)
    assert 40 <= head.seq < MAX_FIRST - ROOM
    store.append([replace(rows[40], seq=head.seq + 1)], replace(states(rows)[41], seq=head.seq + 1))
    assert len(store.asides) == 1
    assert [each for each in store.folder.iterdir() if each.name.startswith("damaged-")]
    store.close()
    assert read_all(store.folder)[-1].seq == head.seq + 1


TWINS = ("segment-21.sqlite", "segment-00000000021.sqlite", "segment-000000000000000021.sqlite", "segment-1.sqlite")
"""Names with the number of a segment of the store, which are not the name of that segment."""


@pytest.mark.parametrize("twin", TWINS)
def test_second_name_of_a_number_hides_no_segment(store: Store, tmp_path: Path, twin: str) -> None:
    """A whole journal of somebody else lies there: ours is read and written to, and a start sets the other aside."""
    rows = lively()
    other = write_journal(tmp_path / "other", rows[:5], batch=5)
    shutil.copy(list_segments(other)[0].path, store.folder / twin)
    append_all(store, rows[:60], 10)
    store.rotation = TINY
    append_all(store, rows[:70], 10)
    store.keep(0)
    assert read_all(store.folder) == rows[:70]
    store.close()
    assert (verify(store.folder).damages, verify(store.folder).last) == ((), 70)
    recovered = recover(store.folder)
    recovered.store.close()
    assert [aside.file for aside in recovered.store.asides] == [twin]
    assert (recovered.fault, recovered.chain, recovered.store.end.seq) == (None, None, 70)
    assert read_all(store.folder) == rows[:70]


def test_names_of_segments_are_the_ones_that_are_given() -> None:
    """A number has one name: ten digits, and more where it is larger."""
    for number in (1, 21, 10**10 - 1, 10**10, MAX_FIRST):
        assert number_of(segment_path(Path(), number).name) == number
    for number in (0, MAX_FIRST + 1):
        assert number_of(segment_path(Path(), number).name) is None
    for name in (*TWINS, "segment-+000000021.sqlite", "segment-000000002١.sqlite", "segment-.sqlite"):
        assert number_of(name) is None


def test_foreign_segment_behind_the_live_one_does_not_affect_it(store: Store, tmp_path: Path) -> None:
    """The live one is not sealed while it is written to, and the one before it is compared as an older one."""
    rows = lively()
    other = write_journal(tmp_path / "other", rows[:5], batch=5)
    shutil.copy(list_segments(other)[0].path, store.folder / "segment-0000005000.sqlite")
    store.rotation = TINY
    append_all(store, rows[:50], 10)
    store.rotation = Rotation()
    append_all(store, rows[:70], 10)
    store.look()
    assert store.keep(0).sealed == ("segment-0000000001.sqlite", "segment-0000000021.sqlite")
    append_all(store, rows[:80], 10)
    store.close()


@pytest.mark.parametrize("name", [name for name in OBSTACLES if name.startswith("rollback")])
def test_rollback_journal_at_a_start_breaks_no_chain(store: Store, name: str) -> None:
    """The segment beside it is whole: no event is lost and no number is left out, whatever the file is."""
    store.close()
    OBSTACLES[name](store.folder)
    found = recover(store.folder)
    assert (found.fault, found.chain, found.state.seq) == (None, None, 40)
    found.store.append(lively()[40:50], states(lively())[50])
    found.store.close()
    assert read_all(store.folder) == lively()[:50]


def test_rollback_journal_of_an_older_segment_is_set_aside_while_the_store_is_open(store: Store) -> None:
    """Readers would be refused the segment, and whoever seals it would have the file played into it."""
    strange = store.folder / "segment-0000000001.sqlite-journal"
    strange.write_bytes(b"text" * 150)
    with pytest.raises(JournalError, match="banken repair sets it aside"):
        read_all(store.folder)
    assert [aside.file for aside in store.keep(0).asides] == [strange.name]
    assert read_all(store.folder) == lively()[:40]
    store.close()


def test_wal_without_its_segment_is_set_aside_and_no_number_is_given_twice(store: Store, tmp_path: Path) -> None:
    """SQLite would add it to the new first segment. The numbers go on behind all that it may hold."""
    left = shutil.copytree(store.folder, tmp_path / "left")
    store.close()
    wal = (left / "segment-0000000021.sqlite-wal").read_bytes()
    for path in left.glob("*.sqlite"):
        path.unlink()
    found = recover(left)
    assert found.chain is not None
    assert found.state.seq == 21 + SPAN
    found.store.begin_chain(found.chain)
    found.store.append([replace(lively()[40], seq=22 + SPAN)], replace(states(lively())[41], seq=22 + SPAN))
    found.store.close()
    assert [row.seq for row in read_all(left)] == [22 + SPAN]
    assert wal in [path.read_bytes() for path in left.glob("damaged-*")]


def test_file_that_is_set_aside_is_not_put_beside_another_one(tmp_path: Path) -> None:
    """A WAL whose segment is gone, and a segment of that name: SQLite would take them for one."""
    (tmp_path / "segment-0000000001.sqlite-wal").touch()
    (tmp_path / "segment-0000000001.sqlite").touch()
    wal = set_aside(tmp_path, "segment-0000000001.sqlite-wal")
    segment = set_aside(tmp_path, "segment-0000000001.sqlite")
    assert wal != f"{segment}-wal"
    (tmp_path / "segment-0000000001.sqlite-wal").touch()
    assert set_aside(tmp_path, "segment-0000000001.sqlite-wal") != f"{segment}-wal"


@pytest.mark.parametrize("beside", BESIDE[:-1])
def test_segment_is_not_made_where_a_file_lies_beside_its_name(tmp_path: Path, beside: str) -> None:
    """SQLite would take it for a part of the segment."""
    (tmp_path / f"segment-0000000001.sqlite{beside}").symlink_to("nowhere")
    with pytest.raises(JournalError, match="not made yet"):
        make_segment(tmp_path, State(), 0, GENESIS, 0)
    assert len(list(tmp_path.iterdir())) == 1


def test_new_segment_is_in_wal_mode_from_the_beginning(tmp_path: Path) -> None:
    """To change the mode later makes a rollback journal, which under the name of a segment is a stranger's."""
    path = make_segment(tmp_path, State(), 0, GENESIS, 0)
    assert path.read_bytes()[18:20] == b"\2\2"
    assert list(tmp_path.iterdir()) == [path]


def test_segment_is_not_made_under_a_name_that_is_not_read(tmp_path: Path) -> None:
    """Its events would be acknowledged, and found by nobody."""
    with pytest.raises(JournalError, match="not a valid name"):
        make_segment(tmp_path, State(seq=MAX_FIRST), 0, GENESIS, 0)
    assert list(tmp_path.iterdir()) == []


def test_look_without_a_descriptor_leaves_the_chain_as_it_is(store: Store) -> None:
    """A commit that is not read back, and a touched file that cannot be read, are faults; the chain goes on."""
    with no_descriptor(), pytest.raises(OSError, match="Too many open files"):
        append_all(store, lively()[:60], 20)
    store.reconnect()
    newest(store).chmod(0o640)
    with no_descriptor(), pytest.raises((OSError, JournalError)) as raised:
        store.look()
    assert not isinstance(raised.value, JournalReplaced)
    with no_descriptor():
        ThreadedStore(store)._look()  # as the journal's thread, which an error would end
    store.reconnect()
    append_all(store, lively()[:80], 20)
    store.close()
    assert not verify(store.folder).damages
    assert [row.seq for row in read_all(store.folder)] == list(range(1, 81))
