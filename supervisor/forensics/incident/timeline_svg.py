"""The timeline as a drawing: a lane for each camera, with its phases, its children and viewers, marks and gaps.

It is inline SVG without scripts. Colours are the page's custom properties, so that it follows the scheme, and each
phase also has its own height, for those who do not see the colours.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC

from ...base.times import iso, local
from ...domain.words import plural, seconds
from ...ports.past import Lane, Mark, Span, Timeline
from ..chart import NO_DATA, SHAPES, STATES, Scale, boxes, joined, label, shape, ticks
from .words import clock, escaped

WIDTH, LEFT, RIGHT = 1120, 182, 14
ROW, BAR, THIN = 44, 18, 5
TOP, AXIS = 8, 50
LETTER = 11
"""How wide a letter of the axis is where the drawing is small: `.tick` in the report's style."""
MAX_LANES = 64
HEIGHTS = {"line": 3, "dots": 8, "falling": 8, "rising": 11, "bars": 14, "crossed": 14, "solid": 18}
"""The height of a bar, for each pattern of a state."""
TICK = 132
"""Units between the times of the axis: labels of eight letters take 88, and those at the edges are moved inwards."""
_LABEL = 20
"""Letters of a camera's name that there is room for."""
_SHAPES = (
    '<circle class="notice" cx="{x:g}" cy="{y:g}" r="2.5">{title}</circle>',
    '<path class="warning" d="M{x:g} {y:g}m0-4.5l4.5 4.5-4.5 4.5-4.5-4.5z">{title}</path>',
    '<path class="error" d="M{x:g} {y:g}m-5-4.5h10l-5 9z">{title}</path>',
)
"""How marks are drawn, in the order of `chart.SHAPES`."""


def draw(timeline: Timeline) -> str:
    """The drawing, as an element of a page."""
    scale = Scale(timeline.since_ns, timeline.until_ns, WIDTH - LEFT - RIGHT)
    cameras = list(dict.fromkeys(lane.camera for lane in timeline.lanes))
    shown = cameras[:MAX_LANES]
    height = TOP + ROW * (len(shown) + 1) + AXIS
    parts = [
        f'<div class="wide"><svg class="timeline" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="Timeline of {plural(len(shown), "camera")}; the tables below say the same in words">',
        '<defs><pattern id="gap" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect class="hatch" width="2.2" height="6"/></pattern></defs>',
        *_axis(scale, height),
    ]
    for gap in timeline.gaps:
        x, end = _x(scale, gap.begin_ns), _x(scale, gap.end_ns)
        place = f'x="{x:g}" y="{TOP}" width="{max(end - x, 2):g}" height="{height - TOP - AXIS}"'
        parts.append(f'<rect class="gap" {place} fill="url(#gap)">{_title(gap.text)}</rect>')
    parts += _row("banken", TOP, scale, (), [mark for mark in timeline.marks if mark.camera is None])
    for number, camera in enumerate(shown, 1):
        lanes = [lane for lane in timeline.lanes if lane.camera == camera]
        marks = [mark for mark in timeline.marks if mark.camera == camera]
        parts += _row(camera, TOP + ROW * number, scale, lanes, marks)
    parts.append("</svg></div>")
    if len(cameras) > len(shown):
        more = plural(len(cameras) - len(shown), "more camera is", "more cameras are")
        parts.append(f'<p class="note">{more} not drawn.</p>')
    return "\n".join(parts)


def legend(timeline: Timeline) -> str:
    """The legend of the colours and shapes that occur."""
    kinds = {lane.kind for lane in timeline.lanes}
    states = {span.state for lane in timeline.lanes if lane.kind == "camera" for span in (*lane.spans, *lane.below)}
    parts = []
    for state, look in STATES.items():
        if state in states:
            high = HEIGHTS[look.pattern]
            bar = f'<rect class="s-{state}" x="0" y="{9 - high / 2:g}" width="22" height="{high}" rx="1.5"/>'
            parts.append(_key(bar, state))
    for kind, words in (("child", "child processes"), ("peer", "viewers")):
        if kind in kinds:
            parts.append(_key(f'<rect class="{kind}" x="0" y="6.5" width="22" height="{THIN}"/>', words))
    shapes = {shape(mark.severity) for mark in timeline.marks}
    for number, severity in enumerate(SHAPES):
        if number in shapes:
            parts.append(_key(_drawn(number, 11, 9, ""), severity.value))
    if timeline.gaps:
        parts.append(_key('<rect class="gap" width="22" height="18" fill="url(#gap)"/>', NO_DATA))
    return f'<ul class="legend">{"".join(parts)}</ul>'


def _key(drawing: str, words: str) -> str:
    return f'<li><svg viewBox="0 0 22 18" width="22" height="18" aria-hidden="true">{drawing}</svg>{words}</li>'


def _row(name: str, y: int, scale: Scale, lanes: Sequence[Lane], marks: Sequence[Mark]) -> list[str]:
    """One camera, or, with no lanes, the daemon as a whole."""
    short = name if len(name) <= _LABEL else name[: _LABEL - 1] + "…"
    middle = y + ROW / 2 + 1
    parts = [
        f'<text class="name" x="{LEFT - 12}" y="{middle + 4:g}" text-anchor="end">',
        f"{_title(name)}{escaped(short)}</text>",
        f'<line class="base" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{middle:g}" y2="{middle:g}"/>',
    ]
    for lane in lanes:
        if lane.kind == "camera":
            parts += _bars(lane.spans, scale, middle)
    for kind, top in (("child", middle + BAR / 2 + 1.5), ("peer", middle + BAR / 2 + 2.5 + THIN)):
        spans = [span for lane in lanes if lane.kind == kind for span in lane.spans]
        for begin, end in _joined(spans, scale):
            place = f'x="{begin:g}" y="{top:g}" width="{max(end - begin, 1):g}" height="{THIN - 1}"'
            parts.append(f'<rect class="{kind}" {place}/>')
    for lane in lanes:
        parts += _below(lane.below, scale, middle)
    return [*parts, *_marks(marks, scale, middle if not lanes else y + 7)]


def _bars(spans: Iterable[Span], scale: Scale, middle: float) -> Iterable[str]:
    """The phases."""
    for begin, end, span in boxes(spans, scale):
        high = HEIGHTS[STATES.get(span.state, STATES["idle"]).pattern]
        says = (
            f"{span.state} for {seconds((span.end_ns - span.begin_ns) / 1e9)} from {clock(span.begin_ns)}: {span.text}"
        )
        place = f'x="{LEFT + begin}" y="{middle - high / 2:g}" width="{end - begin}" height="{high}"'
        yield f'<rect class="s-{escaped(span.state)}" {place} rx="1">{_title(says)}</rect>'


def _below(spans: Iterable[Span], scale: Scale, middle: float) -> Iterable[str]:
    """The trouble of children and viewers."""
    for begin, end, span in boxes(spans, scale):
        place = f'x="{LEFT + begin}" y="{middle + BAR / 2 + 1.5:g}" width="{end - begin}" height="{2 * THIN}"'
        yield f'<rect class="s-{span.state}" {place}>{_title(f"{clock(span.begin_ns)} {span.text}")}</rect>'


def _joined(spans: Iterable[Span], scale: Scale) -> list[tuple[float, float]]:
    """Where there was any: spans that touch are one; of a child or viewer, its phases are."""
    found: list[tuple[float, float]] = []
    for begin, end in sorted((_x(scale, span.begin_ns), _x(scale, span.end_ns)) for span in spans):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return found


def _marks(marks: Iterable[Mark], scale: Scale, y: float) -> Iterable[str]:
    for place, mark, together in joined(marks, scale):
        more = f" (and {together - 1} more)" if together > 1 else ""
        yield _drawn(
            shape(mark.severity), round(LEFT + place, 1), y, _title(f"{clock(mark.wall_ns)} {mark.text}{more}")
        )


def _drawn(number: int, x: float, y: float, title: str) -> str:
    """The shape of a mark."""
    return _SHAPES[number].format(x=x, y=y, title=title)


def _axis(scale: Scale, height: int) -> Iterable[str]:
    """Times in UTC; below them the zone and the first day."""
    bottom = height - AXIS
    yield f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}"/>'
    yield f'<text class="tick" x="{LEFT}" y="{bottom + 42}">{iso(scale.since_ns)[:10]}, times in UTC</text>'
    step_s, times = ticks(scale, TICK)
    for wall_ns in times:
        x, words = _x(scale, wall_ns), label(local(wall_ns, UTC), step_s)
        half = len(words) * LETTER / 2
        anchor = "start" if x - half < LEFT else "end" if x + half > WIDTH else "middle"
        yield f'<line class="grid" x1="{x:g}" x2="{x:g}" y1="{TOP}" y2="{bottom + 4}"/>'
        yield f'<text class="tick" x="{x:g}" y="{bottom + 20}" text-anchor="{anchor}">{words}</text>'


def _x(scale: Scale, wall_ns: int) -> float:
    return round(LEFT + scale.place(wall_ns), 1)


def _title(words: str) -> str:
    return f"<title>{escaped(words)}</title>"
