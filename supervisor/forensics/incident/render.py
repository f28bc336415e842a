"""The files of a bundle that are made of its journal: configuration, health, last output and the report.

Rules of this file:
- They are made of the journal that the bundle holds, and of nothing else: `export` and `import` write the same bytes.
- A bundle may come from anybody, so its own files are never handed on: `import` writes those that its journal gives.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import msgspec

from ... import __version__
from ...base.printable import printable
from ...base.times import iso, whole_ms
from ...domain.availability import Availability
from ...domain.events import ChildEnded, Recorded
from ...domain.ids import CameraId
from ...journal.reader import PAGE, Reader
from ...ports.past import Timeline
from ..causes import chain
from ..renames import note
from ..replay import ReplayedEvent, replay
from ..statistics import goes_on, statistics
from ..timeline import timeline
from ..troubles import Trouble, Troubles
from . import bundle
from .facts import Facts, configuration, gather, verdicts
from .report import Header, render

MAX_CHAINS = 5
LONGEST_QUIET_NS = 31 * 86_400 * 1_000_000_000
"""How far before the first event, and after the last one, the times of a report may lie."""
LOOKED_AT = 50
"""Grave events whose causes are looked for."""


@attrs.frozen
class ReportScope:
    """The stretch of the files: the times that were asked for, and the events `first` to `last` between them.

    `first` is greater than `last` where there are no events.
    """

    since_ns: int
    until_ns: int
    first: int
    last: int
    camera: CameraId | None
    note: str
    anonymous: Mapping[str, int] | None = None
    """How many names of each kind were replaced; None if none was."""


@attrs.frozen
class Summary:
    """The summary of a stretch."""

    facts: Facts
    availability: Availability
    timeline: Timeline
    troubles: Sequence[Trouble]


@attrs.frozen
class Rendered:
    files: Mapping[str, bytes]
    node: str | None
    """Whose journal it is."""
    summary: Summary


def known_times(reader: Reader, since_ns: int, until_ns: int, exported_ns: int) -> tuple[int, int]:
    """The part of a time, in ns since 1970, of which the journal of a bundle that was made at `exported_ns` can tell.

    The clock of the machine that exported may be behind: an event of the journal is never later than the export.
    Raises `JournalError`.
    """
    found = [part.rows("SELECT min(wall_ns), max(wall_ns) FROM event")[0] for part in reader.parts()]
    spans = [span for span in found if span[0] is not None]
    earliest, latest = min(begin for begin, _ in spans), -whole_ms(-max(end for _, end in spans))
    since_ns = min(max(since_ns, earliest - LONGEST_QUIET_NS), latest)
    return since_ns, max(since_ns, min(until_ns, max(exported_ns, latest), latest + LONGEST_QUIET_NS))


def describe(reader: Reader, about: ReportScope, progress: Callable[[int], None] = lambda events: None) -> Rendered:
    """All of them, of the journal that the bundle holds. Raises `JournalError`."""
    found = look(reader, about, progress)
    facts = found.facts
    header = Header(
        facts.last.node, __version__, about.since_ns, about.until_ns, about.first, about.last, about.camera,
        note(reader, about.camera, iso) if about.camera else "", about.note, about.anonymous,
    )  # fmt: skip
    stories = _chains(reader, found.troubles, facts)
    report = render(header, facts, found.availability, found.timeline, found.troubles, stories)
    files = {
        bundle.CONFIGURATION: _json(configuration(facts)),
        bundle.HEALTH: _json(verdicts(facts)),
        bundle.STDERR: _last_output(facts.tails),
        bundle.REPORT: report.encode(),
    }
    return Rendered(files, facts.last.node, found)


def look(reader: Reader, about: ReportScope, progress: Callable[[int], None] = lambda events: None) -> Summary:
    """All that the report says of the stretch: each part of it is about the same events. Raises `JournalError`."""
    times, events = (about.since_ns, about.until_ns), (about.first, about.last)
    cameras = {about.camera} if about.camera else None
    drawn = timeline(reader, *times, cameras, events)
    availability = statistics(reader, *times, cameras, events)
    head = reader.state_at(about.first - 1)
    seen = Troubles(head, about.since_ns, about.camera)
    moments = replay(reader, *events) if about.first <= about.last else ()
    facts = gather(head, _seen(moments, seen, progress), *times, about.camera)
    troubles = seen.found(about.until_ns, goes_on(reader, about.last, facts.last))
    return Summary(facts, availability, drawn, troubles)


def _seen(
    moments: Iterable[ReplayedEvent], troubles: Troubles, progress: Callable[[int], None]
) -> Iterator[ReplayedEvent]:
    for number, each in enumerate(moments, 1):
        troubles.see(each)
        yield each
        if number % PAGE == 0:
            progress(number)


def _json(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _last_output(tails: list[Recorded]) -> bytes:
    """The last output of each child that ended."""
    lines = []
    for recorded in tails:
        assert isinstance(recorded.event, ChildEnded)
        event = recorded.event
        lines.append(
            f"== {iso(recorded.wall_ns)} #{recorded.seq} {event.camera}, child {event.child}: {event.reason.text}"
        )
        lines += [f"   {line}" for line in event.stderr_tail]
    return "".join(f"{printable(line)}\n" for line in lines).encode()


def _chains(reader: Reader, troubles: Sequence[Trouble], facts: Facts) -> list[list[Recorded]]:
    """How the troubles came about, the worst first, then the gravest other events.

    An event in the chain of a later one is shown only there.
    """
    found: list[list[Recorded]] = []
    shown = [seq for trouble in troubles[:MAX_CHAINS] for seq in (trouble.witness, trouble.cause) if seq is not None]
    for seq in dict.fromkeys([*shown, *(recorded.seq for recorded in facts.gravest[:LOOKED_AT])]):
        story = chain(reader, seq)
        if not story or any(story[-1] in other for other in found):
            continue
        covered = [number for number, other in enumerate(found) if other[-1] in story]
        if covered:
            found[covered[0]] = story
            found = [other for number, other in enumerate(found) if number not in covered[1:]]
        else:
            found.append(story)
    return found[:MAX_CHAINS]
