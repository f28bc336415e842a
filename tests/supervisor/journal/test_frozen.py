"""Journals of earlier releases, frozen: whatever the code becomes, it reads them, and they lead where they led."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor.domain import events as e
from supervisor.domain.evolve import fold
from supervisor.domain.state import state_hash
from supervisor.journal.check import verify
from supervisor.journal.files import FORMAT
from supervisor.journal.reader import Reader
from supervisor.journal.store import Store
from supervisor.journal.upcast import upcast
from tests.kit.journals import read_all

FROZEN = sorted((Path(__file__).parents[2] / "journals").glob("v*"))
LATER = {"LeaseGranted", "LeaseEnded", "LeaseRefused", "DetectionMade", "SuggestionMade"}
LATER |= {"RoomOpened", "RoomJoined", "RoomLeft", "RoomClosed"}
LATER |= {"ChainBegan", "JournalFileSetAside", "SegmentsRemoved", "JournalFailed"}
"""Events that came after the first journal was frozen."""
REPLAY = """
import sys
from pathlib import Path
from supervisor.domain.evolve import fold
from supervisor.domain.state import state_hash
from tests.kit.journals import read_all
print(state_hash(fold(read_all(Path(sys.argv[1]))), int(sys.argv[2])))
"""


def test_every_format_has_a_frozen_journal() -> None:
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
    expected = json.loads((frozen / "expected.json").read_text())
    done = subprocess.run(
        [sys.executable, "-c", REPLAY, frozen, str(expected.get("rule", 1))],
        env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.strip() == expected["hash"]


def test_any_state_from_a_checkpoint_is_that_of_folding_all(frozen: Path) -> None:
    rows = read_all(frozen)
    reader = Reader(frozen)
    for seq in range(0, len(rows) + 1, 97):
        assert reader.state_at(seq) == fold(rows[:seq])
    reader.close()


def test_a_daemon_goes_on_with_it(frozen: Path) -> None:
    rows = read_all(frozen)
    store = Store(frozen)
    assert store.last_seq == len(rows) == json.loads((frozen / "expected.json").read_text())["seq"]
    store.close()


def test_the_first_one_has_nearly_every_event() -> None:
    """What never happened in it could change unseen."""
    seen = {row.type for row in read_all(FROZEN[0])}
    missing = {event.__name__ for event in e.EVENTS} - seen - LATER
    assert len(missing) <= 10, missing


def test_old_shapes_become_todays_step_by_step() -> None:
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
