"""Invariants, checked with every appended event. The first violation ends the simulation.

Rules of this file:
- It keeps its own records, from the events and from observations of the world; it never calls the code under test.
- Expensive checks run every `FOLD_EVERY` events, and at the end.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Protocol

import attrs
import trio

from supervisor.domain import events as e
from supervisor.domain.core import ANY, OUTSIDE
from supervisor.domain.evolve import fold
from supervisor.domain.ids import CameraId, DeviceId, lease_stream
from supervisor.domain.restart import HEALTHY_AFTER_S, PROBE_BASE_S, STARTS_PER_S
from supervisor.domain.state import State, state_hash
from supervisor.domain.values import Fault, LeaseKind, Limits
from supervisor.journal.writer import Journal, Segments
from supervisor.services.leases import SWEEP_S

FOLD_EVERY = 1000
CAUSES: dict[type[e.Event], tuple[str, ...]] = {e.ChildStarting: ("CameraConnecting",)}
"""The permitted causes where the simulation has fewer than the event declares: all its children are sources."""
SLACK_S = 1e-6
LOOKED_EVERY_S = 10.0
BEGINS_WITHIN_S = 60.0
"""Seconds after which a starting child process or peer must have started or ended."""


class Broken(Exception):
    """An invariant was violated."""


class Seen(Protocol):
    """Observations of the world besides the journal."""

    def living(self, camera: CameraId) -> int:
        """The number of unreaped processes of a camera."""
        ...

    def probed_at(self, camera: CameraId) -> float:
        """When its host last answered a TCP probe."""
        ...


@attrs.define
class History:
    """The record of one camera."""

    attempts: int = 0
    not_before: float = 0.0
    is_asked: bool = False
    lost_at: float = 0.0
    may_be_probed: bool = False
    live_since: float | None = None
    clock_ns: int = 0
    """The difference between wall clock and monotonic clock when it became live."""
    child: str | None = None
    device: DeviceId | None = None


@attrs.define
class Watch:
    """The records. A violation is stored in `broken`; then `scope` is cancelled, and with it the simulation."""

    world: Seen
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    broken: str | None = None
    broken_at: int = 0
    """The event at which the violation was found; later events belong to the cleanup."""
    seq: int = 0
    clock_ns: int = 0
    """The difference between wall clock and monotonic clock."""
    acknowledged: int = 0
    """The highest sequence number that was acknowledged as durable."""
    limits: Limits = attrs.field(factory=Limits)
    budgets: dict[DeviceId, int] = attrs.field(factory=dict)
    holders: dict[CameraId, DeviceId] = attrs.field(factory=dict)
    cameras: dict[CameraId, History] = attrs.field(factory=lambda: defaultdict(History))
    viewers: dict[str, tuple[CameraId, str]] = attrs.field(factory=dict)
    """Camera and client of each peer, and of each use that counts as a peer."""
    leases: dict[str, e.LeaseGranted] = attrs.field(factory=dict)
    """The active ones, by stream."""
    heard: dict[str, float] = attrs.field(factory=dict)
    """Time of the last renewal of each lease that needs renewing."""
    orphans: set[str] = attrs.field(factory=set)
    """Peers whose lease has ended; the next events must close them."""
    peers: dict[str, str] = attrs.field(factory=dict)
    """Streams of the peers that are not closing, and of their leases."""
    begun: dict[str, float] = attrs.field(factory=dict)
    """Streams of starting child processes and peers, with their start times."""
    versions: dict[str, int] = attrs.field(factory=dict)
    kinds: list[type[e.Event]] = attrs.field(factory=list)
    """Of all events, in order."""
    queued: set[CameraId] = attrs.field(factory=set)
    starts: deque[float] = attrs.field(factory=lambda: deque(maxlen=STARTS_PER_S + 1))
    folded: State = attrs.field(factory=State)
    unfolded: list[e.Recorded] = attrs.field(factory=list)

    def require(self, holds: bool, text: str) -> None:
        if not holds and self.broken is None:
            self.broken, self.broken_at = text, self.seq
            self.scope.cancel(reason=text)

    def look_at(self, row: e.Recorded) -> None:
        """Check and record the next event, which was just decided."""
        event, now_s = row.event, row.mono_ns / 1e9
        self.require(row.seq == self.seq + 1, f"event {row.seq} follows event {self.seq}")
        self.seq, self.clock_ns = row.seq, row.wall_ns - row.mono_ns
        if row.cause is None:
            self.require(OUTSIDE in event.causes, f"event {row.seq}, {row.type}, names no cause")
        else:
            self.require(0 < row.cause < row.seq, f"event {row.seq} names event {row.cause} as its cause")
            self.look_at_cause(row, self.kinds[row.cause - 1])
        self.kinds.append(type(event))
        spared = self.orphans and not (isinstance(event, e.PeerClosing) and event.stream in self.orphans)
        self.require(not spared, f"event {row.seq}, {row.type}: {', '.join(self.orphans)} live without a lease")
        self.require(
            row.stream_version == self.versions.get(row.stream, 0) + 1,
            f"event {row.seq} is number {row.stream_version} of {row.stream}",
        )
        self.versions[row.stream] = row.stream_version
        self.unfolded.append(row)
        look = _LOOKS.get(type(event))
        if look is not None:
            look(self, event, now_s)

    def look_at_cause(self, row: e.Recorded, cause: type[e.Event]) -> None:
        """Check that the event declares this type of cause. The run starts without leftovers."""
        event, told = row.event, f"event {row.seq}, {row.type}, follows from {cause.__name__}, {row.cause}"
        permitted = CAUSES.get(type(event), event.causes)
        self.require(cause.__name__ in permitted or ANY in permitted, told)
        if isinstance(event, e.ChildStopping) and cause is e.ChildStarted:
            by_itself = event.reason.fault is not Fault.NONE and event.reason.code != "stalled"
            self.require(by_itself, f"{told}, though somebody wanted its end: {event.reason.text}")
        if isinstance(event, e.SlotTaken) and event.camera in self.queued:
            self.require(cause in (e.SlotFreed, e.ConfigurationApplied, e.CameraQueued), told)
        if isinstance(event, e.CameraQueued | e.SlotTaken | e.SlotFreed):
            (self.queued.add if isinstance(event, e.CameraQueued) else self.queued.discard)(event.camera)

    def look_at_clock(self, now_s: float) -> None:
        """Check that no start takes longer than permitted."""
        for stream, since_s in self.begun.items():
            self.require(now_s - since_s < BEGINS_WITHIN_S, f"{stream} has been about to begin since {since_s:.0f} s")
        for stream, heard_s in self.heard.items():
            late_s = now_s - heard_s - self.leases[stream].ttl_s - SWEEP_S
            self.require(late_s < LOOKED_EVERY_S, f"{stream} lives, and was renewed last at {heard_s:.0f} s")

    def look_at_all(self, state: State) -> None:
        """Check that the fold of the events equals `state`. Takes a few milliseconds."""
        self.folded = fold(self.unfolded, self.folded)
        self.unfolded.clear()
        self.require(state_hash(self.folded) == state_hash(state), f"the events up to {self.seq} give another state")

    def starts_child(self, camera: CameraId, device: DeviceId | None, on_device: int) -> None:
        """Check the start of a process of `camera` while `on_device` other processes of its device exist."""
        self.require(self.world.living(camera) == 0, f"a second process of {camera} beside one that lives")
        budget = self.budgets.get(device) if device else None
        self.require(budget is None or on_device < budget, f"{device} gets connection {on_device + 1} of {budget}")

    def acknowledge(self, seq: int, stored: int) -> None:
        """Check the acknowledgement of event `seq` against the number of stored events."""
        self.acknowledged = max(self.acknowledged, seq)
        self.require(seq <= stored, f"event {seq} was acknowledged, but the disk has only {stored}")

    # ── what each kind of event may and may not ─────────────────────────────────────────────────────────────────

    def configured(self, event: e.ConfigurationApplied, now_s: float) -> None:
        self.limits = event.limits
        self.budgets = {known.device: known.max_connections for known in event.devices}

    def changed(self, event: e.CameraAdded | e.CameraChanged | e.CameraRemoved, now_s: float) -> None:
        """Reset the record of the camera; its child process, if any, continues."""
        device = None if isinstance(event, e.CameraRemoved) else event.settings.device
        self.cameras[event.camera] = History(child=self.cameras[event.camera].child, device=device)

    def slot_taken(self, event: e.SlotTaken, now_s: float) -> None:
        self.require(event.camera not in self.holders, f"{event.camera} takes a second place")
        self.holders[event.camera] = event.device
        held = sum(device == event.device for device in self.holders.values())
        budget = self.budgets.get(event.device)
        self.require(budget is None or held <= budget, f"{held} places of {event.device} are taken, it has {budget}")

    def slot_freed(self, event: e.SlotFreed, now_s: float) -> None:
        self.holders.pop(event.camera, None)
        living = self.world.living(event.camera)
        self.require(living == 0, f"{event.camera} gives its place back while {living} process of it lives")

    def connects(self, event: e.CameraConnecting, now_s: float) -> None:
        if event.attempt > 1 and not self.cameras[event.camera].is_asked:  # others do not form a herd after a power cut
            self.starts.append(now_s)
            crowd = len(self.starts) == self.starts.maxlen and now_s - self.starts[0] < 1 - SLACK_S
            self.require(not crowd, f"{event.camera} is start {STARTS_PER_S + 1} after a failure in one second")
        known = self.cameras[event.camera]
        known.is_asked = False
        probed = known.may_be_probed and known.lost_at < self.world.probed_at(event.camera)
        placed = known.device is None or event.camera in self.holders
        self.require(placed, f"{event.camera} connects to {known.device} without a place")
        early_s = known.not_before - now_s
        self.require(probed or early_s < SLACK_S, f"{event.camera} is tried {early_s:.1f} s too early")

    def retried(self, event: e.CameraRetried, now_s: float) -> None:
        known = self.cameras[event.camera]
        known.not_before, known.is_asked = now_s, True

    def is_live(self, event: e.CameraLive, now_s: float) -> None:
        known = self.cameras[event.camera]
        known.clock_ns = self.clock_ns if known.live_since is None else known.clock_ns
        known.live_since = now_s if known.live_since is None else known.live_since

    def is_lost(self, event: e.CameraWaiting | e.CameraFailed, now_s: float) -> None:
        known = self.cameras[event.camera]
        healthy = known.live_since is not None and now_s - known.live_since >= HEALTHY_AFTER_S - SLACK_S
        known.lost_at, known.not_before, known.live_since = now_s, now_s + event.delay_s, None
        known.may_be_probed = event.reason.code == "unreachable"
        if isinstance(event, e.CameraFailed):
            self.require(event.reason.fault is Fault.FATAL, f"{event.camera} failed of what will pass")
            self.require(event.delay_s >= PROBE_BASE_S, f"{event.camera} failed and is tried in {event.delay_s:g} s")
            return
        counted = 1 if healthy else known.attempts + 1
        was_set = known.clock_ns != self.clock_ns  # then the time of a success is not what it seems
        self.require(
            event.attempts == counted or was_set, f"failure {counted} of {event.camera} counts as {event.attempts}"
        )
        known.attempts = event.attempts

    def rests(self, event: e.CameraIdle, now_s: float) -> None:
        known = self.cameras[event.camera]
        if known.live_since is not None:
            known.attempts = 0
        known.live_since = None
        kept = event.camera in self.holders and self.world.living(event.camera) == 0
        self.require(not kept, f"{event.camera} rests, has no process, and keeps its place")

    def crashed(self, event: e.CameraCrashed | e.CameraQuarantined, now_s: float) -> None:
        self.require(False, f"{event.camera} crashed: {event.reason.text}")

    def child_starts(self, event: e.ChildStarting, now_s: float) -> None:
        known = self.cameras[event.camera]
        self.require(known.child is None, f"{event.camera} starts {event.child} beside {known.child}")
        known.child = event.child
        self.begun[event.stream] = now_s

    def has_begun(self, event: e.ChildStarted | e.PeerConnected, now_s: float) -> None:
        self.begun.pop(event.stream, None)

    def child_ended(self, event: e.ChildEnded, now_s: float) -> None:
        self.cameras[event.camera].child = None
        self.begun.pop(event.stream, None)
        self.versions.pop(event.stream, None)
        living = self.world.living(event.camera)
        self.require(living == 0, f"the end of {event.child} is recorded before it was reaped")

    def granted(self, event: e.LeaseGranted, now_s: float) -> None:
        self.leases[event.stream] = event
        clients = [lease.client for lease in self.leases.values() if lease.ttl_s]
        full = len(clients) > self.limits.leases or clients.count(event.client) > self.limits.leases_per_client
        self.require(not full or not event.ttl_s, f"{event.stream} is one lease too many")
        kinds = [lease.kind for lease in self.leases.values()]
        self.require(kinds.count(LeaseKind.SUGGEST) <= 1, f"{event.stream} is a second suggestion")
        alike = [lease for lease in self.leases.values() if (lease.camera, lease.kind) == (event.camera, event.kind)]
        alone = len(alike) == 1 or not any(lease.exclusive for lease in alike)
        self.require(alone, f"{event.camera} has {len(alike)} leases, one of them exclusive")
        if event.ttl_s:
            self.heard[event.stream] = now_s
        elif event.until_ns is None:
            self.viewer_came(event, now_s)

    def lease_ended(self, event: e.LeaseEnded, now_s: float) -> None:
        del self.leases[event.stream]
        self.heard.pop(event.stream, None)
        self.versions.pop(event.stream, None)
        self.viewers.pop(event.stream, None)
        self.orphans = {peer for peer, lease in self.peers.items() if lease == event.stream}

    def peer_opened(self, event: e.PeerOpened, now_s: float) -> None:
        lease = lease_stream(event.lease)
        self.require(lease in self.leases, f"{event.stream} opens under {lease}, which is not live")
        self.viewers.pop(lease, None)
        self.peers[event.stream] = lease
        self.begun[event.stream] = now_s
        self.viewer_came(event, now_s)

    def peer_closing(self, event: e.PeerClosing, now_s: float) -> None:
        self.peers.pop(event.stream, None)
        self.orphans.discard(event.stream)

    def viewer_came(self, event: e.PeerOpened | e.LeaseGranted, now_s: float) -> None:
        self.viewers[event.stream] = (event.camera, event.client)
        cameras, clients = zip(*self.viewers.values(), strict=True)
        limits = self.limits
        full = len(cameras) > limits.peers or cameras.count(event.camera) > limits.peers_per_camera
        full = full or clients.count(event.client) > limits.peers_per_client
        self.require(not full, f"{event.stream} is one viewer too many")

    def peer_closed(self, event: e.PeerClosed, now_s: float) -> None:
        self.viewers.pop(event.stream, None)
        self.peers.pop(event.stream, None)
        self.begun.pop(event.stream, None)
        self.versions.pop(event.stream, None)

    def stream_ended(self, event: e.UseEnded | e.RecordingStopped, now_s: float) -> None:
        self.versions.pop(event.stream, None)


_LOOKS: dict[type[e.Event], Callable[..., None]] = {
    e.ConfigurationApplied: Watch.configured,
    e.CameraAdded: Watch.changed,
    e.CameraChanged: Watch.changed,
    e.CameraRemoved: Watch.changed,
    e.SlotTaken: Watch.slot_taken,
    e.SlotFreed: Watch.slot_freed,
    e.CameraConnecting: Watch.connects,
    e.CameraRetried: Watch.retried,
    e.CameraLive: Watch.is_live,
    e.CameraWaiting: Watch.is_lost,
    e.CameraFailed: Watch.is_lost,
    e.CameraIdle: Watch.rests,
    e.CameraCrashed: Watch.crashed,
    e.CameraQuarantined: Watch.crashed,
    e.ChildStarting: Watch.child_starts,
    e.ChildStarted: Watch.has_begun,
    e.ChildEnded: Watch.child_ended,
    e.LeaseGranted: Watch.granted,
    e.LeaseEnded: Watch.lease_ended,
    e.RecordingStopped: Watch.stream_ended,
    e.PeerOpened: Watch.peer_opened,
    e.PeerClosing: Watch.peer_closing,
    e.PeerConnected: Watch.has_begun,
    e.PeerClosed: Watch.peer_closed,
    e.UseEnded: Watch.stream_ended,
}


class WatchedJournal(Journal):
    """The real writer, with checks of queued events and of acknowledgements."""

    def __init__(self, watch: Watch, segments: Segments, publish: Callable[[Sequence[e.Recorded]], None]) -> None:
        super().__init__(segments, publish)
        self._watch = watch

    def append_nowait(self, recorded: e.Recorded, state: State) -> None:
        super().append_nowait(recorded, state)
        self._watch.look_at(recorded)

    async def wait_committed(self, seq: int) -> bool:
        durable = await super().wait_committed(seq)
        if durable:
            self._watch.acknowledge(seq, self._segments.last_seq)
        return durable
