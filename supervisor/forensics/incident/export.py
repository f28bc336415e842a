"""Makes a bundle of a stretch of a journal. Blocking.

Rules of this file:
- A bundle is complete under its name, or not there.
- A bundle that `import` would refuse is not exported: the finished draft is verified as a recipient would.
"""

from collections.abc import Callable
from pathlib import Path

import attrs

from ... import __version__
from ...base.times import iso, whole_ms
from ...domain.ids import CameraId
from ...journal import excerpt, manifest
from ...journal.files import sync_folder
from ...journal.reader import Reader
from ...ports.errors import JournalError
from ...ports.questions import Query
from . import bundle
from .anonymize import Pseudonyms, anonymize
from .draft import draft_folder
from .render import ReportScope, describe, known_times
from .verify import verify

MAX_NOTE = 2000


@attrs.frozen
class Wanted:
    """The content that the bundle is to have."""

    since_ns: int
    until_ns: int
    camera: CameraId | None = None
    note: str = ""
    events: tuple[int, int] | None = None
    """The first and the last one, where they are known already: a clock that was set back hides them."""
    anonymous: bool = False
    """Whether names of people and clients are replaced."""


@attrs.frozen
class Exported:
    stretch: excerpt.BatchRange
    events: int
    bytes: int
    digest: str


def export(
    journal: Path, wanted: Wanted, path: Path, now_ns: int, progress: Callable[[int, int], None] = lambda done, of: None
) -> Exported:
    """Write the bundle to `path`: all of it, or nothing. `progress` hears events done, of how many.

    The journal in it is complete for its stretch, whatever `wanted.camera`: that only chooses what the report, the
    last output and the verdicts are about. Raises `JournalError`, also when nothing happened then, and `OSError`.
    """
    reader = Reader(journal)
    try:
        stretch = _find(reader, wanted)
        with draft_folder(path.parent, path.name) as draft:
            done = _write(reader, wanted, stretch, draft, now_ns, progress)
            (draft / "bundle").replace(path)
        sync_folder(path.parent)
        return done
    finally:
        reader.close()


def _find(reader: Reader, wanted: Wanted) -> excerpt.BatchRange:
    stretch = excerpt.find_stretch(reader, wanted.since_ns, wanted.until_ns, wanted.events)
    if stretch is None:
        ends = (*reader.page(limit=1), *reader.page(limit=1, newest=True))
        spans = f"spans {iso(ends[0].wall_ns)} to {iso(ends[-1].wall_ns)}" if ends else "is empty"
        asked = f"{iso(wanted.since_ns)} and {iso(wanted.until_ns)}"
        raise JournalError(f"nothing happened between {asked}; the journal {spans}")
    if wanted.camera is not None:
        known = reader.page(Query(before=stretch.last + 1, camera=wanted.camera), 1)
        if not known and wanted.camera not in reader.state_at(stretch.first - 1).cameras:
            raise JournalError(f"the journal knows no camera {wanted.camera!r} up to then")
    return stretch


def _write(
    reader: Reader,
    wanted: Wanted,
    stretch: excerpt.BatchRange,
    draft: Path,
    now_ns: int,
    progress: Callable[[int, int], None],
) -> Exported:
    count = stretch.last - stretch.first + 1
    folder = draft / bundle.JOURNAL
    folder.mkdir()
    copied = excerpt.copy(reader, stretch, folder, lambda events: progress(events, 3 * count))
    camera, text, replaced = wanted.camera, wanted.note, None
    if wanted.anonymous:
        copied, names = _anonymized(draft, folder)
        camera = None if camera is None else CameraId(names.text(camera))
        text, replaced = names.text(text), names.counts()
    segments = sorted(folder.iterdir())
    if sum(segment.stat().st_size for segment in segments) > bundle.MAX_BYTES * 0.9:
        raise JournalError(f"{count} events exceed the limit of a bundle; choose a shorter time")
    since_ns, until_ns = whole_ms(wanted.since_ns), -whole_ms(-wanted.until_ns)
    exported_ns = -whole_ms(-_now(reader, now_ns))
    asked = (stretch.asked_first, stretch.asked_last)
    copy = Reader(folder)
    try:
        times = known_times(copy, since_ns, until_ns, exported_ns)
        about = ReportScope(*times, *asked, camera, text, replaced)
        rendered = describe(copy, about, lambda events: progress(count + events, 3 * count))
    finally:
        copy.close()
    sealed = [] if wanted.anonymous else excerpt.sealed_lines(reader.path, stretch)
    contents: dict[str, bytes | Path] = {f"{bundle.JOURNAL}/{segment.name}": segment for segment in segments}
    contents |= rendered.files
    contents[bundle.SEALED] = b"".join(manifest.line_of(line) + b"\n" for line in sealed)

    def make(body: str, files: tuple[bundle.BundledFile, ...]) -> bundle.Manifest:
        return bundle.Manifest(
            format=bundle.FORMAT,
            banken=__version__,
            exported=iso(exported_ns),
            node=rendered.node,
            since=iso(since_ns),
            until=iso(until_ns),
            asked=asked,
            first=stretch.first,
            last=stretch.last,
            events=copied.events,
            batches=copied.batches,
            previous=copied.previous.hex(),
            digest=copied.digest.hex(),
            camera=camera,
            note=text,
            anonymous=replaced,
            body=body,
            files=files,
        )

    path = draft / "bundle"
    digest = bundle.write(path, contents, make)
    _refuse_what_import_refuses(path, reader.path, lambda done, of: progress(2 * count + done * count // of, 3 * count))
    return Exported(stretch, copied.events, path.stat().st_size, digest)


def _anonymized(draft: Path, folder: Path) -> tuple[excerpt.Excerpt, Pseudonyms]:
    """Put an anonymized copy in the place of the journal in `folder`."""
    named = folder.rename(draft / "named")
    folder.mkdir()
    copy = Reader(named)
    try:
        return anonymize(copy, folder)
    finally:
        copy.close()


def _now(reader: Reader, now_ns: int) -> int:
    """The time of the last event, where the clock of this machine is behind it."""
    return max([now_ns, *(recorded.wall_ns for recorded in reader.page(limit=1, newest=True))])


def _refuse_what_import_refuses(path: Path, journal: Path, progress: Callable[[int, int], None]) -> None:
    """Verify the draft; whoever gets it could not import it otherwise, and would blame the way."""
    try:
        verify(path, progress=progress)
    except (bundle.Damaged, bundle.NoBundle) as error:
        raise JournalError(f"{journal}: this stretch is not exported, since import would refuse it: {error}") from None
