"""Journals of several daemons in one folder are refused, and never mixed into one story."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from supervisor.__main__ import main
from supervisor.domain.events import RunStarted
from supervisor.domain.evolve import evolve
from supervisor.domain.ids import NodeId, RunId
from supervisor.journal import recovery
from supervisor.journal.files import Segment, list_segments
from supervisor.journal.reader import Reader
from supervisor.ports.errors import JournalError
from tests.kit.journals import TINY, chain_began, lively, write_journal

NODES = ("alpha", "beta", "gamma")


def three(folder: Path) -> list[Path]:
    """The journals of three daemons, each in its own folder."""
    made = []
    for node in NODES:
        rows = [replace(row, node=NodeId(node)) for row in lively(3)]
        made.append(write_journal(folder / node, rows, batch=7, rotation=TINY))
    return made


def mixed(folder: Path) -> Path:
    """The first segment of one, the second of another, the third and all after it of the third."""
    folder.mkdir()
    sources = three(folder.parent / "of")
    for number, segment in enumerate(list_segments(sources[0])):
        source = sources[min(number, 2)] / segment.path.name
        (folder / segment.path.name).write_bytes(source.read_bytes())
    return folder


def gone_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The disk did not answer at the second start: the daemon went on as another node, in a second segment from then
    on, and in a third one."""
    rows = [replace(row, node=NodeId("alpha")) for row in lively(3)]
    write_journal(folder, rows, batch=7, rotation=TINY)

    def fail(folder: Path) -> list[Segment]:
        raise JournalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(recovery, "list_segments", fail)
        recovered = recovery.recover(folder)
    store, state = recovered.store, recovered.state
    assert recovered.chain is not None
    start = store.begin_chain(recovered.chain)
    store.rotation = TINY
    began = replace(chain_began(rows[-1], start), seq=state.seq + 1, node=NodeId("beta"), run=RunId("run-2"))
    run = RunStarted(RunId("run-2"), NodeId("beta"), "0", 2)
    for recorded in (began, replace(rows[0], seq=state.seq + 2, node=NodeId("beta"), run=run.run, event=run)):
        state = evolve(state, recorded)
        store.append([recorded], state)
    store.close()
    return folder


def ask(journal: Path, command: str, *options: str) -> Result:
    return CliRunner().invoke(main, [command, str(journal), *options])


@pytest.mark.parametrize("command", ["events", "timeline", "stats", "audit", "state"])
def test_chain_that_names_the_end_of_the_one_before_it_is_of_the_same_journal(
    tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For any node: after a start at which the journal could not be read, a daemon goes on under another node id."""
    folder = gone_on(tmp_path / "journal", monkeypatch)
    assert len(list_segments(folder)) > 3
    done = ask(folder, command)
    assert done.exit_code == 0, done.output
    reader = Reader(folder)
    assert [row.node for row in reader.page(limit=1)] + [row.node for row in reader.page(limit=1, newest=True)] == [
        "alpha", "beta",
    ]  # fmt: skip


def test_chain_that_names_an_end_that_is_not_here_is_of_another_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A segment of the other daemon's second chain in our folder does not make them one."""
    other = gone_on(tmp_path / "journal", monkeypatch)
    mine = write_journal(tmp_path / "mine", [replace(row, node=NodeId("gamma")) for row in lively(3)])
    for segment in list_segments(other)[-2:]:
        (mine / segment.path.name).write_bytes(segment.path.read_bytes())
    with pytest.raises(JournalError, match="each journal needs its own folder"):
        list(Reader(mine).events())


@pytest.mark.parametrize("command", ["events", "timeline", "stats", "audit", "state"])
def test_segments_of_three_daemons_are_not_mixed(tmp_path: Path, command: str) -> None:
    """Each command names two of the segments and their daemons, and the cure."""
    done = ask(mixed(tmp_path / "mixed"), command)
    assert done.exit_code == 2
    assert "(node gamma)" in done.stderr
    assert "each journal needs its own folder" in done.stderr
    assert "alpha" not in done.stdout


def test_with_salvage_the_journal_of_the_newest_segment_is_answered(tmp_path: Path) -> None:
    """The others are left out, which is said."""
    done = ask(mixed(tmp_path / "mixed"), "events", "--salvage", "--json")
    assert done.exit_code == 0, done.output
    assert '"node":"gamma"' in done.stdout
    assert '"node":"alpha"' not in done.stdout
    assert "damaged, left out: segment-0000000001.sqlite" in done.stderr


def with_foreign_end(folder: Path, *, link: bool) -> Path:
    """A journal and, as its newest segment, one of another journal of the same node; `link`: with the right numbers."""
    rows = [replace(row, node=NodeId("alpha")) for row in lively(3)]
    mine = write_journal(folder / "mine", rows, batch=7, rotation=TINY)
    shifted = [replace(row, wall_ns=row.wall_ns + 7) for row in rows]
    others = write_journal(folder / "other", shifted, batch=7, rotation=TINY)
    last = list_segments(mine)[-1].path
    foreign = list_segments(others)[-1 if link else 0].path
    last.write_bytes(foreign.read_bytes())
    return mine


@pytest.mark.parametrize("link", [False, True], ids=["renamed", "with the right numbers"])
@pytest.mark.parametrize("options", [["events", "-n", "2"], ["state"], ["stats"]], ids=["events", "state", "stats"])
def test_newest_segment_of_another_journal_of_the_same_node_is_refused(
    tmp_path: Path, link: bool, options: list[str]
) -> None:
    """Its name or its chain shows it: nothing is answered from it."""
    done = ask(with_foreign_end(tmp_path, link=link), *options)
    assert done.exit_code == 2, done.output
    assert "is of another journal" in done.stderr
    assert not done.stdout


@pytest.mark.parametrize("command", ["events", "state", "stats"])
def test_segment_whose_name_has_another_number_is_refused(tmp_path: Path, command: str) -> None:
    """Also where no segment is before it, with whose chain it could be compared."""
    journal = write_journal(tmp_path / "journal", lively(3))
    path = list_segments(journal)[0].path
    path.rename(path.with_name("segment-0000000009.sqlite"))
    done = ask(journal, command)
    assert done.exit_code == 2, done.output
    assert "its first event is 1, and its name says 9" in done.stderr


@pytest.mark.parametrize("link", [False, True], ids=["renamed", "with the right numbers"])
def test_segment_of_another_journal_is_reported_with_salvage(tmp_path: Path, link: bool) -> None:
    """A renamed one is left out; one with the right numbers may be ours and changed, so that it is read."""
    done = ask(with_foreign_end(tmp_path, link=link), "events", "--salvage")
    assert done.exit_code == 0, done.output
    assert "is of another journal" in done.stderr


def test_folder_of_journals_names_them(tmp_path: Path) -> None:
    """Nothing is guessed."""
    three(tmp_path)
    with pytest.raises(JournalError, match="there are journals in alpha, beta, gamma: name one"):
        Reader(tmp_path)
