"""The manifest: a chained line of JSON for each sealed segment. It reveals changed and missing segments.

A line stays when retention removes its segment: it proves what existed.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ..ports.errors import JournalDamaged, JournalError
from .files import private_file, sync_folder
from .guard import read_bounded

NAME = "manifest.jsonl"
GENESIS = "0" * 64
"""The digest that the first line follows."""
MAX_BYTES = 64 * 1024**2
"""Limit of a manifest: a line has some 500 bytes, and there is one a day, or one for each 256 MiB."""


class Sealed(msgspec.Struct, frozen=True):
    """A complete segment. `after` is the last event before it, `digest` the end of its chain (hex)."""

    segment: str
    first: int
    last: int
    after: int
    began_ns: int
    ended_ns: int
    """When its last event was decided."""
    bytes: int
    sha256: str
    """Digest of the file, in hex."""
    digest: str
    previous: str
    """SHA-256 of the previous line, in hex."""


def line_of(sealed: Sealed) -> bytes:
    return msgspec.json.encode(sealed)


def digest_of(sealed: Sealed | None) -> str:
    """The value of `previous` in the line after `sealed`."""
    return GENESIS if sealed is None else hashlib.sha256(line_of(sealed)).hexdigest()


def read(folder: Path) -> list[Sealed]:
    """Every line. Raises `JournalDamaged` for a line that cannot be decoded or does not follow the previous one.

    A last line without a line break was cut off by a crash, and counts as not written. Raises `JournalError` if the
    file cannot be read.
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
    """Append a line after those in `known`, durably. An incomplete line that a crash left is overwritten."""
    draft = folder / f"{NAME}.new"
    with private_file(draft) as file:
        file.writelines(line_of(each) + b"\n" for each in (*known, sealed))
    draft.replace(folder / NAME)
    sync_folder(folder)
