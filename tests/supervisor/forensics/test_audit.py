"""The audit lists who watched which camera, from a journal that is whole or cut; no end is invented."""

import csv
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from supervisor.__main__ import main
from supervisor.base.times import shown
from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.events import Recorded
from supervisor.domain.evolve import evolve
from supervisor.domain.ids import CameraId, LeaseId, PeerId, RunId, UseId
from supervisor.domain.values import LeaseKind, Reason, UseKind
from supervisor.forensics import audit as module
from supervisor.forensics.audit import audit
from supervisor.journal.lock import FolderLock
from supervisor.journal.reader import Reader
from supervisor.journal.store import Store
from supervisor.journal.times import find_stretch
from supervisor.ports.audit import AuditFilter, How, Row
from supervisor.ports.errors import JournalError
from supervisor.ports.questions import parse
from tests.kit.domain import ASKED, GATE, NODE, SECOND, YARD, Story, lease, peer, running
from tests.kit.journals import append_all, change, of_journal, states, write_journal
from tests.supervisor.forensics.stories import BEGIN_NS, at, of_run
from tests.supervisor.forensics.stories import reader_of as opened

ANNA, BEN = "192.0.2.10", "192.0.2.20"
LEFT = Reason("left", "the viewer closed the connection")


def evening() -> Story:
    """Anna watches gate by WebRTC, 1 to 11 s; Ben never connects. Ben has an MJPEG stream and a snapshot of yard, which
    a patrol visits; Anna has yard large from 20 s on."""
    story = running(GATE, YARD).after(1).given(peer("p1", GATE, ANNA), peer("p2", GATE, BEN))
    story.after(1).given(c.ReportPeerConnected(PeerId("p1")))
    story.given(c.GrantLease(LeaseId("row"), LeaseKind.VIEWER, YARD, BEN, purpose="pictures in a row"))
    story.after(1).given(
        c.BeginUse(UseId("u1"), YARD, UseKind.SNAPSHOT, BEN), c.BeginUse(UseId("u2"), YARD, UseKind.PATROL, "patrol")
    )
    story.after(2).given(c.EndUse(UseId("u1"), ASKED), c.EndUse(UseId("u2"), ASKED))
    story.given(c.ReportPeerClosed(PeerId("p2"), ASKED))
    story.after(6).given(c.ReportPeerClosed(PeerId("p1"), LEFT))
    story.given(c.EndLease(LeaseId("row"), ASKED))
    return story.after(9).given(lease("large", YARD, LeaseKind.MODAL, ANNA))


def of(reader: Reader, camera: str | None = None, client: str | None = None, *, after: int = 0) -> list[Row]:
    part = find_stretch(reader, parse(str(after)) if after else None, None, None)
    return list(audit(reader, part, wanted_of(camera, client)))


def wanted_of(camera: str | None, client: str | None) -> AuditFilter:
    return AuditFilter(camera=None if camera is None else CameraId(camera), client=client)


def short(watch: Row) -> tuple[str, str | None, str, float, float | None, str]:
    begin, end = ((ns - BEGIN_NS) / SECOND if ns else None for ns in (watch.since_ns, watch.until_ns))
    assert begin is not None
    return watch.client, watch.camera, watch.how, begin, end, watch.end


ALL = [
    (BEN, YARD, "opened", 3, 5, "ended"),
    (BEN, GATE, "whep", 1, 5, "ended"),
    (ANNA, GATE, "whep", 1, 11, "ended"),
    (BEN, YARD, "mjpeg", 2, 11, "ended"),
    (ANNA, YARD, "large view", 20, None, "open"),
]


@pytest.fixture
def running_journal(tmp_path: Path) -> Path:
    return write_journal(tmp_path / "journal", evening().recorded)


def test_each_watch_is_reported_when_it_ends_and_open_ones_come_last(running_journal: Path) -> None:
    """Neither the visit of a patrol nor the lease that a connection brings along is one."""
    lock = FolderLock(running_journal, make=False)
    try:
        found = of(Reader(running_journal))
    finally:
        lock.close()
    assert [short(watch) for watch in found] == ALL
    assert [watch.connected for watch in found] == [True, False, True, True, True]
    assert (found[2].lasted_s, found[2].reason, found[2].code) == (10.0, LEFT.text, "left")
    assert (found[4].reason, found[4].code) == ("", "")


def test_camera_and_client_choose(running_journal: Path) -> None:
    """Each alone, and both."""
    reader = Reader(running_journal)
    assert {watch.camera for watch in of(reader, GATE)} == {GATE}
    assert [watch.client for watch in of(reader, client=BEN)] == [BEN] * 3
    assert len(of(reader, GATE, ANNA)) == 1
    assert of(reader, client="192.0.2.99") == []


@pytest.mark.parametrize("first", range(2, len(evening().recorded) + 1))
def test_stretch_has_what_was_open_when_it_began(tmp_path: Path, first: int) -> None:
    """With the begin of old, whatever event the stretch begins with."""
    rows = evening().recorded
    reader = opened(tmp_path / "journal", rows)
    before = states(rows)[first - 1]
    expected = [row for row in ALL if row[4] is None or at(row[4]) >= rows[first - 1].wall_ns]
    found = [short(watch)[:4] for watch in of(reader, after=first)]
    assert {row[:4] for row in expected} >= set(found)
    assert len(found) >= len(before.peers)
    assert all(watch.seq is None or watch.seq >= first for watch in of(reader, after=first))


def test_stretch_that_ends_before_a_watch_says_that_it_is_open(running_journal: Path) -> None:
    """For as long as it had lasted by then."""
    reader = Reader(running_journal)
    last = next(row.seq for row in evening().recorded if row.type == "PeerConnected")
    part = find_stretch(reader, None, parse(f"#{last}"), None)
    found = list(audit(reader, part, AuditFilter()))
    assert [(watch.id, watch.end, watch.lasted_s) for watch in found] == [("p1", "open", 1.0), ("p2", "open", 1.0)]


def cut() -> list[Recorded]:
    """The same, cut off 5 s later, and begun again after an hour."""
    story = evening().after(5).given(c.RaiseAlert("children/gate", "too many"))
    begin = len(story.recorded)
    of_run(story.after(3600).given(c.StartRun(RunId("run-2"), NODE, "0", 2)), "run-2", begin)
    return story.recorded


@pytest.mark.parametrize("began_again", [True, False])
def test_watch_of_a_daemon_that_was_cut_off_has_no_known_end(tmp_path: Path, began_again: bool) -> None:
    """It was open when the last event was written, and the hour after that counts for nobody."""
    rows = cut() if began_again else [row for row in cut() if row.run != "run-2"]
    large = of(opened(tmp_path / "journal", rows))[-1]
    assert (large.id, large.end, large.until_ns, large.lasted_s) == ("large", "unknown", at(25), 5.0)
    assert large.reason == "its end is not known: the daemon was cut off"


def test_watch_whose_end_was_lost_has_no_known_end(tmp_path: Path) -> None:
    """Where events were lost, what is open is what the state after them says."""
    rows, after = evening().recorded, states(evening().recorded)
    first = next(row.seq for row in rows if row.type == "UseEnded")
    store = Store(tmp_path / "journal")
    append_all(store, rows[: first - 1], 50)
    store.skip(after[-1])
    lost = of_journal(rows[-1], e.EventsLost(first, len(rows), len(rows) + 1 - first))
    store.append([lost], evolve(after[-1], lost))
    store.close()
    found = of(Reader(tmp_path / "journal"))
    unknown = [watch for watch in found if watch.reason == "its end is not known: events were lost"]
    assert {watch.id for watch in unknown} == {"p1", "p2", "row", "u1"}
    assert {watch.until_ns for watch in unknown} == {at(3)}
    assert [(watch.id, watch.since_ns) for watch in found if watch not in unknown] == [("large", at(20))]


def damaged(folder: Path, kind: str) -> dict[str, Row]:
    """The watches of the evening, in which the last event of this type is damaged, read with salvage."""
    rows = evening().after(100).given(c.RaiseAlert("children/gate", "too many")).recorded
    journal = write_journal(folder, rows)
    change(journal, f"UPDATE event SET body = '{{}}' WHERE seq = {max(r.seq for r in rows if r.type == kind)}")
    return {watch.id: watch for watch in of(Reader(journal, lambda damage: None))}


def test_watch_whose_end_is_damaged_has_no_known_end_with_salvage(tmp_path: Path) -> None:
    """It was open when the last event before the damage was written, and nobody knows whether it was afterwards."""
    found = damaged(tmp_path / "journal", "LeaseEnded")
    assert short(found["row"])[4:] == (11, "unknown")
    assert found["row"].reason == "its end is not known: events after that are damaged"
    assert [found[name].end for name in ("u1", "p2", "p1")] == ["ended"] * 3
    assert found["large"].reason == "its end is not known: the daemon was cut off"


def test_watch_that_ends_after_damage_is_reported_with_its_end(tmp_path: Path) -> None:
    """The damage is of another event."""
    found = damaged(tmp_path / "journal", "PeerConnected")
    assert [short(found[name])[4:] for name in ("u1", "p2", "p1", "row")] == [
        (5, "ended"), (5, "ended"), (11, "ended"), (11, "ended"),
    ]  # fmt: skip


def test_damaged_event_at_the_end_of_the_stretch_leaves_the_end_unknown(tmp_path: Path) -> None:
    """It may be the end of the watch."""
    large = damaged(tmp_path / "journal", "AlertRaised")["large"]
    assert (large.until_ns, large.reason) == (at(20), "its end is not known: events after that are damaged")


def test_more_open_watches_than_any_daemon_allows_are_refused(
    running_journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded, whoever wrote the journal."""
    monkeypatch.setattr(module, "MOST", 2)
    with pytest.raises(JournalError, match="more is open at once"):
        of(Reader(running_journal))


def banken(journal: Path, *arguments: str) -> list[str]:
    done = CliRunner().invoke(main, ["audit", *arguments], env={"BANKEN_JOURNAL": str(journal)})
    assert done.exit_code == 0, done.output
    return done.stdout.partition("\n\n")[0].splitlines()


def test_table_and_json_have_the_same(running_journal: Path) -> None:
    """A line for each; JSON has ISO 8601 times."""
    head, *lines = banken(running_journal, "--utc")
    assert head.split() == [
        "user", "client", "camera", "how", "from", "to", "lasted", "bytes", "lease", "ended",
    ]  # fmt: skip
    assert len(lines) == len(ALL)
    assert lines[1].split()[1] == BEN
    assert "whep, never connected" in lines[1]
    rows = [json.loads(line) for line in banken(running_journal, "--json", "--utc")]
    assert [row["how"] for row in rows] == [row[2] for row in ALL]
    assert (rows[0]["since"], rows[0]["until"]) == ("2027-01-15T08:00:03.000000Z", "2027-01-15T08:00:05.000000Z")
    assert banken(running_journal, "gate", "--client", "192.0.2.99")[0].startswith(
        "192.0.2.99 did not watch gate from "
    )


def test_single_argument_is_a_camera_or_a_journal(running_journal: Path) -> None:
    """A path names a journal; a folder without one does not."""
    assert len(banken(running_journal, "gate")) == 3
    assert len(banken(Path("nowhere"), str(running_journal))) == len(ALL) + 1
    assert len(banken(Path("nowhere"), "gate", str(running_journal))) == 3
    done = CliRunner().invoke(main, ["audit", "gat"], env={"BANKEN_JOURNAL": str(running_journal)})
    assert (done.exit_code, "did you mean gate?" in done.stderr) == (2, True)


def test_help_says_what_is_not_journaled() -> None:
    """Nobody may take it for more than it is."""
    said = " ".join(CliRunner().invoke(main, ["audit", "--help"]).stdout.split())
    assert "no snapshots of a camera that was open already" in said
    assert "no images of a detection" in said
    assert "Without a login, a client is an address and not a person" in said


def test_lines_of_one_tile_have_the_same_lease(tmp_path: Path) -> None:
    """A page's lease and each connection under it have separate lines, so that nobody adds their times up by
    mistake."""
    story = running().given(lease("tile-1", client=ANNA)).after(1)
    story.given(replace(peer("p1", GATE, ANNA), lease=LeaseId("tile-1"), holder="mine"), peer("p2", GATE, BEN))
    story.after(5).given(c.ReportPeerClosed(PeerId("p1"), LEFT), c.ReportPeerClosed(PeerId("p2"), LEFT))
    story.after(1).given(c.EndLease(LeaseId("tile-1"), ASKED))
    journal = write_journal(tmp_path / "journal", story.recorded)
    head, *lines = banken(journal, "--utc")
    place = head.index("lease")
    assert [line[place:].split()[0] for line in lines] == ["tile-1", LEFT.text.split()[0], "tile-1"]
    rows = [json.loads(line) for line in banken(journal, "--json")]
    assert [(row["how"], row["id"], row["lease"]) for row in rows] == [
        ("webrtc", "p1", "tile-1"), ("whep", "p2", ""), ("lease", "tile-1", ""),
    ]  # fmt: skip


@pytest.fixture
def in_bern(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "CET-1")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_bern")
@pytest.mark.parametrize("zone", [["--utc"], []], ids=["utc", "offset"])
def test_columns_of_the_table_are_as_wide_as_their_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: list[str]
) -> None:
    """Each begins below its head, with times that have an offset, long names and addresses of IPv6; also in lines after
    those by which the widths were chosen."""
    monkeypatch.setattr("supervisor.cli.audit.MEASURED", 3)
    long, ipv6 = CameraId("the-camera-above-the-back-door"), "2001:db8:0:1:2:3:4:5"
    story = running(GATE, long)
    for number, (camera, client) in enumerate([(GATE, ANNA), (long, BEN), (GATE, ipv6), (long, ipv6)]):
        story.given(peer(f"p{number}", camera, client)).after(1)
        story.given(c.ReportPeerClosed(PeerId(f"p{number}"), LEFT))
    head, *lines = banken(write_journal(tmp_path / "journal", story.recorded), *zone)
    assert [line[head.index("how") :].startswith("whep, never connected  ") for line in lines] == [True] * 4
    assert [line[head.index("from") :].startswith("2027-01-15 ") for line in lines] == [True] * 4
    assert [line[head.index("to ") :].startswith("2027-01-15 ") for line in lines] == [True] * 4
    assert [line[head.index("ended") :] for line in lines] == [LEFT.text] * 4


def test_watch_that_is_open_where_the_stretch_ends_is_open_at_that_time(tmp_path: Path) -> None:
    """With --to it may have ended since; without, it is still open."""
    journal = write_journal(tmp_path / "journal", evening().recorded)
    stop = shown(at(6), None)
    cut = CliRunner().invoke(main, ["audit", str(journal), "--to", stop])
    assert f"open at {stop}" in cut.stdout, cut.output
    assert "still open" not in cut.stdout


def test_help_lists_every_kind_of_line() -> None:
    """As JSON and the table name them."""
    said = CliRunner().invoke(main, ["audit", "--help"]).stdout
    page = (Path(__file__).parents[3] / "ops" / "docs" / "journal.md").read_text()
    for how in get_args(How):
        assert how in re.sub(r"\s+", " ", said)
        assert how in page


def test_options_choose_and_totals_add_up(tmp_path: Path) -> None:
    """By user, camera and kind; seconds and bytes for each user and camera, without leases."""
    story = running(GATE, YARD).given(lease("tile", client=ANNA)).after(1)
    for number, (camera, client) in enumerate([(GATE, ANNA), (GATE, ANNA), (YARD, ANNA), (GATE, BEN)]):
        name = PeerId(f"p{number}")
        story.given(peer(name, camera, client), c.ReportPeerConnected(name)).after(60)
        story.given(c.ReportPeerClosed(name, LEFT, 3_000_000))
    story.given(peer("never", GATE, BEN)).after(20).given(c.ReportPeerClosed(PeerId("never"), LEFT))
    journal = write_journal(tmp_path / "journal", story.recorded)
    chosen = ["--user", ANNA, "--camera", "gate", "--since", "30d", "--kind", "watched"]
    done = CliRunner().invoke(main, ["audit", *chosen, "--utc"], env={"BANKEN_JOURNAL": str(journal)})
    lines, totals = (part.splitlines() for part in done.stdout.split("\n\n"))
    assert len(lines) == 3
    assert [line.split() for line in totals] == [
        ["user", "camera", "times", "watched", "bytes"], [ANNA, "gate", "2", "2", "min", "5.7", "MiB"],
    ]  # fmt: skip
    rows = [json.loads(line) for line in banken(journal, "--json", *chosen)]
    assert [(row["user"], row["by"], row["bytes"]) for row in rows] == [(ANNA, "client", 3_000_000)] * 2
    everybody = CliRunner().invoke(main, ["audit", "--utc"], env={"BANKEN_JOURNAL": str(journal)})
    assert [line.split()[2] for line in everybody.stdout.split("\n\n")[1].splitlines()[1:]] == ["2", "1", "1"]


def test_csv_has_a_row_for_each_line_and_no_formula(tmp_path: Path) -> None:
    """A spreadsheet runs nothing that a client has sent."""
    story = running(GATE).given(peer("p1", GATE, "=1+1"), c.ReportPeerConnected(PeerId("p1"))).after(1)
    story.given(c.ReportPeerClosed(PeerId("p1"), replace(LEFT, text='he said "bye", and left'), 5))
    head, line = csv.DictReader(banken(write_journal(tmp_path / "journal", story.recorded), "--csv", "--utc")), None
    (line,) = head
    assert (line["client"], line["camera"], line["bytes"], line["reason"]) == (
        "'=1+1", "gate", "5", 'he said "bye", and left',
    )  # fmt: skip
    assert line["since"].endswith("Z")


def test_options_that_exclude_each_other_are_refused(running_journal: Path) -> None:
    """In words."""
    for arguments, said in ((["--json", "--csv"], "exclude each other"), (["gate", "--camera", "yard"], "two cameras")):
        done = CliRunner().invoke(main, ["audit", *arguments], env={"BANKEN_JOURNAL": str(running_journal)})
        assert (done.exit_code, said in done.stderr) == (2, True)
