"""Values of a viewer: its offer, its lease, its connection, its snapshots, and the errors that it may get."""

import hashlib
from collections.abc import Collection
from typing import Protocol

import attrs

from ..domain.ids import CameraId, LeaseId, PeerId
from ..domain.state import Lease
from ..domain.values import Reason

HEARTBEAT_S = 10.0
"""How often holders are to renew: two may be lost on the way before a lease of 30 s ends."""


@attrs.frozen
class LeaseOver(Exception):
    """A lease that there is no more, or never was; `why` is how it ended, where that is remembered."""

    lease: LeaseId
    why: Reason | None

    def __str__(self) -> str:
        if self.why is None:
            return "there is no such lease, or it ended too long ago to be remembered"
        return f"this lease is over: {self.why.text}"


@attrs.frozen
class OfferError(Exception):
    """An offer that cannot be answered: 400 when it is malformed, 406 when it asks for something not supported."""

    status: int
    reason: str

    def __str__(self) -> str:
        return self.reason


@attrs.frozen
class Opened:
    """A viewer's new connection. `secret` is the owner's; only its hash is kept."""

    peer: PeerId
    secret: str
    answer: str
    camera: CameraId
    """Whose stream it gets: that of the camera it asked for, or of a substream of it."""


@attrs.frozen
class HeldLease:
    """A lease as its holder sees it. `secret` is only there when it was just granted; only its hash is kept."""

    lease: Lease
    expires_ns: int
    peers: tuple[PeerId, ...]
    secret: str = ""


@attrs.frozen
class Key:
    """The id of a lease, and the secret of its owner."""

    lease: LeaseId
    secret: str


@attrs.frozen
class NoCommonCodec(Exception):
    """The viewer takes none of the codecs that the camera sends, or its substreams."""

    camera: CameraId
    codec: str
    """Of the camera; empty where it has not sent a picture yet."""
    reason: str

    def __str__(self) -> str:
        return self.reason


class ParsedOffer(Protocol):
    """An offer that can be answered."""

    @property
    def codecs(self) -> Collection[str]:
        """Of video, as `Picture` names them."""
        ...


@attrs.frozen
class Jpeg:
    """A picture of a camera."""

    data: bytes
    taken_ns: int
    """When its key frame came."""
    age_s: float


def hash_secret(secret: str) -> str:
    """The stored form of an owner's secret: SHA-256 of its 128 random bits, in hex."""
    return hashlib.sha256(secret.encode()).hexdigest()
