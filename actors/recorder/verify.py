"""Verifies the files of an archive: their checksums, and that they are those that the journal has sealed. Blocking."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import attrs

from supervisor.domain.events import RecordingSealed

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


@attrs.frozen
class FileFinding:
    """A file that is not as it was."""

    kind: str
    """`damaged`, `altered` or `growing`."""
    path: str
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
    folder: Path, seals: Iterable[RecordingSealed], progress: Callable[[str], None] = lambda path: None
) -> VerifiedArchive:
    """Read all files of an archive, and compare them with the seals of the journal. Raises `OSError`."""
    sealed: dict[str, RecordingSealed] = {digest: seal for seal in seals for digest in seal.digests}
    spans = [(seal.recording, seal.began_ns, seal.ended_ns) for seal in {id(s): s for s in sealed.values()}.values()]
    findings, seen = list[FileFinding](), set[str]()
    count = size = unsealed = 0
    for path in list_files(folder):
        progress(path)
        found = verify_file(folder, path)
        count, size = count + 1, size + found.walked.size
        if found.digest in sealed and second_of(path) == found.began_ns // SECOND_NS:
            seen.add(found.digest)
            continue
        finding = (
            _finding(found, spans) if found.digest not in sealed else FileFinding("altered", path, "its name is wrong")
        )
        unsealed += finding is None
        findings += [finding] if finding is not None else []
    return VerifiedArchive(count, size, len(seen), unsealed, len(sealed) - len(seen), tuple(findings))


def _finding(found: VerifiedFile, spans: Sequence[tuple[str, int, int]]) -> FileFinding | None:
    """The finding about a file that no seal has; None if it is whole, and of a time that is not sealed yet."""
    about = found.walked.about
    if about is None:
        return FileFinding("damaged", found.path, found.walked.damage)
    within = any(of == about.recording and began - SECOND_NS < found.began_ns < ended for of, began, ended in spans)
    if within:
        text = found.walked.damage or "it plays, but it is not the file that was sealed"
        return FileFinding("damaged" if found.walked.damage else "altered", found.path, text)
    if not found.walked.is_sealed:
        return FileFinding("growing", found.path, "it has no end: it grows now, or will be repaired at the next start")
    return None
