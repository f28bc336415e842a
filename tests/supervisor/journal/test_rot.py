"""Random bytes in a journal's files: a start, a check and a running store meet damage, and no error of another kind."""

import random
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from supervisor.journal.check import verify
from supervisor.journal.errors import JournalError, JournalReplaced
from supervisor.journal.files import list_segments
from supervisor.journal.recovery import recover
from supervisor.journal.segment import SegmentWriter
from supervisor.journal.store import Store
from supervisor.journal.writer import FAULTS
from tests.kit.journals import TINY, lively, states, write_journal

SEEDS = range(60)
PAGE = 4096


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty events in two segments."""
    return write_journal(tmp_path_factory.mktemp("whole") / "journal", lively()[:40], batch=20, rotation=TINY)


def rot(path: Path, chance: random.Random) -> None:
    """One to eight other bytes, half of the times in the first page, which holds the schema."""
    data = bytearray(path.read_bytes())
    for _ in range(chance.randint(1, 8)):
        end = min(len(data), chance.choice((PAGE, len(data))))
        data[chance.randrange(end)] = chance.randrange(256)
    path.write_bytes(data)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_bytes_in_a_segment_refuse_no_start(whole: Path, tmp_path: Path, seed: int) -> None:
    """A journal is recovered, perhaps with a fault and a new chain, and `verify` ends with findings or one refusal."""
    folder, chance = shutil.copytree(whole, tmp_path / "journal"), random.Random(seed)
    rot(chance.choice(list_segments(folder)).path, chance)
    with suppress(JournalError):
        verify(folder)
    recover(folder).store.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_random_bytes_under_a_running_store_are_faults(whole: Path, tmp_path: Path, seed: int) -> None:
    """An append, a look and a reconnection raise faults that the writer knows, and nothing else."""
    folder, chance = shutil.copytree(whole, tmp_path / "journal"), random.Random(seed)
    rows, after = lively(), states(lively())
    store = Store(folder)
    rot(list_segments(folder)[-1].path, chance)
    with pytest.raises(JournalReplaced):
        store.append(rows[40:50], after[50])
    for act in (lambda: SegmentWriter(list_segments(folder)[-1].path).close(), store.reconnect, lambda: store.keep(0)):
        with suppress(*FAULTS):
            act()
    store.close()


@pytest.mark.parametrize("byte", [0x80, 0xFF])
def test_rotten_byte_in_the_text_of_the_schema_is_damage(whole: Path, tmp_path: Path, byte: int) -> None:
    """No UTF-8: SQLite reads it, and Python does not. The segment is set aside like any other damage."""
    folder = shutil.copytree(whole, tmp_path / "journal")
    path = list_segments(folder)[-1].path
    path.write_bytes(path.read_bytes().replace(b"stream TEXT", b"str" + bytes([byte]) + b"am TEXT", 1))
    recovered = recover(folder)
    recovered.store.close()
    assert recovered.chain is not None
    assert [aside.file for aside in recovered.chain.damaged] == [path.name]
    with pytest.raises(JournalError):
        SegmentWriter(path)
