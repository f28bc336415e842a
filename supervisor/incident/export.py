"""Makes a bundle of a stretch of a journal. Blocking."""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs
import msgspec

from .. import __version__
from ..analysis.causes import chain
from ..analysis.replay import Moment, replay
from ..analysis.timeline import timeline
from ..domain.events import ChildEnded, Recorded
from ..domain.ids import CameraId
from ..journal import excerpt, manifest
from ..journal.errors import JournalError
from ..journal.reader import PAGE, Query, Reader
from . import bundle
from .facts import Facts, configuration, gather, verdicts
from .report import Header, render
from .words import moment

MAX_CHAINS = 5
LOOKED_AT = 50
"""Grave events whose causes are looked for."""
MAX_NOTE = 2000


@attrs.frozen
class Wanted:
    """What is to be in the bundle."""

    since_ns: int
    until_ns: int
    camera: CameraId | None = None
    note: str = ""


@attrs.frozen
class Exported:
    stretch: excerpt.Stretch
    events: int
    bytes: int
    digest: str


def export(
    journal: Path, wanted: Wanted, path: Path, now_ns: int, progress: Callable[[int, int], None] = lambda done, of: None
) -> Exported:
    """Write the bundle to `path`: all of it, or nothing. `progress` hears events done, of how many.

    The journal in it is complete for its stretch, whatever `wanted.camera`: that only chooses what the report, the
    last words and the verdicts are about. Raises `JournalError`, also when nothing happened then, and `OSError`.
    """
    reader = Reader(journal)
    try:
        stretch = _find(reader, wanted)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", suffix=".new", dir=path.parent) as draft:
            done = _write(reader, wanted, stretch, Path(draft), now_ns, progress)
            (Path(draft) / "bundle").replace(path)
        _sync(path.parent)
        return done
    finally:
        reader.close()


def _find(reader: Reader, wanted: Wanted) -> excerpt.Stretch:
    stretch = excerpt.find_stretch(reader, wanted.since_ns, wanted.until_ns)
    if stretch is None:
        ends = (*reader.page(limit=1), *reader.page(limit=1, newest=True))
        spans = f"spans {moment(ends[0].wall_ns)} to {moment(ends[-1].wall_ns)}" if ends else "is empty"
        asked = f"{moment(wanted.since_ns)} and {moment(wanted.until_ns)}"
        raise JournalError(f"nothing happened between {asked}; the journal {spans}")
    if wanted.camera is not None:
        known = reader.page(Query(before=stretch.last + 1, camera=wanted.camera), 1)
        if not known and wanted.camera not in reader.state_at(stretch.first - 1).cameras:
            raise JournalError(f"the journal knows no camera {wanted.camera!r} up to then")
    return stretch


def _write(
    reader: Reader,
    wanted: Wanted,
    stretch: excerpt.Stretch,
    draft: Path,
    now_ns: int,
    progress: Callable[[int, int], None],
) -> Exported:
    count = stretch.last - stretch.first + 1
    folder = draft / bundle.JOURNAL
    folder.mkdir()
    copied = excerpt.copy(reader, stretch, folder, lambda events: progress(events, 2 * count))
    segments = sorted(folder.iterdir())
    if sum(segment.stat().st_size for segment in segments) > bundle.MAX_BYTES * 0.9:
        raise JournalError(f"{count} events are more than a bundle holds; take a shorter time")
    contents: dict[str, bytes | Path] = {f"{bundle.JOURNAL}/{segment.name}": segment for segment in segments}
    until_ns = max(wanted.since_ns, min(wanted.until_ns, now_ns))
    facts = _describe(
        reader, folder, wanted, stretch, until_ns, contents, lambda seen: progress(count + seen, 2 * count)
    )
    sealed = excerpt.sealed_lines(reader.path, stretch)
    contents[bundle.SEALED] = b"".join(manifest.line_of(line) + b"\n" for line in sealed)

    def make(body: str, files: tuple[bundle.Held, ...]) -> bundle.Manifest:
        return bundle.Manifest(
            format=bundle.FORMAT,
            banken=__version__,
            exported=moment(now_ns),
            node=facts.last.node,
            since=moment(wanted.since_ns),
            until=moment(wanted.until_ns),
            first=stretch.first,
            last=stretch.last,
            events=copied.events,
            batches=copied.batches,
            previous=copied.previous.hex(),
            digest=copied.digest.hex(),
            camera=wanted.camera,
            note=wanted.note,
            body=body,
            files=files,
        )

    path = draft / "bundle"
    digest = bundle.write(path, contents, make)
    return Exported(stretch, copied.events, path.stat().st_size, digest)


def _describe(
    reader: Reader,
    folder: Path,
    wanted: Wanted,
    stretch: excerpt.Stretch,
    until_ns: int,
    contents: dict[str, bytes | Path],
    progress: Callable[[int], None],
) -> Facts:
    """Everything in the bundle that is made of the journal: of the copy; causes and begins may lie before it."""
    cameras = {wanted.camera} if wanted.camera else None
    drawn = timeline(reader, wanted.since_ns, until_ns, cameras)
    copy = Reader(folder)
    try:
        moments = _told(replay(copy, stretch.first, stretch.last), progress)
        facts = gather(copy.state_at(stretch.first - 1), moments, drawn, wanted.camera)
    finally:
        copy.close()
    header = Header(
        facts.last.node,
        __version__,
        wanted.since_ns,
        until_ns,
        stretch.first,
        stretch.last,
        wanted.camera,
        wanted.note,
    )
    contents[bundle.CONFIGURATION] = _json(configuration(facts))
    contents[bundle.HEALTH] = _json(verdicts(facts))
    contents[bundle.STDERR] = _last_words(facts.tails)
    contents[bundle.REPORT] = render(header, facts, drawn, _chains(reader, facts.gravest)).encode()
    return facts


def _told(moments: Iterable[Moment], progress: Callable[[int], None]) -> Iterator[Moment]:
    for number, each in enumerate(moments, 1):
        yield each
        if number % PAGE == 0:
            progress(number)


def _json(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _last_words(tails: list[Recorded]) -> bytes:
    """What each child that ended said last."""
    lines = []
    for recorded in tails:
        assert isinstance(recorded.event, ChildEnded)
        event = recorded.event
        lines.append(
            f"== {moment(recorded.wall_ns)} #{recorded.seq} {event.camera}, child {event.child}: {event.reason.text}"
        )
        lines += [f"   {line}" for line in event.stderr_tail]
    return "".join(f"{line}\n" for line in lines).encode()


def _chains(reader: Reader, gravest: list[Recorded]) -> list[list[Recorded]]:
    """How the gravest events came about; one that stands in the story of a later one is told there."""
    told: list[list[Recorded]] = []
    for recorded in gravest[:LOOKED_AT]:
        story = chain(reader, recorded.seq)
        if story and not any(recorded in other for other in told):
            told = [other for other in told if other[-1] not in story]
            told.append(story)
    return told[:MAX_CHAINS]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
