"""The commands over a journal: their answers, and what is wrong in one line, also over journals that are not whole."""

import fcntl
import json
import os
from pathlib import Path

import apsw
import pytest
from click.testing import CliRunner, Result

from supervisor.__main__ import JOURNAL_COMMANDS, main
from supervisor.analysis.timeline import Timeline
from supervisor.domain.lifecycle import CameraPhase, ChildPhase, PeerPhase
from supervisor.journal.files import list_segments
from supervisor.journal.retention import read_pins
from supervisor.journal.store import Store
from tests.kit.journals import TINY, change, lively, write_journal
from tests.supervisor.analysis.stories import STDERR, find, night_with_causes
from tests.supervisor.test_main import banken

ARGUMENTS = {"why": ["gate"], "trace": ["fault"], "bisect": ["len(cameras) == 2"], "pin": ["crash"], "unpin": ["crash"]}
READING = [name for name in JOURNAL_COMMANDS if name not in ("pin", "unpin", "pins", "verify", "repair")]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return write_journal(tmp_path / "journal", night_with_causes())


def run(command: str, journal: Path, *options: str) -> Result:
    return CliRunner().invoke(main, [command, *ARGUMENTS.get(command, []), str(journal), *options])


def ask(journal: Path, *arguments: str) -> str:
    """What a command says; it must succeed."""
    done = CliRunner().invoke(main, [*arguments], env={"BANKEN_JOURNAL": str(journal)})
    assert done.exit_code == 0, done.output
    return done.stdout


def refuses(journal: Path, said: str, *arguments: str) -> None:
    done = CliRunner().invoke(main, [*arguments], env={"BANKEN_JOURNAL": str(journal)})
    assert done.exit_code == 2, done.output
    assert said in done.stderr
    assert done.stdout == ""
    assert done.exception is None or isinstance(done.exception, SystemExit)


def test_why_tells_the_story_from_the_first_cause(journal: Path) -> None:
    waiting = find(night_with_causes(), "CameraWaiting")
    said = ask(journal, "why", f"#{waiting.seq}")
    lines = said.splitlines()
    assert lines[0].startswith("  1. ")
    assert "gate is connecting" in lines[0]
    assert f"| {STDERR[0]}" in said
    assert "+8.0 s" in said
    assert said.index("gate lost") < said.index("It led to:") < said.index("gate is connecting, attempt 2")
    assert "At the end of the journal gate is live" in said
    assert json.loads(ask(journal, "why", str(waiting.seq), "--json"))["why"]["seq"] == waiting.seq


def test_why_a_camera_is_as_it_is_now_and_as_it_was(journal: Path) -> None:
    assert "That is still so: gate is live" in ask(journal, "why", "gate")
    queued = ask(journal, "why", "yard", "--at", "#8")
    assert "The connections to box are taken by:\n  gate (live)" in queued
    assert "By now yard is idle" in queued


def test_a_trace_is_a_tree(journal: Path) -> None:
    lines = ask(journal, "trace", "fault").splitlines()
    assert [line.index("gate") for line in lines[1:]] == sorted(line.index("gate") for line in lines[1:])
    assert lines[3].count("└") == 1
    assert ask(journal, "trace", f"#{find(night_with_causes(), 'CameraWaiting').seq}") == ask(journal, "trace", "fault")


def test_states_and_what_changed_between_them(journal: Path) -> None:
    rows = night_with_causes()
    waiting = find(rows, "CameraWaiting").seq
    state = json.loads(ask(journal, "state", "--at", f"#{waiting}", "--json"))
    assert state["cameras"]["gate"]["phase"] == "waiting"
    assert 'phase: "live"' in ask(journal, "state")
    said = ask(journal, "diff", "--from", str(waiting - 1), "--to", str(waiting))
    assert '~ phase: "live" → "waiting"' in said
    assert ask(journal, "diff", "--from", "5", "--to", "5").startswith("nothing changed")
    assert json.loads(ask(journal, "diff", "--json"))["changes"]


def test_the_timeline_draws_each_camera(journal: Path) -> None:
    said = ask(journal, "timeline")
    row = next(line for line in said.splitlines() if line.startswith("gate"))
    assert row.index("█") < row.index("▄") < row.index("░") < row.rindex("▒")
    assert len(row) <= 100
    assert "\x1b" not in said
    assert "the daemon was cut off: 10 s" in said
    assert "yard" not in ask(journal, "timeline", "--camera", "gate").splitlines()[2]
    assert "child child-1" in ask(journal, "timeline", "--all")
    assert set(json.loads(ask(journal, "timeline", "--json"))) == set(Timeline.__struct_fields__)


def test_every_phase_has_a_sign() -> None:
    from supervisor.cli.timeline import SIGNS

    ends = {CameraPhase.REMOVED.value, ChildPhase.ENDED.value, PeerPhase.CLOSED.value}
    assert set(SIGNS) == {phase.value for kind in (CameraPhase, ChildPhase, PeerPhase) for phase in kind} - ends


def test_statistics_and_since_when(journal: Path) -> None:
    said = ask(journal, "stats")
    assert "unreachable 1" in said
    assert json.loads(ask(journal, "stats", "--camera", "gate", "--json"))["cameras"][0]["restarts"] == 1
    waiting = find(night_with_causes(), "CameraWaiting")
    assert ask(journal, "bisect", 'cameras.gate.phase == "waiting"').startswith(f"#{waiting.seq} ")
    never = CliRunner().invoke(main, ["bisect", "len(children) > 30", str(journal)])
    assert (never.exit_code, never.stdout) == (1, "it holds nowhere from #1 to #27\n")


def test_events_are_chosen_by_all_they_have(journal: Path) -> None:
    rows = night_with_causes()

    def seqs(*arguments: str) -> list[int]:
        return [json.loads(line)["seq"] for line in ask(journal, "events", "--json", *arguments).splitlines()]

    assert seqs("--correlation", "fault") == [row.seq for row in rows if row.correlation == "fault"]
    assert seqs("--stream", "child/*") == [row.seq for row in rows if row.stream.startswith("child/")]
    assert seqs("--principal", "nobody") == []
    assert seqs("--from", "#5", "--to", "7") == [5, 6, 7]
    assert seqs("--after", "5", "--limit", "2") == [6, 7]


def test_pins(journal: Path) -> None:
    assert ask(journal, "pins") == ""
    assert (
        ask(journal, "pin", "crash", "--from", "#5", "--to", "#9", "--note", "look")
        == "crash: events 5 to 9 are kept\n"
    )
    assert (read_pins(journal)["crash"].first, read_pins(journal)["crash"].last) == (5, 9)
    refuses(journal, "there is a pin 'crash' already", "pin", "crash")
    refuses(journal, "cannot be the name of a pin", "pin", "a/b")
    assert "crash: events 5 to 9" in ask(journal, "pins")
    assert json.loads(ask(journal, "pins", "--json"))["crash"]["note"] == "look"
    refuses(journal, "there is no pin 'crahs'; did you mean crash?", "unpin", "crahs")
    ask(journal, "unpin", "crash")
    assert read_pins(journal) == {}
    segment = list_segments(journal)[0].path
    refuses(segment, "pins belong to the folder of a journal", "pin", "more")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["why", "999"], "there is no event #999; the journal spans #1 ("),
        (["why", "gat"], "the journal knows no camera 'gat'; did you mean gate?; cameras known: gate, yard"),
        (["why", "5", "--at", "#3"], "--at is for a camera"),
        (["trace", "nothing"], "no event has the correlation 'nothing'"),
        (["state", "--at", "soon"], "'soon' is no time"),
        (["state", "--at", "25:99"], "'25:99' is no time"),
        (["state", "--at", "2001-01-01"], "the journal spans #1 ("),
        (["state", "--at", "#99"], "there is no event #99"),
        (["diff", "--from", "9", "--to", "3"], "is after --to"),
        (["events", "--from", "9", "--to", "3"], "--from is after --to"),
        (["events", "--type", "CameraLiv"], "did you mean CameraLive?"),
        (["timeline", "--from", "2100-01-01"], "the journal spans"),
        (["timeline", "--camera", "nobody"], "cameras known: gate, yard"),
        (["stats", "--from", "2100-01-01", "--to", "2000-01-01"], "is after --to"),
        (["bisect", "__import__('os')"], "is more than an expression may have"),
        (["bisect", "cameras.gate.fase == 1"], "there is no 'fase' in a camera"),
    ],
)
def test_wrong_questions(journal: Path, arguments: list[str], said: str) -> None:
    refuses(journal, said, *arguments)


@pytest.mark.parametrize("command", list(JOURNAL_COMMANDS))
def test_what_is_no_journal(tmp_path: Path, command: str) -> None:
    foreign = tmp_path / "segment-0000000001.sqlite"
    for content in (None, b"", b"not a database at all " * 99):
        if content is not None:
            foreign.write_bytes(content)
        done = run(command, tmp_path)
        found = [*done.stderr.splitlines(), *done.stdout.splitlines()]
        if command == "verify" and content is not None:
            assert done.exit_code == 1
            assert "damaged: " in done.stdout
        elif command == "repair" and content is not None:
            assert (done.exit_code, foreign.name in done.stdout) == (1, True)
        elif command not in ("pins", "unpin") or content is None:
            assert (done.exit_code, len(found)) == (2, 1), found
        assert done.exception is None or isinstance(done.exception, SystemExit)


@pytest.mark.parametrize("command", READING)
def test_an_empty_journal(tmp_path: Path, command: str) -> None:
    Store(tmp_path).close()
    done = run(command, tmp_path)
    assert done.exit_code == (0 if command == "events" else 2)
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert len(done.stderr.splitlines()) == (0 if command == "events" else 1)


@pytest.mark.parametrize("command", READING)
@pytest.mark.parametrize("harm", ["row", "page", "cut"])
def test_damage_ends_a_command_or_is_left_out(tmp_path: Path, command: str, harm: str) -> None:
    """Without --salvage one line and exit 2 if it is met; with it, an answer or one line, and never a traceback."""
    folder = write_journal(tmp_path / "journal", lively(), batch=10, rotation=TINY)
    path = list_segments(folder)[1].path
    if harm == "row":
        change(folder, "UPDATE event SET crc = crc + 1 WHERE seq = 14", first=11)
    else:
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] if harm == "cut" else data[:4096] + b"\xff" * 4096 + data[8192:])
    for options in ([], ["--salvage"]):
        done = run(command, folder, *options)
        assert done.exception is None or isinstance(done.exception, SystemExit)
        assert done.exit_code in (0, 1, 2)
        if done.exit_code == 2:
            assert done.stderr.splitlines()[-1].startswith("banken: ")
    if command == "events":
        assert run(command, folder).exit_code == 2
        done = run(command, folder, "--salvage")
        assert done.exit_code == 0
        assert "damaged, left out" in done.stderr
        assert len(done.stdout.splitlines()) >= len(lively()) - 10


def test_verify_names_the_place(journal: Path, tmp_path: Path) -> None:
    assert ask(journal, "verify").startswith("whole: 27 events in 1 segments")
    change(journal, "UPDATE event SET crc = crc + 1 WHERE seq = 14")
    done = run("verify", journal)
    assert done.exit_code == 1
    assert "event 14" in done.stdout
    assert "26 events can still be read" in done.stdout
    assert json.loads(run("verify", journal, "--json").stdout)["damages"]


def test_a_journal_that_a_daemon_has_locked_can_be_read(journal: Path) -> None:
    lock = os.open(journal / "lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "gate is live" in ask(journal, "events")
        ask(journal, "pin", "while-it-runs")
    finally:
        os.close(lock)


def test_a_segment_that_somebody_holds_exclusively(journal: Path) -> None:
    db = apsw.Connection(str(list_segments(journal)[0].path))
    try:
        db.execute("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE")
        done = run("events", journal)
        assert done.exit_code in (0, 2)
        assert done.exception is None or isinstance(done.exception, SystemExit)
    finally:
        db.close()


def test_one_segment_is_a_journal_of_its_own(tmp_path: Path) -> None:
    folder = write_journal(tmp_path / "journal", lively(), batch=10, rotation=TINY)
    segment = list_segments(folder)[2].path
    assert len(ask(segment, "events").splitlines()) == 10
    for command in READING:
        done = run(command, segment)
        assert done.exception is None or isinstance(done.exception, SystemExit), command


def test_the_commands_begin_without_actors_and_web(journal: Path) -> None:
    done = banken("events", journal, "-n", "1", PYTHONPROFILEIMPORTTIME="1")
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not {name for name in imported if name.split(".")[0] in ("actors", "web", "aiortc", "av", "quart", "trio")}
