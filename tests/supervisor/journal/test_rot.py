"""Random bytes in a journal's files: a start, a check and a running store meet damage, and no error of another kind."""

import random
import shutil
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
from click.testing import CliRunner

from supervisor.cli.states import state
from supervisor.journal.check import verify
from supervisor.journal.errors import JournalReplaced
from supervisor.journal.files import list_segments
from supervisor.journal.reader import Damage, Reader, SegmentReader
from supervisor.journal.recovery import recover
from supervisor.journal.segment import SegmentWriter
from supervisor.journal.store import Store
from supervisor.journal.writer import FAULTS
from supervisor.ports.errors import JournalError
from supervisor.ports.questions import Query
from tests.kit.domain import GATE
from tests.kit.journals import TINY, change, lively, states, write_journal

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


@pytest.fixture(scope="module")
def shortened(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal in which a damaged page ends SQLite's scan early, and without an error."""
    folder = write_journal(tmp_path_factory.mktemp("shortened") / "journal", lively())
    path = list_segments(folder)[0].path
    data = path.read_bytes()
    for begin in range(0, len(data), 97):
        path.write_bytes(data[:begin] + bytes(byte ^ 0xFF for byte in data[begin : begin + 60]) + data[begin + 60 :])
        with suppress(JournalError), closing(SegmentReader(list_segments(folder)[0], sealed=False)) as part:
            found = [row[0] for row in part.select(Query(before=len(lively()) + 1), 1000, False)]
            if 0 < len(found) < len(lively()) - 10 and part.acknowledged() == len(lively()):
                return folder
    raise AssertionError("no damage shortens the answer of this SQLite")


@pytest.mark.parametrize(
    "ask",
    [
        lambda reader: list(reader.events()),
        lambda reader: list(reader.events(1, len(lively()))),
        lambda reader: reader.page(Query(before=len(lively()) + 1), 1000),
        lambda reader: reader.page(Query(before=len(lively()) + 1), 1000, newest=True),
        lambda reader: reader.page(Query(types=("Camera*",), before=len(lively()) + 1), 1000),
        lambda reader: reader.page(Query(camera=GATE, before=len(lively()) + 1), 1000),
        lambda reader: reader.state_at(len(lively())),
    ],
)
def test_answer_that_sqlite_cuts_short_is_damage(shortened: Path, ask: Callable[[Reader], object]) -> None:
    """Any question about events after the damage is refused with the segment, although SQLite reports no error."""
    with closing(Reader(shortened)) as reader, pytest.raises(JournalError, match="segment-0000000001"):
        ask(reader)


def test_salvage_reads_on_behind_the_page_that_ends_a_scan(shortened: Path) -> None:
    """Every other event is found, and each missing one is reported."""
    told: list[Damage] = []
    with closing(Reader(shortened, told.append)) as reader:
        found = {recorded.seq for recorded in reader.events()}
    reported = {seq for damage in told for seq in range(damage.first, min(damage.last, len(lively())) + 1)}
    assert len(lively()) in found
    assert set(range(1, len(lively()) + 1)) == found | reported


def test_end_of_a_table_that_differs_from_the_last_batch_is_damage(whole: Path, tmp_path: Path) -> None:
    """The last event is not looked up in a table whose end is missing."""
    folder = shutil.copytree(whole, tmp_path / "journal")
    change(folder, "DELETE FROM event WHERE seq = 40", first=21)
    with closing(Reader(folder)) as reader, pytest.raises(JournalError, match="40 were acknowledged"):
        reader.bounds()


def test_state_of_a_damaged_journal_ends_with_code_2(shortened: Path) -> None:
    """`banken state` prints no state of an earlier event."""
    found = CliRunner().invoke(state, [str(shortened)])
    assert (found.exit_code, found.stdout) == (2, "")
    assert "segment-0000000001" in found.stderr
