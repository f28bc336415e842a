"""Proves that a bundle is what was exported, and unpacks it. Blocking.

Rules of this file:
- A bundle may come from anybody. Its files are opened only after all of the zip was found to be as we write it; its
  journal is read as that of a stranger is (`journal/guard.py`).
- Files are unpacked complete under their name, or not at all.
- Report, health, configuration and last output are made again from the journal that was proven: those of the bundle may
  say anything, and hold scripts.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import apsw
import attrs
import msgspec

from ...domain.ids import CameraId
from ...journal import check, manifest
from ...journal.errors import FOREIGN
from ...journal.guard import read_bounded
from ...journal.reader import Reader
from ...ports.errors import JournalError
from ..replay import first_and_last
from .bundle import JOURNAL, MANIFEST, SEALED, Bundle, Damaged, Manifest
from .draft import draft_folder
from .render import ReportScope, describe, known_times
from .video import CameraVideo, FoundVideo, WalkVideo, judge


@attrs.frozen
class VerifiedBundle:
    """The parts that were found to be unaltered."""

    manifest: Manifest
    digest: str
    """Of the manifest, and so of everything."""
    file_digest: str
    hashes: int
    """States that a fold of the events came to as well."""
    seals: int
    """Sealed segments whose ends the chain met."""
    gaps: tuple[tuple[int, int], ...]
    differing: tuple[str, ...] = ()
    """Files of the bundle that are not, byte for byte, those that its journal gives here: made by another release or by
    a forger."""
    video: tuple[CameraVideo, ...] = ()
    expected: int | None = None
    """The last event of the batch whose end has the digest that was expected; None if none was."""


@attrs.frozen
class NotedDigests:
    """The digests that others know, in hex; the beginning is enough."""

    bundle: str | None = None
    """The digest of the bundle, or of the file, as it was read out by whoever made it."""
    chain: str | None = None
    """The digest of the chain after some event of the bundle, as it was noted elsewhere."""


def verify(
    path: Path,
    expected: NotedDigests = NotedDigests(),
    walk: WalkVideo | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> VerifiedBundle:
    """Look at every byte. `walk` reads video.

    Raises `Damaged` with the place, `NoBundle`, and `OSError`.
    """
    with draft_folder(Path(tempfile.gettempdir()), "banken") as folder, _opened(path) as opened:
        _check(opened, progress)
        opened.unpack_to(folder, video=False)
        return _render(folder, _prove(opened, folder, expected, walk, progress))


def unpack(
    path: Path,
    folder: Path,
    expected: NotedDigests = NotedDigests(),
    walk: WalkVideo | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> VerifiedBundle:
    """Verify, and leave everything in `folder`, which must not be there yet. Raises what `verify` raises."""
    parent = folder.absolute().parent
    with draft_folder(parent, folder.name) as draft, _opened(path) as it:
        inside = draft / "unpacked"
        inside.mkdir()
        _check(it, progress)
        it.unpack_to(inside)
        proven = _render(inside, _prove(it, inside, expected, walk, progress))
        if folder.exists():
            raise FileExistsError(17, "it is there already", str(folder))
        inside.rename(folder)
        return proven


@contextmanager
def _opened(path: Path) -> Iterator[Bundle]:
    opened = Bundle(path)
    try:
        yield opened
    finally:
        opened.close()


def _check(opened: Bundle, progress: Callable[[int, int], None]) -> None:
    """Read every byte."""
    total = opened.manifest.events + _mib(opened)
    opened.check(lambda video: progress(video >> 20, total))


def _mib(opened: Bundle) -> int:
    return sum(held.bytes for held in opened.manifest.video_files) >> 20


def _prove(
    opened: Bundle, folder: Path, expected: NotedDigests, walk: WalkVideo | None, progress: Callable[[int, int], None]
) -> VerifiedBundle:
    """Check the journal that was unpacked into `folder`, and the video that it has sealed."""
    file_digest, told = opened.file_digest(), expected.bundle
    if told is not None and not any(digest.startswith(told) for digest in (opened.fingerprint, file_digest)):
        raise Damaged("its digest is not the one that was given: it is another bundle, or was made again")
    described = opened.manifest
    try:
        mib = _mib(opened)
        total = described.events + mib
        verified = check.verify(folder / JOURNAL, lambda seq: progress(mib + seq - described.first + 1, total))
        if verified.damages:
            raise Damaged(f"{JOURNAL}: {verified.damages[0]}".replace(f"{folder}/", ""))
        seals, met = _compare(folder, described, verified.events, expected.chain)
        video = _video(opened, folder, walk)
    except (Damaged, OSError):
        raise
    except (JournalError, apsw.Error) as error:
        raise Damaged(str(error).replace(f"{folder}/", "")) from None
    except Exception as error:  # somebody made it so: there is no end to what can be wrong with it
        raise Damaged(f"{JOURNAL}: it cannot be read: {type(error).__name__}: {error}") from None
    return VerifiedBundle(
        described, opened.fingerprint, file_digest, verified.hashes, seals, verified.gaps, video=video, expected=met
    )


def _video(opened: Bundle, folder: Path, walk: WalkVideo | None) -> tuple[CameraVideo, ...]:
    """Walk through the video, and compare it with the journal."""
    scope, held = opened.manifest.video, opened.manifest.video_files
    if scope is None and not held:
        return ()
    if scope is None or walk is None:
        raise Damaged(f"{held[0].name if held else MANIFEST}: nobody has asked for video")
    since_ns, until_ns = _times(scope.since, scope.until)
    files = []
    for each in held:
        with opened.open_video(each.name) as file:
            files.append(FoundVideo(each.name, each.bytes, each.sha256, walk(file)))
    with _reader(folder / JOURNAL) as reader:
        return judge(reader, scope.cameras, since_ns, until_ns, files)


def _render(folder: Path, proven: VerifiedBundle) -> VerifiedBundle:
    """Put what the journal gives in the place of the bundle's own files, and say which of those were different."""
    described = proven.manifest
    try:
        with _reader(folder / JOURNAL) as reader:
            rendered = describe(reader, _about(described, reader))
    except (JournalError, *FOREIGN) as error:
        raise Damaged(f"{JOURNAL}: its report cannot be made: {error}".replace(f"{folder}/", "")) from None
    differing = []
    for name, data in rendered.files.items():
        if _other(folder / name, data):
            differing.append(name)
        (folder / name).write_bytes(data)
    return attrs.evolve(proven, differing=tuple(differing))


def _other(path: Path, data: bytes) -> bool:
    """Whether a file, which may be large, holds other bytes than these."""
    return path.stat().st_size != len(data) or path.read_bytes() != data


def _about(described: Manifest, reader: Reader) -> ReportScope:
    """The stretch that the manifest declares, as far as it is valid: its times may be anything, too."""
    since_ns, until_ns, exported_ns = _times(described.since, described.until, described.exported)
    since_ns, until_ns = known_times(reader, since_ns, until_ns, exported_ns)
    camera = CameraId(described.camera) if described.camera else None
    asked_first, asked_last = described.asked or first_and_last(reader, since_ns, until_ns)
    first = min(max(asked_first, described.first), described.last + 1)
    last = max(first - 1, min(asked_last, described.last))
    return ReportScope(since_ns, until_ns, first, last, camera, described.note, described.anonymous)


def _times(*texts: str) -> tuple[int, ...]:
    try:
        return tuple(round(datetime.fromisoformat(text).timestamp() * 1000) * 1_000_000 for text in texts)
    except (ValueError, OverflowError):
        raise Damaged(f"{MANIFEST}: its times cannot be read") from None


def _compare(folder: Path, described: Manifest, events: int, expected: str | None) -> tuple[int, int | None]:
    """Hold the journal against the manifest, and against the lines of the original that speak of it.

    Returns the number of sealed segments, and the event after which the chain has the `expected` digest.
    """
    seals = 0
    with _reader(folder / JOURNAL) as reader:
        first, last = reader.bounds()
        parts = list(reader.parts())
        ends = {part.path: part.rows("SELECT first, last, digest FROM batch ORDER BY first") for part in parts}
        batches = [(first, last, digest.hex()) for part in parts for first, last, digest in ends[part.path]]
        previous = parts[0].previous.hex()
        found = (first, last, events, len(batches), previous, batches[-1][2] if batches else previous)
        told = (
            described.first,
            described.last,
            described.events,
            described.batches,
            described.previous,
            described.digest,
        )
        if found != told:
            raise Damaged("the manifest does not describe the journal beside it")
    for line in _sealed(folder):
        for _, end, digest in batches:
            if end == line.last:
                seals += 1
                if digest != line.digest:
                    raise Damaged(f"{SEALED}: {line.segment} was sealed with another end of the chain")
    met = [end for _, end, digest in batches if expected is not None and digest.startswith(expected)]
    if expected is not None and not met:
        text = "its journal has no batch with the digest of --expect: history was made again, or the digest is of"
        raise Damaged(f"{JOURNAL}: {text} another journal, or of an event outside of {first} to {last}")
    return seals, met[-1] if met else None


def _sealed(folder: Path) -> list[manifest.Sealed]:
    """The lines of the original's manifest, each of which follows from the one before."""
    found: list[manifest.Sealed] = []
    for number, raw in enumerate(read_bounded(folder / SEALED, manifest.MAX_BYTES).splitlines(), 1):
        try:
            line = msgspec.json.decode(raw, type=manifest.Sealed)
        except msgspec.MsgspecError as error:
            raise Damaged(f"{SEALED}:{number}: it cannot be read: {error}") from None
        if found and line.previous != manifest.digest_of(found[-1]):
            raise Damaged(f"{SEALED}:{number}: this line does not follow the one before")
        found.append(line)
    return found


@contextmanager
def _reader(path: Path) -> Iterator[Reader]:
    reader = Reader(path)
    try:
        yield reader
    finally:
        reader.close()
