"""How things stand, as it is sent to pages: counts for all, and lists for those that show them.

Rules of this file:
- A field that no view shows is not sent, and numbers are sent as precisely as they are shown.
- Statistics of cameras are taken once a second, so that events do not multiply them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

import trio

from supervisor.domain.ids import CameraId, LeaseId
from supervisor.domain.lifecycle import CameraPhase
from supervisor.domain.state import Lease, Peer, State
from supervisor.gateway import CameraStatistics, Gates, Snapshot

from . import json
from .changes import Entities, Parts, Topic
from .made import Made

EVERY_S = 1.0
"""How often a page hears of how things stand when nothing happens."""
HEARD_MS = 5000
"""While a camera is live, the time of its last frame is sent this coarsely."""
RENEWED_MS = 10_000
"""So much later a lease must end before that is sent."""
NOT_SENT = ("frames", "skipped", "cut_groups", "lost_packets", "broken_pictures", "last_frame_age_ms")
"""Fields of a camera that no view shows."""
VIEWS = ("viewers", "rooms")
"""Lists that a page has to ask for."""


class Board:
    """One for all pages of a daemon."""

    def __init__(self) -> None:
        self._topics = {name: Topic() for name in ("all", *VIEWS)}
        self._snapshot: Snapshot | None = None
        self._looked_at = 0.0
        self._made_of: dict[str, Snapshot] = {}
        """For each topic the snapshot that it was made of."""
        self._sampled_at = -EVERY_S
        self._samples: Mapping[CameraId, CameraStatistics] = {}
        self._heard: dict[CameraId, int] = {}
        self._ends: dict[LeaseId, int] = {}
        """For each lease the end that pages know, in milliseconds since the epoch."""
        self._made_leases, self._made_peers = Made(lease_of), Made(peer_of)

    async def news(self, gateway: Gates, position: dict[str, int], views: Collection[str]) -> Sequence[str]:
        """The messages for a client that knows each topic up to the version in `position`, which follows.

        Another task may run between two topics: each is some milliseconds of work where viewers are many.
        """
        followed = [name for name in self._topics if name == "all" or name in views]
        for name in followed:
            if self._refresh(name, gateway):
                await trio.lowlevel.checkpoint()
        for name in set(position) - set(followed):
            del position[name]
        now = self._now(gateway)
        messages = [text for name in followed for text in self._topics[name].since(position.get(name, 0), now)]
        position.update({name: self._topics[name].version for name in followed})
        return messages or [f'{{"type":"changes","now":"{now}"}}']

    def _refresh(self, name: str, gateway: Gates) -> bool:
        """Once for all clients that ask at about the same time: false when another has done it."""
        snapshot = self._look(gateway)
        if self._made_of.get(name) is snapshot:
            return False
        self._made_of[name] = snapshot
        match name:
            case "viewers":
                parts = self._viewers(snapshot, gateway)
            case "rooms":
                parts = {"rooms": by_id(json.rooms(snapshot.state))}
            case _:
                parts = self._all(snapshot)
        self._topics[name].update(parts)
        return True

    def _look(self, gateway: Gates) -> Snapshot:
        """One that is new enough: nothing has happened since, and it is not old."""
        now = trio.current_time()
        if (
            self._snapshot is None
            or gateway.last_seq > self._snapshot.state.seq
            or now >= self._looked_at + EVERY_S / 2
        ):
            self._snapshot, self._looked_at = gateway.snapshot(), now
        return self._snapshot

    def _now(self, gateway: Gates) -> str:
        age_s = trio.current_time() - self._looked_at
        return json.iso(self._look(gateway).now_ns + int(age_s * 1e9))

    # ── for all pages ───────────────────────────────────────────────────────────────────────────────────────────

    def _all(self, snapshot: Snapshot) -> Parts:
        now = trio.current_time()
        if now - self._sampled_at >= EVERY_S * 0.9:
            self._sampled_at, self._samples = now, snapshot.cameras
        health = {part.part: {"verdict": part.verdict.value, "reason": part.reason} for part in snapshot.health.parts}
        return {"summary": {"daemon": summary(snapshot)}, "cameras": self._cameras(snapshot), "health": health}

    def _cameras(self, snapshot: Snapshot) -> Entities:
        found = {}
        for camera in json.cameras(snapshot):
            name = camera["id"]
            sample = self._samples.get(name)
            shown = {field: value for field, value in camera.items() if field not in NOT_SENT}
            shown["fps"] = round(sample.fps, 1) if sample else 0.0
            shown["bitrate"] = rounded(sample.bitrate) if sample else 0
            shown["heard"] = self._heard_ms(name, snapshot, live=camera["state"] == CameraPhase.LIVE.value)
            found[name] = shown
        for gone in set(self._heard) - set(found):
            del self._heard[CameraId(gone)]
        return found

    def _heard_ms(self, name: CameraId, snapshot: Snapshot, *, live: bool) -> int | None:
        """When the last frame came, in milliseconds since the epoch."""
        measured = snapshot.cameras.get(name)
        if measured is None or measured.last_frame_age_s is None:
            self._heard.pop(name, None)
            return None
        exact = round(snapshot.now_ns / 1e6 - measured.last_frame_age_s * 1000)
        known = self._heard.get(name)
        # Two questions about the same frame are some milliseconds apart.
        if known is None or not -100 < exact - known < (HEARD_MS if live else 100):
            self._heard[name] = exact
        return self._heard[name]

    # ── for those that show them ────────────────────────────────────────────────────────────────────────────────

    def _viewers(self, snapshot: Snapshot, gateway: Gates) -> Parts:
        leases, state = dict(snapshot.state.leases.items()), snapshot.state
        self._follow_ends(leases, gateway.expiries())
        peers = sorted(state.peers.values(), key=lambda peer: (peer.opened_ns, peer.peer))
        under: dict[LeaseId, list[str]] = {}
        for peer in peers:
            under.setdefault(peer.lease, []).append(peer.peer)
        return {
            "leases": self._made_leases.entities(
                (name, (lease, self._ends.get(name), *under.get(name, ()))) for name, lease in leases.items()
            ),
            "peers": self._made_peers.entities((peer.peer, (peer,)) for peer in peers),
        }

    def _follow_ends(self, leases: Mapping[LeaseId, Lease], ends: Mapping[LeaseId, int]) -> None:
        """Note when leases end that somebody renews, where that is noticeably later than was sent."""
        known, self._ends = self._ends, {}
        for name, lease in leases.items():
            if lease.is_held or name not in ends:
                continue
            exact, sent = ends[name] // 1_000_000, known.get(name)
            self._ends[name] = exact if sent is None or not 0 <= exact - sent < RENEWED_MS else sent


def lease_of(lease: Lease, ends_ms: int | None, *peers: str) -> json.Json:
    return {
        "lease": lease.lease,
        "kind": lease.kind.value,
        "camera": lease.camera,
        "client": lease.client,
        "purpose": lease.purpose,
        "since": json.iso(lease.since_ns),
        "expires": None if ends_ms is None else json.iso(ends_ms * 1_000_000),
        "peers": peers,
    }


def peer_of(peer: Peer) -> json.Json:
    return {
        "id": peer.peer,
        "camera": peer.camera,
        "client": peer.client,
        "state": peer.phase.value,
        "opened": json.iso(peer.opened_ns),
    }


def summary(snapshot: Snapshot) -> json.Json:
    """The counts that the line on top and the views' buttons show."""
    suggestion = json.suggestion(snapshot)
    if suggestion is not None:
        del suggestion["remaining_s"]
    state = snapshot.state
    return {
        "verdict": snapshot.health.verdict.value,
        "suggestion": suggestion,
        "viewers": viewer_count(state),
        "rooms": len(state.rooms),
    }


def viewer_count(state: State) -> int:
    """As many as the view of viewers has rows: leases, that of an MJPEG viewer too, and connections without one."""
    alone = sum(peer.lease not in state.leases for peer in state.peers.values())
    return len(state.leases) + alone


def by_id(entities: Iterable[json.Json]) -> Entities:
    return {entity["id"]: entity for entity in entities}


def rounded(bits: int) -> int:
    """As it is shown: 0.1 Mb/s, and 10 kb/s below one."""
    step = 100_000 if bits >= 1_000_000 else 10_000
    return round(bits / step) * step
