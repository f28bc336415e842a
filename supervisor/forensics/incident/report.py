"""The report: one page that needs nothing else, no script and no network, reads in light and dark, and prints.

Rules of this file:
- `report.html` has the markup, `report.css` the style; this file has the values.
- Each value in the template goes through `_safe`: it cannot be markup, nor reverse a line, whoever wrote it.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ...base.times import iso
from ...domain.availability import Availability
from ...domain.core import Severity
from ...domain.describe import describe
from ...domain.events import ChildEnded, Recorded
from ...domain.health import Verdict
from ...domain.ids import CameraId
from ...domain.words import plural, seconds
from ...ports.past import Timeline
from ..chart import STATES
from ..finding import between_s
from ..statistics import COLUMNS, remarks
from ..troubles import Trouble
from .facts import MAX_NOTABLE, MAX_ROWS, Facts
from .summary import paragraphs
from .timeline_svg import draw, legend
from .words import PROVES, clock, escaped

SHOWN_STEPS = 24
"""The number of steps of a chain that are shown: the first one, and the last ones."""


@attrs.frozen
class Header:
    """The subject of the report."""

    node: str | None
    release: str
    since_ns: int
    until_ns: int
    first: int
    last: int
    camera: CameraId | None
    renamed: str
    """The other name of the camera, in words; empty without one."""
    note: str
    anonymous: Mapping[str, int] | None = None
    """How many names of each kind were replaced; None if none was."""


@attrs.frozen
class ShownStep:
    """A step of a chain: the time since the step before, or the time of day of the first one."""

    recorded: Recorded
    since: str
    stderr: str
    """The last lines of a child that ended."""


@attrs.frozen
class ShownChain:
    """How it came to one event: the first step, and the last ones."""

    title: str
    steps: Sequence[ShownStep]
    left_out: str
    """The number of steps after the first one that are not shown, in words; empty if all are."""


def render(
    header: Header,
    facts: Facts,
    found: Availability,
    timeline: Timeline,
    troubles: Sequence[Trouble],
    chains: Sequence[Sequence[Recorded]],
) -> str:
    """The whole page."""
    day, last = iso(header.since_ns)[:10], iso(header.until_ns)[:10]
    begin, end = clock(header.since_ns)[:8], f"{'' if last == day else f'{last}, '}{clock(header.until_ns)[:8]}"
    counted = [plural(facts.counts[severity], severity.value) for severity in (Severity.ERROR, Severity.WARNING)]
    return _TEMPLATES.get_template("report.html").render(
        header=header,
        facts=facts,
        found=found,
        heading=f"{day}, {begin} to {end} UTC",
        summary=paragraphs(troubles, header.since_ns, header.until_ns, header.camera, found.ran_s),
        took=seconds((header.until_ns - header.since_ns) / 1e9),
        counted=", ".join(counted),
        drawing=Markup(draw(timeline) + legend(timeline)),
        columns=("Camera", "Share", *(f">{name.capitalize()}" for name in COLUMNS), "Remarks"),
        chains=[_chain(chain) for chain in chains],
    )


def _chain(chain: Sequence[Recorded]) -> ShownChain:
    left_out = max(0, len(chain) - SHOWN_STEPS)
    steps = list(_steps(chain))
    words = plural(left_out, "step is", "steps are") if left_out else ""
    return ShownChain(describe(chain[-1].event)[1], [steps[0], *steps[1 + left_out :]], words)


def _steps(chain: Sequence[Recorded]) -> Iterator[ShownStep]:
    before: Recorded | None = None
    for recorded in chain:
        since = f"+{seconds(max(0.0, between_s(before, recorded)))}" if before else clock(recorded.wall_ns)
        tail = recorded.event.stderr_tail if isinstance(recorded.event, ChildEnded) else ()
        yield ShownStep(recorded, since, "\n".join(tail))
        before = recorded


def _safe(value: object) -> Markup:
    """A value as the page may hold it; markup as it is."""
    return value if isinstance(value, Markup) else Markup(escaped(value))


_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    finalize=_safe,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_TEMPLATES.globals.update(
    COLUMNS=COLUMNS, MAX_NOTABLE=MAX_NOTABLE, MAX_ROWS=MAX_ROWS, OK=Verdict.OK, PROVES=PROVES, STATES=STATES,
    clock=clock,
    describe=describe, iso=iso, plural=plural, remarks=remarks,
)  # fmt: skip
