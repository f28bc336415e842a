"""The commands over a journal: their answers, and what is wrong in one line, also over journals that are not whole."""

import fcntl
import json
import os
from pathlib import Path

import apsw
import pytest
from click.testing import CliRunner, Result

from supervisor.__main__ import JOURNAL_COMMANDS, main
from supervisor.base.times import shown
from supervisor.domain import commands as c
from supervisor.domain.describe import describe
from supervisor.domain.events import Recorded
from supervisor.domain.ids import CameraId, DetectionId, LeaseId
from supervisor.forensics.statistics import SORTS
from supervisor.journal.files import list_segments
from supervisor.journal.retention import read_pins
from supervisor.journal.store import Store
from supervisor.ports.past import Timeline
from tests.kit.domain import ASKED, GATE, YARD, child, running
from tests.kit.journals import TINY, change, lively, write_journal
from tests.supervisor.forensics.stories import STDERR, failing, find, night_with_causes
from tests.supervisor.test_main import banken

ARGUMENTS = {"why": ["gate"], "trace": ["fault"], "bisect": ["len(cameras) == 2"], "pin": ["crash"], "unpin": ["crash"]}
READING = [name for name in JOURNAL_COMMANDS if name not in ("pin", "unpin", "pins", "verify", "repair")]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return write_journal(tmp_path / "journal", night_with_causes())


def run(command: str, journal: Path, *options: str) -> Result:
    return CliRunner().invoke(main, [command, *ARGUMENTS.get(command, []), str(journal), *options])


def ask(journal: Path, *arguments: str) -> str:
    """The output of a command, which must succeed."""
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
    """Causes, the event, its effects and the end of the journal come in this order, with the child's stderr."""
    waiting = find(night_with_causes(), "CameraWaiting")
    said = ask(journal, "why", f"#{waiting.seq}")
    lines = said.splitlines()
    assert lines[0].startswith("  1. ")
    assert "gate is connecting" in lines[0]
    assert f"| {STDERR[0]}" in said
    assert "+8.0 s" in said
    assert said.index("gate is waiting") < said.index("It led to:") < said.index("gate is connecting, attempt 2")
    assert "At the end of the journal gate is live" in said
    assert json.loads(ask(journal, "why", str(waiting.seq), "--json"))["why"]["seq"] == waiting.seq


def test_why_a_camera_is_as_it_is_now_and_as_it_was(journal: Path) -> None:
    """The answer for an earlier event names the holders of the slots then, and adds the state now."""
    assert "That is still so: gate is live" in ask(journal, "why", "gate")
    queued = ask(journal, "why", "yard", "--at", "#8")
    assert "The connections to box are taken by:\n  gate (live)" in queued
    assert "By now yard is idle" in queued


def test_why_of_a_camera_that_was_never_live_begins_with_the_first_failure(tmp_path: Path) -> None:
    """With its time; the last attempt follows, and its heading says when that is."""
    rows = failing().recorded
    write_journal(tmp_path / "journal", rows)
    said = ask(tmp_path / "journal", "why", "gate")
    begin, _, end = said.partition("Its state now:")
    assert begin.startswith("gate has never been live since it was configured at ")
    assert "gate is waiting: connection refused" in begin and "#5" in begin
    assert "#9" in end and "That is still so: gate is waiting" in end
    assert f"\nIts state at {shown(rows[6].wall_ns)}:\n" in ask(tmp_path / "journal", "why", "gate", "--at", "#7")


@pytest.mark.parametrize("command", ["why", "audit", "timeline"])
@pytest.mark.parametrize("name", ["nobody", ""])
def test_child_without_a_camera_adds_no_name_to_the_known_cameras(tmp_path: Path, command: str, name: str) -> None:
    """The decoder's child has an empty camera id; a question for it is refused, too."""
    rows = running(GATE).given(child("decoder", CameraId(""))).recorded
    folder = write_journal(tmp_path / "journal", rows)
    option = ["--camera"] if command == "timeline" else []
    refuses(folder, f"the journal knows no camera {name!r}; cameras known: gate\n", command, *option, name)


def test_a_trace_is_a_tree(journal: Path) -> None:
    """Each effect is indented below its cause; the number of an event selects its correlation."""
    lines = ask(journal, "trace", "fault").splitlines()
    assert [line.index("gate") for line in lines[1:]] == sorted(line.index("gate") for line in lines[1:])
    assert lines[3].count("└") == 1
    assert ask(journal, "trace", f"#{find(night_with_causes(), 'CameraWaiting').seq}") == ask(journal, "trace", "fault")


def test_states_and_what_changed_between_them(journal: Path) -> None:
    """`state --at` gives the state after that event; `diff` of equal events finds no change."""
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
    """Live, waiting, the gap and the second connection come in order, in 100 columns, without colour in a pipe."""
    said = ask(journal, "timeline")
    row = next(line for line in said.splitlines() if line.startswith("gate"))
    assert row.index("█") < row.index("▄") < row.index("░") < row.rindex("▒")
    assert len(row) <= 100
    assert "\x1b" not in said
    assert "the daemon was cut off: 10 s" in said
    assert "yard" not in ask(journal, "timeline", "--camera", "gate").splitlines()[2]
    assert "child child-1" in ask(journal, "timeline", "--all")
    assert set(json.loads(ask(journal, "timeline", "--json"))) == {*Timeline.__struct_fields__, "since", "until"}


def test_legend_names_each_sign_once(journal: Path) -> None:
    """Phases that share a sign stand behind it together."""
    legend = next(line for line in ask(journal, "timeline", "--all").splitlines() if "▾ see below" in line)
    signs = [entry.split()[0] for entry in legend.split("  ")]
    assert len(set(signs)) == len(signs)
    assert "█ live, " in legend


def detections(count: int) -> list[Recorded]:
    story = running(GATE)
    for number in range(count):
        where = ("person", 0.9, "192.0.2.1", (), f"key-{number}")
        story.after(1).given(
            c.ReportDetection(DetectionId(f"d-{number}"), LeaseId(""), GATE, story.now_ns, *where),
        )
    return story.recorded


def test_difference_of_a_list_has_only_the_items_that_came_and_went(tmp_path: Path) -> None:
    """Bounded in number and in length: a list of a state may have hundreds of items."""
    rows = detections(30)
    journal = write_journal(tmp_path / "journal", rows)
    last = rows[-1].seq
    said = ask(journal, "diff", "--from", f"#{last - 2}", "--to", f"#{last}")
    lines = said[said.index("~ detected") :].splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["~", "+", "+"]
    assert "key-0" not in said and "key-29" in said
    many = ask(journal, "diff", "--from", f"#{rows[0].seq + 5}", "--to", f"#{last}")
    assert max(map(len, many.splitlines())) < 300
    assert "+ … " in many


def test_events_are_chosen_by_level_and_several_types(journal: Path) -> None:
    """A level takes what is graver, too; with types, what is of one of them."""
    rows = night_with_causes()

    def seqs(*arguments: str) -> list[int]:
        return [json.loads(line)["seq"] for line in ask(journal, "events", "--json", *arguments).splitlines()]

    grave = [row.seq for row in rows if describe(row.event)[0] in ("warning", "error")]
    assert grave and seqs("--level", "warning") == grave
    assert seqs("--level", "info") == [row.seq for row in rows]
    assert seqs("--type", "CameraWaiting", "--type", "Run*") == [
        row.seq for row in rows if row.type == "CameraWaiting" or row.type.startswith("Run")
    ]
    assert seqs("--type", "Camera*", "--level", "warning") == [
        row.seq for row in rows if row.seq in grave and row.type.startswith("Camera")
    ]
    refuses(
        journal,
        "no type of event that --type names has the level error",
        "events",
        "--type",
        "CameraLive",
        "--level",
        "error",
    )


@pytest.mark.parametrize("command", ["why", "trace", "bisect"])
def test_exchanged_arguments_are_named(journal: Path, command: str) -> None:
    """The order that is right, and not only that `102` is no journal."""
    done = CliRunner().invoke(main, [command, str(journal), "102"])
    assert done.exit_code == 2
    assert f"{journal} is a journal: name it last" in done.stderr
    assert "'102'" in done.stderr


def test_statistics_and_since_when(journal: Path) -> None:
    """`--since` means `--from`; a `bisect` that finds no event ends with exit code 1."""
    said = ask(journal, "stats")
    assert "unreachable 1" in said
    assert json.loads(ask(journal, "stats", "--camera", "gate", "--json"))["cameras"][0]["restarts"] == 1
    assert ask(journal, "stats", "--since", "#5", "--until", "#20") == ask(
        journal, "stats", "--from", "#5", "--to", "#20"
    )
    waiting = find(night_with_causes(), "CameraWaiting")
    assert ask(journal, "bisect", 'cameras.gate.phase == "waiting"').startswith(f"#{waiting.seq} ")
    never = CliRunner().invoke(main, ["bisect", "len(children) > 30", str(journal)])
    assert (never.exit_code, never.stdout) == (1, "it holds nowhere from #1 to #27\n")


@pytest.mark.parametrize("key", SORTS)
def test_statistics_have_the_worst_first(journal: Path, key: str) -> None:
    """By each key; where they are alike, in the order of the configuration. In the table and in JSON."""
    found = json.loads(ask(journal, "stats", "--sort", key, "--json"))["cameras"]
    worst = "yard" if key in ("live", "away") else "gate"
    assert [one["camera"] for one in found] == sorted(["gate", "yard"], key=lambda name: name != worst)
    lines = ask(journal, "stats", "--sort", key).splitlines()[2:]
    assert [line.split()[0] for line in lines] == [one["camera"] for one in found]


def test_events_are_chosen_by_all_they_have(journal: Path) -> None:
    """Correlation, stream with wildcard, principal, range, and number with a limit."""
    rows = night_with_causes()

    def seqs(*arguments: str) -> list[int]:
        return [json.loads(line)["seq"] for line in ask(journal, "events", "--json", *arguments).splitlines()]

    assert seqs("--correlation", "fault") == [row.seq for row in rows if row.correlation == "fault"]
    assert seqs("--stream", "child/*") == [row.seq for row in rows if row.stream.startswith("child/")]
    assert seqs("--principal", "nobody") == []
    assert seqs("--from", "#5", "--to", "7") == [5, 6, 7]
    assert seqs("--after", "5", "--limit", "2") == [6, 7]


def test_pins(journal: Path) -> None:
    """A pin is stored with its range and note, is listed, is not overwritten, and is removed by name only."""
    assert ask(journal, "pins") == ""
    assert (
        ask(journal, "pin", "crash", "--from", "#5", "--to", "#9", "--note", "look")
        == "crash: events 5 to 9 are kept\n"
    )
    assert (read_pins(journal)["crash"].first, read_pins(journal)["crash"].last) == (5, 9)
    refuses(journal, "there is a pin 'crash' already", "pin", "crash")
    refuses(journal, "cannot be the name of a pin", "pin", "a/b")
    assert "crash: events 5 to 9" in ask(journal, "pins")
    assert "the journal alone  look" in ask(journal, "pins")
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
        (["state", "--at", "soon"], "'soon' is not a time"),
        (["state", "--at", "25:99"], "'25:99' is not a time"),
        (["state", "--at", "2001-01-01"], "the journal spans #1 ("),
        (["state", "--at", "#99"], "there is no event #99"),
        (["diff", "--from", "9", "--to", "3"], "is after the end"),
        (["events", "--from", "9", "--to", "3"], "is after the end"),
        (["events", "--type", "CameraLiv"], "did you mean CameraLive?"),
        (["timeline", "--from", "2100-01-01"], "the journal spans"),
        (["timeline", "--camera", "nobody"], "cameras known: gate, yard"),
        (["stats", "--from", "2100-01-01", "--to", "2000-01-01"], "is after the end"),
        (["bisect", "__import__('os')"], "is not allowed in an expression"),
        (["bisect", "cameras.gate.fase == 1"], "there is no 'fase' in a camera"),
    ],
)
def test_wrong_questions(journal: Path, arguments: list[str], said: str) -> None:
    """Exit code 2, no output, and a line that says how to ask."""
    refuses(journal, said, *arguments)


@pytest.mark.parametrize("command", list(JOURNAL_COMMANDS))
def test_path_that_is_not_a_journal_is_one_line_of_error(tmp_path: Path, command: str) -> None:
    """An empty folder, an empty file and garbage: one line for each command, never a traceback."""
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
    """`events` prints no line and succeeds; the others end with exit code 2 and one line."""
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
    """One wrong checksum of 27: the event is named, 26 can still be read, and the exit code is 1."""
    assert ask(journal, "verify").startswith("whole: 27 events in 1 segment,")
    change(journal, "UPDATE event SET crc = crc + 1 WHERE seq = 14")
    done = run("verify", journal)
    assert done.exit_code == 1
    assert "event 14" in done.stdout
    assert "26 events can still be read" in done.stdout
    assert json.loads(run("verify", journal, "--json").stdout)["damages"]


def test_a_journal_that_a_daemon_has_locked_can_be_read(journal: Path) -> None:
    """The commands take no lock, so they work beside a running daemon; a pin can be set too."""
    lock = os.open(journal / "lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "gate is live" in ask(journal, "events")
        ask(journal, "pin", "while-it-runs")
    finally:
        os.close(lock)


def test_segment_locked_by_another_program_is_one_line_of_error(journal: Path) -> None:
    """An exclusive transaction of another program is a line of error at worst."""
    db = apsw.Connection(str(list_segments(journal)[0].path))
    try:
        db.execute("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE")
        done = run("events", journal)
        assert done.exit_code in (0, 2)
        assert done.exception is None or isinstance(done.exception, SystemExit)
    finally:
        db.close()


def test_one_segment_can_be_read_as_a_journal(tmp_path: Path) -> None:
    """The path of a segment file gives its ten events, and each reading command accepts it."""
    folder = write_journal(tmp_path / "journal", lively(), batch=10, rotation=TINY)
    segment = list_segments(folder)[2].path
    assert len(ask(segment, "events").splitlines()) == 10
    for command in READING:
        done = run(command, segment)
        assert done.exception is None or isinstance(done.exception, SystemExit), command


def test_the_commands_begin_without_actors_and_web(journal: Path) -> None:
    """They start quickly on a small machine because trio, aiortc and quart are not imported."""
    done = banken("events", journal, "-n", "1", PYTHONPROFILEIMPORTTIME="1")
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not {name for name in imported if name.split(".")[0] in ("actors", "web", "aiortc", "av", "quart", "trio")}


def test_label_of_a_lane_that_is_too_long_ends_in_an_ellipsis(tmp_path: Path) -> None:
    """Two long names that differ at their ends are seen to be cut; one of 28 letters has room."""
    names = [CameraId(f"the-camera-above-the-back-{door}") for door in ("do", "door", "door-of-the-yard")]
    rows = running(*names).after(1).given(c.StopRun(ASKED)).recorded
    drawn = ask(write_journal(tmp_path / "journal", rows), "timeline")
    labels = [line.split()[0] for line in drawn.splitlines() if line.startswith("the-camera")]
    assert labels == [names[0], *["the-camera-above-the-back-d…"] * 2]


def test_statistics_have_the_order_of_the_configuration(tmp_path: Path) -> None:
    """Without a key that sorts them: in the table and in JSON."""
    names = [YARD, CameraId("cam-2"), CameraId("cam-10")]
    folder = write_journal(tmp_path / "journal", running(*names).after(1).given(c.StopRun(ASKED)).recorded)
    assert [one["camera"] for one in json.loads(ask(folder, "stats", "--json"))["cameras"]] == names
    assert [line.split()[0] for line in ask(folder, "stats").splitlines()[2:]] == names
