"""Commands: what somebody wants, or what an actor reports, in the imperative. `decide` turns them into events."""

from msgspec import Struct, field

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


class Command(Struct, frozen=True):
    """Base of all commands. A class of msgspec is made in a thirtieth of the time of one of attrs, at each start."""


# ── the daemon ──────────────────────────────────────────────────────────────────────────────────────────────────


class StartRun(Command, frozen=True):
    """First command of a life; closes what an earlier run left open, but for the children that are still `alive`."""

    run: RunId
    node: NodeId
    release: str
    pid: int
    alive: frozenset[ChildId] = frozenset()


class StopRun(Command, frozen=True):
    reason: Reason


class EndRun(Command, frozen=True):
    pass


class Configure(Command, frozen=True):
    """Make the cameras, devices and limits be these; only what differs changes."""

    origin: str
    cameras: tuple[CameraSettings, ...]
    limits: Limits
    devices: tuple[DeviceSettings, ...] = ()
    patrol: Patrol = field(default_factory=Patrol)
    policy: Policy = field(default_factory=Policy)


class ReportGap(Command, frozen=True):
    """Events `first` to `last` were decided, and could not be stored."""

    first: int
    last: int


class ReportChain(Command, frozen=True):
    """A new chain begins; the old one ended with event `last` and `digest` (hex)."""

    last: int
    digest: str
    why: str


class ReportSetAside(Command, frozen=True):
    """A file of the journal was renamed, because it is damaged or not ours."""

    file: str
    aside: str
    why: str


class ReportRemoval(Command, frozen=True):
    """These segments are about to be removed by retention."""

    segments: tuple[str, ...]
    first: int
    last: int
    bytes: int
    why: str


class ReportJournalFault(Command, frozen=True):
    """The journal could not write from `began_ns` (wall time) on, for `lasted_s` seconds."""

    why: str
    began_ns: int
    lasted_s: float


class RaiseAlert(Command, frozen=True):
    """Say that something should be looked at. Once is enough: it stands until it is cleared."""

    alert: str
    text: str


class ClearAlert(Command, frozen=True):
    alert: str


class ReportRequestsRefused(Command, frozen=True):
    """Requests of clients were refused within `over_s` seconds, because they asked too often."""

    clients: tuple[RefusedClient, ...]
    others: int
    """Requests of clients that are not named."""
    over_s: float


# ── cameras ─────────────────────────────────────────────────────────────────────────────────────────────────────


class ConnectCamera(Command, frozen=True):
    camera: CameraId


class ReportLive(Command, frozen=True):
    camera: CameraId
    picture: Picture


class ReportStall(Command, frozen=True):
    camera: CameraId
    silence_s: float


class ReportLoss(Command, frozen=True):
    """The source ended. `jitter` is uniform in [0, 1) and spreads the next attempt."""

    camera: CameraId
    reason: Reason
    jitter: float


class ReportCrash(Command, frozen=True):
    """The camera's actor met an exception that nobody expected."""

    camera: CameraId
    error: str
    jitter: float


class RestCamera(Command, frozen=True):
    """The source was let go on purpose."""

    camera: CameraId
    reason: Reason


class TakeSlot(Command, frozen=True):
    """Ask for the camera's one place among its device's connections; who finds none free stands in the queue."""

    camera: CameraId


class FreeSlot(Command, frozen=True):
    """Give the place back, or leave the queue. Does nothing while a child of the camera lives: its end does it then."""

    camera: CameraId
    reason: Reason


class BeginUse(Command, frozen=True):
    """Have the camera opened for a moment, for banken itself."""

    use: UseId
    camera: CameraId
    kind: UseKind
    client: str


class EndUse(Command, frozen=True):
    use: UseId
    reason: Reason


class ReportPatrol(Command, frozen=True):
    group: str
    pictures: int
    missed: tuple[CameraId, ...]
    took_s: float
    skipped: int


# ── child processes ─────────────────────────────────────────────────────────────────────────────────────────────


class PrepareChild(Command, frozen=True):
    child: ChildId
    camera: CameraId
    purpose: str
    arguments: tuple[str, ...]


class ReportChildStarted(Command, frozen=True):
    child: ChildId
    pid: int
    start_ticks: int


class ReportChildFound(Command, frozen=True):
    """A process that no actor of ours knows, with the mark of a child that has ended; `child` is a fresh id."""

    child: ChildId
    camera: CameraId
    pid: int
    start_ticks: int
    arguments: tuple[str, ...]
    mark: str = ""


class ReportChildSignalled(Command, frozen=True):
    child: ChildId
    signal: str
    reason: Reason


class ReportChildUnkillable(Command, frozen=True):
    child: ChildId


class ReportChildEnded(Command, frozen=True):
    child: ChildId
    exit_code: int | None
    signal: str | None
    reason: Reason
    stderr_tail: tuple[str, ...] = ()


# ── leases ──────────────────────────────────────────────────────────────────────────────────────────────────────


class GrantLease(Command, frozen=True):
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


class RenewLease(Command, frozen=True):
    """Its holder is still there; as a rule nothing follows from that. `owner` is the hash of the secret he gave."""

    lease: LeaseId
    owner: str
    idle_s: float = 0.0
    """How long nobody has touched anything where it is shown."""


class ReportLeaseSilent(Command, frozen=True):
    """Nothing has been heard of a lease's holder for `silence_s`."""

    lease: LeaseId
    silence_s: float


class EndLease(Command, frozen=True):
    """End a lease, and what lives under it. With an `owner` (hash of the secret) only the owner is obeyed."""

    lease: LeaseId
    reason: Reason
    owner: str | None = None


class ReportRefusal(Command, frozen=True):
    """Somebody was refused a lease, and `unsaid` others since this was last said of anybody."""

    camera: CameraId
    kind: LeaseKind
    client: str
    reason: Reason
    unsaid: int = 0


# ── detections ──────────────────────────────────────────────────────────────────────────────────────────────────


class ReportDetection(Command, frozen=True):
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


class OpenPeer(Command, frozen=True):
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


class ReportPeerConnected(Command, frozen=True):
    peer: PeerId


class ReportPeerSilent(Command, frozen=True):
    peer: PeerId
    silence_s: float


class ReportPeerHeard(Command, frozen=True):
    peer: PeerId
    silence_s: float


class ClosePeer(Command, frozen=True):
    """Ask for the end of a peer. With an `owner` (hash of the secret) only the owner is obeyed."""

    peer: PeerId
    reason: Reason
    owner: str | None = None


class ReportPeerClosed(Command, frozen=True):
    """The peer's actor has ended and holds nothing any more."""

    peer: PeerId
    reason: Reason


# ── rooms ───────────────────────────────────────────────────────────────────────────────────────────────────────


class OpenRoom(Command, frozen=True):
    """Make a room with one participant in it."""

    room: RoomId
    participant: ParticipantId
    client: str


class JoinRoom(Command, frozen=True):
    """Ask for a place in a room. Check and registration are one step."""

    room: RoomId
    participant: ParticipantId
    client: str


class LeaveRoom(Command, frozen=True):
    participant: ParticipantId
    reason: Reason


class CloseRoom(Command, frozen=True):
    """End a room that has been idle for long enough; any other stays."""

    room: RoomId
