"""The current state as pages receive it: counts for every page, lists for the pages that show them.

Rules of this file:
- Fields that no view shows are not sent, and numbers are sent with the precision that is shown.
- Camera statistics are sampled once a second, so that events do not multiply them.
- A camera is rendered again only after a change, and other tasks run after every two dozen cameras.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

import trio
from msgspec.structs import asdict

from supervisor.domain.ids import CameraId, LeaseId
from supervisor.domain.lifecycle import CameraPhase
from supervisor.domain.state import Camera, Lease, Peer, Privacy, State
from supervisor.domain.values import Reason
from supervisor.ports.gateway import ReadPort
from supervisor.ports.snapshot import Snapshot

from . import json
from .changes import Parts, Topic
from .render_cache import RenderCache
from .resources import cameras
from .resources.config import refused
from .resources.peers import token_of
from .rooms import rooms
from .suggestion import suggestions

EVERY_S = 1.0
"""Seconds between two state messages to a page when no event occurs."""
HEARD_MS = 5000
"""Resolution in milliseconds at which the time of the last frame is sent while a camera is live."""
RENEWED_MS = 10_000
"""The end of a lease is sent again when it moves by at least this many milliseconds."""
NOT_SENT = (
    "frames", "skipped", "truncated_gops", "cut_groups", "lost_packets", "discarded_frames", "broken_pictures",
    "last_frame_age_ms",
)  # fmt: skip
"""Fields of a camera that no view shows."""
VIEWS = ("viewers", "rooms")
"""Lists that are sent on request only."""


class Board:
    """The state messages of one daemon, shared by all its pages."""

    def __init__(self) -> None:
        self._topics = {name: Topic() for name in ("all", *VIEWS)}
        self._snapshot: Snapshot | None = None
        self._looked_at = 0.0
        self._made_of: dict[str, Snapshot] = {}
        """The snapshot that each topic was rendered from."""
        self._making = trio.Lock()
        self._sampled_at = -EVERY_S
        self._sampled: Snapshot | None = None
        """The last snapshot with statistics."""
        self._heard: dict[CameraId, int] = {}
        self._ends: dict[LeaseId, int] = {}
        """The end of each lease as pages last received it, in milliseconds since the epoch."""
        self._made_cameras, self._made_leases, self._made_peers = (
            RenderCache(camera_of),
            RenderCache(lease_of),
            RenderCache(peer_of),
        )

    async def news(self, gateway: ReadPort, position: dict[str, int], views: Collection[str]) -> Sequence[str]:
        """Return the messages that bring a client from the versions in `position` to the current ones.

        `position` maps each topic to its version and is updated. Other tasks may run between two topics, since each
        takes some milliseconds when there are many viewers.
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

    async def _refresh(self, name: str, gateway: ReadPort) -> None:
        """Refresh the topic `name`, once for all clients that ask at about the same time."""
        snapshot = self._look(gateway)
        if self._made_of.get(name) is snapshot:
            return
        match name:
            case "viewers":
                parts = self._viewers(snapshot, gateway)
            case "rooms":
                parts = {"rooms": {room.id: asdict(room) for room in rooms(snapshot.state)}}
            case _:
                parts = await self._all(snapshot)
        self._topics[name].update(parts)
        self._made_of[name] = snapshot
        await trio.lowlevel.checkpoint()

    def _look(self, gateway: ReadPort) -> Snapshot:
        """Return a snapshot that is recent and includes the last event."""
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
        """Return the current time, computed from the last snapshot; `_look` must have run before."""
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
        """Yield the id of each camera and the arguments of `camera_of`."""
        state, viewers = snapshot.state, cameras.viewer_counts(snapshot.state)
        for place, known in enumerate(state.in_order()):
            name = known.settings.camera
            sample = sampled.cameras.get(name)
            rates = (round(sample.fps, 1), rounded(sample.bitrate)) if sample else (0.0, 0)
            cpu = round(sample.rendition.cpu, 2) if sample and sample.rendition else None
            heard = self._heard_ms(name, sampled, live=known.phase is CameraPhase.LIVE)
            why, mute = state.why(name, snapshot.now_ns), cameras.mute_of(known, state)
            retry_at_ns = state.next_attempt_ns(name, snapshot.now_ns)
            shown = (known, why, retry_at_ns, mute, viewers.get(name, 0), place, heard, *rates, cpu)
            yield name, (*shown, state.private(name))

    def _heard_ms(self, name: CameraId, snapshot: Snapshot, *, live: bool) -> int | None:
        """Return the arrival time of the last frame in milliseconds since the epoch."""
        measured = snapshot.cameras.get(name)
        if measured is None or measured.last_frame_age_s is None:
            self._heard.pop(name, None)
            return None
        exact = round(snapshot.now_ns / 1e6 - measured.last_frame_age_s * 1000)
        known = self._heard.get(name)
        # Two samples of the same frame differ by some milliseconds.
        if known is None or not -100 < exact - known < (HEARD_MS if live else 100):
            self._heard[name] = exact
        return self._heard[name]

    # ── for those that show them ────────────────────────────────────────────────────────────────────────────────

    def _viewers(self, snapshot: Snapshot, gateway: ReadPort) -> Parts:
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
        """Update the ends of renewed leases that moved by at least `RENEWED_MS` since they were sent."""
        known, self._ends = self._ends, {}
        for name, lease in leases.items():
            if lease.is_held or name not in ends:
                continue
            exact, sent = ends[name] // 1_000_000, known.get(name)
            self._ends[name] = exact if sent is None or not 0 <= exact - sent < RENEWED_MS else sent


def camera_of(
    known: Camera,
    why: Reason | None,
    retry_at_ns: int | None,
    mute: str,
    viewers: int,
    place: int,
    heard_ms: int | None,
    fps: float,
    bitrate: int,
    transcoder_cpu: float | None = None,
    private: Privacy | None = None,
) -> json.Json:
    """`place` is the index of the camera in the configuration, from 0."""
    shown = asdict(cameras.camera(known, why, retry_at_ns, None, viewers, mute, private))
    for field in NOT_SENT:
        del shown[field]
    return shown | {"place": place, "heard": heard_ms, "fps": fps, "bitrate": bitrate, "transcoder_cpu": transcoder_cpu}


def lease_of(lease: Lease, ends_ms: int | None, *peers: str) -> json.Json:
    return {
        "lease": lease.lease,
        "kind": lease.kind.value,
        "camera": lease.camera,
        "client": lease.client,
        "purpose": lease.purpose,
        "since": json.iso(lease.since_ns),
        "held": lease.is_held,
        "expires": None if ends_ms is None else json.iso(ends_ms * 1_000_000),
        "peers": peers,
    }


def peer_of(peer: Peer) -> json.Json:
    return {
        "id": peer.peer,
        "camera": peer.camera,
        "client": peer.client,
        "protocol": peer.protocol.value,
        "transport": peer.transport,
        "token": token_of(peer) or "",
        "state": peer.phase.value,
        "opened": json.iso(peer.opened_ns),
    }


def summary(snapshot: Snapshot) -> json.Json:
    """The counts in the header and on the buttons of the views."""
    shown = [asdict(each) for each in suggestions(snapshot)]
    for each in shown:
        del each["remaining_s"]
    state = snapshot.state
    return {
        "verdict": snapshot.health.verdict.value,
        "suggestion": shown[0] if shown else None,
        "suggestions": shown,
        "viewers": viewer_count(state),
        "rooms": len(state.rooms),
        "refused": refused(state),
    }


def viewer_count(state: State) -> int:
    """The number of rows in the view of viewers: leases (MJPEG viewers included) and peers without a lease."""
    alone = sum(peer.lease not in state.leases for peer in state.peers.values())
    return len(state.leases) + alone


def rounded(bits: int) -> int:
    """Round a bit rate to the shown precision: 0.1 Mb/s, and 10 kb/s below 1 Mb/s."""
    step = 100_000 if bits >= 1_000_000 else 10_000
    return round(bits / step) * step
