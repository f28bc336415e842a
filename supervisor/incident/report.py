"""The report: one page that needs nothing else, no script and no network, reads in light and dark, and prints."""

from collections.abc import Iterable, Sequence

import attrs

from ..analysis.finding import between_s
from ..analysis.timeline import Timeline
from ..domain.describe import Severity, describe, seconds
from ..domain.events import ChildEnded, Recorded
from ..domain.health import Verdict
from ..domain.ids import CameraId
from .facts import MAX_NOTABLE, MAX_ROWS, Facts, Uptime, Verdicts
from .picture import draw, legend
from .words import clock, escaped, moment

SHOWN_STEPS = 24
"""Steps of a chain that are told: the first one, and the last ones."""


@attrs.frozen
class Header:
    """What the report is about."""

    node: str | None
    release: str
    since_ns: int
    until_ns: int
    first: int
    last: int
    camera: CameraId | None
    note: str


def render(header: Header, facts: Facts, timeline: Timeline, chains: Sequence[Sequence[Recorded]]) -> str:
    """The whole page."""
    title = f"banken: {moment(header.since_ns)} to {moment(header.until_ns)}"
    sections = (
        _facts(header, facts),
        _section("Timeline", draw(timeline) + legend(timeline)),
        _section("Availability", _availability(facts.uptimes)),
        _section("How it came to this", _chains(chains)),
        _section("What mattered", _notable(facts)),
        _section("Health", _health(facts)),
        _section("Events", _events(header, facts)),
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escaped(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(sections)
        + "\n</body>\n</html>\n"
    )


def _section(title: str, content: str) -> str:
    return f"<section>\n<h2>{title}</h2>\n{content}\n</section>"


def _facts(header: Header, facts: Facts) -> str:
    took = seconds((header.until_ns - header.since_ns) / 1e9)
    counted = [
        f"{facts.counts[s]} {words}" for s, words in ((Severity.ERROR, "errors"), (Severity.WARNING, "warnings"))
    ]
    verdicts = " → ".join(_badge(at.health.verdict) for at in (facts.begin, facts.worst, facts.end))
    rows = [
        ("Span", f"{moment(header.since_ns)} to {moment(header.until_ns)} ({took})"),
        ("Health", f'{verdicts} <span class="soft">begin, worst, end</span>'),
        ("Events", f"{header.first} to {header.last} in the journal; {', '.join(counted)}"),
        ("Cameras", f"only {escaped(header.camera)}" if header.camera else f"all {len(facts.uptimes)}"),
        ("Node", f"{escaped(header.node or 'unknown')}, report by banken {escaped(header.release)}"),
    ]
    said = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows)
    note = f'<blockquote class="words">{escaped(header.note)}</blockquote>' if header.note else ""
    day = moment(header.since_ns)[:10]
    begin, end = clock(header.since_ns)[:8], clock(header.until_ns)[:8]
    return (
        f'<header><p class="kicker">banken · incident</p><h1>{day}, {begin} to {end} UTC</h1>{note}'
        f"<dl>{said}</dl></header>"
    )


def _badge(verdict: Verdict) -> str:
    return f'<span class="badge v-{verdict.value}">{verdict.value}</span>'


def _table(names: Sequence[str], rows: Iterable[str], kind: str = "") -> str:
    """A table; the columns whose names begin with > hold numbers."""
    cells = ((name.lstrip(">"), " class=number" if name.startswith(">") else "") for name in names)
    head = "".join(f"<th scope=col{kind}>{name}</th>" for name, kind in cells)
    body = "\n".join(rows)
    return (
        f'<div class="wide"><table class="{kind}"><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'
    )


def _availability(uptimes: Sequence[Uptime]) -> str:
    if not uptimes:
        return "<p>No camera was configured.</p>"

    def row(known: Uptime) -> str:
        share = known.availability
        words = "not wanted" if share is None else f"{share * 100:.2f} %"
        meter = "" if share is None else f'<span class="meter"><i style="width:{share * 100:.1f}%"></i></span>'
        return (
            f"<tr><th scope=row>{escaped(known.camera)}</th><td class=number>{words}</td><td>{meter}</td>"
            f"<td class=number>{seconds(known.live_ns / 1e9)}</td>"
            f"<td class=number>{seconds(known.wanted_ns / 1e9)}</td>"
            f"<td class=number>{known.losses}</td><td class=number>{seconds(known.longest_ns / 1e9)}</td></tr>"
        )

    note = (
        '<p class="note">Available: the share of the time in which somebody or the configuration wanted the camera '
        "open, and banken ran, in which it was live.</p>"
    )
    names = ("Camera", ">Available", "", ">Live", ">Wanted", ">Losses", ">Longest away")
    return _table(names, map(row, uptimes)) + note


def _chains(chains: Sequence[Sequence[Recorded]]) -> str:
    if not chains:
        return "<p>Nothing of this stretch was a warning or an error.</p>"
    return "\n".join(map(_chain, chains))


def _chain(chain: Sequence[Recorded]) -> str:
    left_out = max(0, len(chain) - SHOWN_STEPS)
    before: Recorded | None = None
    parts = []
    for number, recorded in enumerate(chain):
        if 0 < number <= left_out:
            if number == left_out:
                parts.append(f'<li class="note">{left_out} steps are left out</li>')
        else:
            parts.append(_step(recorded, before))
        before = recorded
    title = escaped(describe(chain[-1].event)[1])
    return f'<article><h3>{title}</h3><ol class="chain">{"".join(parts)}</ol></article>'


def _step(recorded: Recorded, before: Recorded | None) -> str:
    severity, words = describe(recorded.event)
    since = f"+{seconds(max(0.0, between_s(before, recorded)))}" if before else clock(recorded.wall_ns)
    tail = recorded.event.stderr_tail if isinstance(recorded.event, ChildEnded) else ()
    said = f"<pre>{escaped(chr(10).join(tail))}</pre>" if tail else ""
    return (
        f'<li class="{severity.value}"><span class="when">{since}</span>'
        f'<div><span class="words">{escaped(words)}</span> '
        f'<span class="soft">{escaped(recorded.type)} {_link(recorded.seq)}</span>{said}</div></li>'
    )


def _link(seq: int) -> str:
    return f'<a href="#e{seq}">#{seq}</a>'


def _notable(facts: Facts) -> str:
    if not facts.notable:
        return "<p>No warnings, no errors, and banken ran all the time.</p>"
    said = ""
    if facts.notable_of > len(facts.notable):
        said = f'<p class="note">The first {MAX_NOTABLE} of {facts.notable_of}.</p>'
    rows = (_row(recorded, _link(recorded.seq)) for recorded in facts.notable)
    return said + _table((">#", "Time, UTC", "What", "", ">From"), rows, "events")


def _events(header: Header, facts: Facts) -> str:
    of = f"of {escaped(header.camera)} and of the whole, among events" if header.camera else "events"
    said = f"All {facts.shown_of} {of} {header.first} to {header.last}; the journal is extended to whole batches."
    if facts.shown_of > len(facts.shown):
        said = (
            f"<strong>Only the first {MAX_ROWS} of {facts.shown_of}</strong> {of} {header.first} to {header.last}; the "
            "bundle's journal holds them all."
        )
    rows = (_row(recorded, f"#{recorded.seq}", f' id="e{recorded.seq}"') for recorded in facts.shown)
    return f'<p class="note">{said}</p>' + _table((">#", "Time, UTC", "What", "", ">From"), rows, "events")


def _row(recorded: Recorded, number: str, mark: str = "") -> str:
    severity, words = describe(recorded.event)
    cause = _link(recorded.cause) if recorded.cause else ""
    return (
        f'<tr class="{severity.value}"{mark}><td class=number>{number}</td>'
        f'<td class=when title="{moment(recorded.wall_ns)}">{clock(recorded.wall_ns)}</td>'
        f"<td>{escaped(words)}</td><td class=soft>{escaped(recorded.type)}</td><td class=number>{cause}</td></tr>"
    )


def _health(facts: Facts) -> str:
    moments = (("Begin", facts.begin), ("Worst", facts.worst), ("End", facts.end))
    return f'<div class="moments">{"".join(_moment(name, at) for name, at in moments)}</div>'


def _moment(name: str, at: Verdicts) -> str:
    wrong = [part for part in at.health.parts if part.verdict is not Verdict.OK]
    parts = "".join(f"<li>{_badge(p.verdict)} <b>{escaped(p.part)}</b> {escaped(p.reason)}</li>" for p in wrong)
    good = len(at.health.parts) - len(wrong)
    rest = f'<li class="soft">{good} part{"" if good == 1 else "s"} ok</li>'
    return (
        f"<div><h3>{name} {_badge(at.health.verdict)}</h3>"
        f'<p class="soft">{clock(at.wall_ns)}, after event {at.seq}</p><ul>{parts}{rest}</ul></div>'
    )


STYLE = """
:root {
  color-scheme: light dark;
  --ground: #f8f7f2; --raised: #fff; --line: #dcd8cd; --strong: #b3ae9f; --ink: #1b2224; --soft: #566064;
  --accent: #0b6b69; --live: #2f8a5b; --queued: #4a7fc4; --connecting: #2b9a96; --stalled: #c07a35;
  --waiting: #c9940c; --failed: #c23a26; --quarantined: #8450b8; --idle: #98a2a4; --child: #b9b2a0; --peer: #7ea3d6;
  --error: #ab2c1b; --warning: #8a5b00; --ok: #1e6b43;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ground: #0f1314; --raised: #171d1f; --line: #273033; --strong: #3f4c50; --ink: #e9ebe6; --soft: #9faaac;
    --accent: #5fc4bd; --live: #57a878; --queued: #6f9fe0; --connecting: #3fa8a1; --stalled: #d9a877;
    --waiting: #e2b861; --failed: #ee7461; --quarantined: #b78be3; --idle: #6b777a; --child: #59645f; --peer: #4d6f9c;
    --error: #f28b79; --warning: #e2b861; --ok: #86c99d;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 75rem; padding: 2rem clamp(1rem, 3vw, 2.5rem) 4rem; background: var(--ground);
  color: var(--ink);
  font: 400 .9375rem/1.5 ui-sans-serif, system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif;
  font-variant-numeric: tabular-nums;
}
h1 { margin: 0 0 1rem; font-size: 1.75rem; font-weight: 650; line-height: 1.2; letter-spacing: -.01em; }
h2 { margin: 2.75rem 0 .75rem; padding-bottom: .35rem; border-bottom: 1px solid var(--line); font-size: 1.125rem; }
h3 { margin: 0 0 .5rem; font-size: 1rem; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
p { margin: .5rem 0; }
.kicker { margin: 0 0 .25rem; color: var(--accent); font-weight: 600; }
.soft, .note, .when { color: var(--soft); }
.note { font-size: .875rem; }
.words, td, dd, h3, li { overflow-wrap: anywhere; }
blockquote {
  margin: 0 0 1rem; padding: .6rem 1rem; border-left: 3px solid var(--accent); background: var(--raised);
  white-space: pre-wrap;
}
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.25rem; margin: 0; }
dt { color: var(--soft); }
dd { margin: 0; }
.badge { padding: .05em .5em; border: 1px solid; border-radius: 1em; font-size: .8125rem; font-weight: 600; }
.v-ok { color: var(--ok); } .v-degraded { color: var(--warning); } .v-critical { color: var(--error); }
.timeline { display: block; width: 100%; min-width: 42rem; height: auto; }
.timeline text { fill: var(--soft); font-size: 12px; }
.timeline .name { fill: var(--ink); font-size: 13px; font-weight: 550; }
.grid { stroke: var(--line); } .axis { stroke: var(--strong); } .base { stroke: var(--line); }
.s-live { fill: var(--live); } .s-queued { fill: var(--queued); } .s-connecting { fill: var(--connecting); }
.s-stalled { fill: var(--stalled); } .s-waiting { fill: var(--waiting); } .s-failed { fill: var(--failed); }
.s-quarantined { fill: var(--quarantined); } .s-idle { fill: var(--idle); }
rect.child { fill: var(--child); } rect.peer { fill: var(--peer); }
path.error { fill: var(--error); } path.warning { fill: var(--warning); } circle.notice { fill: var(--soft); }
path.error, path.warning, circle.notice { stroke: var(--ground); stroke-width: 1; }
.hatch { fill: var(--soft); } .gap { opacity: .6; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: .75rem 0 0; padding: 0; list-style: none; }
.legend li { display: flex; align-items: center; gap: .4rem; color: var(--soft); font-size: .8125rem; }
.wide { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { color: var(--soft); font-size: .8125rem; font-weight: 500; }
tbody th { font-weight: 600; }
.number { text-align: right; white-space: nowrap; }
.when { white-space: nowrap; }
.events { font-size: .8125rem; }
.events td:first-child { color: var(--soft); }
.events td:nth-child(3) { width: 60%; }
tr:target { background: var(--raised); outline: 2px solid var(--accent); }
tr.error td:nth-child(3), .chain .error .words { color: var(--error); font-weight: 600; }
tr.warning td:nth-child(3), .chain .warning .words { color: var(--warning); }
.meter {
  display: block; width: 8rem; height: .5rem; margin-top: .45rem; border-radius: 1rem; background: var(--failed);
}
.meter i { display: block; height: 100%; border-radius: inherit; background: var(--live); }
article {
  margin: 0 0 1.25rem; padding: 1rem 1.25rem; border: 1px solid var(--line); border-radius: .375rem;
  background: var(--raised);
}
.chain { margin: 0; padding: 0; list-style: none; }
.chain li { display: grid; grid-template-columns: 7rem 1fr; gap: .75rem; padding: .15rem 0; }
.chain .when { text-align: right; }
.chain .note { display: block; padding-left: 7.75rem; }
pre {
  margin: .35rem 0; padding: .5rem .75rem; border: 1px solid var(--line); border-radius: .25rem; font-size: .75rem;
  white-space: pre-wrap; overflow-wrap: anywhere;
}
.moments { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: 1rem 2rem; }
.moments ul { margin: 0; padding: 0; list-style: none; }
.moments li { padding: .2rem 0; }
@media print {
  :root { color-scheme: light; --ground: #fff; --raised: #fff; }
  body { max-width: none; padding: 0; font-size: 9pt; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  h2, h3 { break-after: avoid; } article, tr, .timeline { break-inside: avoid; } thead { display: table-header-group; }
  a { color: inherit; } .wide { overflow: visible; } .timeline { min-width: 0; }
}
"""
