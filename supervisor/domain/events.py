"""Events: what has happened, in the past tense, one frozen value each.

Rules of this file:
- An event that was ever released keeps its name and the meaning of its fields; a new shape is a new `version`.
- `stream` says whose life it belongs to. Bodies hold facts, never secrets, never media.
- Times are nanoseconds since the epoch (`_ns`), durations are seconds (`_s`).
- `EVENTS` lists every one; a test compares it with `evolve`, `describe` and the documents.
"""

from typing import ClassVar

import attrs

from .ids import (
    SYSTEM,
    CameraId,
    ChildId,
    DeviceId,
    NodeId,
    PeerId,
    RunId,
    UseId,
    camera_stream,
    child_stream,
    device_stream,
    patrol_stream,
    peer_stream,
    use_stream,
)
from .values import CameraSettings, DeviceSettings, Limits, Patrol, Picture, Reason, UseKind


@attrs.frozen
class Event:
    """Base of all events."""

    version: ClassVar[int] = 1

    @property
    def stream(self) -> str:
        """The stream of the journal that this event belongs to."""
        return SYSTEM


@attrs.frozen
class CameraEvent(Event):
    camera: CameraId

    @property
    def stream(self) -> str:
        return camera_stream(self.camera)


@attrs.frozen
class ChildEvent(Event):
    child: ChildId
    camera: CameraId

    @property
    def stream(self) -> str:
        return child_stream(self.child)


@attrs.frozen
class PeerEvent(Event):
    peer: PeerId
    camera: CameraId

    @property
    def stream(self) -> str:
        return peer_stream(self.peer)


@attrs.frozen
class UseEvent(Event):
    use: UseId
    camera: CameraId

    @property
    def stream(self) -> str:
        return use_stream(self.use)


@attrs.frozen
class SlotEvent(Event):
    """Of a place among the connections that a device serves."""

    camera: CameraId
    device: DeviceId

    @property
    def stream(self) -> str:
        return camera_stream(self.camera)


# ── the daemon ──────────────────────────────────────────────────────────────────────────────────────────────────


@attrs.frozen
class RunStarted(Event):
    """A daemon began its life over this journal."""

    run: RunId
    node: NodeId
    release: str
    pid: int


@attrs.frozen
class RunAbandoned(Event):
    """The run before this one never said that it ended: a crash, a kill or a power cut."""

    run: RunId
    reason: Reason


@attrs.frozen
class RunStopping(Event):
    """The daemon was asked to stop; from here on nothing new begins."""

    reason: Reason


@attrs.frozen
class RunEnded(Event):
    """The last event of a graceful life."""

    run: RunId


@attrs.frozen
class ConfigurationApplied(Event):
    """A configuration took effect; what it changed follows as events of the cameras."""

    origin: str
    cameras: int
    limits: Limits
    devices: tuple[DeviceSettings, ...] = ()
    patrol: Patrol = attrs.field(factory=Patrol)


@attrs.frozen
class AlertEvent(Event):
    alert: str
    """A stable name, like `children/gate`."""

    @property
    def stream(self) -> str:
        return f"alert/{self.alert.partition('/')[0]}"


@attrs.frozen
class AlertRaised(AlertEvent):
    """Something is not as it should be and nobody acts on it by himself: somebody should look."""

    text: str


@attrs.frozen
class AlertCleared(AlertEvent):
    pass


# ── cameras ─────────────────────────────────────────────────────────────────────────────────────────────────────


@attrs.frozen
class CameraAdded(CameraEvent):
    settings: CameraSettings


@attrs.frozen
class CameraChanged(CameraEvent):
    settings: CameraSettings


@attrs.frozen
class CameraRemoved(CameraEvent):
    pass


@attrs.frozen
class CameraConnecting(CameraEvent):
    """An attempt to open the source begins; `attempt` counts from 1 since the camera was last healthy."""

    attempt: int


@attrs.frozen
class CameraLive(CameraEvent):
    """The first key frame of a connection has come, or the first of another size."""

    picture: Picture


@attrs.frozen
class CameraStalled(CameraEvent):
    """Nothing has come for a while; it may go on by itself, and is started anew if it does not."""

    reason: Reason


@attrs.frozen
class CameraWaiting(CameraEvent):
    """The source was lost in a way that may pass; the next attempt comes after `delay_s`."""

    reason: Reason
    attempts: int
    delay_s: float


@attrs.frozen
class CameraFailed(CameraEvent):
    """The source was lost in a way that will not pass by itself; a slow probe comes after `delay_s`."""

    reason: Reason
    delay_s: float


@attrs.frozen
class CameraCrashed(CameraEvent):
    """The camera's actor met an exception nobody expected and is started anew after `delay_s`."""

    reason: Reason
    delay_s: float
    recent_ns: tuple[int, ...]
    """The crashes that count against the limit, this one included."""


@attrs.frozen
class CameraQuarantined(CameraEvent):
    """The camera's actor crashed too often; it is left alone for `delay_s`, then probed."""

    reason: Reason
    delay_s: float
    times: int
    """Quarantines in a row, this one included."""


@attrs.frozen
class CameraIdle(CameraEvent):
    """The camera's source was let go because somebody wanted it so."""

    reason: Reason
    attempts: int = 0
    """Failures that still count: whoever stops watching a camera that fails does not make it well."""


# ── devices ─────────────────────────────────────────────────────────────────────────────────────────────────────


@attrs.frozen
class CameraQueued(CameraEvent):
    """All connections that the device serves are taken: the camera waits for one."""

    device: DeviceId
    use: str
    reason: Reason
    """Says who has them."""


@attrs.frozen
class SlotTaken(SlotEvent):
    """The camera may open its one connection to the device."""

    use: str


@attrs.frozen
class SlotFreed(SlotEvent):
    """The camera has no connection to the device any more, and no process that could have one; or waits for none."""

    reason: Reason
    held: bool = True
    """Whether it had its place, or was only waiting for one."""


@attrs.frozen
class DeviceFull(Event):
    """The device refused a connection as one too many: for `for_s` we ask for no more than `connections`."""

    device: DeviceId
    camera: CameraId
    connections: int
    for_s: float

    @property
    def stream(self) -> str:
        return device_stream(self.device)


# ── uses ────────────────────────────────────────────────────────────────────────────────────────────────────────


@attrs.frozen
class UseBegan(UseEvent):
    """Somebody who is no WebRTC viewer wants the camera open."""

    kind: UseKind
    client: str


@attrs.frozen
class UseEnded(UseEvent):
    reason: Reason


@attrs.frozen
class PatrolEnded(Event):
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


@attrs.frozen
class ChildStarting(ChildEvent):
    """The intent to start a child process, durable before the process exists."""

    purpose: str
    arguments: tuple[str, ...]
    """Redacted."""


@attrs.frozen
class ChildStarted(ChildEvent):
    pid: int
    start_ticks: int
    """Field 22 of /proc/PID/stat: with the pid it names one process for good."""


@attrs.frozen
class ChildStopping(ChildEvent):
    """A signal was sent to the child's whole process group."""

    signal: str
    reason: Reason


@attrs.frozen
class ChildUnkillable(ChildEvent):
    """SIGKILL did not end it in time (a hung device or file system holds it); it is waited for."""

    pid: int


@attrs.frozen
class ChildEnded(ChildEvent):
    """The child has been reaped, or never came to be."""

    exit_code: int | None
    signal: str | None
    reason: Reason
    stderr_tail: tuple[str, ...]
    """The last lines it wrote, redacted."""
    ran_s: float


@attrs.frozen
class ChildFound(ChildEvent):
    """A process with our mark that none of our actors knows: left by an earlier life, or run away from a child."""

    pid: int
    start_ticks: int
    arguments: tuple[str, ...]


@attrs.frozen
class ChildAbandoned(ChildEvent):
    """An earlier run left this child open in the journal; this run closed the entry."""

    reason: Reason


# ── viewers ─────────────────────────────────────────────────────────────────────────────────────────────────────


@attrs.frozen
class PeerOpened(PeerEvent):
    """A viewer has a place under the caps; its connection is being made."""

    client: str
    """Address of the client, without its port."""
    owner: str
    """SHA-256 of the owner's secret, in hex."""


@attrs.frozen
class PeerConnected(PeerEvent):
    """ICE and DTLS are up."""

    after_s: float


@attrs.frozen
class PeerSilent(PeerEvent):
    """Nothing has been heard from the viewer for `silence_s`; it may come back."""

    silence_s: float


@attrs.frozen
class PeerHeard(PeerEvent):
    """A silent viewer is heard again."""

    silence_s: float


@attrs.frozen
class PeerClosing(PeerEvent):
    """Somebody asked for the end of this peer; its actor is being stopped."""

    reason: Reason


@attrs.frozen
class PeerClosed(PeerEvent):
    """The peer's connection is gone, with everything it held."""

    reason: Reason
    lasted_s: float


EVENTS: tuple[type[Event], ...] = (
    RunStarted,
    RunAbandoned,
    RunStopping,
    RunEnded,
    ConfigurationApplied,
    AlertRaised,
    AlertCleared,
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
    PeerOpened,
    PeerConnected,
    PeerSilent,
    PeerHeard,
    PeerClosing,
    PeerClosed,
)


@attrs.frozen
class Recorded:
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
    """Who asked: `system`, `actor`, or `client:ADDRESS`."""

    @property
    def type(self) -> str:
        return type(self.event).__name__
