"""Times as people write them: each means one instant, or is refused with the reason; every command reads them alike."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from supervisor.__main__ import COMMANDS, JOURNAL_COMMANDS, main
from supervisor.base.times import shown
from supervisor.cli.terminal import TimeOrSeq, timed
from supervisor.domain import commands as c
from supervisor.domain.errors import Rejected
from supervisor.domain.ids import RunId
from supervisor.journal.lock import FolderLock
from supervisor.journal.reader import Reader
from supervisor.journal.times import Interval, closure_of, find, find_stretch, interval
from supervisor.ports.questions import parse
from tests.kit.domain import GATE, live
from tests.kit.journals import write_journal
from tests.supervisor.forensics.stories import closing, night

BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
BERN = timezone(timedelta(hours=1))
END = datetime(2026, 1, 5, 8, 40, tzinfo=UTC)
NOW = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)
ROWS = night()
CUT = next(number for number, row in enumerate(ROWS) if row.run == "run-2")
COMMANDS_AT = [("state", "--at"), ("why", "--at"), ("replay", "--at")]
COMMANDS_FROM = [
    (name, "--from") for name in ("events", "timeline", "stats", "diff", "bisect", "pin", "export", "audit")
]
ARGUMENTS = {"why": ["gate"], "bisect": ["len(cameras) == 2"], "pin": ["night"]}


def ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 10**9


def read(text: str, zone: timezone | None = UTC) -> Interval:
    return interval(parse(text), zone, ns(END), ns(NOW))


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", BERLIN)
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return write_journal(tmp_path / "journal", ROWS)


def ask(journal: Path, command: str, *options: str) -> Result:
    arguments = [command, *ARGUMENTS.get(command, []), str(journal), *options]
    if command == "export":
        arguments = ["incident", *arguments, "-o", str(journal.parent / "night.zip")]
        arguments += ["--to", "9"] if "--to" not in options else []
    return CliRunner().invoke(main, arguments)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("07:51", "2026-01-05T07:51"),
        ("7:51:40", "2026-01-05T07:51:40"),
        ("07:51:40Z", "2026-01-05T07:51:40"),
        ("07:51:40+01:00", "2026-01-05T06:51:40"),
        ("2026-01-04 07:51:40+01:00", "2026-01-04T06:51:40"),
        ("today 03:10", "2026-03-03T03:10"),
        ("yesterday 03:10", "2026-03-02T03:10"),
        ("today", "2026-03-03T00:00"),
        ("yesterday", "2026-03-02T00:00"),
        ("2026-01-04", "2026-01-04T00:00"),
        ("2h", "2026-03-03T10:00"),
        ("1.5h", "2026-03-03T10:30"),
        ("2h ago", "2026-03-03T10:00"),
        ("10m ago", "2026-03-03T11:50"),
    ],
)
def test_time_as_it_is_written_is_this_instant(text: str, said: str) -> None:
    """A bare time is on the day of the journal's end; words and durations count from now."""
    assert read(text).begin_ns == ns(datetime.fromisoformat(f"{said}+00:00"))


def test_bare_time_is_on_the_day_that_the_printed_zone_has() -> None:
    """23:30 UTC is half past midnight of the next day in Bern."""
    end_ns = ns(datetime(2026, 1, 5, 23, 30, tzinfo=UTC))
    assert interval(parse("00:15"), BERN, end_ns, end_ns).begin_ns == ns(datetime(2026, 1, 6, 0, 15, tzinfo=BERN))


def test_time_stands_for_its_last_digit_and_a_date_for_a_day() -> None:
    """So a printed time that is put into a command takes in what was printed."""
    assert read("07:51:40").end_ns == read("07:51:40").begin_ns
    milli = read("07:51:40.125")
    assert milli.end_ns - milli.begin_ns == 10**6 - 1
    day = read("yesterday")
    assert (day.end_ns - day.begin_ns + 1, day.is_day) == (86400 * 10**9, True)
    assert parse(shown(ns(END), BERN)).offset == BERN
    assert read(shown(ns(END), BERN)).begin_ns == ns(END)


@pytest.mark.usefixtures("in_berlin")
@pytest.mark.parametrize(
    ("text", "how", "readings"),
    [
        ("2026-03-29T02:30", "does not exist", ("2026-03-29 01:30:00+01:00", "2026-03-29 03:30:00+02:00")),
        ("2026-10-25T02:30", "exists twice", ("2026-10-25 02:30:00+02:00", "2026-10-25 02:30:00+01:00")),
    ],
)
def test_local_time_at_a_change_of_the_clock_is_refused_with_both_readings(
    text: str, how: str, readings: tuple[str, str]
) -> None:
    """In spring it does not exist, in autumn it exists twice; each reading can be written."""
    with pytest.raises(Rejected, match=how) as caught:
        read(text, None)
    assert str(caught.value).endswith(f"write {readings[0]} or {readings[1]}")
    first, second = (read(reading, None).begin_ns for reading in readings)
    assert second - first == 3600 * 10**9


@pytest.mark.usefixtures("in_berlin")
def test_day_on_which_the_clock_is_changed_has_23_or_25_hours() -> None:
    """From midnight to midnight."""
    spring, autumn = read("2026-03-29", None), read("2026-10-25", None)
    assert [(day.end_ns + 1 - day.begin_ns) // (3600 * 10**9) for day in (spring, autumn)] == [23, 25]


@pytest.mark.parametrize("text", ["", "soon", "25:99", "07", "yesterday3:10", "2026-13-01", "7:51+1", "now"])
def test_text_that_is_no_time_is_an_error(text: str) -> None:
    """A number alone is an event, and never an hour."""
    try:
        assert parse(text).seq == 7
    except ValueError:
        return
    assert text == "07"


@pytest.mark.parametrize(("command", "option"), [*COMMANDS_AT, *COMMANDS_FROM])
@pytest.mark.parametrize("text", ["2030-01-01", "23:59:59", "1m"])
def test_time_outside_of_the_journal_is_refused_by_every_command(
    journal: Path, command: str, option: str, text: str
) -> None:
    """With the span of the journal, and with nothing on the standard output."""
    if text == "1m" and time.time_ns() < ROWS[-1].wall_ns:
        text = "2031-01-01"  # the story is in the future of this machine
    done = ask(journal, command, option, text, "--utc", *(["--to", "2098-01-01"] if command == "export" else []))
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"the journal spans #1 ({shown(ROWS[0].wall_ns, UTC)}) to #{len(ROWS)} (" in done.stderr


@pytest.mark.parametrize(("command", "option"), COMMANDS_AT)
def test_time_without_a_daemon_is_answered_with_that(journal: Path, command: str, option: str) -> None:
    """Between the last event of a run and the first of the next one nothing is known."""
    done = ask(journal, command, option, shown(ROWS[CUT].wall_ns - 10**9))
    assert done.exit_code == 2
    begin, end = (shown(ROWS[number].wall_ns) for number in (CUT - 1, CUT))
    assert f"nothing is known between {begin} (#{CUT}) and {end} (#{CUT + 1}): the daemon was cut off" in done.stderr


@pytest.mark.parametrize(("command", "option"), [*COMMANDS_AT, ("diff", "--from"), ("diff", "--to")])
def test_event_that_closes_what_a_dead_run_left_is_refused_as_a_moment(
    tmp_path: Path, command: str, option: str
) -> None:
    """After it, the rest of that run would be shown as live; the refusal names both ends."""
    rows, batch = closing()
    folder = write_journal(tmp_path / "journal", rows)
    *left, start = batch
    assert {"RunAbandoned", "CameraIdle", "AlertCleared"} <= {row.type for row in left}
    begin, end = f"{shown(rows[CUT - 1].wall_ns)} (#{CUT})", f"{shown(start.wall_ns)} (#{start.seq})"
    how = "the daemon had ended; what it left open is being closed"
    for row in left:
        done = ask(folder, command, option, f"#{row.seq}")
        assert (done.exit_code, done.stdout) == (2, "")
        assert f"after event #{row.seq}, nothing is known between {begin} and {end}: {how}" in done.stderr


@pytest.mark.parametrize("command", ["state", "diff"])
def test_events_before_and_after_a_closure_are_moments(tmp_path: Path, command: str) -> None:
    """The last event of the run that was cut off, and the start of the next, which ends the closure; and its time."""
    rows, batch = closing()
    folder = write_journal(tmp_path / "journal", rows)
    for place in (f"#{CUT}", f"#{batch[-1].seq}", f"#{batch[-1].seq + 1}", shown(batch[-1].wall_ns)):
        done = ask(folder, command, "--to" if command == "diff" else "--at", place)
        assert done.exit_code == 0, done.stderr


def test_closure_whose_start_is_missing_ends_with_the_event_itself(tmp_path: Path) -> None:
    """As in a part of a journal; the start of a later run does not belong to it."""
    rows, (first, second, *_) = closing()
    last = next(row for row in rows if row.seq > second.seq and row.type == "RunStarted")
    later = replace(last, seq=second.seq + 1, run=RunId("run-3"), cause=None)
    for name, end in (("cut", []), ("later", [later])):
        reader = Reader(write_journal(tmp_path / name, [*rows[: second.seq], *end]))
        assert closure_of(reader, second) == (rows[CUT - 1], second)
        assert closure_of(reader, first) == (rows[CUT - 1], first)
        reader.close()


def test_stretch_without_a_daemon_is_answered_with_that(journal: Path) -> None:
    """Where all of it lies between two runs."""
    since, until = (shown(ROWS[CUT].wall_ns - seconds * 10**9) for seconds in (3, 2))
    done = ask(journal, "stats", "--from", since, "--to", until)
    assert (done.exit_code, "the daemon was cut off" in done.stderr) == (2, True)


def test_stretch_that_reaches_out_of_the_journal_is_cut_to_it(journal: Path) -> None:
    """No time is counted of which nothing is known."""
    found = json.loads(ask(journal, "stats", "--from", "2001-01-01", "--to", "2099-01-01", "--json").stdout)
    assert (found["since_ns"], found["until_ns"]) == (ROWS[0].wall_ns, ROWS[-1].wall_ns)


def test_time_after_the_last_event_is_known_while_a_daemon_runs(tmp_path: Path) -> None:
    """Nothing has happened since; a moment ahead of the clock is now."""
    ago_ns = time.time_ns() - 60 * 10**9 - ROWS[-1].wall_ns
    folder = write_journal(tmp_path / "journal", [replace(row, wall_ns=row.wall_ns + ago_ns) for row in ROWS])
    reader = Reader(folder)
    with pytest.raises(Rejected, match="there is no data for"):
        find(reader, parse("30s"), UTC)
    lock = FolderLock(folder, make=False)
    try:
        assert find(reader, parse("30s"), UTC).seq == len(ROWS)
        assert find_stretch(reader, parse("30s"), None, UTC).until_ns > time.time_ns() - 20 * 10**9
    finally:
        lock.close()
    ahead = datetime.fromtimestamp(time.time() + 2, UTC).isoformat()
    assert find(reader, parse(ahead), UTC, running=True).wall_ns <= time.time_ns()
    with pytest.raises(Rejected, match="there is no data for"):
        find(reader, parse(datetime.fromtimestamp(time.time() + 60, UTC).isoformat()), UTC, running=True)
    reader.close()


def test_every_command_that_reads_or_prints_times_has_utc() -> None:
    """And each option that takes a place takes it by the one type, and has both of its names."""
    with click.Context(main) as ctx:
        incident = COMMANDS["incident"].load()
        assert isinstance(incident, click.Group)
        found = {name: entry.load() for name, entry in JOURNAL_COMMANDS.items()}
        found |= {"replay": COMMANDS["replay"].load(), **incident.commands}
        assert ctx is not None
    silent = {"verify", "repair", "unpin", "import"}
    assert {name for name, command in found.items() if not any(p.name == "utc" for p in command.params)} == silent
    for command in found.values():
        for option in command.params:
            if option.name in ("at", "since", "until"):
                assert isinstance(option.type, TimeOrSeq), (command.name, option.name)
                names = {"since": {"--from", "--since"}, "until": {"--to", "--until"}}.get(option.name, {"--at"})
                assert names <= {*option.opts}, (command.name, option.name)


@pytest.mark.usefixtures("in_berlin")
def test_printed_times_have_their_offset_or_are_in_utc(journal: Path) -> None:
    """On lines, on the axis and in JSON."""
    for command in ("events", "timeline", "stats", "why", "state"):
        assert "09:00:00.000+01:00" in ask(journal, command).stdout or command in ("why", "state")
        assert "+01:00" in ask(journal, command).stdout
        in_utc = ask(journal, command, "--utc").stdout
        assert "+01:00" not in in_utc
        assert "Z" in in_utc
    row = json.loads(ask(journal, "events", "--json", "-n", "1").stdout)
    assert row["time"] == shown(ROWS[-1].wall_ns, None, "microseconds").replace(" ", "T")
    assert row["time"].endswith("+01:00")


def test_json_has_an_iso_time_beside_each_number_of_nanoseconds() -> None:
    """But of a monotonic clock; none for a time that is 0."""
    found = timed({"wall_ns": 10**18, "mono_ns": 5, "inside": [{"since_ns": 0, "retry_at_ns": None}]})
    assert datetime.fromisoformat(found.pop("time")).timestamp() == 10**9
    inside = {"since_ns": 0, "since": None, "retry_at_ns": None, "retry_at": None}
    assert found == {"wall_ns": 10**18, "mono_ns": 5, "inside": [inside]}


def test_number_that_is_no_time_and_keys_like_times_are_no_error_in_json() -> None:
    """Somebody else may have made the journal; a camera may be called like a field."""
    found = timed({"retry_at_ns": 10**40, "since_ns": -(10**30), "cameras": {"gate_ns": {"wall_ns": 10**18}}})
    assert (found["retry_at"], found["since"]) == (None, None)
    assert found["cameras"]["gate_ns"]["time"]


def test_body_of_an_event_in_json_is_the_one_in_the_journal(journal: Path) -> None:
    """Its time is beside it."""
    rows = [json.loads(line) for line in ask(journal, "events", "--json").stdout.splitlines()]
    names = [name for row in rows for name in row["body"] if name.endswith("_ns")]
    assert names and all(row["time"] for row in rows)
    assert not [row["seq"] for row in rows if any(name.removesuffix("_ns") in row["body"] for name in names)]


def test_millisecond_after_the_last_event_is_the_last_event(journal: Path) -> None:
    """The page rounds times up to milliseconds."""
    place = find(Reader(journal), parse(shown(ROWS[-1].wall_ns + 10**6)), None)
    assert place == (len(ROWS), ROWS[-1].wall_ns)


def moved(journal: Path, last_ns: int) -> Path:
    """The night, so that its last event is at `last_ns`."""
    by_ns = last_ns - ROWS[-1].wall_ns
    return write_journal(journal, [replace(row, wall_ns=row.wall_ns + by_ns) for row in ROWS])


def test_stretch_without_an_end_ends_now_while_a_daemon_runs(tmp_path: Path) -> None:
    """Wherever it begins; without a daemon it ends with the last event."""
    last_ns = time.time_ns() - 3600 * 10**9
    reader = Reader(moved(tmp_path / "journal", last_ns))
    begins = (None, parse("3601s"), parse("3590s"))
    assert find_stretch(reader, None, None, UTC).until_ns == last_ns
    now_ns = time.time_ns()
    assert all(find_stretch(reader, begin, None, UTC, running=True).until_ns >= now_ns for begin in begins)


def test_bare_time_is_on_today_while_a_daemon_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its journal ends now, whenever the last event was."""
    now = datetime.now(UTC).replace(hour=8, minute=0, second=0, microsecond=0)
    monkeypatch.setattr(time, "time_ns", lambda: ns(now))
    reader = Reader(moved(tmp_path / "journal", ns(now) - 8 * 3600 * 10**9 - 600 * 10**9))
    assert find(reader, parse("00:05"), UTC, running=True).wall_ns == ns(now.replace(hour=0, minute=5))
    since_ns = find_stretch(reader, parse("00:05"), None, UTC, running=True).since_ns
    assert since_ns == ns(now.replace(hour=0, minute=5))


def test_journal_whose_clock_was_set_back_is_answered(tmp_path: Path) -> None:
    """As a whole, and between numbers of events; two times in the wrong order are refused as ever."""
    story = live().after(100).given(c.RaiseAlert("a/b", "x")).after(-3600).given(c.ClearAlert("a/b"))
    story.after(10).given(c.RaiseAlert("a/c", "x"))
    journal, last = write_journal(tmp_path / "journal", story.recorded), len(story.recorded)
    reader = Reader(journal)
    assert find_stretch(reader, None, None, UTC).events == (1, last)
    for since, until in ((f"#{last - 2}", f"#{last}"), (f"#{last - 2}", None), (None, f"#{last}")):
        part = find_stretch(reader, parse(since) if since else None, parse(until) if until else None, UTC)
        assert part.events == (last - 2 if since else 1, last)
        assert part.since_ns <= part.until_ns
    between = parse("2027-01-15T07:30Z")
    assert find(reader, between, UTC).wall_ns == find_stretch(reader, between, None, UTC).since_ns
    with pytest.raises(Rejected, match="is after the end"):
        find_stretch(reader, parse(f"#{last}"), parse(f"#{last - 2}"), UTC)
    assert [one["camera"] for one in json.loads(ask(journal, "stats", "--json").stdout)["cameras"]] == [GATE]
    answer = ask(journal, "stats", "--json", "--from", f"#{last - 2}", "--to", f"#{last}")
    assert json.loads(answer.stdout)["ran_s"] > 0
    assert json.loads(ask(journal, "timeline", "--json").stdout)["marks"][-1]["seq"] == last


def test_date_on_which_the_journal_begins_is_its_first_event(journal: Path) -> None:
    """Midnight is not known, but that day is."""
    first = ROWS[0]
    day = datetime.fromtimestamp(first.wall_ns / 1e9, UTC).date().isoformat()
    assert find(Reader(journal), parse(day), UTC).wall_ns == first.wall_ns
