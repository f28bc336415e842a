"""Journals of earlier releases, frozen: whatever the code becomes, it reads them, and they lead where they led."""

import json
import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from msgspec.structs import replace

from supervisor.domain import events as e
from supervisor.domain.catalogue import EVENTS
from supervisor.domain.evolve import fold
from supervisor.domain.state import state_hash
from supervisor.domain.values import LeaseKind, plain
from supervisor.journal import codec
from supervisor.journal.check import verify
from supervisor.journal.files import FORMAT
from supervisor.journal.reader import Reader
from supervisor.journal.store import Store
from supervisor.journal.upcast import upcast
from tests.kit.domain import ASKED, GATE
from tests.kit.journals import read_all

FROZEN = sorted((Path(__file__).parents[2] / "journals").glob("v*"))
LATER = {"LeaseGranted", "LeaseEnded", "LeaseRefused", "DetectionMade", "SuggestionMade", "SuggestionExtended"}
LATER |= {"RoomOpened", "RoomJoined", "RoomLeft", "RoomClosed"}
LATER |= {"ChainBegan", "JournalFileSetAside", "SegmentsRemoved", "JournalFailed"}
LATER |= {"CameraRetried", "ConfigurationRefused", "OddityMet", "PeerStreamChanged"}
LATER |= {"UserAdded", "UserChanged", "UserRemoved", "PasswordSet", "TrustEnded"}
LATER |= {"PasskeyAdded", "PasskeyRenamed", "PasskeyRemoved"}
LATER |= {"SessionOpened", "SessionEnded", "LoginFailed", "TokenMade", "TokenEnded"}
LATER |= {"PrivacyBegan", "PrivacyEnded"}
LATER |= {"ClipTaken"}
LATER |= {"ShareMade", "ShareEnded", "VisitBegan", "VisitEnded"}
LATER |= {"PicturesSent", "AccessRefused", "BundleExported", "ProfileTaken"}
LATER |= {"IdentityLinked", "IdentityUnlinked"}
LATER |= {"RecordingStarted", "RecordingInterrupted", "RecordingResumed", "RecordingStopped", "RecordingSealed"}
LATER |= {"RecordingRepaired", "RecordingsExpired", "ArchiveFailed", "ArchiveRecovered"}
LATER |= {"RecordingRequested", "RecordingRequestEnded"}
LATER |= {"StretchPinned", "StretchReleased"}
"""Events that came after the first journal was frozen."""
REPLAY = """
import sys
import zlib
from pathlib import Path
from supervisor.domain import events as e
from supervisor.domain.evolve import fold
from supervisor.domain.state import state_hash
from supervisor.domain.values import LeaseKind, plain
from tests.kit.journals import read_all
print(state_hash(fold(read_all(Path(sys.argv[1]))), int(sys.argv[2])))
"""


def test_every_format_has_a_frozen_journal() -> None:
    """A new format without a stored example fails here."""
    assert [folder.name for folder in FROZEN] == [f"v{version}" for version in range(1, FORMAT + 1)]


def test_frozen_journals_have_no_files_of_an_open_sqlite() -> None:
    """A `-wal` or `-shm` holds nothing and is not committed; whoever reads a journal makes them again."""
    command = ["git", "ls-files", "*-wal", "*-shm", "*-journal"]
    assert subprocess.run(command, cwd=FROZEN[0].parent, capture_output=True, text=True, check=True).stdout == ""


@pytest.fixture(params=FROZEN, ids=lambda folder: folder.name)
def frozen(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy, so that the frozen one stays as it is."""
    return Path(shutil.copytree(request.param, tmp_path / "journal"))


def test_it_is_whole_and_replays_to_every_hash_that_was_written(frozen: Path) -> None:
    """The chain, each checksum, each state hash and each checkpoint."""
    found = verify(frozen)
    assert found.damages == ()
    assert found.segments >= 3
    assert found.hashes >= 2 * found.segments


@pytest.mark.parametrize("seed", ["1", "4242"])
def test_it_leads_to_the_state_it_led_to_under_any_hash_seed(frozen: Path, seed: str) -> None:
    """The replay in a new process gives the stored hash, so no order of a set reaches the state."""
    expected = json.loads((frozen / "expected.json").read_text())
    done = subprocess.run(
        [sys.executable, "-c", REPLAY, frozen, str(expected.get("rule", 1))],
        env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.strip() == expected["hash"]


def test_any_state_from_a_checkpoint_is_that_of_folding_all(frozen: Path) -> None:
    """Every 97th state: the checkpoint with the events after it equals the fold from the first event."""
    rows = read_all(frozen)
    reader = Reader(frozen)
    for seq in range(0, len(rows) + 1, 97):
        assert reader.state_at(seq) == fold(rows[:seq])
    reader.close()


def test_a_daemon_goes_on_with_it(frozen: Path) -> None:
    """`Store` opens it for writing, and its last event is the one expected."""
    rows = read_all(frozen)
    store = Store(frozen)
    assert store.last_seq == len(rows) == json.loads((frozen / "expected.json").read_text())["seq"]
    store.close()


def test_the_first_one_has_nearly_every_event() -> None:
    """A change to an event that never happened in it would not be noticed."""
    seen = {row.type for row in read_all(FROZEN[0])}
    missing = {event.__name__ for event in EVENTS} - seen - LATER
    assert len(missing) <= 10, missing


@pytest.mark.parametrize(
    ("event", "old", "new"),
    [
        (e.PatrolEnded("east", 3, (), 1.0, 0), "pictures", "snapshots"),
        (e.LeaseRefused(GATE, LeaseKind.VIEWER, "192.0.2.9", ASKED, 7), "unsaid", "suppressed"),
        (e.LeaseRefused(GATE, LeaseKind.VIEWER, "192.0.2.9", ASKED), "unsaid", "suppressed"),
    ],
    ids=["patrol", "lease", "default"],
)
def test_field_of_version_1_is_read_under_its_present_name(event: e.Event, old: str, new: str) -> None:
    """A row of 0.1.0 leads to the same event as one of today, and the JSON of the event has both names."""
    row = codec.encode(replace(read_all(FROZEN[0])[0], event=event))
    stored = (*row[:8], 1, *row[9:12], row[12].replace(f'"{new}"', f'"{old}"'))
    assert new not in stored[12]
    assert codec.decode((*stored, zlib.crc32(codec.canonical(stored)))).event == event
    assert plain(event)[old] == plain(event)[new] == getattr(event, new)


def test_old_shapes_become_todays_step_by_step() -> None:
    """Version 1 goes through version 2 to a new name; the newest version is left as it is."""
    table = {
        ("CameraLost", 1): lambda body: ("CameraLost", 2, {**body, "delay_s": body["delay"]}),
        ("CameraLost", 2): lambda body: ("CameraWaiting", 1, {key: body[key] for key in ("camera", "delay_s")}),
    }
    name, body = upcast("CameraLost", 1, {"camera": "gate", "delay": 2.5}, table)
    assert (name, body) == ("CameraWaiting", {"camera": "gate", "delay_s": 2.5})
    assert upcast("CameraWaiting", 1, body, table) == (name, body)


def test_hash_of_each_rule_stays_what_it_was() -> None:
    """A field that is added has a default, and then changes no hash; whatever else does, needs another rule."""
    for folder in FROZEN:
        expected = json.loads((folder / "expected.json").read_text())
        assert state_hash(fold(read_all(folder)), expected.get("rule", 1)) == expected["hash"]
