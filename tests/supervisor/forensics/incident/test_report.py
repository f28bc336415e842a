"""The report: its first words say what happened, and its chart can be read, on a telephone and on paper, too."""

import json
import re
from pathlib import Path

import pytest

from supervisor.domain import commands as c
from supervisor.domain import events as e
from supervisor.domain.ids import CameraId, DeviceId
from supervisor.domain.values import Limits
from supervisor.forensics.incident import report as module
from supervisor.forensics.incident.summary import NAMED, paragraphs
from supervisor.forensics.incident.timeline_svg import LEFT, LETTER, RIGHT, WIDTH, draw
from supervisor.forensics.incident.verify import unpack, verify
from supervisor.forensics.troubles import Outage, Stuck, Trouble
from supervisor.ports.past import Timeline
from tests.kit.domain import ASKED, GATE, PICTURE, TEMPORARY, YARD, live, running, settings
from tests.kit.journals import write_journal
from tests.supervisor.forensics.stories import night_with_causes

from .test_bundle import take, text_of

MINUTE = 60 * 10**9
BEGIN = 1_767_571_200 * 10**9 + 23 * 60 * MINUTE
"""2026-01-05, 23:00 UTC"""
END = BEGIN + 120 * MINUTE
RAN_S = 7200.0


def lost(*outages: Outage, end_ns: int | None = None, text: str = "connection refused") -> Trouble:
    return Trouble("lost", outages[0].begin_ns, end_ns, text, 1, outages)


def test_paragraph_has_camera_times_cause_viewers_and_end() -> None:
    """The day stands where it is another."""
    until = BEGIN + 90 * MINUTE
    outage = Outage(GATE, BEGIN, until, viewers=1, refused=2, missed=1, gone_ns=until - BEGIN)
    assert paragraphs([lost(outage, end_ns=until)], BEGIN, END, None, RAN_S) == [
        "gate gave no picture from 2026-01-05 23:00:00 to 2026-01-06 00:30:00 UTC (90 min). "
        "The first cause: connection refused. 1 viewer was without the picture of gate. "
        "Requests refused: 2 for gate. In this stretch the patrol got no picture of gate 1 time. "
        "It was over at 2026-01-06 00:30:00 UTC."
    ]


def test_viewers_of_several_cameras_are_counted_in_one_sentence() -> None:
    """The outages of each camera have their own sentence."""
    outages = [
        Outage(name, BEGIN, BEGIN + MINUTE, viewers, 0, 0, gone_ns=MINUTE) for name, viewers in ((GATE, 2), (YARD, 1))
    ]
    (said,) = paragraphs([lost(*outages, end_ns=BEGIN + MINUTE)], BEGIN, END, None, RAN_S)
    assert "Viewers without a picture: 2 of gate and 1 of yard." in said


def test_a_paragraph_says_what_is_not_over_and_what_is_older() -> None:
    """Without a length, which nobody knows."""
    outage = Outage(GATE, BEGIN, None, 0, 0, 0, before=True)
    assert paragraphs([lost(outage)], BEGIN, END, None, RAN_S) == [
        "gate gave no picture from before 2026-01-05 23:00:00 UTC on. The first cause: connection refused. "
        "It was not over at the end of this report, 2026-01-06 01:00:00 UTC."
    ]


def test_a_paragraph_says_that_the_daemon_stopped_before_it_was_over() -> None:
    """An orderly stop ends the record, not the fault."""
    until = BEGIN + MINUTE
    outage = Outage(GATE, BEGIN, until, 0, 0, 0, times=2, gone_ns=MINUTE // 2, stopped=True)
    assert paragraphs([lost(outage, end_ns=until)], BEGIN, END, None, RAN_S) == [
        "gate gave no picture 2 times from 2026-01-05 23:00:00 to 23:01:00 UTC (30 s in all). The first cause: "
        "connection refused. The daemon stopped before it was over, at 23:01:00 UTC."
    ]


def test_a_paragraph_names_at_most_six_cameras_and_those_with_the_same_times_together() -> None:
    """The others are counted."""
    outages = [Outage(CameraId(f"cam-{n}"), BEGIN, BEGIN + MINUTE, 0, 0, 0, gone_ns=MINUTE) for n in range(9)]
    (said,) = paragraphs([lost(*outages, end_ns=BEGIN + MINUTE)], BEGIN, END, None, RAN_S)
    begin = "cam-0, cam-1, cam-2, cam-3, cam-4 and cam-5 gave no picture from 2026-01-05 23:00:00 to 23:01:00 UTC"
    assert said.startswith(f"{begin} (60 s); 3 more cameras. ")


def test_processes_are_counted_with_the_connection_that_they_held() -> None:
    """One, several, and one without a camera."""
    until = BEGIN + MINUTE
    one = Stuck(GATE, BEGIN, until, stray=False)
    outage = Outage(GATE, BEGIN, until, 0, 0, 0)

    def paragraph_of(*stuck: Stuck, device: str | None = None, outages: tuple[Outage, ...] = (outage,)) -> str:
        box = DeviceId(device) if device else None
        return paragraphs([Trouble("stuck", BEGIN, until, "", 1, outages, stuck, box)], BEGIN, END, None, RAN_S)[0]

    assert "The first cause: 1 process of gate that could not be killed from 23:00:00 to 23:01:00 UTC." in paragraph_of(
        one
    )
    assert "1 process of gate that could not be killed held 1 connection to box from" in paragraph_of(one, device="box")
    two = paragraph_of(one, Stuck(YARD, BEGIN, until, stray=True), device="box")
    assert "2 processes that could not be killed held 2 connections to box: one of gate from" in two
    alone = paragraph_of(Stuck(CameraId(""), BEGIN, until, True, "stray"), outages=())
    assert alone.startswith("1 process of no camera that nobody supervised from 2026-01-05 23:00:00 to 23:01:00 UTC.")
    programs = [Stuck(CameraId(""), BEGIN, until, False, purpose) for purpose in ("daemon/switcher", "decoder")]
    assert paragraph_of(*programs, outages=()).startswith(
        "2 processes that could not be killed: one of daemon/switcher from 2026-01-05 23:00:00 to 23:01:00 UTC and "
        "one of the decoder from"
    )


def test_report_shows_five_troubles_and_counts_the_others() -> None:
    """A report never begins with nothing."""
    other = Trouble("other", BEGIN, BEGIN, "the journal could not write for 9.0 s", 1)
    down = Trouble("down", BEGIN, BEGIN + MINUTE, "the daemon was cut off", 1)
    said = paragraphs([down, *[other] * (NAMED + 1)], BEGIN, END, None, RAN_S)
    assert said[0] == "Nothing is known between 2026-01-05 23:00:00 and 23:01:00 UTC: the daemon was cut off."
    assert said[1] == "2026-01-05 23:00:00 UTC: the journal could not write for 9.0 s."
    assert said[-1] == "2 lesser troubles of this stretch can be found in the tables."
    (calm,) = paragraphs([], BEGIN, END, None, RAN_S)
    assert calm == (
        "From 2026-01-05 23:00:00 to 2026-01-06 01:00:00 UTC no camera that was wanted lost its picture, and "
        "nothing else went wrong."
    )


def test_paragraphs_say_for_how_long_no_daemon_ran() -> None:
    """An orderly stop is no trouble, and yet nobody knows of that time."""
    calm, gap = paragraphs([], BEGIN, END, None, RAN_S - 3600)
    assert calm.endswith("nothing else went wrong.")
    assert gap == "No daemon is known to have run for 60 min of this stretch."
    outage = Outage(GATE, BEGIN, BEGIN + MINUTE, 0, 0, 0, gone_ns=MINUTE)
    assert paragraphs([lost(outage)], BEGIN, END, None, RAN_S - 3600)[-1] == gap


def test_a_camera_that_was_lost_while_no_time_counts_was_lost_at_an_instant() -> None:
    """Or so often, in a stretch."""
    once, often = Outage(GATE, BEGIN, BEGIN, 0, 0, 0, losses=1), Outage(GATE, BEGIN, BEGIN + MINUTE, 0, 0, 0, losses=3)
    (said,) = paragraphs([lost(once, end_ns=BEGIN)], BEGIN, END, None, RAN_S)
    assert said.startswith("gate was lost at 2026-01-05 23:00:00 UTC. The first cause")
    (said,) = paragraphs([lost(often, end_ns=BEGIN + MINUTE)], BEGIN, END, None, RAN_S)
    assert said.startswith("gate was lost 3 times from 2026-01-05 23:00:00 to 23:01:00 UTC. The first cause")


def test_round_that_a_stop_cut_short_is_no_error_of_the_report(tmp_path: Path) -> None:
    """Older versions wrote a round without pictures and an alert into the journal."""
    story = live().after(5).given(c.StopRun(ASKED))
    for event in (e.PatrolEnded("round", 0, (GATE,), 0.0, 0), e.AlertRaised("patrol/round", "none of gate")):
        story.fold(event)
    story.given(c.RestCamera(GATE, ASKED), c.ClearAlert("patrol/round"), c.EndRun())
    folder = write_journal(tmp_path / "journal", story.recorded)
    take(folder, tmp_path / "it.zip", story.recorded[0], story.recorded[-1])
    report = text_of(tmp_path / "it.zip", "report.html")
    assert "0 errors, 0 warnings" in report
    assert "lost its picture, and nothing else went wrong." in report
    assert "<article>" not in report, "nothing came to anything"
    assert '<path class="error"' not in report
    assert '"verdict": "critical"' not in text_of(tmp_path / "it.zip", "health.json")


SPANS_S = (0.5, 3, 59, 61, 600, 3601, 3 * 3600, 86400, 90 * 3600, 8 * 86400, 90 * 86400, 800 * 86400)


@pytest.mark.parametrize("span_s", SPANS_S)
@pytest.mark.parametrize("offset_s", [0, 1, 1799, 43_201])
def test_labels_of_the_axis_are_round_times_and_do_not_meet(span_s: float, offset_s: int) -> None:
    """At the size of letters that a telephone and paper have; the zone has its own line."""
    since = BEGIN + offset_s * 10**9
    drawing = draw(Timeline(since, since + int(span_s * 1e9), (), (), ()))
    labels = re.findall(r'<text class="tick" x="([\d.]+)" y="(\d+)"(?: text-anchor="(\w+)")?>([^<]*)</text>', drawing)
    assert "times in UTC" in labels[0][3]
    ends = [0.0]
    for x, y, anchor, words in labels[1:]:
        assert y != labels[0][1]
        wide = len(words) * LETTER
        begin = float(x) - {"start": 0, "middle": wide / 2, "end": wide}[anchor]
        assert begin >= max(ends[-1], LEFT)
        ends.append(begin + wide)
        assert re.fullmatch(r"\d\d:\d\d(:\d\d)?|\d\d-\d\d", words)
    assert ends[-1] <= WIDTH + RIGHT
    assert len(labels) >= (3 if span_s >= 3 else 1)


def test_report_counts_one_error_and_one_warning_in_the_singular(tmp_path: Path) -> None:
    """In its header."""
    story = live().after(5).given(c.ReportLoss(GATE, TEMPORARY, 0.5), c.RaiseAlert("children/gate", "too many"))
    folder = write_journal(tmp_path / "journal", story.recorded)
    take(folder, tmp_path / "it.zip", story.recorded[0], story.recorded[-1])
    assert "; 1 error, 1 warning<" in text_of(tmp_path / "it.zip", "report.html")


def test_long_chain_has_its_first_step_and_the_last_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps between are counted, so that the beginning is never lost."""
    rows = night_with_causes()
    folder = write_journal(tmp_path / "journal", rows)
    found = []
    for most in (24, 2):
        monkeypatch.setattr(module, "SHOWN_STEPS", most)
        take(folder, tmp_path / f"{most}.zip", rows[0], rows[-1])
        chains = re.findall('<ol class="chain">(.*?)</ol>', text_of(tmp_path / f"{most}.zip", "report.html"), re.DOTALL)
        found.append([re.findall('<li class="(?:note">([^<]*)|.*?href="#e([0-9]+)")', chain) for chain in chains])
    whole, cut = max(zip(*found, strict=True), key=lambda pair: len(pair[0]))
    assert len(whole) > 3
    assert cut == [whole[0], (f"{len(whole) - 2} steps are left out", ""), whole[-1]]


def test_report_has_the_cameras_in_the_order_of_the_configuration(tmp_path: Path) -> None:
    """In its table, in its chart, and in the configuration beside it."""
    names = [YARD, CameraId("cam-2"), CameraId("cam-10")]
    rows = running(*names).after(1).given(c.StopRun(ASKED)).recorded
    take(write_journal(tmp_path / "journal", rows), tmp_path / "it.zip", rows[0], rows[-1])
    report = text_of(tmp_path / "it.zip", "report.html")
    assert re.findall("<th scope=row>(.*?)</th>", report) == names
    assert re.findall('class="name".*?<title>(.*?)</title>', report, re.DOTALL)[1:] == names
    configured = json.loads(text_of(tmp_path / "it.zip", "configuration.json"))
    assert [one["camera"] for one in configured["end"]["cameras"]] == names


def test_report_of_a_renamed_camera_names_the_other(tmp_path: Path) -> None:
    """In its header, with the time in UTC."""
    story, porch = live().after(60), CameraId("porch")
    rows = story.given(c.Configure("test", (settings(porch),), Limits())).after(1).given(c.StopRun(ASKED)).recorded
    folder = write_journal(tmp_path / "journal", rows)
    for camera, said in (
        (GATE, "gate was removed from the configuration at 2027-01-15T08:01:00.000Z (#"),
        (porch, "porch was added at 2027-01-15T08:01:00.000Z (#"),
    ):
        take(folder, tmp_path / f"{camera}.zip", rows[0], rows[-1], camera)
        assert f"<dd>only {camera}; {said}" in text_of(tmp_path / f"{camera}.zip", "report.html")


def test_report_is_about_the_stretch_that_was_asked_for(tmp_path: Path) -> None:
    """Also where the bundle holds more, since a batch is longer: words, table, list and verdicts are of one stretch.

    Its files are the same where it is imported, though the manifest has the times in milliseconds.
    """
    story = live().after(5.0004567).given(c.ReportLoss(GATE, TEMPORARY, 0.5)).after(5)
    story.given(c.ConnectCamera(GATE), c.ReportLive(GATE, PICTURE)).after(10)
    since = story.given(c.RaiseAlert("children/gate", "too many")).recorded[-1]
    until = story.after(10).given(c.ClearAlert("children/gate")).recorded[-1]
    story.after(5).given(c.ReportLoss(GATE, TEMPORARY, 0.5)).after(5).given(c.StopRun(ASKED))
    folder = write_journal(tmp_path / "journal", story.recorded, batch=100)
    assert take(folder, tmp_path / "it.zip", since, until).events == len(story.recorded)
    unpack(tmp_path / "it.zip", tmp_path / "there")
    for report in (text_of(tmp_path / "it.zip", "report.html"), (tmp_path / "there" / "report.html").read_text()):
        assert "gave no picture" not in report
        assert f"<dd>{since.seq} to {until.seq} in the journal; " in report
        assert re.findall('<tr class="[a-z]*" id="e([0-9]+)">', report) == [str(since.seq), str(until.seq)]
        figures = report.partition("<h2>Availability")[2]
        assert re.findall("<td class=number>(.*?)</td>", figures)[:2] == ["100.00 %", "10 s"]
    assert verify(tmp_path / "it.zip").differing == ()
