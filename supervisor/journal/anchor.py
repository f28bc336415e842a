"""Anchors: records of the end of a journal's chain, stored where the journal's owner does not write later. Blocking.

A chain alone cannot show that its end was cut off, that an older copy was restored, or that all of it was rewritten:
anybody who can write to the folder can compute every digest. An anchor that is stored elsewhere shows it.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import attrs
import msgspec

from ..ports.errors import JournalError
from .guard import read_bounded
from .reader import Reader

MAX_BYTES = 64 * 1024**2
"""Limit of a file of anchors, in bytes: enough for some months with one anchor each minute."""
HEAD = 4096
"""Bytes of the file that are checked before a line is appended."""
BEGIN = b'{"journal":"'
MODE = 0o600
EVERY_S = 600.0
"""Default interval between anchors, in seconds."""
_HEAD = (
    "SELECT b.last, b.digest, w.text FROM batch b JOIN event e ON e.seq = b.last JOIN word w ON w.id = e.node "
    "ORDER BY b.first DESC LIMIT 1"
)


class Anchor(msgspec.Struct, frozen=True):
    """The chain of `journal` ended with event `seq` and `digest` (hex) at the time `at` (ISO 8601, UTC).

    `journal` is the node that the journal belongs to: a random id that is made with the journal and is in each event.
    """

    journal: str
    seq: int
    digest: str
    at: str


def find_head(folder: Path, at: str) -> Anchor | None:
    """The durable end of the journal in `folder`; None while it holds no event. Raises `JournalError`.

    Opens only the newest segment with a batch, and those after it. So damage of an older segment prevents no anchor.
    """
    reader = Reader(folder, linked=False)
    try:
        for segment in reversed(reader.segments()):
            for part in reader.parts(segment.first - 1, segment.first + 1):
                for seq, digest, node in part.rows(_HEAD):
                    return Anchor(str(node), seq, digest.hex(), at)
    finally:
        reader.close()
    return None


def append_anchor(path: Path, anchor: Anchor) -> None:
    """Append `anchor` as a line, durably. An incomplete line that a crash has left is ended first.

    Raises `OSError`, and `JournalError`, without appending, if the file does not begin with anchors.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK, MODE)
    try:
        size = os.fstat(descriptor).st_size
        if size > 0:
            _require_anchors(os.pread(descriptor, HEAD, 0), path)
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        line = msgspec.json.encode(anchor) + b"\n"
        _write_all(descriptor, b"\n" + line if torn else line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _require_anchors(head: bytes, path: Path) -> None:
    """Raise `JournalError` unless a file that begins with `head` holds anchors, is blank, or is one torn line."""
    for line in filter(None, map(bytes.strip, head.split(b"\n"))):
        if line.startswith(BEGIN):
            return
        try:
            msgspec.json.decode(line, type=Anchor)
        except msgspec.MsgspecError:
            if not BEGIN.startswith(line):
                text = f"{path}: the file begins with something else than anchors, so none is added to it"
                raise JournalError(text) from None
        else:
            return


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def read_anchors(path: Path) -> Sequence[Anchor]:
    """All anchors of a file, in the order of the file. Raises `JournalError` for a line that is not an anchor.

    Lines that a crash cut off are skipped: the last line without a line break, or an earlier one without its closing
    brace.
    """
    try:
        lines = read_bounded(path, MAX_BYTES).split(b"\n")
    except OSError as error:
        raise JournalError(f"{path}: the anchors cannot be read: {error.strerror}") from None
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or (number == len(lines)):
            continue
        try:
            found.append(msgspec.json.decode(line, type=Anchor))
        except msgspec.MsgspecError as error:
            if _is_torn(line):
                continue
            raise JournalError(f"{path}:{number}: this is not an anchor: {error}") from None
    return found


def _is_torn(line: bytes) -> bool:
    """Whether `line` is the beginning of an anchor whose end a crash has cut off."""
    return line[:2] in (BEGIN[:1], BEGIN[:2]) and not line.endswith(b"}")


@attrs.frozen
class AnchorSettings:
    """Where anchors are stored, and how often, in seconds. `url` may hold a secret."""

    file: Path | None = None
    url: str = attrs.field(default="", repr=False)
    every_s: float = EVERY_S

    @property
    def shown(self) -> str:
        """The places without secrets: only the scheme, host and TCP port of the URL."""
        return " and ".join([*([str(self.file)] if self.file else []), *([shown(self.url)] if self.url else [])])


def is_url(url: str) -> bool:
    """Whether anchors can be posted to `url`: http or https, with a host, and no character that ends a header line."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not parts.fragment
    except ValueError:
        return False
    return known and url.isascii() and not any(character.isspace() for character in url)


def shown(url: str) -> str:
    """The part of a URL that is not secret. Its path or query may be a token."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"
