"""Verifies the files of an archive: their checksums, and that they are those that the journal has sealed. Blocking."""

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from actors.media.media import CLOCK_RATE
from supervisor.base.times import iso
from supervisor.domain.events import (
    Recorded,
    RecordingRepaired,
    RecordingResumed,
    RecordingSealed,
    RecordingsExpired,
    RecordingStarted,
)
from supervisor.domain.words import plural

from .archive_writer import list_files, second_of
from .recording_file import Walk, walk

SECOND_NS = 1_000_000_000


@attrs.frozen
class VerifiedFile:
    """A recording file, as it is now."""

    path: str
    """Relative to the archive."""
    walked: Walk
    digest: str
    """SHA-256 of the whole file, in hex."""

    @property
    def began_ns(self) -> int:
        """When its first fragment began; if that is damaged, the second in its name."""
        return self.walked.fragments[0].place.wall_ns if self.walked.fragments else second_of(self.path) * 10**9

    @property
    def ended_ns(self) -> int:
        return self.began_ns + self.walked.duration * SECOND_NS // CLOCK_RATE

    @property
    def middle_ns(self) -> int:
        return (self.began_ns + self.ended_ns) // 2


@attrs.frozen
class FileFinding:
    """A file that is not as it was."""

    kind: str
    """`damaged`, `altered`, `unknown`, `missing` or `growing`."""
    path: str
    """Relative to the archive; the camera of files that are missing."""
    text: str


@attrs.frozen
class VerifiedArchive:
    files: int
    bytes: int
    proven: int
    """Files that are exactly those that the journal has sealed."""
    unsealed: int
    """Whole files of recordings that the journal has not sealed yet."""
    removed: int
    """Sealed files that are not there any more, as after their retention."""
    findings: tuple[FileFinding, ...]

    @property
    def is_whole(self) -> bool:
        return all(finding.kind == "growing" for finding in self.findings)


def verify_file(folder: Path, path: str) -> VerifiedFile:
    """Read a file. Raises `OSError`."""
    with open(folder / path, "rb") as file:
        walked = walk(file)
        file.seek(0)
        return VerifiedFile(path, walked, hashlib.file_digest(file, "sha256").hexdigest())


def verify_archive(
    folder: Path,
    rows: Iterable[Recorded],
    newer: Callable[[], Iterable[Recorded]] = tuple,
    progress: Callable[[str], None] = lambda path: None,
    also: Sequence[Path] = (),
) -> VerifiedArchive:
    """Read all files of an archive, and compare them with the journal, of which `rows` has the recordings at least.

    `newer` gives what was journaled meanwhile: retention may have removed files. `also`: the other archives of that
    journal, whose files would be missing otherwise. Raises `OSError`.
    """
    journal = JournaledRecordings()
    journal.read(rows)
    findings, seen, changed = list[FileFinding](), dict[str, FileSpan](), list[tuple[str, int]]()
    count = size = unsealed = 0
    for place, path in ((each, path) for each in (folder, *also) for path in list_files(each)):
        progress(path)
        found = verify_file(place, path)
        count, size = count + 1, size + found.walked.size
        is_sealed = found.digest in journal.seals
        finding = _of_sealed(found, journal, seen) if is_sealed else _of_unsealed(found, journal)
        if finding is not None:
            findings.append(attrs.evolve(finding, path=str(place / path)) if also else finding)
            changed += [] if is_sealed or finding.kind not in ("damaged", "altered") else [_moment(found)]
        elif is_sealed:
            seen[found.digest] = FileSpan(path, found.began_ns, found.ended_ns)
        else:
            unsealed += 1
    journal.read(row for row in newer() if isinstance(row.event, RecordingsExpired))
    findings += _missing(journal, seen, changed)
    return VerifiedArchive(count, size, len(seen), unsealed, len(journal.seals) - len(seen), tuple(findings))


@attrs.frozen
class FileSpan:
    """A file that is as it was sealed, and its time in nanoseconds since 1970."""

    path: str
    began_ns: int
    ended_ns: int


class JournaledRecordings:
    """The journal's knowledge of recordings."""

    def __init__(self) -> None:
        self.seals: dict[str, RecordingSealed] = {}
        """By the SHA-256 of each file."""
        self.recordings: dict[str, str] = {}
        """The camera of each recording."""
        self.sealed: dict[str, list[RecordingSealed]] = {}
        """By recording."""
        self._expired: dict[str, list[tuple[int, int]]] = {}
        """The times of which retention has removed files, by camera."""

    def read(self, rows: Iterable[Recorded]) -> None:
        for row in rows:
            match row.event:
                case RecordingSealed() as seal:
                    self.seals |= dict.fromkeys(seal.digests, seal)
                    self.recordings[seal.recording] = seal.camera
                    self.sealed.setdefault(seal.recording, []).append(seal)
                case RecordingStarted() | RecordingResumed() | RecordingRepaired() as begun:
                    self.recordings[begun.recording] = begun.camera
                case RecordingsExpired() as gone:
                    self._expired.setdefault(gone.camera, []).append((gone.began_ns, gone.ended_ns))
                case _:
                    pass
        self._expired = {camera: _merged(spans) for camera, spans in self._expired.items()}

    def has_sealed(self, recording: str, at_ns: int) -> bool:
        """Whether this moment of a recording is sealed."""
        return any(seal.began_ns <= at_ns < seal.ended_ns for seal in self.sealed.get(recording, ()))

    def has_removed(self, camera: str, began_ns: int, ended_ns: int) -> bool:
        """Whether retention has removed files of this time."""
        spans = self._expired.get(camera, [])
        place = bisect_left(spans, (ended_ns, 0))
        return place > 0 and spans[place - 1][1] > began_ns


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same times without overlaps, in order."""
    found = list[tuple[int, int]]()
    for began_ns, ended_ns in sorted(spans):
        if found and began_ns <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], ended_ns))
        else:
            found.append((began_ns, ended_ns))
    return found


def _of_sealed(found: VerifiedFile, journal: JournaledRecordings, seen: Mapping[str, FileSpan]) -> FileFinding | None:
    """The finding about a file that is sealed: it must be at its place, and once."""
    camera = journal.seals[found.digest].camera
    if found.path.partition("/")[0] != camera:
        return FileFinding("altered", found.path, f"it is video of {camera}")
    if second_of(found.path) != found.began_ns // SECOND_NS:
        return FileFinding("altered", found.path, "its name is wrong")
    if found.digest in seen:
        return FileFinding("altered", found.path, f"it is a copy of {seen[found.digest].path}")
    return None


def _of_unsealed(found: VerifiedFile, journal: JournaledRecordings) -> FileFinding | None:
    """The finding about a file that no seal has; None if it is whole, and of a time that is not sealed yet."""
    about, walked, camera = found.walked.about, found.walked, found.path.partition("/")[0]
    if about is None:
        return FileFinding("damaged", found.path, walked.damage)
    if journal.has_sealed(about.recording, found.middle_ns):
        text = walked.damage or "it plays, but it is not the file that was sealed"
        return FileFinding("damaged" if walked.damage else "altered", found.path, text)
    if journal.recordings.get(about.recording) != camera or about.camera != camera:
        text = f"the journal knows no recording {about.recording} of {camera}"
        return FileFinding("unknown", found.path, text)
    if not walked.is_sealed:
        return FileFinding("growing", found.path, "it has no end: it grows now, or will be repaired at the next start")
    return None


def _missing(
    journal: JournaledRecordings, seen: Mapping[str, FileSpan], changed: Sequence[tuple[str, int]]
) -> Iterator[FileFinding]:
    """The sealed files that are not there, and that retention did not remove; `changed` others are at their place.

    The time of those that follow each other lies between their neighbours in the seal.
    """
    for seal in (seal for seals in journal.sealed.values() for seal in seals):
        ended_ns, count = seal.began_ns, 0
        for found in (*(seen.get(digest) for digest in seal.digests), FileSpan("", seal.ended_ns, 0)):
            if found is None:
                count += 1
                continue
            span = ended_ns, max(found.began_ns, ended_ns + 1)
            count -= sum(recording == seal.recording and span[0] <= at < span[1] for recording, at in changed)
            if count > 0 and not journal.has_removed(seal.camera, *span):
                files = f"{plural(count, 'file')} of {iso(span[0])} to {iso(span[1])}"
                yield FileFinding("missing", seal.camera, f"{files}: sealed, and not removed by retention")
            ended_ns, count = found.ended_ns, 0


def _moment(found: VerifiedFile) -> tuple[str, int]:
    """A recording, and a moment of it."""
    return found.walked.about.recording if found.walked.about is not None else "", found.middle_ns
