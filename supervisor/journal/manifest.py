"""The manifest: a line of JSON for each sealed segment, chained, so that a segment that is changed or missing shows.

A line stays when its segment is removed by retention: it proves what had been there.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from .errors import JournalDamaged, JournalError
from .files import private_file, sync_folder
from .guard import read_bounded

NAME = "manifest.jsonl"
GENESIS = "0" * 64
"""What the first line follows."""
MAX_BYTES = 64 * 1024**2
"""Of a manifest: a line has some 500, and there is one a day, or one for each 256 MiB."""


class Sealed(msgspec.Struct, frozen=True):
    """A segment that is complete. `after` is the last event before it, `digest` the end of its chain (hex)."""

    segment: str
    first: int
    last: int
    after: int
    began_ns: int
    ended_ns: int
    """When its last event was decided."""
    bytes: int
    sha256: str
    """Of the file."""
    digest: str
    previous: str
    """SHA-256 of the line before, in hex."""


def line_of(sealed: Sealed) -> bytes:
    return msgspec.json.encode(sealed)


def digest_of(sealed: Sealed | None) -> str:
    """What the next line names as the one before it."""
    return GENESIS if sealed is None else hashlib.sha256(line_of(sealed)).hexdigest()


def read(folder: Path) -> list[Sealed]:
    """Every line. Raises `JournalError` for one that cannot be read or does not follow from the one before it.

    A last line without an end was cut off by a crash, and is as good as not written.
    """
    path = folder / NAME
    try:
        *lines, _torn = read_bounded(path, MAX_BYTES).split(b"\n")
    except FileNotFoundError:
        return []
    except IsADirectoryError:
        raise JournalDamaged(f"{path}: the manifest is a folder") from None
    except OSError as error:
        raise JournalError(f"{path}: the manifest cannot be read: {error.strerror}") from None
    found: list[Sealed] = []
    for number, line in enumerate(lines, 1):
        try:
            sealed = msgspec.json.decode(line, type=Sealed)
        except msgspec.MsgspecError as error:
            raise JournalDamaged(f"{path}:{number}: the manifest is damaged: {error}") from None
        if sealed.previous != digest_of(found[-1] if found else None):
            raise JournalDamaged(f"{path}:{number}: the manifest was changed: this line does not follow the one before")
        found.append(sealed)
    return found


def append(folder: Path, known: Sequence[Sealed], sealed: Sealed) -> None:
    """Add a line after those in `known`, durably; what a crash had left of an unfinished one is overwritten."""
    draft = folder / f"{NAME}.new"
    with private_file(draft) as file:
        file.writelines(line_of(each) + b"\n" for each in (*known, sealed))
    draft.replace(folder / NAME)
    sync_folder(folder)
