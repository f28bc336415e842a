"""The timeline as a drawing: a lane for each camera, with its phases, its children and viewers, marks and gaps.

It is inline SVG without scripts. Colours are the page's custom properties, so that it follows the scheme, and each
phase also has a height of its own, for those who do not see the colours.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from ..analysis.timeline import Lane, Mark, Span, Timeline
from ..domain.describe import Severity, seconds
from .words import clock, escaped

WIDTH, LEFT, RIGHT = 1120, 182, 14
ROW, BAR, THIN = 44, 18, 5
TOP, AXIS = 8, 30
MAX_LANES = 64
HEIGHTS = {
    "live": 18,
    "stalled": 14,
    "connecting": 11,
    "queued": 8,
    "waiting": 8,
    "failed": 14,
    "quarantined": 14,
    "idle": 3,
}
"""How high the bar of a phase is."""
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800)
_TICKS = 9
_LABEL = 20
"""Letters of a camera's name that there is room for."""
_RANK = {Severity.INFO: 0, Severity.NOTICE: 0, Severity.WARNING: 1, Severity.ERROR: 2}
_SHAPES = (
    '<circle class="notice" cx="{x:g}" cy="{y:g}" r="2.5">',
    '<path class="warning" d="M{x:g} {y:g}m0-4.5l4.5 4.5-4.5 4.5-4.5-4.5z">',
    '<path class="error" d="M{x:g} {y:g}m-5-4.5h10l-5 9z">',
)


class _Scale:
    def __init__(self, since_ns: int, until_ns: int) -> None:
        self.since_ns, self.until_ns = since_ns, max(until_ns, since_ns + 1)

    def x(self, wall_ns: int) -> float:
        share = (wall_ns - self.since_ns) / (self.until_ns - self.since_ns)
        return round(LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT), 1)


def draw(timeline: Timeline) -> str:
    """The drawing, as an element of a page."""
    scale = _Scale(timeline.since_ns, timeline.until_ns)
    cameras = list(dict.fromkeys(lane.camera for lane in timeline.lanes))
    shown = sorted(cameras)[:MAX_LANES]
    height = TOP + ROW * (len(shown) + 1) + AXIS
    parts = [
        f'<div class="wide"><svg class="timeline" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="Timeline of {len(shown)} cameras; the tables below say the same in words">',
        '<defs><pattern id="gap" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect class="hatch" width="2.2" height="6"/></pattern></defs>',
        *_axis(scale, height),
    ]
    parts += _row("banken", TOP, scale, (), [mark for mark in timeline.marks if mark.camera is None])
    for number, camera in enumerate(shown, 1):
        lanes = [lane for lane in timeline.lanes if lane.camera == camera]
        marks = [mark for mark in timeline.marks if mark.camera == camera]
        parts += _row(camera, TOP + ROW * number, scale, lanes, marks)
    for gap in timeline.gaps:
        x, end = scale.x(gap.begin_ns), scale.x(gap.end_ns)
        place = f'x="{x:g}" y="{TOP}" width="{max(end - x, 2):g}" height="{height - TOP - AXIS}"'
        parts.append(f'<rect class="gap" {place} fill="url(#gap)">{_title(gap.text)}</rect>')
    parts.append("</svg></div>")
    if len(cameras) > len(shown):
        parts.append(f'<p class="note">{len(cameras) - len(shown)} more cameras are not drawn.</p>')
    return "\n".join(parts)


def legend(timeline: Timeline) -> str:
    """What the colours and shapes mean, as far as they occur."""
    states = {span.state for lane in timeline.lanes if lane.kind == "camera" for span in lane.spans}
    parts = []
    for state, high in HEIGHTS.items():
        if state in states:
            bar = f'<rect class="s-{state}" x="0" y="{9 - high / 2:g}" width="22" height="{high}" rx="1.5"/>'
            parts.append(_key(bar, state))
    kinds = {lane.kind for lane in timeline.lanes}
    for kind, words in (("child", "child processes"), ("peer", "viewers")):
        if kind in kinds:
            parts.append(_key(f'<rect class="{kind}" x="0" y="6.5" width="22" height="{THIN}"/>', words))
    ranks = {_RANK[mark.severity] for mark in timeline.marks}
    for rank, words in enumerate(("notice", "warning", "error")):
        if rank in ranks:
            parts.append(_key(_SHAPES[rank].format(x=11, y=9) + _end_of(rank), words))
    if timeline.gaps:
        parts.append(_key('<rect class="gap" width="22" height="18" fill="url(#gap)"/>', "no record"))
    return f'<ul class="legend">{"".join(parts)}</ul>'


def _key(drawing: str, words: str) -> str:
    return f'<li><svg viewBox="0 0 22 18" width="22" height="18" aria-hidden="true">{drawing}</svg>{words}</li>'


def _row(label: str, y: int, scale: _Scale, lanes: Sequence[Lane], marks: Sequence[Mark]) -> list[str]:
    """One camera, or, with no lanes, the daemon as a whole."""
    short = label if len(label) <= _LABEL else label[: _LABEL - 1] + "…"
    middle = y + ROW / 2 + 1
    parts = [
        f'<text class="name" x="{LEFT - 12}" y="{middle + 4:g}" text-anchor="end">',
        f"{_title(label)}{escaped(short)}</text>",
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
    return [*parts, *_marks(marks, scale, middle if not lanes else y + 7)]


def _bars(spans: Iterable[Span], scale: _Scale, middle: float) -> Iterable[str]:
    """The phases. What is too short to be seen beside its like is left out."""
    drawn: set[tuple[str, int]] = set()
    for span in spans:
        x, end = scale.x(span.begin_ns), scale.x(span.end_ns)
        if end - x < 0.5:
            place = (span.state, int(x * 2))
            if place in drawn:
                continue
            drawn.add(place)
        high = HEIGHTS.get(span.state, 8)
        says = (
            f"{span.state} for {seconds((span.end_ns - span.begin_ns) / 1e9)} from {clock(span.begin_ns)}: {span.text}"
        )
        place_of = f'x="{x:g}" y="{middle - high / 2:g}" width="{max(end - x, 0.8):g}" height="{high}"'
        yield f'<rect class="s-{escaped(span.state)}" {place_of} rx="1">{_title(says)}</rect>'


def _joined(spans: Iterable[Span], scale: _Scale) -> list[tuple[float, float]]:
    """Where there was any: spans that touch are one; of a child or viewer, its phases are."""
    found: list[tuple[float, float]] = []
    for begin, end in sorted((scale.x(span.begin_ns), scale.x(span.end_ns)) for span in spans):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return found


def _marks(marks: Iterable[Mark], scale: _Scale, y: float) -> Iterable[str]:
    """Marks that would hide each other are drawn as the gravest of them."""
    bins: dict[int, list[Mark]] = {}
    for mark in marks:
        bins.setdefault(int(scale.x(mark.wall_ns) / 7), []).append(mark)
    for together in bins.values():
        worst = max(together, key=lambda mark: _RANK[mark.severity])
        rank = _RANK[worst.severity]
        more = f" (and {len(together) - 1} more)" if len(together) > 1 else ""
        says = f"{clock(worst.wall_ns)} {worst.text}{more}"
        yield _SHAPES[rank].format(x=scale.x(worst.wall_ns), y=y) + _title(says) + _end_of(rank)


def _end_of(rank: int) -> str:
    return "</circle>" if rank == 0 else "</path>"


def _axis(scale: _Scale, height: int) -> Iterable[str]:
    span_s = (scale.until_ns - scale.since_ns) / 1e9
    step_s = next((step for step in _STEPS_S if span_s / step <= _TICKS), None)
    bottom = height - AXIS
    yield f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}"/>'
    if step_s is None or span_s < 1:
        return
    tick = -(-scale.since_ns // (step_s * 10**9)) * step_s
    while tick * 10**9 <= scale.until_ns:
        x = scale.x(tick * 10**9)
        at = datetime.fromtimestamp(tick, UTC)
        words = f"{at:%b %d}" if step_s >= 86400 else f"{at:%H:%M:%S}" if step_s < 60 else f"{at:%H:%M}"
        if 3600 <= step_s < 86400 and at.hour == 0:
            words = f"{at:%b %d}"
        yield f'<line class="grid" x1="{x:g}" x2="{x:g}" y1="{TOP}" y2="{bottom + 4}"/>'
        yield f'<text class="tick" x="{x:g}" y="{bottom + 18}" text-anchor="middle">{words}</text>'
        tick += step_s
    yield f'<text class="tick" x="{LEFT - 12}" y="{bottom + 18}" text-anchor="end">UTC</text>'


def _title(words: str) -> str:
    return f"<title>{escaped(words)}</title>"
