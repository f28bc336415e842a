"""`banken timeline` and `banken stats`: a stretch of time at a glance, drawn and in numbers."""

import shutil
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import click
from msgspec.structs import replace

from ..domain.ids import CameraId
from ..domain.words import plural, seconds
from ..forensics.chart import GAP, NO_DATA, STATES, Scale, boxes, joined, label, ticks
from ..forensics.statistics import COLUMNS, SORTS, remarks, statistics
from ..forensics.timeline import timeline as draw
from ..journal.reader import Reader
from ..ports.past import Lane, Timeline
from ..ports.questions import At
from .journal_argument import JOURNAL, JSON, SALVAGE, between, open_reader, require_camera, stretch_of
from .terminal import COLOURS, clean, local, local_time, say, say_json

_CAMERAS = click.option("--camera", "cameras", metavar="NAME", multiple=True, help="Only this camera; may be repeated.")
ANSI = {
    "connecting": "cyan", "live": "green", "queued": "magenta", "stalled": "yellow", "waiting": "yellow",
    "failed": "red", "quarantined": "red",
}  # fmt: skip
"""The colours of the chart that a terminal has."""
NARROWEST, PLAIN_WIDTH = 40, 100
MARKS_SHOWN = 20
LABEL = 28
"""Letters of a lane's name that there is room for."""
TICK = 20
"""Columns between the times of the axis: `|23:00:00+09:00` and some space."""


@click.command()
@JOURNAL
@between
@_CAMERAS
@click.option("--all", "everything", is_flag=True, help="Include children, viewers and every mark.")
@JSON
@SALVAGE
def timeline(
    journal: Path, since: At | None, until: At | None, cameras: tuple[str, ...], everything: bool, as_json: bool,
    salvage: bool,
) -> None:  # fmt: skip
    """Draw the states of the cameras over time, side by side; ░ is time without data."""
    with open_reader(journal, salvage) as reader:
        part = stretch_of(reader, since, until)
        found = draw(reader, part.since_ns, part.until_ns, _chosen(reader, cameras), part.events)
        if as_json:
            say_json(found)
        else:
            _draw(found, everything)


@click.command()
@JOURNAL
@between
@_CAMERAS
@click.option(
    "--sort", type=click.Choice(("camera", *SORTS)), default="camera",
    help="Sort by this, the worst first; camera: in the order of the configuration.",
)  # fmt: skip
@JSON
@SALVAGE
def stats(
    journal: Path, since: At | None, until: At | None, cameras: tuple[str, ...], sort: str, as_json: bool, salvage: bool
) -> None:
    """Print the availability of the cameras: live share of the time wanted, patrol cycles, snapshots, losses.

    A camera that is not always open is wanted while somebody holds a lease on it. `away` is the longest time without a
    frame, or without a successful patrol cycle. Each failed attempt to open a camera is a loss.
    """
    with open_reader(journal, salvage) as reader:
        part = stretch_of(reader, since, until)
        found = statistics(reader, part.since_ns, part.until_ns, _chosen(reader, cameras), part.events)
        if sort in SORTS:
            found = replace(found, cameras=tuple(sorted(found.cameras, key=SORTS[sort])))
        if as_json:
            say_json(found)
            return
        say(f"{local(found.since_ns)} to {local(found.until_ns)}; a daemon ran for {seconds(found.ran_s)}")
        rows = [(clean(one.camera), *(words(one) for words in COLUMNS.values())) for one in found.cameras]
        heads = ("camera", *COLUMNS)
        widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
        for row, remark in zip((heads, *rows), ("", *map(remarks, found.cameras)), strict=True):
            cells = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
            say("  ".join((row[0].ljust(widths[0]), *cells, clean(remark))).rstrip())


def _chosen(reader: Reader, cameras: tuple[str, ...]) -> list[CameraId] | None:
    return [require_camera(reader, name) for name in cameras] or None


def _draw(found: Timeline, everything: bool) -> None:
    columns = shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns if sys.stdout.isatty() else PLAIN_WIDTH
    for line in drawing(found, everything, columns):
        say(line)
    for gap in found.gaps:
        say(f"{GAP} {local(gap.begin_ns)} to {local(gap.end_ns)}: {clean(gap.text)}")
    shown = found.marks if everything else found.marks[-MARKS_SHOWN:]
    if len(shown) < len(found.marks):
        say(f"… {plural(len(found.marks) - len(shown), 'mark')} before; --all shows them")
    for mark in shown:
        kind = click.style(f"{mark.kind:<13}", fg=COLOURS.get(mark.severity))
        say(f"▾ {local(mark.wall_ns)}  {kind} {clean(mark.text)}  {click.style(f'#{mark.seq}', dim=True)}")


def drawing(found: Timeline, everything: bool, columns: int) -> Iterator[str]:
    """The lines of the chart, at most `columns` wide: the axis, the lanes, the marks, the legend."""
    lanes = [lane for lane in found.lanes if everything or lane.kind == "camera"]
    names = {id(lane): _label(lane) for lane in lanes}
    margin = max([6, *(len(name) for name in names.values())]) + 1
    scale = Scale(found.since_ns, found.until_ns, max(columns, NARROWEST) - margin)
    yield f"{local_time(found.since_ns):%m-%d}".ljust(margin) + _axis(scale)
    for lane in lanes:
        yield f"{names[id(lane)]:<{margin}}{_row(found, lane, scale)}"
    yield f"{'':<{margin}}{_marks(found, scale)}".rstrip()
    used = {span.state for lane in lanes for span in (*lane.spans, *lane.below)}
    named: dict[str, list[str]] = {}
    for state in STATES:
        if state in used:
            named.setdefault(_sign(state), []).append(state)
    legend = [f"{sign} {', '.join(states)}" for sign, states in named.items()]
    gaps, marks = [f"{GAP} {NO_DATA}"] if found.gaps else [], ["▾ see below"] if found.marks else []
    yield "  ".join([*legend, *gaps, *marks])


def _label(lane: Lane) -> str:
    """The name of a lane; one that is too long ends in an ellipsis."""
    name = clean(lane.name if lane.kind == "camera" else f"  {lane.kind} {lane.name}")
    return name if len(name) <= LABEL else f"{name[: LABEL - 1]}…"


def _axis(scale: Scale) -> str:
    """Times with their offset, each over the column where it begins."""
    offset = local_time(scale.since_ns).utcoffset() or timedelta()
    step_s, times = ticks(scale, TICK, int(offset.total_seconds()))
    text = ""
    for wall_ns in times:
        column = int(scale.place(wall_ns))
        words = f"|{label(local_time(wall_ns), step_s)}{local(wall_ns)[23:]}"
        if column + len(words) <= scale.width:
            text = text.ljust(column) + words
    return text


def _row(found: Timeline, lane: Lane, scale: Scale) -> str:
    """A lane as signs, with the trouble of the children and viewers below it."""
    cells = [" "] * scale.width
    for gap in found.gaps:
        for column in scale.cells(gap.begin_ns, gap.end_ns):
            cells[column] = GAP
    for box in boxes((*lane.spans, *lane.below), scale):
        cells[box.begin : box.end] = [_sign(box.span.state)] * (box.end - box.begin)
    return "".join(cells)


def _sign(state: str) -> str:
    look = STATES.get(state, STATES["idle"])
    return click.style(look.sign, fg=ANSI[look.colour]) if look.colour in ANSI else look.sign


def _marks(found: Timeline, scale: Scale) -> str:
    cells = [" "] * scale.width
    for each in joined(found.marks, scale, apart=1):
        cells[min(scale.width - 1, int(each.place))] = click.style("▾", fg=COLOURS.get(each.mark.severity))
    return "".join(cells)
