"""How a timeline is drawn, the same by `banken timeline`, in the report and on the page. Pure.

Rules of this file:
- A cell is a column of the terminal, a unit of the report's chart, a pixel of the page. It shows the gravest of the
  states that touch it: a loss of some seconds is not to be overlooked. No state: there is no data where a gap touches.
- A mark that is nearer than `APART` to the first one of a group joins it. The group is drawn there, as its gravest one.
- The axis has round times of the reader's zone. Midnight is named by its day.
- The page has the tables from `ops/chart.py`. It applies the rules to what is in view; a test compares the answers.
"""

from collections.abc import Iterable
from datetime import datetime, time
from itertools import groupby
from typing import NamedTuple

import attrs

from ..domain.core import Severity
from ..ports.past import Mark, Span


class Look(NamedTuple):
    """The appearance of a state."""

    sign: str
    """One letter, for a terminal. States that a lane may have differ in it."""
    colour: str
    """The name of its colour: `--NAME` in the style sheets."""
    pattern: str
    """For those who cannot distinguish colours: each colour of a lane has its own."""


STATES = {
    "idle": Look("·", "idle", "line"),
    "live": Look("█", "live", "solid"),
    "running": Look("█", "live", "solid"),
    "connected": Look("█", "live", "solid"),
    "connecting": Look("▒", "connecting", "rising"),
    "starting": Look("▒", "connecting", "rising"),
    "negotiating": Look("▒", "connecting", "rising"),
    "queued": Look("▂", "queued", "dots"),
    "closing": Look("▗", "waiting", "falling"),
    "stopping": Look("▗", "waiting", "falling"),
    "stalled": Look("▓", "stalled", "bars"),
    "silent": Look("▞", "stalled", "bars"),
    "waiting": Look("▄", "waiting", "falling"),
    "failed": Look("▀", "failed", "crossed"),
    "quarantined": Look("▔", "quarantined", "crossed"),
    "unkillable": Look("▙", "failed", "crossed"),
}
"""The states of cameras, children and viewers. The later, the graver. A state that is not here looks like idle."""
SHAPES = (Severity.NOTICE, Severity.WARNING, Severity.ERROR)
"""The severities of marks that are drawn differently. The later, the graver. Others look like the first."""
NO_DATA, GAP = "no data", "░"
"""The word and the sign for a time of which nothing is known."""
APART = 7
"""The distance between marks, in units or pixels; in a terminal it is one column."""
STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800)
"""Steps of the axis, in seconds. Longer ones are multiples of the last."""
DAY_S = 86_400
_GRAVITY = {state: number for number, state in enumerate(STATES)}


def gravity(state: str) -> int:
    """The place of a state in `STATES`."""
    return _GRAVITY.get(state, 0)


def shape(severity: Severity) -> int:
    """The place of a mark's shape in `SHAPES`."""
    return SHAPES.index(severity) if severity in SHAPES else 0


@attrs.frozen
class Scale:
    """`width` cells for the time between two instants."""

    since_ns: int
    until_ns: int
    width: int

    @property
    def length_ns(self) -> int:
        return max(1, self.until_ns - self.since_ns)

    def place(self, wall_ns: int) -> float:
        """The place of a time, in cells from the left edge; a time outside is at the edge."""
        return min(max((wall_ns - self.since_ns) * self.width / self.length_ns, 0.0), float(self.width))

    def cells(self, begin_ns: int, end_ns: int) -> range:
        """The cells that a stretch touches. It is at least partly within."""
        first = (max(begin_ns, self.since_ns) - self.since_ns) * self.width // self.length_ns
        end = -(-(min(end_ns, self.until_ns) - self.since_ns) * self.width // self.length_ns)
        return range(min(first, self.width - 1), min(end, self.width))


class Box(NamedTuple):
    """Neighbouring cells that show the same span: from `begin` up to, without, `end`."""

    begin: int
    end: int
    span: Span


def boxes(spans: Iterable[Span], scale: Scale) -> list[Box]:
    """The cells of a lane that show a state, from left to right. The spans may lie above each other."""
    cells: list[Span | None] = [None] * scale.width
    for span in spans:
        for cell in scale.cells(span.begin_ns, span.end_ns):
            shown = cells[cell]
            if shown is None or gravity(span.state) > gravity(shown.state):
                cells[cell] = span
    found, begin = [], 0
    for _, same in groupby(cells, key=id):
        run = list(same)
        if run[0] is not None:
            found.append(Box(begin, begin + len(run), run[0]))
        begin += len(run)
    return found


class Joined(NamedTuple):
    """Marks that would hide each other: where they are drawn, in cells, as which of them, and how many they are."""

    place: float
    mark: Mark
    together: int


def joined(marks: Iterable[Mark], scale: Scale, apart: float = APART) -> list[Joined]:
    """The marks, in the order of time, in groups. Of equally grave marks the first is drawn."""
    found: list[Joined] = []
    for mark in sorted(marks, key=lambda mark: mark.wall_ns):
        place = scale.place(mark.wall_ns)
        if not found or place - found[-1].place >= apart:
            found.append(Joined(place, mark, 1))
            continue
        first, gravest, together = found[-1]
        graver = shape(mark.severity) > shape(gravest.severity)
        found[-1] = Joined(first, mark if graver else gravest, together + 1)
    return found


def ticks(scale: Scale, apart: float, offset_s: int = 0) -> tuple[int, list[int]]:
    """The step of the axis in seconds, and its times. They are at least `apart` cells from each other.

    `offset_s`: how far the reader's clock is ahead of UTC.
    """
    least_s = scale.length_ns * apart / scale.width / 1e9
    step_s = next((step for step in STEPS_S if step >= least_s), int(-(-least_s // STEPS_S[-1])) * STEPS_S[-1])
    step_ns, offset_ns = step_s * 10**9, offset_s * 10**9
    first = -(-(scale.since_ns + offset_ns) // step_ns) * step_ns - offset_ns
    return step_s, list(range(first, scale.until_ns + 1, step_ns))


def label(at: datetime, step_s: int) -> str:
    """The label of a time on an axis with this step."""
    if step_s >= DAY_S or at.time() == time():
        return f"{at:%m-%d}"
    return f"{at:%H:%M:%S}" if step_s < 60 else f"{at:%H:%M}"
