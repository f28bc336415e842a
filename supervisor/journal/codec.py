"""Encodes events as rows and decodes them. The formats of row, checksum and chain are final; no stored byte changes.

A row's checksum is the CRC-32 of its canonical form. It detects and locates bit rot. A batch's digest is the SHA-256
of the previous digest and of its rows' canonical forms. A changed, removed or inserted row breaks the chain.

The chain has no key. Anybody who can write to the folder can cut off its end, restore an older copy, or compute all
of it again. Only a digest that is stored elsewhere shows that (`anchor.py`, `expect.py`).
"""

import hashlib
import zlib
from collections.abc import Iterable

import msgspec

from ..domain.catalogue import EVENTS
from ..domain.events import Event, Recorded
from ..domain.ids import NodeId, RunId
from ..ports.errors import JournalDamaged, JournalError
from .upcast import UPCASTS, upcast

Row = tuple[int, int, int, NodeId, RunId, str, int, str, int, int | None, str, str, str, int]
"""seq, wall_ns, mono_ns, node, run, stream, stream_version, type, version, cause, correlation, principal, body, crc."""

Encoded = tuple[Row, bytes]
"""A row and its canonical form: all that a commit needs of an event."""

GENESIS = bytes(32)
"""The digest before the first batch of a chain."""

_READERS = {kind.__name__: (kind.version, msgspec.json.Decoder(kind).decode) for kind in EVENTS}
"""For each type of event, the newest version known here and the decoder of its body."""
_body = msgspec.json.Encoder().encode
canonical = msgspec.msgpack.Encoder().encode
"""One byte string for one row: its columns as a MessagePack array."""


def encode(recorded: Recorded) -> Row:
    """The row that stores `recorded`."""
    return encoded(recorded)[0]


def encoded(recorded: Recorded) -> Encoded:
    """The row that stores `recorded`, and its canonical form, which the chain covers. Raises `MemoryError`."""
    row = (
        recorded.seq,
        recorded.wall_ns,
        recorded.mono_ns,
        recorded.node,
        recorded.run,
        recorded.stream,
        recorded.stream_version,
        recorded.type,
        recorded.event.version,
        recorded.cause,
        recorded.correlation,
        recorded.principal,
        _body(recorded.event).decode(),
    )
    form = canonical(row)
    return (*row, zlib.crc32(form)), form


def decode(row: Row) -> Recorded:
    """The event that `row` stores. Raises `JournalDamaged`, and `JournalError` for an event of a newer release."""
    (
        seq,
        wall_ns,
        mono_ns,
        node,
        run,
        stream,
        stream_version,
        name,
        version,
        cause,
        correlation,
        principal,
        body,
        crc,
    ) = row
    if zlib.crc32(canonical(row[:-1])) != crc:
        raise JournalDamaged(f"event {seq} is damaged: its checksum does not fit")
    known, read = _READERS.get(name, (0, None))
    try:
        if read is not None and version == known:
            event = read(body)
        elif (name, version) in UPCASTS:
            event = _upcast(name, version, body)
        else:
            raise JournalError(f"event {seq} is a {name} of version {version}, written by a newer banken")
    except msgspec.MsgspecError as error:
        raise JournalDamaged(f"event {seq}, a {name}, cannot be read: {error}") from None
    return Recorded(seq, wall_ns, mono_ns, node, run, stream, stream_version, event, cause, correlation, principal)


def _upcast(name: str, version: int, body: str) -> Event:
    today, changed = upcast(name, version, msgspec.json.decode(body))
    return _READERS[today][1](msgspec.json.encode(changed))


def chain(previous: bytes, rows: Iterable[Row]) -> bytes:
    """The digest of a batch of `rows` that follows the batch with digest `previous`."""
    return chain_forms(previous, (canonical(row[:-1]) for row in rows))


def chain_forms(previous: bytes, forms: Iterable[bytes]) -> bytes:
    """As `chain`, for rows whose canonical forms are known."""
    digest = hashlib.sha256(previous)
    for form in forms:
        digest.update(form)
    return digest.digest()
