"""How things stand, as it is sent to pages: counts for all, and lists for those that show them.

Rules of this file:
- A field that no view shows is not sent, and numbers are sent as precisely as they are shown.
- Statistics of cameras are taken once a second, so that events do not multiply them.
- A camera is made again only when something of it has changed, and other tasks run between two dozen of them.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import trio

from supervisor.domain.ids import CameraId, LeaseId
from supervisor.domain.lifecycle import CameraPhase
from supervisor.domain.state import Camera, Lease, Peer, State
from supervisor.domain.values import Reason
from supervisor.gateway import Gates, Snapshot

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
        self._making = trio.Lock()
        self._sampled_at = -EVERY_S
        self._sampled: Snapshot | None = None
        """The last one with statistics."""
        self._heard: dict[CameraId, int] = {}
        self._ends: dict[LeaseId, int] = {}
        """For each lease the end that pages know, in milliseconds since the epoch."""
        self._made_cameras, self._made_leases, self._made_peers = Made(camera_of), Made(lease_of), Made(peer_of)

    async def news(self, gateway: Gates, position: dict[str, int], views: Collection[str]) -> Sequence[str]:
        """The messages for a client that knows each topic up to the version in `position`, which follows.

        Another task may run between two topics: each is some milliseconds of work where viewers are many.
        """
        followed = [name for name in self._topics if name == "all" or name in views]
        for name in followed:
            async with self._making:
                await self._refresh(name, gateway)
        for name in set(position) - set(followed):
            del position[name]
        now = self._now()
        messages = [text for name in followed for text in self._topics[name].since(position.get(name, 0), now)]
        position.update({name: self._topics[name].version for name in followed})
        return messages or [f'{{"type":"changes","now":"{now}"}}']

    async def _refresh(self, name: str, gateway: Gates) -> None:
        """Once for all clients that ask at about the same time."""
        snapshot = self._look(gateway)
        if self._made_of.get(name) is snapshot:
            return
        match name:
            case "viewers":
                parts = self._viewers(snapshot, gateway)
            case "rooms":
                parts = {"rooms": by_id(json.rooms(snapshot.state))}
            case _:
                parts = await self._all(snapshot)
        self._topics[name].update(parts)
        self._made_of[name] = snapshot
        await trio.lowlevel.checkpoint()

    def _look(self, gateway: Gates) -> Snapshot:
        """One that is new enough: nothing has happened since, and it is not old."""
        now = trio.current_time()
        if (
            self._snapshot is None
            or gateway.last_seq > self._snapshot.state.seq
            or now >= self._looked_at + EVERY_S / 2
        ):
            is_due = now - self._sampled_at >= EVERY_S * 0.9
            self._snapshot, self._looked_at = gateway.snapshot(cameras=is_due), now
            if is_due:
                self._sampled, self._sampled_at = self._snapshot, now
        return self._snapshot

    def _now(self) -> str:
        """After a look, which is not repeated for it."""
        assert self._snapshot is not None
        return json.iso(self._snapshot.now_ns + int((trio.current_time() - self._looked_at) * 1e9))

    # ── for all pages ───────────────────────────────────────────────────────────────────────────────────────────

    async def _all(self, snapshot: Snapshot) -> Parts:
        sampled = self._sampled or snapshot
        cameras = await self._made_cameras.entities_in_turns(self._sources(snapshot, sampled))
        for gone in set(self._heard) - set(cameras):
            del self._heard[CameraId(gone)]
        health = {part.part: {"verdict": part.verdict.value, "reason": part.reason} for part in snapshot.health.parts}
        return {"summary": {"daemon": summary(snapshot)}, "cameras": cameras, "health": health}

    def _sources(self, snapshot: Snapshot, sampled: Snapshot) -> Iterator[tuple[str, tuple[object, ...]]]:
        """What each camera is made of: see `camera_of`."""
        state, viewers = snapshot.state, json.viewer_counts(snapshot.state)
        for name, known in sorted(state.cameras.items()):
            sample = sampled.cameras.get(name)
            rates = (round(sample.fps, 1), rounded(sample.bitrate)) if sample else (0.0, 0)
            heard = self._heard_ms(name, sampled, live=known.phase is CameraPhase.LIVE)
            why, mute = state.why(name, snapshot.now_ns), json.mute_of(known, state)
            yield name, (known, why, mute, viewers.get(name, 0), heard, *rates)

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


def camera_of(
    known: Camera, why: Reason | None, mute: str, viewers: int, heard_ms: int | None, fps: float, bitrate: int
) -> json.Json:
    shown = {field: value for field, value in json.camera(known, why, None, viewers).items() if field not in NOT_SENT}
    return shown | {"mute": mute, "heard": heard_ms, "fps": fps, "bitrate": bitrate}


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
