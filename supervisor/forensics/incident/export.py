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
from .bundle import Damaged
from .draft import draft_folder
from .render import ReportScope, describe, known_times
from .verify import NotedDigests, verify
from .video import FoundVideo, WantedVideo, of_recordings, require_recorded, seals_of

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
    video: WantedVideo | None = None
    expect: str | None = None
    """A digest of the chain that was noted elsewhere, in hex: the bundle is to have its event."""


@attrs.frozen
class Exported:
    stretch: excerpt.BatchRange
    events: int
    bytes: int
    digest: str
    left_out: tuple[str, ...] = ()
    """Files of video that are not what was recorded, and why."""


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
        found = _find_video(reader, wanted.video) if wanted.video is not None else ChosenVideo()
        stretch = _widen(reader, wanted, stretch, found)
        with draft_folder(path.parent, path.name) as draft:
            done = _write(reader, wanted, stretch, found, draft, now_ns, progress)
            (draft / "bundle").replace(path)
        sync_folder(path.parent)
        return attrs.evolve(done, left_out=found.left_out)
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


@attrs.frozen
class ChosenVideo:
    """The video that goes into a bundle, and the events that are needed for it."""

    files: tuple[FoundVideo, ...] = ()
    seqs: tuple[int, ...] = ()
    left_out: tuple[str, ...] = ()


def _find_video(reader: Reader, wanted: WantedVideo) -> ChosenVideo:
    """Find files and seals. The journal is read up to its present end: a file of which it knows is complete."""
    last = reader.bounds()[1]
    within = reader.seq_at(wanted.since_ns - 1) + 1, min(last, reader.seq_at(wanted.until_ns))
    seqs = [seq for seq in within if within[0] <= within[1]]
    seals = seals_of(row for camera in wanted.cameras for row in of_recordings(reader, camera, 1, last))
    for begin, end, seq in seals.all_spans:
        if begin < wanted.until_ns and wanted.since_ns < end:
            seqs.append(seq)
    chosen, left_out = list[FoundVideo](), list[str]()
    for file in wanted.find():
        try:
            require_recorded(file, seals)
        except Damaged as damage:
            left_out.append(str(damage))
        else:
            chosen.append(file)
    return ChosenVideo(tuple(chosen), tuple(seqs), tuple(left_out))


def _widen(reader: Reader, wanted: Wanted, stretch: excerpt.BatchRange, found: ChosenVideo) -> excerpt.BatchRange:
    """The stretch with the seals of the video, and with the event of the expected digest."""
    seqs = list(found.seqs)
    if wanted.expect is not None:
        seq = excerpt.seq_of_digest(reader, wanted.expect)
        if seq is None:
            raise JournalError(f"{reader.path}: no batch has the digest of --expect; banken verify says more")
        if seq < min([stretch.asked_first, *seqs]):
            raise JournalError(f"the digest of --expect is of event {seq}, before this stretch: name a later one")
        seqs.append(seq)
    return excerpt.widen(reader, stretch, seqs) if seqs else stretch


def _write(
    reader: Reader,
    wanted: Wanted,
    stretch: excerpt.BatchRange,
    video: ChosenVideo,
    draft: Path,
    now_ns: int,
    progress: Callable[[int, int], None],
) -> Exported:
    count, mib = stretch.last - stretch.first + 1, sum(file.bytes for file in video.files) >> 20
    total = 3 * count + 2 * mib
    folder = draft / bundle.JOURNAL
    folder.mkdir()
    copied = excerpt.copy(reader, stretch, folder, lambda events: progress(events, total))
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
        rendered = describe(copy, about, lambda events: progress(count + events, total))
    finally:
        copy.close()
    sealed = [] if wanted.anonymous else excerpt.sealed_lines(reader.path, stretch)
    contents: dict[str, bundle.Content] = {f"{bundle.JOURNAL}/{segment.name}": segment for segment in segments}
    contents |= rendered.files
    contents |= {file.name: bundle.Beginning(file.path, file.bytes) for file in video.files}
    contents[bundle.SEALED] = b"".join(manifest.line_of(line) + b"\n" for line in sealed)

    def make(body: str, files: tuple[bundle.BundledFile, ...]) -> bundle.Manifest:
        return bundle.Manifest(
            format=bundle.FORMAT if wanted.video else 1,
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
            video=_scope(wanted.video),
            body=body,
            files=files,
        )

    path = draft / "bundle"
    digest = bundle.write(path, contents, make, lambda done: progress(2 * count + (done >> 20), total))
    _refuse_what_import_refuses(
        path, reader.path, wanted, lambda done, of: progress(total - count - mib + done * (count + mib) // of, total)
    )
    return Exported(stretch, copied.events, path.stat().st_size, digest)


def _scope(wanted: WantedVideo | None) -> bundle.VideoScope | None:
    if wanted is None:
        return None
    since, until = iso(whole_ms(wanted.since_ns)), iso(-whole_ms(-wanted.until_ns))
    return bundle.VideoScope(tuple(map(str, wanted.cameras)), since, until)


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


def _refuse_what_import_refuses(
    path: Path, journal: Path, wanted: Wanted, progress: Callable[[int, int], None]
) -> None:
    """Verify the draft; whoever gets it could not import it otherwise, and would blame the way."""
    try:
        expected = NotedDigests(chain=wanted.expect)
        verify(path, expected, wanted.video.walk if wanted.video else None, progress)
    except (bundle.Damaged, bundle.NoBundle) as error:
        raise JournalError(f"{journal}: this stretch is not exported, since import would refuse it: {error}") from None
