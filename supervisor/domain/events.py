"""Events: what has happened, in the past tense, one frozen value each.

Rules of this file:
- An event that was ever released keeps its name and the meaning of its fields; a new shape is a new `version`.
- A new field with a default is no new shape: it is not written while it has the default, and read as that.
- `stream` says whose life it belongs to. Bodies hold facts, never secrets, never media.
- Times are nanoseconds since the epoch (`_ns`), durations are seconds (`_s`).
- `EVENTS` lists every one; a test compares it with `evolve`, `describe` and the documents.
"""

from typing import ClassVar

from .ids import (
    JOURNAL,
    LIMITS,
    SYSTEM,
    CameraId,
    ChildId,
    DetectionId,
    DeviceId,
    LeaseId,
    NodeId,
    ParticipantId,
    PeerId,
    RoomId,
    RunId,
    UseId,
    camera_stream,
    child_stream,
    detection_stream,
    device_stream,
    lease_stream,
    patrol_stream,
    peer_stream,
    refusal_stream,
    room_stream,
    use_stream,
)
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
    Value,
)


class Event(Value, frozen=True):
    """Base of all events."""

    version: ClassVar[int] = 1

    @property
    def stream(self) -> str:
        """The stream of the journal that this event belongs to."""
        return SYSTEM


class CameraEvent(Event, frozen=True):
    camera: CameraId

    @property
    def stream(self) -> str:
        return camera_stream(self.camera)


class ChildEvent(Event, frozen=True):
    child: ChildId
    camera: CameraId

    @property
    def stream(self) -> str:
        return child_stream(self.child)


class PeerEvent(Event, frozen=True):
    peer: PeerId
    camera: CameraId

    @property
    def stream(self) -> str:
        return peer_stream(self.peer)


class LeaseEvent(Event, frozen=True):
    lease: LeaseId
    camera: CameraId

    @property
    def stream(self) -> str:
        return lease_stream(self.lease)


class UseEvent(Event, frozen=True):
    use: UseId
    camera: CameraId

    @property
    def stream(self) -> str:
        return use_stream(self.use)


class RoomEvent(Event, frozen=True):
    room: RoomId

    @property
    def stream(self) -> str:
        return room_stream(self.room)


class JournalEvent(Event, frozen=True):
    """Of the journal's own files."""

    @property
    def stream(self) -> str:
        return JOURNAL


class SlotEvent(Event, frozen=True):
    """Of a place among the connections that a device serves."""

    camera: CameraId
    device: DeviceId

    @property
    def stream(self) -> str:
        return camera_stream(self.camera)


# ── the daemon ──────────────────────────────────────────────────────────────────────────────────────────────────


class RunStarted(Event, frozen=True):
    """A daemon began its life over this journal."""

    run: RunId
    node: NodeId
    release: str
    pid: int


class RunAbandoned(Event, frozen=True):
    """The run before this one never said that it ended: a crash, a kill or a power cut."""

    run: RunId
    reason: Reason


class RunStopping(Event, frozen=True):
    """The daemon was asked to stop; from here on nothing new begins."""

    reason: Reason


class RunEnded(Event, frozen=True):
    """The last event of a graceful life."""

    run: RunId


class ConfigurationApplied(Event, frozen=True):
    """A configuration took effect; what it changed follows as events of the cameras."""

    origin: str
    cameras: int
    limits: Limits
    devices: tuple[DeviceSettings, ...] = ()
    patrol: Patrol = Patrol()
    policy: Policy = Policy()


class EventsLost(Event, frozen=True):
    """A disk that did not write for too long: events were decided and are not in the journal.

    The state that they led to is: it stands at the head of the segment that begins with this event.
    """

    first: int
    last: int
    count: int


class ChainBegan(JournalEvent, frozen=True):
    """A new chain of digests begins with this event, because the files of the old one are not to be trusted.

    `last` and `digest` name the end of the old chain as this daemon knows it: its last event and the hex SHA-256 of
    its last batch. 0 and an empty digest: the old chain could not be read.
    """

    last: int
    digest: str
    why: str


class JournalFileSetAside(JournalEvent, frozen=True):
    """A damaged or foreign file was in the way, and was renamed."""

    file: str
    aside: str
    why: str


class SegmentsRemoved(JournalEvent, frozen=True):
    """Retention removes the oldest segments, which hold events `first` to `last`; durable before they go."""

    segments: tuple[str, ...]
    first: int
    last: int
    bytes: int
    why: str


class JournalFailed(JournalEvent, frozen=True):
    """The journal could not write for a while; it does again. `lasted_s` is 0 for a fault that stopped no writing."""

    why: str
    began_ns: int
    lasted_s: float


class AlertEvent(Event, frozen=True):
    alert: str
    """A stable name, like `children/gate`."""

    @property
    def stream(self) -> str:
        return f"alert/{self.alert.partition('/')[0]}"


class AlertRaised(AlertEvent, frozen=True):
    """Something is not as it should be and nobody acts on it by himself: somebody should look."""

    text: str


class AlertCleared(AlertEvent, frozen=True):
    pass


class RequestsRefused(Event, frozen=True):
    """Clients asked more often than `limits.journaled_rate` allows. At most one event a minute says so, of them all."""

    clients: tuple[RefusedClient, ...]
    """Those that were refused most, the most first."""
    others: int = 0
    """Requests of clients that are not named."""
    over_s: float = 0.0
    """From the first of these refusals to this report."""

    @property
    def stream(self) -> str:
        return LIMITS


# ── cameras ─────────────────────────────────────────────────────────────────────────────────────────────────────


class CameraAdded(CameraEvent, frozen=True):
    settings: CameraSettings


class CameraChanged(CameraEvent, frozen=True):
    settings: CameraSettings


class CameraRemoved(CameraEvent, frozen=True):
    pass


class CameraConnecting(CameraEvent, frozen=True):
    """An attempt to open the source begins; `attempt` counts from 1 since the camera was last healthy."""

    attempt: int


class CameraLive(CameraEvent, frozen=True):
    """The first key frame of a connection has come, or the first of another size."""

    picture: Picture


class CameraStalled(CameraEvent, frozen=True):
    """Nothing has come for a while; it may go on by itself, and is started anew if it does not."""

    reason: Reason


class CameraWaiting(CameraEvent, frozen=True):
    """The source was lost in a way that may pass; the next attempt comes after `delay_s`."""

    reason: Reason
    attempts: int
    delay_s: float
    times: int = 0
    """Losses in a row of one kind that does not pass by itself, this one included; 0 for any other."""
    live_until_ns: int = 0
    """When the camera was last live, if this loss ended that."""


class CameraFailed(CameraEvent, frozen=True):
    """The source was lost in a way that will not pass by itself; a probe comes after `delay_s`."""

    reason: Reason
    delay_s: float
    times: int = 0
    """Losses of this kind in a row, this one included; 0 in older journals."""
    live_until_ns: int = 0
    """When the camera was last live, if this loss ended that."""


class CameraCrashed(CameraEvent, frozen=True):
    """The camera's actor met an exception nobody expected and is started anew after `delay_s`."""

    reason: Reason
    delay_s: float
    recent_ns: tuple[int, ...]
    """The crashes that count against the limit, this one included."""


class CameraQuarantined(CameraEvent, frozen=True):
    """The camera's actor crashed too often; it is left alone for `delay_s`, then probed."""

    reason: Reason
    delay_s: float
    times: int
    """Quarantines in a row, this one included."""


class CameraIdle(CameraEvent, frozen=True):
    """The camera's source was let go because somebody wanted it so."""

    reason: Reason
    attempts: int = 0
    """Failures that still count: whoever stops watching a camera that fails does not make it well."""
    live_until_ns: int = 0
    """When the camera was last live, if this ended it."""


# ── devices ─────────────────────────────────────────────────────────────────────────────────────────────────────


class CameraQueued(CameraEvent, frozen=True):
    """All connections that the device serves are taken: the camera waits for one."""

    device: DeviceId
    use: str
    reason: Reason
    """Says who has them."""


class SlotTaken(SlotEvent, frozen=True):
    """The camera may open its one connection to the device."""

    use: str


class SlotFreed(SlotEvent, frozen=True):
    """The camera has no connection to the device any more, and no process that could have one; or waits for none."""

    reason: Reason
    held: bool = True
    """Whether it had its place, or was only waiting for one."""


class DeviceFull(Event, frozen=True):
    """The device refused a connection as one too many: for `for_s` we ask for no more than `connections`."""

    device: DeviceId
    camera: CameraId
    connections: int
    for_s: float

    @property
    def stream(self) -> str:
        return device_stream(self.device)


# ── uses ────────────────────────────────────────────────────────────────────────────────────────────────────────


class UseBegan(UseEvent, frozen=True):
    """Banken itself wants the camera open for a moment."""

    kind: UseKind
    client: str


class UseEnded(UseEvent, frozen=True):
    reason: Reason


class PatrolEnded(Event, frozen=True):
    """One round through the cameras of a group."""

    group: str
    pictures: int
    missed: tuple[CameraId, ...]
    """Those that gave no picture; their own events say why."""
    took_s: float
    skipped: int
    """Rounds that should have begun in this time and did not."""

    @property
    def stream(self) -> str:
        return patrol_stream(self.group)


# ── child processes ─────────────────────────────────────────────────────────────────────────────────────────────


class ChildStarting(ChildEvent, frozen=True):
    """The intent to start a child process, durable before the process exists."""

    purpose: str
    arguments: tuple[str, ...]
    """Redacted."""


class ChildStarted(ChildEvent, frozen=True):
    pid: int
    start_ticks: int
    """Field 22 of /proc/PID/stat: with the pid it names one process for good."""


class ChildStopping(ChildEvent, frozen=True):
    """A signal was sent to the child's whole process group."""

    signal: str
    reason: Reason


class ChildUnkillable(ChildEvent, frozen=True):
    """SIGKILL did not end it in time (a hung device or file system holds it); it is waited for."""

    pid: int


class ChildEnded(ChildEvent, frozen=True):
    """The child has been reaped, or never came to be."""

    exit_code: int | None
    signal: str | None
    reason: Reason
    stderr_tail: tuple[str, ...]
    """The last lines it wrote, redacted."""
    ran_s: float


class ChildFound(ChildEvent, frozen=True):
    """A process with our mark that none of our actors knows: left by an earlier life, or run away from a child.

    The child whose mark it bears has ended; this is another life, with an id of its own.
    """

    pid: int
    start_ticks: int
    arguments: tuple[str, ...]
    mark: str = ""
    """The child in its mark; empty in older journals, where `child` is that."""


class ChildAbandoned(ChildEvent, frozen=True):
    """An earlier run left this child open in the journal; this run closed the entry."""

    reason: Reason


# ── leases ──────────────────────────────────────────────────────────────────────────────────────────────────────


class LeaseGranted(LeaseEvent, frozen=True):
    """Somebody may have the camera open until the lease ends."""

    kind: LeaseKind
    client: str
    """Address of the client, without its port; `banken` for a suggestion."""
    owner: str = ""
    """SHA-256 of the owner's secret, in hex; empty for one that nobody can renew."""
    ttl_s: float = 0.0
    """Without a renewal it ends after this long; 0 for one that a connection of ours holds."""
    until_ns: int | None = None
    """It ends then, renewed or not."""
    exclusive: bool = False
    purpose: str = ""


class LeaseEnded(LeaseEvent, frozen=True):
    """The lease is over; what lived under it ends."""

    kind: LeaseKind
    client: str
    reason: Reason
    lasted_s: float


class LeaseRefused(Event, frozen=True):
    """Somebody was not lent a camera. At most one a second is said; `unsaid` counts those in between."""

    camera: CameraId
    kind: LeaseKind
    client: str
    reason: Reason
    unsaid: int = 0

    @property
    def stream(self) -> str:
        return refusal_stream(self.camera)


# ── detections ──────────────────────────────────────────────────────────────────────────────────────────────────


class DetectionMade(Event, frozen=True):
    """A detector has seen something; whether that is suggested to all pages was decided with it."""

    detection: DetectionId
    camera: CameraId
    at_ns: int
    """When it was seen, as the detector says."""
    label: str
    score: float
    """From 0 to 1."""
    by: str
    """Address of the detector, without its port; `motion` for our own."""
    suggested: bool
    why: str
    """Why it is suggested, or is not."""
    box: tuple[float, ...] = ()
    """Left, top, width and height, as shares of the picture."""
    key: str = ""
    """The detector's own name for it: the same again is no other detection."""

    @property
    def stream(self) -> str:
        return detection_stream(self.camera)


class SuggestionMade(LeaseEvent, frozen=True):
    """All pages show this camera until then: the one suggestion that there is."""

    detection: DetectionId
    label: str
    score: float
    until_ns: int


# ── viewers ─────────────────────────────────────────────────────────────────────────────────────────────────────


class PeerOpened(PeerEvent, frozen=True):
    """A viewer has a place under the caps; its connection is being made."""

    client: str
    """Address of the client, without its port."""
    owner: str
    """SHA-256 of the owner's secret, in hex."""
    lease: LeaseId = LeaseId("")
    """What it lives under; empty in older journals."""


class PeerConnected(PeerEvent, frozen=True):
    """ICE and DTLS are up."""

    after_s: float


class PeerSilent(PeerEvent, frozen=True):
    """Nothing has been heard from the viewer for `silence_s`; it may come back."""

    silence_s: float


class PeerHeard(PeerEvent, frozen=True):
    """A silent viewer is heard again."""

    silence_s: float


class PeerClosing(PeerEvent, frozen=True):
    """Somebody asked for the end of this peer; its actor is being stopped."""

    reason: Reason


class PeerClosed(PeerEvent, frozen=True):
    """The peer's connection is gone, with everything it held."""

    reason: Reason
    lasted_s: float


# ── rooms ───────────────────────────────────────────────────────────────────────────────────────────────────────


class RoomOpened(RoomEvent, frozen=True):
    """A room was made; who made it is its first participant."""

    participant: ParticipantId
    client: str


class RoomJoined(RoomEvent, frozen=True):
    participant: ParticipantId
    client: str


class RoomLeft(RoomEvent, frozen=True):
    """A participant is in the room no more: it left, or its connection is gone."""

    participant: ParticipantId
    reason: Reason
    lasted_s: float


class RoomClosed(RoomEvent, frozen=True):
    """The room is no more, and nobody can enter it."""

    reason: Reason
    lasted_s: float


EVENTS: tuple[type[Event], ...] = (
    RunStarted,
    RunAbandoned,
    RunStopping,
    RunEnded,
    ConfigurationApplied,
    EventsLost,
    ChainBegan,
    JournalFileSetAside,
    SegmentsRemoved,
    JournalFailed,
    AlertRaised,
    AlertCleared,
    RequestsRefused,
    CameraAdded,
    CameraChanged,
    CameraRemoved,
    CameraConnecting,
    CameraLive,
    CameraStalled,
    CameraWaiting,
    CameraFailed,
    CameraCrashed,
    CameraQuarantined,
    CameraIdle,
    CameraQueued,
    SlotTaken,
    SlotFreed,
    DeviceFull,
    UseBegan,
    UseEnded,
    PatrolEnded,
    ChildStarting,
    ChildStarted,
    ChildStopping,
    ChildUnkillable,
    ChildEnded,
    ChildFound,
    ChildAbandoned,
    LeaseGranted,
    LeaseEnded,
    LeaseRefused,
    DetectionMade,
    SuggestionMade,
    PeerOpened,
    PeerConnected,
    PeerSilent,
    PeerHeard,
    PeerClosing,
    PeerClosed,
    RoomOpened,
    RoomJoined,
    RoomLeft,
    RoomClosed,
)


class Recorded(Value, frozen=True):
    """An event with its place in the journal: what is stored, published and folded."""

    seq: int
    """Gapless, from 1."""
    wall_ns: int
    mono_ns: int
    node: NodeId
    run: RunId
    stream: str
    stream_version: int
    event: Event
    cause: int | None
    """Sequence number of the event this one follows from; none for inputs from outside and timers."""
    correlation: str
    """Shared by everything that follows from one request or one fault."""
    principal: str
    """Who asked: `system`, `actor`, `patrol`, or `client:ADDRESS`."""

    @property
    def type(self) -> str:
        return type(self.event).__name__
