"""The command, the report and the page draw one journal alike; and the rules that they share."""

import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
import pytest

from supervisor.cli.terminal import COLOURS
from supervisor.cli.timeline import drawing
from supervisor.domain import commands as c
from supervisor.domain.core import Severity
from supervisor.domain.events import Recorded
from supervisor.domain.ids import ChildId, RunId
from supervisor.domain.lifecycle import CameraPhase, ChildPhase, PeerPhase
from supervisor.forensics.chart import (
    APART,
    DAY_S,
    GAP,
    SHAPES,
    STATES,
    Joined,
    Scale,
    boxes,
    gravity,
    joined,
    label,
    ticks,
)
from supervisor.forensics.incident import timeline_svg
from supervisor.forensics.timeline import TROUBLE, timeline
from supervisor.ports.past import Mark, Span, Timeline
from tests.conftest import require
from tests.kit.domain import ASKED, GATE, NODE, PICTURE, SECOND, YARD, child, running
from web.resources.timeline import timeline as served

from .stories import REFUSED, at, of_run, reader_of

PAINTED = Path(__file__).parents[2] / "web" / "dashboard" / "painted.mjs"
COLUMNS = 132
"""Of the terminal. Each is `APART` units of the report and pixels of the page: so marks join alike."""
UNITS = timeline_svg.WIDTH - timeline_svg.LEFT - timeline_svg.RIGHT
PAST, UNTIL = at(-5), at(55)
UNKNOWN = "unknown"
"""The colour of a cell without data."""
COLOURS_OF_STATES = [UNKNOWN, *dict.fromkeys(look.colour for look in STATES.values())]


class Drawn(NamedTuple):
    """An answer of one of the three: for each camera the colour of each column; the columns of marks with the gravest
    severity; the column and the text of each label; the words of the legend."""

    lanes: dict[str, list[str | None]]
    marks: list[tuple[int, Severity]]
    axis: list[tuple[int, str]]
    legend: list[str]


def flapping() -> list[Recorded]:
    """Losses much shorter than a column, marks nearer than a mark is wide, a child that cannot be ended, and a gap."""
    story = running(GATE, YARD).after(1).given(c.ConnectCamera(GATE), c.ConnectCamera(YARD), child()).after(2)
    story.given(c.ReportLive(GATE, PICTURE), c.ReportLive(YARD, PICTURE))
    for seconds in (4, 0.05, 0.11, 0.2, 3.3, 0.02):
        story.after(seconds).given(c.ReportLoss(GATE, REFUSED, 0.01)).after(0.01).given(c.ConnectCamera(GATE))
        story.after(0.01).given(c.ReportLive(GATE, PICTURE))
    story.after(0.3).given(c.RaiseAlert("children/gate", "too many"), c.ReportChildStarted(ChildId("child-1"), 7, 7))
    story.given(
        c.ReportChildSignalled(ChildId("child-1"), "SIGKILL", ASKED), c.ReportChildUnkillable(ChildId("child-1"))
    )
    story.after(0.01).given(c.ReportChildEnded(ChildId("child-1"), None, "SIGKILL", ASKED, ()))
    story.after(6).given(c.ReportLoss(YARD, REFUSED, 2)).after(5).given(c.ConnectCamera(YARD))
    cut = len(story.recorded)
    story.after(10).given(c.StartRun(RunId("run-2"), NODE, "0", 2), c.ConnectCamera(GATE)).after(5)
    story.given(c.ReportLive(GATE, PICTURE))
    of_run(story, "run-2", cut)
    return story.recorded


def folded(cells: list[str | None]) -> list[str | None]:
    """The gravest colour of each column."""
    columns = [cells[begin : begin + APART] for begin in range(0, len(cells), APART)]
    return [max(column, key=lambda each: COLOURS_OF_STATES.index(each) if each else -1) for column in columns]


def of_command(found: Timeline) -> Drawn:
    margin = 7
    axis, *rows, legend = drawing(found, everything=False, columns=COLUMNS + margin)
    colours = {look.sign: look.colour for look in STATES.values()} | {GAP: UNKNOWN, " ": None}
    lanes = {line[:margin].strip(): [colours[sign] for sign in line[margin:]] for line in map(click.unstyle, rows[:-1])}
    severities = {click.style("▾", fg=colour): severity for severity, colour in COLOURS.items()}
    signs = re.findall(r"\x1b\[\d+m▾\x1b\[0m|[▾ ]", rows[-1])[margin:]
    marks = [(column, severities.get(sign, Severity.NOTICE)) for column, sign in enumerate(signs) if sign != " "]
    labels = [(found.start(), found[1]) for found in re.finditer(r"\|(.*?)Z", axis[margin:])]
    words = re.split(r", |  ", re.sub(r"[^\w, ] ", "", click.unstyle(legend)))
    return Drawn(lanes, marks, labels, [word for word in words if word != "see below"])


def of_report(found: Timeline) -> Drawn:
    svg = timeline_svg.draw(found)
    lanes: dict[str, list[str | None]] = {}
    marks: dict[int, list[Severity]] = {}
    names = re.split(r'<text class="name".*?<title>(.*?)</title>', svg, flags=re.DOTALL)
    gaps = re.findall(r'<rect class="gap" x="([\d.]+)" y="8" width="([\d.]+)"', svg)
    bars = [(UNKNOWN, x, width) for x, width in gaps]
    for name, row in zip(names[1::2], names[2::2], strict=True):
        cells: list[str | None] = [None] * UNITS
        drawn = re.findall(r'<rect class="s-(\w+)" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', row)
        for colour, x, width in [*bars, *((STATES[state].colour, x, width) for state, x, width in drawn)]:
            begin = float(x) - timeline_svg.LEFT
            for cell in range(int(begin), min(UNITS, -int(-(begin + float(width)) // 1))):
                cells[cell] = max(cells[cell] or UNKNOWN, colour, key=COLOURS_OF_STATES.index)
        lanes[name] = folded(cells)
        shapes = re.findall(r'<(?:circle|path) class="(\w+)" (?:cx="|d="M)([\d.]+)', row)
        for kind, x in shapes:
            marks.setdefault(int((float(x) - timeline_svg.LEFT) / APART), []).append(Severity(kind))
    labels = re.findall(r'class="tick" x="([\d.]+)" y="\d+" text-anchor="\w+">(.*?)</text>', svg)
    words = re.findall(r"</svg>(.*?)</li>", timeline_svg.legend(found))
    own = [word for word in words if word not in ("child processes", "viewers", *SHAPES)]
    return Drawn(
        {name: cells for name, cells in lanes.items() if name != "banken"},
        gravest(marks),
        [(int((float(x) - timeline_svg.LEFT) / APART), text) for x, text in labels],
        own,
    )


def of_page(found: Timeline) -> Drawn:
    body = msgspec.json.encode({"timeline": msgspec.to_builtins(served(found)), "width": UNITS})
    command = [shutil.which("node") or "node", str(PAINTED)]
    done = subprocess.run(command, input=body, env={"TZ": "UTC"}, stdout=subprocess.PIPE, check=True, timeout=60)
    answer: dict[str, Any] = msgspec.json.decode(done.stdout)
    named = {f"--{name}": name for name in COLOURS_OF_STATES} | {"--sunken": UNKNOWN, None: None}
    shapes = {"--ink": Severity.NOTICE, "--waiting": Severity.WARNING, "--failed": Severity.ERROR}
    marks: dict[int, list[Severity]] = {}
    for row in answer["marks"].values():
        for x, colour in row:
            marks.setdefault(int(x / APART), []).append(shapes[colour])
    return Drawn(
        {name: folded([named[colour] for colour in cells]) for name, cells in answer["lanes"].items()},
        gravest(marks),
        [(int(x / APART), text.removesuffix(" UTC")) for x, text in answer["axis"]],
        answer["legend"],
    )


def gravest(marks: dict[int, list[Severity]]) -> list[tuple[int, Severity]]:
    return [(column, max(severities, key=SHAPES.index)) for column, severities in sorted(marks.items())]


@pytest.fixture
def found(tmp_path: Path) -> Timeline:
    return timeline(reader_of(tmp_path, flapping()), PAST, UNTIL)


@pytest.mark.parametrize("drawn", [of_report, of_page])
def test_report_and_page_draw_a_journal_as_the_command_does(
    found: Timeline, drawn: Callable[[Timeline], Drawn]
) -> None:
    """The same state in each cell, the same joined marks, labels of the axis and words of the legend."""
    if drawn is of_page:
        require(None if shutil.which("node") else "no node on the PATH (Debian package nodejs)")
    with click.Context(click.Command("timeline")) as ctx:
        ctx.meta["supervisor.cli.terminal.zone"] = UTC
        expected, answer = of_command(found), drawn(found)
    assert answer.lanes == expected.lanes
    assert answer.marks == expected.marks
    assert answer.axis == expected.axis
    assert answer.legend == expected.legend


def test_every_phase_has_a_look() -> None:
    """Camera, child and peer: each phase that is drawn as a span, and no other."""
    ends = {CameraPhase.REMOVED.value, ChildPhase.ENDED.value, PeerPhase.CLOSED.value}
    assert set(STATES) == {phase.value for kind in (CameraPhase, ChildPhase, PeerPhase) for phase in kind} - ends


def test_signs_of_a_lane_differ() -> None:
    """Without colours, too: the phases of a camera, and the trouble of children and viewers that its lane shows."""
    lane = [phase.value for phase in CameraPhase if phase is not CameraPhase.REMOVED] + list(TROUBLE)
    assert len({STATES[state].sign for state in lane}) == len(lane)


def span(state: str, begin_ns: int, end_ns: int) -> Span:
    return Span(state, begin_ns, end_ns, None, "")


def test_a_cell_shows_the_gravest_state_that_touches_it() -> None:
    """However short that is, and also where a state is unknown; a cell of two equal spans shows the first."""
    scale = Scale(0, 100, 10)
    spans = [
        span("live", 0, 59),
        span("failed", 59, 60),
        span("live", 60, 85),
        span("live", 85, 95),
        span("new", 95, 96),
    ]
    found = [(box.begin, box.end, box.span.begin_ns) for box in boxes(spans, scale)]
    assert found == [(0, 5, 0), (5, 6, 59), (6, 9, 60), (9, 10, 85)]
    assert boxes([span("idle", 20, 30)], scale) == [(2, 3, span("idle", 20, 30))]
    assert gravity("new") == gravity("idle") < gravity("live") < gravity("unkillable")


def mark(wall_ns: int, severity: Severity) -> Mark:
    return Mark(wall_ns, wall_ns, None, "loss", severity, "")


def test_marks_that_would_hide_each_other_are_one() -> None:
    """It is where the first is, and as grave as the gravest; of equally grave ones it is the first."""
    severities = [Severity.INFO, Severity.NOTICE, Severity.WARNING, Severity.NOTICE, Severity.ERROR, Severity.WARNING]
    marks = [mark(3 * number, severity) for number, severity in enumerate(severities)]
    found = joined(reversed(marks), Scale(0, 100, 100))
    assert found == [Joined(0, marks[2], 3), Joined(9, marks[4], 3)]
    assert joined(marks[:2], Scale(0, 100, 100)) == [Joined(0, marks[0], 2)]


@pytest.mark.parametrize("offset_s", [0, 9 * 3600, -12_600])
@pytest.mark.parametrize("length_s", [1, 61, 3600, 5 * 86_400, 800 * 86_400])
def test_times_of_the_axis_are_round_on_the_clock_of_the_reader(length_s: int, offset_s: int) -> None:
    """They are within the chart, and as far apart as was asked for."""
    scale = Scale(at(7), at(7 + length_s), 924)
    step_s, times = ticks(scale, 132, offset_s)
    assert all((wall_ns + offset_s * SECOND) % (step_s * SECOND) == 0 for wall_ns in times)
    assert all(scale.since_ns <= wall_ns <= scale.until_ns for wall_ns in times)
    assert step_s * 924 / length_s >= 132
    assert len(times) >= (length_s >= 61)


def test_midnight_is_named_by_its_day() -> None:
    """Other times are those of a clock, with seconds where the step needs them."""
    evening, night = datetime(2026, 1, 5, 23, 30, tzinfo=UTC), datetime(2026, 1, 6, tzinfo=UTC)
    assert [label(evening, step_s) for step_s in (15, 60, DAY_S)] == ["23:30:00", "23:30", "01-05"]
    assert {label(night, step_s) for step_s in (15, 60, DAY_S)} == {"01-06"}
