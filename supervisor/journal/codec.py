"""Events to rows and back. The row, its checksum and the chain are final; a stored byte is never rewritten.

A row's checksum is the CRC-32 of its canonical form: it finds rot and says where. A batch's digest is the SHA-256 of
the digest before it and of its rows' canonical forms: a row that is changed, dropped or inserted breaks the chain.

The chain has no key. Whoever can write the folder can cut off its end, put an older copy back, or compute all of it
again; only a digest that was noted elsewhere shows that (`anchor.py`, `expect.py`).
"""

import hashlib
import zlib
from collections.abc import Iterable

import msgspec

from ..domain.events import EVENTS, Event, Recorded
from ..domain.ids import NodeId, RunId
from .errors import JournalDamaged, JournalError
from .upcast import UPCASTS, upcast

Row = tuple[int, int, int, NodeId, RunId, str, int, str, int, int | None, str, str, str, int]
"""seq, wall_ns, mono_ns, node, run, stream, stream_version, type, version, cause, correlation, principal, body, crc."""

Encoded = tuple[Row, bytes]
"""A row, and its canonical form: all that a commit needs to have of an event."""

GENESIS = bytes(32)
"""What stands before the first batch of a chain."""

_READERS = {kind.__name__: (kind.version, msgspec.json.Decoder(kind).decode) for kind in EVENTS}
"""For each type of event the newest version known here, and what makes the event of a body."""
_body = msgspec.json.Encoder().encode
_canonical = msgspec.msgpack.Encoder().encode
"""One byte string for one row: its columns as a MessagePack array."""


def encode(recorded: Recorded) -> Row:
    """The row that stores `recorded`."""
    return encoded(recorded)[0]


def encoded(recorded: Recorded) -> Encoded:
    """The row that stores `recorded`, and what the chain goes over. Raises `MemoryError`."""
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
    form = _canonical(row)
    return (*row, zlib.crc32(form)), form


def decode(row: Row) -> Recorded:
    """The event that `row` stores. Raises `JournalError` for damage and for what a newer version wrote."""
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
    if zlib.crc32(_canonical(row[:-1])) != crc:
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
    return chain_forms(previous, (_canonical(row[:-1]) for row in rows))


def chain_forms(previous: bytes, forms: Iterable[bytes]) -> bytes:
    """The same, of rows whose canonical forms are known."""
    digest = hashlib.sha256(previous)
    for form in forms:
        digest.update(form)
    return digest.digest()
