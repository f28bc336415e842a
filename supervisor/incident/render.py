"""The files of a bundle that are made of its journal: configuration, health, last words and the report.

They are made in the same way where a bundle is written and where one is imported. A bundle may come from anybody, so
its own files are never handed on: whoever imports it gets those that its journal leads to.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import attrs
import msgspec

from .. import __version__
from ..analysis.causes import chain
from ..analysis.replay import Moment, replay
from ..analysis.timeline import timeline
from ..domain.events import ChildEnded, Recorded
from ..domain.ids import CameraId
from ..journal.reader import PAGE, Reader
from ..printable import printable
from . import bundle
from .facts import Facts, configuration, gather, verdicts
from .report import Header, render
from .words import moment

MAX_CHAINS = 5
LOOKED_AT = 50
"""Grave events whose causes are looked for."""


@attrs.frozen
class About:
    """What the files are about: events `first` to `last`, and the times that were asked for."""

    since_ns: int
    until_ns: int
    first: int
    last: int
    camera: CameraId | None
    note: str


@attrs.frozen
class Rendered:
    files: Mapping[str, bytes]
    node: str | None
    """Whose journal it is."""


def describe(
    whole: Reader, copy: Reader, about: About, progress: Callable[[int], None] = lambda events: None
) -> Rendered:
    """All of them, of the journal `copy` that the bundle holds.

    `whole` is the journal in which causes and beginnings are looked for: the original where there is one, which knows
    what came before. Raises `JournalError`.
    """
    drawn = timeline(whole, about.since_ns, about.until_ns, {about.camera} if about.camera else None)
    moments = _reported(replay(copy, about.first, about.last), progress)
    facts = gather(copy.state_at(about.first - 1), moments, drawn, about.camera)
    header = Header(
        facts.last.node, __version__, about.since_ns, about.until_ns, about.first, about.last, about.camera, about.note
    )
    files = {
        bundle.CONFIGURATION: _json(configuration(facts)),
        bundle.HEALTH: _json(verdicts(facts)),
        bundle.STDERR: _last_words(facts.tails),
        bundle.REPORT: render(header, facts, drawn, _chains(whole, facts)).encode(),
    }
    return Rendered(files, facts.last.node)


def _reported(moments: Iterable[Moment], progress: Callable[[int], None]) -> Iterator[Moment]:
    for number, each in enumerate(moments, 1):
        yield each
        if number % PAGE == 0:
            progress(number)


def _json(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _last_words(tails: list[Recorded]) -> bytes:
    """The last words of each child that ended."""
    lines = []
    for recorded in tails:
        assert isinstance(recorded.event, ChildEnded)
        event = recorded.event
        lines.append(
            f"== {moment(recorded.wall_ns)} #{recorded.seq} {event.camera}, child {event.child}: {event.reason.text}"
        )
        lines += [f"   {line}" for line in event.stderr_tail]
    return "".join(f"{printable(line)}\n" for line in lines).encode()


def _chains(reader: Reader, facts: Facts) -> list[list[Recorded]]:
    """How the gravest events came about; one that stands in the story of a later one is told there."""
    found: list[list[Recorded]] = []
    for recorded in facts.gravest[:LOOKED_AT]:
        story = chain(reader, recorded.seq)
        if story and not any(recorded in other for other in found):
            found = [other for other in found if other[-1] not in story]
            found.append(story)
    return found[:MAX_CHAINS]
