"""A configuration, a journal and a bundle of each released version: they open, replay, verify, and are gone on with."""

import json
import shutil
from pathlib import Path

import apsw
import pytest
from msgspec.structs import replace

from actors.sources import KINDS
from supervisor.config.load import parse
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.decide import decide
from supervisor.domain.events import Recorded
from supervisor.domain.evolve import evolve, fold
from supervisor.domain.ids import NodeId, RunId
from supervisor.domain.state import State, state_hash
from supervisor.domain.values import Limits
from supervisor.forensics.incident.verify import unpack
from supervisor.forensics.incident.verify import verify as verify_bundle
from supervisor.journal import checkpoint, codec, manifest
from supervisor.journal.check import verify
from supervisor.journal.files import APPLICATION_ID, SCHEMA_1, segment_path
from supervisor.journal.reader import Reader
from supervisor.journal.recovery import recover
from supervisor.journal.segment import Rows
from supervisor.journal.store import Rotation
from tests.kit.journals import change, lively, read_all, states

RELEASES = sorted((Path(__file__).parents[2] / "releases").iterdir())
SECRETS = {"FRONT_PASSWORD": "secret", "DETECTOR_TOKEN": "0123456789abcdef"}


@pytest.fixture(params=RELEASES, ids=lambda folder: folder.name)
def release(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy, so that the frozen one stays as it is."""
    return Path(shutil.copytree(request.param, tmp_path / "release"))


def test_released_configuration_is_read(release: Path) -> None:
    """Without a complaint but of a file that is not on this machine, and with all its cameras."""
    kinds = {name: kind.check for name, kind in KINDS.items()}
    (release / "clip.mp4").touch()
    text = (release / "banken.yaml").read_text().replace("/srv/clip.mp4", str(release / "clip.mp4"))
    config = parse(text, "banken.yaml", SECRETS, kinds)
    assert len(config.cameras) == 8


def test_released_journal_is_whole_and_replays_to_its_state(release: Path) -> None:
    """Each checksum, digest, checkpoint and state hash, by the rule that it was made by."""
    expected = json.loads((release / "expected.json").read_text())
    found = verify(release / "journal")
    assert (found.damages, found.gaps) == ((), ())
    assert found.hashes >= 2 * found.segments
    rows = read_all(release / "journal")
    assert rows[-1].seq == expected["seq"]
    assert state_hash(fold(rows), expected["rule"]) == expected["hash"]


def test_released_journal_is_gone_on_with(release: Path) -> None:
    """In its own format until the segment is full, then in the newest; old and new are one whole journal."""
    journal = release / "journal"
    before = read_all(journal)
    recovered = recover(journal)
    assert (recovered.fault, recovered.chain, recovered.start) == (None, None, None)
    store, state = recovered.store, recovered.state
    node = state.node or NodeId("0123456789abcdef")
    store.rotation = Rotation(max_bytes=10**9, max_age_s=1e12)
    for number in range(3):
        run = RunId(f"run-{number}")
        now_ns = before[-1].wall_ns + 10**9 * (number + 1)
        batch: list[Recorded] = []
        for event in decide(state, c.StartRun(run, node, "0.2.0", 1), now_ns):
            version = state.versions.get(event.stream, 0) + 1
            batch.append(
                Recorded(state.seq + 1, now_ns, 1, node, run, event.stream, version, event, None, "0" * 16, "system")
            )
            state = evolve(state, batch[-1])
        store.append(batch, state)
        store.rotation = Rotation(max_bytes=1)
    store.keep(before[-1].wall_ns)
    store.close()
    reader = Reader(journal)
    formats = [part.format for part in reader.parts()]
    reader.close()
    assert formats == [*[1] * (len(formats) - 2), 2, 2]
    rows = read_all(journal)
    assert rows[: len(before)] == before
    assert fold(rows) == state
    assert not verify(journal).damages
    assert len(manifest.read(journal)) == len(formats) - 1


def test_released_bundle_is_verified_and_unpacked(release: Path, tmp_path: Path) -> None:
    """It is what was exported, and its journal is read."""
    expected = json.loads((release / "expected.json").read_text())
    first, last = expected["bundle"]
    proven = verify_bundle(release / "incident.zip")
    assert proven.manifest.first <= first
    assert proven.manifest.last >= last
    assert proven.hashes >= 2
    unpack(release / "incident.zip", tmp_path / "unpacked")
    whole = {row.seq: row for row in read_all(release / "journal")}
    for row in read_all(tmp_path / "unpacked" / "journal"):
        assert row == whole[row.seq]


def test_hash_by_rule_1_holds_for_numbers_as_they_were_written(tmp_path: Path) -> None:
    """A daemon configured with 600 hashed an integer, and a float is read back. Any other change is still found."""
    folder, row = tmp_path / "journal", lively()[0]
    folder.mkdir()
    path = make_format_1(folder)
    written = e.ConfigurationApplied("test", 0, Limits(idle_s=600, linger_s=7))
    rows = [row, replace(row, seq=2, stream_version=2, event=written)]
    after = states(rows)
    assert after[-1].limits.idle_s.__class__ is int
    db = apsw.Connection(str(path))
    with db:
        Rows(db).insert([codec.encode(each) for each in rows])
        digest = codec.chain(codec.GENESIS, [codec.encode(each) for each in rows])
        db.execute("INSERT INTO batch VALUES (1, 2, ?)", (digest,))
        db.execute("INSERT INTO state_hash VALUES (2, ?)", (state_hash(after[-1], 1),))
    db.close()
    assert state_hash(fold(read_all(folder)), 1) != state_hash(after[-1], 1)
    assert verify(folder).damages == ()
    change(folder, "UPDATE state_hash SET hash = 'another' WHERE seq = 2")
    assert "leads to another state" in str(verify(folder).damages[0])


def make_format_1(folder: Path) -> Path:
    """A segment as 0.1.0 began it."""
    path = segment_path(folder, 1)
    db = apsw.Connection(str(path))
    db.execute(SCHEMA_1)
    db.execute("INSERT INTO word (text) VALUES ('system'), ('actor')")
    db.execute("INSERT INTO segment VALUES (1, 0, ?, 0)", (codec.GENESIS,))
    db.execute("INSERT INTO checkpoint VALUES (0, ?)", (checkpoint.pack(State()),))
    db.execute("INSERT INTO state_hash VALUES (0, ?)", (state_hash(State(), 1),))
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1")
    db.close()
    return path
