"""Commands: what somebody wants, or what an actor reports, in the imperative. `decide` turns them into events."""

import attrs

from .ids import CameraId, ChildId, DetectionId, LeaseId, NodeId, ParticipantId, PeerId, RoomId, RunId, UseId
from .values import (
    CameraSettings,
    DeviceSettings,
    LeaseKind,
    Limits,
    Patrol,
    Picture,
    Policy,
    Reason,
    RefusedClient,
    UseKind,
)


@attrs.frozen
class Command:
    """Base of all commands."""


# ── the daemon ──────────────────────────────────────────────────────────────────────────────────────────────────


@attrs.frozen
class StartRun(Command):
    """First command of a life; closes what an earlier run left open, but for the children that are still `alive`."""

    run: RunId
    node: NodeId
    release: str
    pid: int
    alive: frozenset[ChildId] = frozenset()


@attrs.frozen
class StopRun(Command):
    reason: Reason


@attrs.frozen
class EndRun(Command):
    pass


@attrs.frozen
class Configure(Command):
    """Make the cameras, devices and limits be these; only what differs changes."""

    origin: str
    cameras: tuple[CameraSettings, ...]
    limits: Limits
    devices: tuple[DeviceSettings, ...] = ()
    patrol: Patrol = attrs.field(factory=Patrol)
    policy: Policy = attrs.field(factory=Policy)


@attrs.frozen
class ReportGap(Command):
    """Events `first` to `last` were decided, and could not be stored."""

    first: int
    last: int


@attrs.frozen
class ReportChain(Command):
    """A new chain begins; the old one ended with event `last` and `digest` (hex)."""

    last: int
    digest: str
    why: str


@attrs.frozen
class ReportSetAside(Command):
    """A file of the journal was renamed, because it is damaged or not ours."""

    file: str
    aside: str
    why: str


@attrs.frozen
class ReportRemoval(Command):
    """These segments are about to be removed by retention."""

    segments: tuple[str, ...]
    first: int
    last: int
    bytes: int
    why: str


@attrs.frozen
class ReportJournalFault(Command):
    """The journal could not write from `began_ns` (wall time) on, for `lasted_s` seconds."""

    why: str
    began_ns: int
    lasted_s: float


@attrs.frozen
class RaiseAlert(Command):
    """Say that something should be looked at. Once is enough: it stands until it is cleared."""

    alert: str
    text: str


@attrs.frozen
class ClearAlert(Command):
    alert: str


@attrs.frozen
class ReportRequestsRefused(Command):
    """Requests of clients were refused within `over_s` seconds, because they asked too often."""

    clients: tuple[RefusedClient, ...]
    others: int
    """Requests of clients that are not named."""
    over_s: float


# ── cameras ─────────────────────────────────────────────────────────────────────────────────────────────────────


@attrs.frozen
class ConnectCamera(Command):
    camera: CameraId


@attrs.frozen
class ReportLive(Command):
    camera: CameraId
    picture: Picture


@attrs.frozen
class ReportStall(Command):
    camera: CameraId
    silence_s: float


@attrs.frozen
class ReportLoss(Command):
    """The source ended. `jitter` is uniform in [0, 1) and spreads the next attempt."""

    camera: CameraId
    reason: Reason
    jitter: float


@attrs.frozen
class ReportCrash(Command):
    """The camera's actor met an exception that nobody expected."""

    camera: CameraId
    error: str
    jitter: float


@attrs.frozen
class RestCamera(Command):
    """The source was let go on purpose."""

    camera: CameraId
    reason: Reason


@attrs.frozen
class TakeSlot(Command):
    """Ask for the camera's one place among its device's connections; who finds none free stands in the queue."""

    camera: CameraId


@attrs.frozen
class FreeSlot(Command):
    """Give the place back, or leave the queue. Does nothing while a child of the camera lives: its end does it then."""

    camera: CameraId
    reason: Reason


@attrs.frozen
class BeginUse(Command):
    """Have the camera opened for a moment, for banken itself."""

    use: UseId
    camera: CameraId
    kind: UseKind
    client: str


@attrs.frozen
class EndUse(Command):
    use: UseId
    reason: Reason


@attrs.frozen
class ReportPatrol(Command):
    group: str
    pictures: int
    missed: tuple[CameraId, ...]
    took_s: float
    skipped: int


# ── child processes ─────────────────────────────────────────────────────────────────────────────────────────────


@attrs.frozen
class PrepareChild(Command):
    child: ChildId
    camera: CameraId
    purpose: str
    arguments: tuple[str, ...]


@attrs.frozen
class ReportChildStarted(Command):
    child: ChildId
    pid: int
    start_ticks: int


@attrs.frozen
class ReportChildFound(Command):
    """A process that no actor of ours knows, with the mark of a child that has ended; `child` is a fresh id."""

    child: ChildId
    camera: CameraId
    pid: int
    start_ticks: int
    arguments: tuple[str, ...]
    mark: str = ""


@attrs.frozen
class ReportChildSignalled(Command):
    child: ChildId
    signal: str
    reason: Reason


@attrs.frozen
class ReportChildUnkillable(Command):
    child: ChildId


@attrs.frozen
class ReportChildEnded(Command):
    child: ChildId
    exit_code: int | None
    signal: str | None
    reason: Reason
    stderr_tail: tuple[str, ...] = ()


# ── leases ──────────────────────────────────────────────────────────────────────────────────────────────────────


@attrs.frozen
class GrantLease(Command):
    """Ask for a camera. Caps are checked in the same step.

    With a `ttl_s` of 0 a connection of ours holds it, which takes a place among the viewers.
    """

    lease: LeaseId
    kind: LeaseKind
    camera: CameraId
    client: str
    owner: str = ""
    """Hash of the secret that is to renew it."""
    ttl_s: float = 0.0
    exclusive: bool = False
    purpose: str = ""


@attrs.frozen
class RenewLease(Command):
    """Its holder is still there; as a rule nothing follows from that. `owner` is the hash of the secret he gave."""

    lease: LeaseId
    owner: str
    idle_s: float = 0.0
    """How long nobody has touched anything where it is shown."""


@attrs.frozen
class ReportLeaseSilent(Command):
    """Nothing has been heard of a lease's holder for `silence_s`."""

    lease: LeaseId
    silence_s: float


@attrs.frozen
class EndLease(Command):
    """End a lease, and what lives under it. With an `owner` (hash of the secret) only the owner is obeyed."""

    lease: LeaseId
    reason: Reason
    owner: str | None = None


@attrs.frozen
class ReportRefusal(Command):
    """Somebody was refused a lease, and `unsaid` others since this was last said of anybody."""

    camera: CameraId
    kind: LeaseKind
    client: str
    reason: Reason
    unsaid: int = 0


# ── detections ──────────────────────────────────────────────────────────────────────────────────────────────────


@attrs.frozen
class ReportDetection(Command):
    """A detector has seen something. `lease` is a fresh id, for the suggestion that it may become."""

    detection: DetectionId
    lease: LeaseId
    camera: CameraId
    at_ns: int
    label: str
    score: float
    by: str
    box: tuple[float, ...] = ()
    key: str = ""


# ── viewers ─────────────────────────────────────────────────────────────────────────────────────────────────────


@attrs.frozen
class OpenPeer(Command):
    """Ask for a place under the caps, and under a lease. Check and registration are one step.

    Without a `lease` one is granted in the same step, which ends with the peer and bears its name.
    """

    peer: PeerId
    camera: CameraId
    client: str
    owner: str
    lease: LeaseId | None = None
    holder: str = ""
    """Hash of the secret of the lease, if one is given."""


@attrs.frozen
class ReportPeerConnected(Command):
    peer: PeerId


@attrs.frozen
class ReportPeerSilent(Command):
    peer: PeerId
    silence_s: float


@attrs.frozen
class ReportPeerHeard(Command):
    peer: PeerId
    silence_s: float


@attrs.frozen
class ClosePeer(Command):
    """Ask for the end of a peer. With an `owner` (hash of the secret) only the owner is obeyed."""

    peer: PeerId
    reason: Reason
    owner: str | None = None


@attrs.frozen
class ReportPeerClosed(Command):
    """The peer's actor has ended and holds nothing any more."""

    peer: PeerId
    reason: Reason


# ── rooms ───────────────────────────────────────────────────────────────────────────────────────────────────────


@attrs.frozen
class OpenRoom(Command):
    """Make a room with one participant in it."""

    room: RoomId
    participant: ParticipantId
    client: str


@attrs.frozen
class JoinRoom(Command):
    """Ask for a place in a room. Check and registration are one step."""

    room: RoomId
    participant: ParticipantId
    client: str


@attrs.frozen
class LeaveRoom(Command):
    participant: ParticipantId
    reason: Reason


@attrs.frozen
class CloseRoom(Command):
    """End a room that has been idle for long enough; any other stays."""

    room: RoomId
