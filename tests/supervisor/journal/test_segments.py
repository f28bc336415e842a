"""A journal of many segments: sealed, chained, let go when it is old, and one journal to whoever reads it."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace
from rpds import HashTrieMap

from supervisor.__main__ import main
from supervisor.cli import maintenance
from supervisor.domain.evolve import fold
from supervisor.domain.state import State, StretchPin, state_hash
from supervisor.journal import checkpoint, manifest
from supervisor.journal.check import verify
from supervisor.journal.files import list_segments
from supervisor.journal.reader import Damage, Reader
from supervisor.journal.retention import DAY_S, Pin, Retention, expendable, read_pins, write_pins
from supervisor.journal.segment import CHECKPOINT_EVERY, HASH_EVERY
from supervisor.journal.store import Store
from supervisor.journal.watch import FileWatch
from supervisor.ports.errors import JournalError
from supervisor.ports.questions import Query
from tests.kit.journals import TINY, append_all, change, lively, read_all, states, write_journal

NANO = 1_000_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Segments of ten events each."""
    return write_journal(tmp_path / "journal", lively(), batch=10, rotation=TINY)


def test_segments_are_one_journal(folder: Path) -> None:
    """Ranges and pages that cross the border of a segment give the same rows as one file."""
    rows = lively()
    assert len(list_segments(folder)) == -(-len(rows) // 10)
    assert read_all(folder) == rows
    reader = Reader(folder)
    assert reader.bounds() == (1, len(rows))
    assert list(reader.events(15, 34)) == rows[14:34]
    assert reader.page(Query(after=18), 5) == rows[18:23]
    assert reader.page(Query(before=25), 9, newest=True) == rows[15:24]
    assert reader.page(Query(types=["PeerOpened"]), 3, newest=True) == [r for r in rows if r.type == "PeerOpened"][-3:]
    reader.close()


def test_reader_may_query_other_segments_while_it_iterates(folder: Path) -> None:
    """Only some segments are held open at once; one that was closed for another goes on where it was."""
    rows = lively()
    reader = Reader(folder)
    found = []
    for recorded in reader.events():
        found.append(recorded)
        assert reader.page(Query(after=(recorded.seq * 37) % len(rows) - 1), 1)
    assert found == rows
    reader.close()


@pytest.mark.parametrize("rotation", [TINY, None], ids=["many segments", "one segment"])
def test_every_past_state_is_the_one_that_was(tmp_path: Path, rotation: object) -> None:
    """For each event, `state_at` equals the state that the kernel had after it."""
    rows = lively()
    after = states(rows)
    folder = write_journal(tmp_path, rows, **({"batch": 10, "rotation": TINY} if rotation else {}))  # type: ignore[arg-type]
    reader = Reader(folder)
    for seq in range(len(rows) + 1):
        assert reader.state_at(seq) == after[seq]
    reader.close()


@pytest.mark.slow
def test_the_instant_of_a_time_is_found(folder: Path) -> None:
    """The last event at or before the time; 0 before the first."""
    rows = lively()
    reader = Reader(folder)
    for row in rows:
        assert reader.seq_at(row.wall_ns) == max(r.seq for r in rows if r.wall_ns == row.wall_ns)
    assert reader.seq_at(rows[0].wall_ns - 1) == 0
    assert reader.seq_at(rows[-1].wall_ns + NANO) == len(rows)
    reader.close()


def test_a_journal_of_segments_goes_on(folder: Path) -> None:
    """A second opening appends in the same segments, and all verifies."""
    rows = lively(25)
    store = Store(folder)
    append_all(store, rows, 10)
    store.close()
    assert read_all(folder) == rows
    assert not verify(folder).damages


def test_all_but_the_last_are_sealed_and_verified(folder: Path) -> None:
    """The manifest has a line for each finished segment, with its range and its predecessor."""
    rows = lively()
    sealed = manifest.read(folder)
    assert [line.segment for line in sealed] == [segment.path.name for segment in list_segments(folder)[:-1]]
    assert [(line.first, line.last, line.after) for line in sealed[:2]] == [(1, 10, 0), (11, 20, 10)]
    found = verify(folder)
    assert (found.events, found.segments, found.damages) == (len(rows), len(sealed) + 1, ())
    assert found.hashes >= 2 * found.segments


def test_a_sealed_segment_that_is_changed_is_found(folder: Path) -> None:
    """Also where nothing of what SQLite reads has changed."""
    path = list_segments(folder)[1].path
    data = path.read_bytes()
    path.write_bytes(data + b"\0")
    assert [str(damage) for damage in verify(folder).damages] == [
        f"{path.name}: events 11 to 20: the file is not the one that was sealed"
    ]


def test_a_segment_that_is_missing_or_exchanged_is_found(folder: Path) -> None:
    """Without the third segment the error names events 21 to 30; with it all is whole again."""
    segments = list_segments(folder)
    kept = segments[2].path.read_bytes()
    segments[2].path.unlink()
    with pytest.raises(JournalError, match="events 21 to 30 are missing"):
        read_all(folder)
    assert "does not follow from the segment before it" in str(verify(folder).damages[0])
    segments[2].path.write_bytes(kept)
    assert not verify(folder).damages


def test_a_manifest_that_was_changed_is_found(folder: Path) -> None:
    """A changed line is damage; a torn last line is a crash, and the next opening repairs it."""
    path = folder / manifest.NAME
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], lines[1].replace(b'"last":20', b'"last":19'), *lines[2:]]))
    assert "manifest.jsonl:3: the manifest was changed" in str(verify(folder).damages[0])
    path.write_bytes(b"".join(lines[:2]) + lines[2][:40])
    assert len(manifest.read(folder)) == 2, "a torn line counts as not written"
    store = Store(folder)
    store.keep(0)
    store.close()
    assert not verify(folder).damages


def test_salvage_reads_everything_beside_the_damage(folder: Path) -> None:
    """One bad row and one file without a header lose 11 events; all others are read."""
    rows = lively()
    change(folder, "UPDATE event SET crc = crc + 1 WHERE seq = 14", first=11)
    segments = list_segments(folder)
    data = bytearray(segments[3].path.read_bytes())
    data[:16] = b"x" * 16
    segments[3].path.write_bytes(data)
    told: list[Damage] = []
    reader = Reader(folder, salvage=told.append)
    found = list(reader.events())
    assert [row.seq for row in found] == [r.seq for r in rows if r.seq != 14 and not 31 <= r.seq <= 40]
    assert [damage.first for damage in told] == [14, 31, 31]
    assert reader.page(Query(types=["RunStarted"])) == rows[:1]
    reader.close()


def test_a_page_that_rotted_hides_its_own_events_only(tmp_path: Path) -> None:
    """One overwritten page of 4096 bytes loses less than a tenth, and every lost event is reported."""
    rows = lively(200)
    path = list_segments(write_journal(tmp_path, rows))[0].path
    data = bytearray(path.read_bytes())
    at = data.index(b'"peer":"more-100"')  # in a leaf of the table
    data[at - at % 4096 : at - at % 4096 + 8] = b"\xff" * 8
    path.write_bytes(data)
    told: list[Damage] = []
    reader = Reader(tmp_path, salvage=told.append)
    found = [row.seq for row in reader.events()]
    reader.close()
    lost = {seq for damage in told for seq in range(damage.first, damage.last + 1)}
    assert lost
    assert {*found} | lost >= {row.seq for row in rows}
    assert len(found) > 0.9 * len(rows)


@pytest.mark.slow
def test_hashes_and_checkpoints_are_written_now_and_then(tmp_path: Path) -> None:
    """At every HASH_EVERY and CHECKPOINT_EVERY events, so that a state far inside is read quickly."""
    count = CHECKPOINT_EVERY + HASH_EVERY + 10
    rows = [replace(lively()[0], seq=seq, stream_version=seq) for seq in range(1, count + 1)]
    folder = write_journal(tmp_path, rows, batch=500)
    reader = Reader(folder)
    assert list(reader.state_hashes()) == [0, *range(HASH_EVERY, count, HASH_EVERY)]
    (part,) = reader.parts()
    assert part.checkpoint(count).seq == CHECKPOINT_EVERY
    assert reader.state_at(count) == fold(rows)
    reader.close()
    assert not verify(folder).damages


def test_a_checkpoint_is_the_state_and_names_every_field() -> None:
    """Packed and unpacked, state and hash are equal; a new field of State without an entry fails here."""
    for state in (State(), states(lively())[-1], *states(lively())[::7]):
        again = checkpoint.unpack(checkpoint.pack(state))
        assert again == state
        assert state_hash(again) == state_hash(state)
    assert set(checkpoint._FIELDS) == set(State.__struct_fields__)
    with pytest.raises(JournalError, match="cannot be read"):
        checkpoint.unpack(b"rot")


def test_events_that_were_lost_are_a_gap_and_not_damage(tmp_path: Path) -> None:
    """The state goes on from what is stored after the gap, which the journal itself names."""
    rows = lively()
    after = states(rows)
    store = Store(tmp_path)
    append_all(store, rows[:20], 10)
    store.skip(after[60])
    store.append(rows[60:], after[-1])
    store.close()
    assert read_all(tmp_path) == [*rows[:20], *rows[60:]]
    found = verify(tmp_path)
    assert (found.gaps, found.damages) == (((21, 60),), ())
    reader = Reader(tmp_path)
    assert reader.state_at(60) == after[60]
    assert reader.state_at(len(rows)) == after[-1]
    reader.close()


def test_a_copy_is_read_where_nothing_can_be_written(folder: Path, tmp_path: Path) -> None:
    """A whole journal, or one segment alone; nothing appears beside the files."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "lock").unlink()
    before = sorted(path.name for path in copy.iterdir())
    copy.chmod(0o500)
    try:
        assert read_all(copy) == lively()
        assert read_all(list_segments(copy)[1].path) == lively()[10:20]
    finally:
        copy.chmod(0o700)
    assert sorted(path.name for path in copy.iterdir() if not path.name.endswith(("-wal", "-shm"))) == before


def test_a_fault_across_a_rotation_makes_no_second_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events found stored after an error go beyond the last state that the store knew."""
    rows = lively()
    after = states(rows)
    store = Store(tmp_path)
    store.append(rows[:5], after[5])
    with monkeypatch.context() as patch:
        patch.setattr(FileWatch, "take_written", None)  # stored, and then it fails
        with pytest.raises(TypeError):
            store.append(rows[5:10], after[10])
    store.reconnect()
    assert store.last_seq == 10
    store.rotation = TINY
    store.append(rows[10:15], after[15])
    store.append(rows[15:20], after[20])
    store.close()
    assert read_all(tmp_path) == rows[:20]
    assert not verify(tmp_path).damages


def test_journal_with_less_than_was_acknowledged_is_not_written_to(folder: Path) -> None:
    """A disk that was unmounted shows an empty folder: the old chain does not go on in it."""
    store = Store(folder)
    away = folder.with_name("away")
    folder.rename(away)
    folder.mkdir()
    with pytest.raises(JournalError, match="the journal's path leads to another folder"):
        store.reconnect()
    assert list(folder.iterdir()) == []
    folder.rmdir()
    away.rename(folder)
    for path in folder.glob("segment-*"):
        path.rename(folder.parent / path.name)
    with pytest.raises(JournalError, match="the journal's files are gone"):
        store.reconnect()
    for path in folder.parent.glob("segment-*"):
        path.rename(folder / path.name)
    newest = list_segments(folder)[-1].path
    for path in folder.glob(f"{newest.name}*"):
        path.rename(folder.parent / path.name)
    with pytest.raises(JournalError, match="is another one"):
        store.reconnect()
    for path in folder.parent.glob(f"{newest.name}*"):
        path.rename(folder / path.name)
    store.reconnect()
    assert store.last_seq == len(lively())
    store.close()


def test_salvaged_pages_leave_out_what_is_damaged_and_nothing_else(tmp_path: Path) -> None:
    """A page that lacks a damaged row is filled from the same segment, not from the next."""
    rows = lively()
    folder = write_journal(tmp_path / "journal", rows, batch=60, rotation=TINY)
    change(folder, "UPDATE event SET crc = crc + 1 WHERE seq = 14")
    reader = Reader(folder, salvage=lambda damage: None)
    seen: list[int] = []
    while page := reader.page(Query(after=seen[-1] if seen else 0), 20):
        seen += [row.seq for row in page]
    assert seen == [row.seq for row in rows if row.seq != 14]
    backwards = reader.page(Query(before=30), 20, newest=True)
    assert [row.seq for row in backwards] == [*range(9, 14), *range(15, 30)]
    reader.close()


def test_a_sealed_segment_that_is_gone_from_the_young_end_is_missed(folder: Path) -> None:
    """The manifest remembers a segment that was removed with all that follows it."""
    for segment in list_segments(folder)[-2:]:
        for path in folder.glob(f"{segment.path.name}*"):
            path.unlink()
    assert "it was sealed, and is missing" in str(verify(folder).damages)


# -- retention -------------------------------------------------------------------------------------------------


def sealed_line(first: int, day: float, size: int = 100) -> manifest.Sealed:
    return manifest.Sealed(
        f"segment-{first}", first, first + 9, first - 1, 0, int(day * DAY_S * NANO), size, "", "", ""
    )


def test_retention_removes_the_oldest_segments_by_age_or_size() -> None:
    """By age or size; a pin keeps its segment and all younger ones."""
    lines = [sealed_line(1, 1), sealed_line(11, 2), sealed_line(21, 9), sealed_line(31, 10)]
    now_ns = int(10 * DAY_S * NANO)

    def gone(pins: list[Pin], keep_days: float = 1000, max_bytes: int = 10**9) -> list[int]:
        kept = Retention(keep_s=keep_days * DAY_S, max_bytes=max_bytes)
        return [line.first for line in expendable(lines, pins, kept, now_ns)]

    assert gone([]) == []
    assert gone([], keep_days=5) == [1, 11]
    assert gone([], max_bytes=250) == [1, 11]
    assert gone([], max_bytes=0) == [1, 11, 21, 31]
    assert gone([Pin(15, 15, "", 0)], keep_days=5) == [1]
    assert gone([Pin(5, 500, "", 0)], max_bytes=0) == []


def test_old_segments_go_pinned_ones_stay_and_the_rest_is_a_journal(folder: Path) -> None:
    """Nothing is removed before the removal is an event; the rest can be read, verified and continued."""
    rows = lively()
    write_pins(folder, {"incident-7": Pin(25, 27, "the gate went dark", 0)})
    store = Store(folder, retention=Retention(max_bytes=0))
    removal = store.keep(0).expendable
    assert removal is not None
    assert removal.segments == ("segment-0000000001.sqlite", "segment-0000000011.sqlite")
    assert (removal.first, removal.last) == (1, 20)
    assert removal.bytes > 0
    assert "2 beyond 0 B" in removal.why
    assert read_all(folder) == rows, "nothing goes before it is told"
    assert store.remove(removal) == removal.segments
    assert read_all(folder) == rows[20:]
    reader = Reader(folder)
    assert reader.bounds() == (21, len(rows))
    assert reader.state_at(30) == states(rows)[30]
    reader.close()
    assert not verify(folder).damages
    write_pins(folder, {})
    removal = store.keep(0).expendable
    assert removal is not None
    store.remove(removal)
    store.close()
    assert [segment.first for segment in list_segments(folder)] == [(len(rows) - 1) // 10 * 10 + 1]
    assert not list(folder.glob("segment-0000000001*"))
    again = Store(folder)
    assert again.last_seq == len(rows)
    again.close()


def test_pin_of_the_daemon_keeps_the_events_of_its_time(folder: Path) -> None:
    """Those of a state that was recovered; a pin of a time without events keeps nothing."""
    rows = lively()
    store = Store(folder, retention=Retention(max_bytes=0))
    for from_ns, to_ns, gone in ((rows[24].wall_ns, rows[25].wall_ns, 2), (0, 1, 14), (0, rows[0].wall_ns, 0)):
        pin = StretchPin("crash", from_ns, to_ns, (), 0, "", "local", 0)
        store.recovered = replace(State(), pins=HashTrieMap({"crash": pin}))
        removal = store.keep(0).expendable
        assert len(() if removal is None else removal.segments) == gone
    store.recovered = None
    removal = store.keep(0).expendable
    assert removal is not None
    pin = StretchPin("crash", rows[12].wall_ns, rows[12].wall_ns, (), 0, "", "local", 0)
    store.recovered = replace(State(), pins=HashTrieMap({"crash": pin}))
    assert store.remove(removal) == removal.segments[:1]
    store.close()


@pytest.mark.parametrize(("pinned", "gone"), [(1, 0), (20, 1), (10, 0), (31, 3)])
def test_pin_that_is_made_while_a_removal_is_reported_holds(folder: Path, pinned: int, gone: int) -> None:
    """The removal ends before the segment that it names, and what is left is whole."""
    store = Store(folder, retention=Retention(max_bytes=0))
    removal = store.keep(0).expendable
    assert removal is not None
    write_pins(folder, {"crash": Pin(pinned, pinned, "", 0)})
    assert store.remove(removal) == removal.segments[:gone]
    assert list_segments(folder)[0].first == 10 * gone + 1
    assert store.keep(0).expendable is None
    store.close()
    assert not verify(folder).damages


def test_pin_of_events_that_are_removed_meanwhile_is_a_failure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says which events are gone, and keeps the others."""

    def write_late(path: Path, pins: dict[str, Pin]) -> None:
        list_segments(path)[0].path.unlink()
        write_pins(path, pins)

    monkeypatch.setattr(maintenance, "write_pins", write_late)
    done = CliRunner().invoke(main, ["pin", "crash", str(folder), "--from", "#1", "--to", "#25"])
    assert done.exit_code == 2
    assert "events 1 to 10 were removed meanwhile" in done.output
    assert read_pins(folder)["crash"].last == 25


def test_pins_are_checked_and_damage_to_them_removes_nothing(folder: Path) -> None:
    """When `pins.json` cannot be read, retention stops rather than remove a pinned segment."""
    with pytest.raises(JournalError, match="cannot be the name of a pin"):
        write_pins(folder, {"../x": Pin(1, 2, "", 0)})
    (folder / "pins.json").write_text("{")
    with pytest.raises(JournalError, match="nothing is removed"):
        read_pins(folder)
    store = Store(folder, retention=Retention(max_bytes=0))
    with pytest.raises(JournalError, match="nothing is removed"):
        store.keep(0)
    store.close()
    assert read_all(folder) == lively()


def test_a_segment_that_was_never_finished_is_forgotten(folder: Path) -> None:
    """A crash left a half-made segment."""
    (folder / "segment-0000000999.sqlite.new").write_bytes(b"half")
    Store(folder).close()
    assert not list(folder.glob("*.new"))
    assert read_all(folder) == lively()


OTHERS = (
    "segment-0000000001.sqlite.my-backup",
    "segment-0000000001.sqlite-wal.old",
    "segment-0000000999.sqlite.new.txt",
    "segment-1.sqlite.new",
)
"""Names that begin as those of a journal's files do, and are of somebody else."""


def test_foreign_file_is_never_removed(folder: Path) -> None:
    """Neither by retention, nor by a start, nor while a segment is made."""
    for name in OTHERS:
        (folder / name).write_text("mine")
    (folder / "segment-0000000001.sqlite.d").mkdir()
    store = Store(folder, TINY, Retention(max_bytes=0))
    removal = store.keep(0).expendable
    assert removal is not None
    assert store.remove(removal) == removal.segments
    mine = folder / f"segment-{store.last_seq + 1:010}.sqlite.new.mine"
    mine.write_text("mine")
    append_all(store, lively(22), 10)
    store.close()
    assert list_segments(folder)[0].first > 1
    assert {path.read_text() for path in (mine, *(folder / name for name in OTHERS))} == {"mine"}
    assert (folder / "segment-0000000001.sqlite.d").is_dir()
    assert not store.asides


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_folder_in_the_place_of_a_file_stops_no_retention(folder: Path, suffix: str) -> None:
    """It is set aside, and the segment goes."""
    store = Store(folder, retention=Retention(max_bytes=0))
    removal = store.keep(0).expendable
    assert removal is not None
    (folder / f"segment-0000000011.sqlite{suffix}" / "in").mkdir(parents=True)
    assert store.remove(removal) == removal.segments
    assert [aside.file for aside in store.keep(0).asides] == [f"segment-0000000011.sqlite{suffix}"]
    store.close()
    assert len(list_segments(folder)) == 1


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
def test_every_file_of_a_draft_is_removed_at_a_start(folder: Path, suffix: str) -> None:
    """They are found by their whole names."""
    path = folder / f"segment-0000000999.sqlite.new{suffix}"
    path.write_bytes(b"half")
    Store(folder).close()
    assert not path.exists()
