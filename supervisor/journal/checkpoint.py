"""Encodes a state as bytes and decodes it: the checkpoints at the head of each segment and at intervals within it.

The bytes are compressed JSON. A field that a later release adds to the state has a default, so an older checkpoint
stays readable.
"""

import hashlib
import zlib
from collections.abc import Iterable
from typing import Any

import msgspec
from rpds import HashTrieMap

from ..domain.state import (
    Alert,
    ArchiveTrouble,
    Camera,
    Child,
    Detected,
    EndedShare,
    Identity,
    Learned,
    Lease,
    Participant,
    Peer,
    Privacy,
    Recording,
    RecordingRequest,
    Refused,
    Room,
    Seal,
    Share,
    Slot,
    State,
    StretchPin,
    Suggestion,
    Token,
    Use,
    User,
    UserSession,
    Visit,
)
from ..domain.values import DeviceSettings, Limits, Patrol, Policy
from ..ports.errors import JournalDamaged

LEVEL = 1
"""Compression level. The state of a large site is 50 kB, and there is one every few thousand events."""
STORED = "SELECT seq, CAST(state AS BLOB) FROM checkpoint"
MAX_STATE = 16 * 1024**2
"""Limit of an unpacked state, in bytes."""

_FIELDS: dict[str, Any] = {
    "seq": int,
    "node": str | None,
    "run": str | None,
    "stopping": bool,
    "origin": str,
    "limits": Limits,
    "patrol": Patrol,
    "devices": dict[str, DeviceSettings],
    "learned": dict[str, Learned],
    "slots": dict[str, Slot],
    "uses": dict[str, Use],
    "alerts": dict[str, Alert],
    "cameras": dict[str, Camera],
    "children": dict[str, Child],
    "peers": dict[str, Peer],
    "leases": dict[str, Lease],
    "policy": Policy,
    "suggestion": Suggestion | None,
    "detected": tuple[Detected, ...],
    "rooms": dict[str, Room],
    "participants": dict[str, Participant],
    "versions": dict[str, int],
    "order": tuple[str, ...],
    "refused": Refused | None,
    "suggested_before": tuple[Suggestion, ...],
    "users": dict[str, User],
    "sessions": dict[str, UserSession],
    "tokens": dict[str, Token],
    "identities": dict[str, Identity],
    "trust_ended": bool,
    "access_changes": int,
    "privacy": dict[str, Privacy],
    "shares": dict[str, Share],
    "visits": dict[str, Visit],
    "ended_shares": dict[str, EndedShare],
    "recordings": dict[str, Recording],
    "archive_troubles": dict[str, ArchiveTrouble],
    "recording_requests": dict[str, RecordingRequest],
    "seals": dict[str, Seal],
    "pins": dict[str, StretchPin],
}
"""Fields of the state. Its maps have no types at run time, so they are named here. A test compares it with `State`."""

_decoder = msgspec.json.Decoder(
    msgspec.defstruct("Stored", [(name, kind | msgspec.UnsetType, msgspec.UNSET) for name, kind in _FIELDS.items()])
)


def pack(state: State) -> bytes:
    """`state` as bytes. Equal states give equal bytes, although the order within a map depends on its history."""
    return zlib.compress(msgspec.json.encode(state, enc_hook=dict, order="deterministic"), LEVEL)


def digests(stored: Iterable[tuple[Any, ...]]) -> dict[int, bytes]:
    """SHA-256 of each row of `STORED`, by sequence number."""
    return {seq: hashlib.sha256(data or b"").digest() for seq, data in stored}


def unpack(data: bytes) -> State:
    """The inverse of `pack`. Raises `JournalDamaged` for bytes that `pack` did not make, or that are too many."""
    unpacker = zlib.decompressobj()
    try:
        plain = unpacker.decompress(data, MAX_STATE)
        if not unpacker.eof or unpacker.unused_data:
            raise JournalDamaged(
                "a checkpoint of the state is larger than any state, was cut off, or goes on behind it"
            )
        stored = msgspec.structs.asdict(_decoder.decode(plain))
    except (zlib.error, msgspec.MsgspecError, TypeError, RecursionError) as error:
        raise JournalDamaged(f"a checkpoint of the state cannot be read: {error}") from None
    known = {name: value for name, value in stored.items() if value is not msgspec.UNSET}
    fields: dict[str, Any] = {n: HashTrieMap(value) if isinstance(value, dict) else value for n, value in known.items()}
    return State(**fields)
