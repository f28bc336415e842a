"""`banken timeline` and `banken stats`: a stretch of time at a glance, drawn and in numbers."""

import shutil
import sys
from pathlib import Path

import click

from ..analysis.statistics import statistics
from ..analysis.timeline import Lane, Timeline
from ..analysis.timeline import timeline as draw
from ..domain.describe import seconds
from ..domain.ids import CameraId
from ..journal.reader import Reader
from .opening import JOURNAL, JSON, SALVAGE, between, open_reader, require_camera, stretch_of
from .words import COLOURS, At, clean, local, say, say_json

_CAMERAS = click.option("--camera", "cameras", metavar="NAME", multiple=True, help="Only this camera; may be repeated.")
SIGNS = {
    "idle": ("·", None), "connecting": ("▒", "cyan"), "starting": ("▒", "cyan"), "negotiating": ("▒", "cyan"),
    "live": ("█", "green"), "connected": ("█", "green"), "running": ("█", "green"), "closing": ("▄", "yellow"),
    "stopping": ("▄", "yellow"), "stalled": ("▓", "yellow"), "silent": ("▓", "yellow"), "queued": ("▂", "magenta"),
    "waiting": ("▄", "yellow"), "failed": ("▀", "red"), "quarantined": ("▀", "red"), "unkillable": ("▀", "red"),
}  # fmt: skip
"""A phase's sign and colour; where several share a column, the one that stands last here is drawn: it matters most."""
GAP = "░"
NARROWEST, PLAIN_WIDTH = 40, 100
MARKS_SHOWN = 20


@click.command()
@JOURNAL
@between
@_CAMERAS
@click.option("--all", "everything", is_flag=True, help="Children and viewers, too, and every mark.")
@JSON
@SALVAGE
def timeline(
    journal: Path, since: At | None, until: At | None, cameras: tuple[str, ...], everything: bool, as_json: bool,
    salvage: bool,
) -> None:  # fmt: skip
    """Draw what the cameras were doing, side by side; ░ is where nobody looked."""
    with open_reader(journal, salvage) as reader:
        part = stretch_of(reader, since, until)
        found = draw(reader, part.since_ns, part.until_ns, _chosen(reader, cameras))
        if as_json:
            say_json(found)
        else:
            _draw(found, everything)


@click.command()
@JOURNAL
@between
@_CAMERAS
@JSON
@SALVAGE
def stats(
    journal: Path, since: At | None, until: At | None, cameras: tuple[str, ...], as_json: bool, salvage: bool
) -> None:
    """Say how the cameras did: how much of the time live, how often lost, how soon back, and why."""
    with open_reader(journal, salvage) as reader:
        part = stretch_of(reader, since, until)
        found = statistics(reader, part.since_ns, part.until_ns, _chosen(reader, cameras))
        if as_json:
            say_json(found)
            return
        say(f"{local(found.since_ns)} to {local(found.until_ns)}; a daemon ran for {seconds(found.ran_s)}")
        width = max([6, *(len(clean(one.camera)) for one in found.cameras)])
        say(f"{'camera':<{width}}  {'live':>8}  {'restarts':>8}  {'per hour':>8}  {'back in':>8}  {'at most':>10}")
        for one in found.cameras:
            share = "-" if one.availability is None else f"{one.availability:.2%}"
            hourly = "-" if one.restarts_per_hour is None else f"{one.restarts_per_hour:.1f}"
            back, most = ("-" if s is None else seconds(s) for s in (one.recover_median_s, one.recover_max_s))
            errors = ", ".join(f"{clean(code)} {count}" for code, count in one.errors.items())
            line = f"{clean(one.camera):<{width}}  {share:>8}  {one.restarts:>8}  {hourly:>8}  {back:>8}  {most:>10}"
            say(f"{line}  {errors}".rstrip())


def _chosen(reader: Reader, cameras: tuple[str, ...]) -> list[CameraId] | None:
    return [require_camera(reader, name) for name in cameras] or None


def _draw(found: Timeline, everything: bool) -> None:
    lanes = [lane for lane in found.lanes if everything or lane.kind == "camera"]
    columns = shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns if sys.stdout.isatty() else PLAIN_WIDTH
    names = {
        id(lane): clean(lane.name if lane.kind == "camera" else f"  {lane.kind} {lane.name}")[:28] for lane in lanes
    }
    margin = max([6, *(len(name) for name in names.values())]) + 1
    width = max(columns, NARROWEST) - margin
    day = local(found.since_ns)[:10] != local(found.until_ns)[:10]
    say(f"{'':<{margin}}{_axis(found, width, day)}")
    for lane in lanes:
        say(f"{names[id(lane)]:<{margin}}{_row(found, lane, width)}")
    say(f"{'':<{margin}}{_marks(found, width)}".rstrip())
    used = {span.state for lane in lanes for span in lane.spans}
    legend = [f"{click.style(sign, fg=colour)} {state}" for state, (sign, colour) in SIGNS.items() if state in used]
    say(
        "  ".join(
            [*legend, *([f"{GAP} nobody looked"] if found.gaps else []), *(["▾ see below"] if found.marks else [])]
        )
    )
    for gap in found.gaps:
        say(f"{GAP} {local(gap.begin_ns)} to {local(gap.end_ns)}: {clean(gap.text)}")
    shown = found.marks if everything else found.marks[-MARKS_SHOWN:]
    if len(shown) < len(found.marks):
        say(f"… {len(found.marks) - len(shown)} marks before; --all shows them")
    for mark in shown:
        kind = click.style(f"{mark.kind:<13}", fg=COLOURS.get(mark.severity))
        say(f"▾ {local(mark.wall_ns)}  {kind} {clean(mark.text)}  {click.style(f'#{mark.seq}', dim=True)}")


def _axis(found: Timeline, width: int, day: bool) -> str:
    """Times, each over the column where it begins."""
    text = ""
    form = slice(5, 16) if day else slice(11, 19)
    while len(text) + 12 < width:
        when_ns = found.since_ns + (found.until_ns - found.since_ns) * len(text) // width
        text += f"|{local(when_ns)[form]}".ljust(max(16, width // 5))
    return text[:width].rstrip()


def _row(found: Timeline, lane: Lane, width: int) -> str:
    """A lane as signs; in each column the phase that matters most: a loss of some seconds is not to be overlooked."""
    length = max(1, found.until_ns - found.since_ns)
    ranks = {state: rank for rank, state in enumerate(SIGNS)}
    cells = [""] * width
    for span in lane.spans:
        begin, end = (at - found.since_ns for at in (span.begin_ns, span.end_ns))
        for column in range(begin * width // length, min(width - 1, (end - 1) * width // length) + 1):
            if not cells[column] or ranks.get(span.state, -1) > ranks.get(cells[column], -1):
                cells[column] = span.state
    for gap in found.gaps:
        if gap.kind == "down" and lane.kind == "camera":
            begin, end = (at - found.since_ns for at in (gap.begin_ns, gap.end_ns))
            for column in range(-(-begin * width // length), min(width, end * width // length)):
                cells[column] = GAP
    return "".join(_sign(state) for state in cells)


def _sign(state: str) -> str:
    sign, colour = SIGNS.get(state, (GAP if state else " ", None))
    return click.style(sign, fg=colour) if colour else sign


def _marks(found: Timeline, width: int) -> str:
    length = max(1, found.until_ns - found.since_ns)
    columns = {min(width - 1, (mark.wall_ns - found.since_ns) * width // length) for mark in found.marks}
    return "".join("▾" if column in columns else " " for column in range(width))
