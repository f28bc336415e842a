"""The current state as one object: the message `state` of `/ws/events`, and the larger part of `/api/state`."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from supervisor.domain.ids import LeaseId
from supervisor.ports.snapshot import Snapshot

from .json import Answer, Time, iso
from .resources.cameras import Camera, cameras
from .resources.config import Refused, refused
from .resources.health import Health, health
from .resources.leases import Lease, leases
from .resources.peers import Peer, Use, peers, uses
from .rooms import Room, rooms
from .suggestion import Suggestion, suggestions


class Standing(Answer, frozen=True):
    """The current state, or that of an instant in the past."""

    type: Literal["state"]
    now: Time
    cameras: list[Camera]
    peers: list[Peer]
    uses: list[Use]
    leases: list[Lease]
    suggestion: Suggestion | None
    """The first of `suggestions`."""
    suggestions: list[Suggestion]
    """The cameras that all pages show, newest first; at most three."""
    rooms: list[Room]
    health: Health
    refused: Refused | None
    """The refused change of the configuration, until a valid one is read."""


def parts(snapshot: Snapshot, expiries: Mapping[LeaseId, int]) -> Iterator[tuple[str, Any]]:
    """Yield the fields of `Standing`, each rendered on demand, since all together take long on a large site.

    The cameras are an iterator for the same reason.
    """
    yield "type", "state"
    yield "now", iso(snapshot.now_ns)
    yield "cameras", cameras(snapshot)
    yield "peers", peers(snapshot)
    yield "uses", uses(snapshot.state)
    yield "leases", leases(snapshot, expiries)
    shown = suggestions(snapshot)
    yield "suggestion", shown[0] if shown else None
    yield "suggestions", shown
    yield "rooms", rooms(snapshot.state)
    yield "health", health(snapshot.health)
    yield "refused", refused(snapshot.state)
