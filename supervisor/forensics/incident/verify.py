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


def verify(
    path: Path, told: str | None = None, progress: Callable[[int, int], None] = lambda done, of: None
) -> VerifiedBundle:
    """Look at every byte. `told` is the digest of the bundle, or of the file, as it was read out by whoever made it.

    Raises `Damaged` with the place, `NoBundle`, and `OSError`.
    """
    with draft_folder(Path(tempfile.gettempdir()), "banken") as folder, _opened(path) as opened:
        return _render(folder, _prove(opened, folder, told, progress))


def unpack(
    path: Path, folder: Path, told: str | None = None, progress: Callable[[int, int], None] = lambda done, of: None
) -> VerifiedBundle:
    """Verify, and leave everything in `folder`, which must not be there yet. Raises what `verify` raises."""
    parent = folder.absolute().parent
    with draft_folder(parent, folder.name) as draft, _opened(path) as it:
        inside = draft / "unpacked"
        inside.mkdir()
        proven = _render(inside, _prove(it, inside, told, progress))
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


def _prove(opened: Bundle, folder: Path, told: str | None, progress: Callable[[int, int], None]) -> VerifiedBundle:
    """Check the zip, unpack it into `folder`, and check the journal."""
    opened.check()
    file_digest = opened.file_digest()
    if told is not None and not any(digest.startswith(told) for digest in (opened.fingerprint, file_digest)):
        raise Damaged("its digest is not the one that was given: it is another bundle, or was made again")
    opened.unpack_to(folder)
    described = opened.manifest
    try:
        verified = check.verify(folder / JOURNAL, lambda seq: progress(seq - described.first + 1, described.events))
        if verified.damages:
            raise Damaged(f"{JOURNAL}: {verified.damages[0]}".replace(f"{folder}/", ""))
        seals = _compare(folder, described, verified.events)
    except (Damaged, OSError):
        raise
    except (JournalError, apsw.Error) as error:
        raise Damaged(str(error).replace(f"{folder}/", "")) from None
    except Exception as error:  # somebody made it so: there is no end to what can be wrong with it
        raise Damaged(f"{JOURNAL}: it cannot be read: {type(error).__name__}: {error}") from None
    return VerifiedBundle(described, opened.fingerprint, file_digest, verified.hashes, seals, verified.gaps)


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
    try:
        since_ns, until_ns, exported_ns = (
            round(datetime.fromisoformat(text).timestamp() * 1000) * 1_000_000
            for text in (described.since, described.until, described.exported)
        )
    except (ValueError, OverflowError):
        raise Damaged(f"{MANIFEST}: its times cannot be read") from None
    since_ns, until_ns = known_times(reader, since_ns, until_ns, exported_ns)
    camera = CameraId(described.camera) if described.camera else None
    asked_first, asked_last = described.asked or first_and_last(reader, since_ns, until_ns)
    first = min(max(asked_first, described.first), described.last + 1)
    last = max(first - 1, min(asked_last, described.last))
    return ReportScope(since_ns, until_ns, first, last, camera, described.note, described.anonymous)


def _compare(folder: Path, described: Manifest, events: int) -> int:
    """Hold the journal against the manifest, and against the lines of the original that speak of it."""
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
    return seals


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
