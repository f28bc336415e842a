"""The state: the projection of all events. Frozen values in persistent maps, so that a copy of it is a reference.

Everything in it is a `Value`: a field that is added later has a default, and is not hashed while it has the default.
"""

from __future__ import annotations  # rpds maps take no type arguments at run time

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from sys import intern

import msgspec
from msgspec.structs import force_setattr
from rpds import HashTrieMap

from .ids import (
    CameraId,
    ChildId,
    DetectionId,
    DeviceId,
    IdentityId,
    LeaseId,
    NodeId,
    ParticipantId,
    PasskeyId,
    PeerId,
    RecordingId,
    RoomId,
    RunId,
    SessionId,
    ShareId,
    TokenId,
    UseId,
    UserId,
    VisitId,
)
from .lifecycle import CameraPhase, ChildPhase, PeerPhase, RecordingPhase
from .rights import Role, Scope
from .values import (
    CameraSettings,
    DeviceSettings,
    Fault,
    LeaseKind,
    Limits,
    Patrol,
    PeerProtocol,
    Picture,
    Policy,
    Reason,
    RecordMode,
    UseKind,
    Value,
)

USES = ("live", *(kind.value for kind in UseKind))
"""Uses of a camera, the most important first. This is the order of the queue for a device's connection slots."""


ORPHAN = "stray"
"""The purpose of an orphan: a child that no current actor started or supervises."""
DECODER = "decoder"
"""The purpose of the child that decodes for all cameras."""
DETECTOR = "detector"
"""The purpose of a program that detects, before a slash and its name. It works for several cameras."""
DAEMON = "daemon"
"""The purpose of a program of the section `daemons`, before a slash and its name. It works for no single camera."""
AUDIO = "audio"
"""The purpose of a child that transcodes received audio."""
VIDEO = "video"
"""The purpose of a child that transcodes received video."""
TRANSCODERS = frozenset({AUDIO, VIDEO})
"""Purposes of children that have no connection to their camera; the source has one."""


KEYS = 256
HASHED_WHEN_EMPTY = ("devices", "learned", "slots", "uses", "alerts", "cameras", "children", "peers", "versions")
"""The maps of the first release, which are hashed even if they are empty, as they were in that release."""


LEFT_OUT_WHEN_EMPTY = (
    "users",
    "sessions",
    "tokens",
    "privacy",
    "shares",
    "visits",
    "ended_shares",
    "identities",
    "recordings",
    "archive_troubles",
    "recording_requests",
    "seals",
    "pins",
)
"""The maps that came after rule 2 of the hash. It has the others even if they are empty."""


class Camera(Value, frozen=True):
    """A configured camera: its settings, its phase, and the history that decides the next attempt."""

    settings: CameraSettings
    phase: CameraPhase
    since_ns: int
    """When the phase began."""
    reason: Reason | None = None
    """Why it is not live; None while it is live."""
    live_since_ns: int = 0
    """When the current connection, or the last one, received its first key frame."""
    retry_at_ns: int | None = None
    retried: bool = False
    """Whether a client has requested the attempt that it waits for."""
    attempts: int = 0
    """Consecutive failures since it was last healthy."""
    picture: Picture | None = None
    """The format of the current connection, or of the last one."""
    crashes_ns: tuple[int, ...] = ()
    quarantines: int = 0
    failed: str = ""
    """The code of the last fatal fault since the camera was last live."""
    failures: int = 0
    """Consecutive failures with that code."""
    probe_s: float = 0.0
    """The wait after the last of them."""
    live_until_ns: int = 0
    """When it was last live; 0 if it is live, never was, or an older journal does not record it."""
    suggested_ns: int = 0
    """When the last suggestion of it to all pages ended."""
    oddities: tuple[str, ...] = ()
    """Names of the deviations from the standards that it has shown in this run."""
    transport: str = ""
    """How RTP arrived when it was last live; empty for other sources, and since new settings."""


class Recording(Value, frozen=True):
    """A camera that is recorded, or should be."""

    camera: CameraId
    recording: RecordingId
    """The newest stretch without a gap."""
    mode: RecordMode
    phase: RecordingPhase
    began_ns: int
    """When it was started."""
    since_ns: int
    """When the phase began."""
    reason: Reason | None = None
    """Why nothing is recorded now."""


class RecordingRequest(Value, frozen=True):
    """A person wants a camera to be recorded."""

    camera: CameraId
    since_ns: int
    """When the first of its requests came."""
    until_ns: int | None = None
    """When it ends; None if only a person ends it."""
    correlation: str = ""
    """That of the last request: its end has it, too."""


class Seal(Value, frozen=True):
    """The newest seal of a camera's recordings."""

    recording: RecordingId
    ended_ns: int
    """When its last file ended. Later files of this recording are not sealed yet."""


class ArchiveTrouble(Value, frozen=True):
    """An archive whose disk does not write."""

    archive: str
    reason: Reason
    since_ns: int


class StretchPin(Value, frozen=True):
    """A stretch of time whose events and footage are kept until somebody releases them."""

    pin: str
    from_ns: int
    to_ns: int
    cameras: tuple[CameraId, ...]
    """Those whose footage is kept."""
    bytes: int
    """Of the footage, when it was pinned."""
    note: str
    by: str
    """The principal that made it."""
    made_ns: int


class Privacy(Value, frozen=True):
    """The last switch of a camera's privacy. While it is on, nobody sees or hears the camera, and it is not opened."""

    camera: CameraId
    on: bool
    since_ns: int
    """When it was switched."""
    reason: Reason
    until_ns: int | None = None
    """When the schedule switches it next, as far as that was known."""
    began_ns: int = 0
    """When the time began that has ended, if it is off."""
    scheduled: bool = False
    """Whether the schedule switched it, and no person."""


class Child(Value, frozen=True):
    """A child process, or an orphan, that may still exist."""

    child: ChildId
    camera: CameraId
    purpose: str
    arguments: tuple[str, ...]
    run: RunId
    """The run that started it."""
    phase: ChildPhase
    since_ns: int
    started_ns: int
    pid: int | None = None
    start_ticks: int | None = None
    mark: str = ""
    """The child named in an orphan's mark; empty if that is its own id."""


class Peer(Value, frozen=True):
    """A connection of a viewer. `owner` is the SHA-256 of the secret that ends it, in hex; empty if nobody has one."""

    peer: PeerId
    camera: CameraId
    client: str
    owner: str
    phase: PeerPhase
    since_ns: int
    opened_ns: int
    reason: Reason | None = None
    """Why it is closing."""
    lease: LeaseId = LeaseId("")
    """The lease that it depends on; empty in older journals."""
    protocol: PeerProtocol = PeerProtocol.WEBRTC
    transcoded: Reason | None = None
    """Why it gets the camera's rendition; None while it gets the video as the camera sends it."""
    by: str = ""
    """The principal that opened it; empty where nobody has logged in."""
    transport: str = ""
    """Of a reader by RTSP that plays: `tcp` or `udp`."""


class Lease(Value, frozen=True):
    """A client's right to watch a camera. Its peers depend on it, and end with it."""

    lease: LeaseId
    kind: LeaseKind
    camera: CameraId
    client: str
    since_ns: int
    owner: str = ""
    """SHA-256 of the secret that renews and releases it; empty for a lease that cannot be renewed."""
    ttl_s: float = 0.0
    """It expires this long after its last renewal; 0 if one of our connections holds it, and ends it."""
    until_ns: int | None = None
    """It ends at this time, renewed or not."""
    exclusive: bool = False
    purpose: str = ""
    by: str = ""
    """The principal whose right it is, and with whose right it ends; empty where nobody has logged in."""

    @property
    def is_held(self) -> bool:
        """Whether it lasts as long as one of our connections: a peer or an MJPEG stream."""
        return not self.ttl_s and self.until_ns is None


class Slot(Value, frozen=True):
    """A camera's connection slot at its device, or its place in the queue for one."""

    camera: CameraId
    device: DeviceId
    use: str
    held: bool
    since_ns: int


def named(slots: Iterable[Slot]) -> str:
    """The cameras of `slots` with their uses: `gate (live) and yard (patrol)`."""
    return " and ".join(f"{slot.camera} ({slot.use})" for slot in slots)


class Learned(Value, frozen=True):
    """A connection limit that was learned from a device's refusals."""

    connections: int
    until_ns: int


class Use(Value, frozen=True):
    """Banken itself needs a camera open briefly: for a snapshot, or for a patrol."""

    use: UseId
    camera: CameraId
    kind: UseKind
    client: str
    since_ns: int


class Suggestion(Value, frozen=True):
    """A camera that all pages show, with its newest detection."""

    lease: LeaseId
    camera: CameraId
    detection: DetectionId
    label: str
    score: float
    since_ns: int
    until_ns: int
    at_ns: int = 0
    """When that was seen; 0 in older journals."""
    by: str = ""
    box: tuple[float, ...] = ()
    pictured: bool = False
    """Whether a picture came with it."""


class Detected(Value, frozen=True):
    """The outcome of a detection with a key."""

    key: str
    detection: DetectionId
    suggested: bool
    why: str


class Room(Value, frozen=True):
    """A room of participants, who exchange signaling messages through banken."""

    room: RoomId
    opened_ns: int
    participants: tuple[ParticipantId, ...] = ()
    """In the order in which they joined."""
    client: str = ""
    """The client that opened it."""
    empty_since_ns: int = 0
    """Since when it has been empty; 0 while it is not."""


class Participant(Value, frozen=True):
    """A WebSocket client in a room."""

    room: RoomId
    client: str
    since_ns: int


class Passkey(Value, frozen=True):
    """A passkey with which a user may log in. Its public key is in the access file, not here."""

    passkey: PasskeyId
    label: str
    since_ns: int
    used_ns: int = 0
    """When it last opened a session; 0: never."""


class User(Value, frozen=True):
    """A person who may log in. The password's hash is in the access file, not here."""

    user: UserId
    role: Role
    scope: Scope
    since_ns: int
    passwords: int = 0
    """How often the password was set."""
    passkeys: tuple[Passkey, ...] = ()
    """In the order in which they were added."""


class UserSession(Value, frozen=True):
    """One login of a user, at one browser."""

    session: SessionId
    user: UserId
    hash: str
    """SHA-256 of its secret, in hex."""
    client: str
    agent: str
    opened_ns: int
    until_ns: int
    """It ends at this time, used or not."""
    by: str = "password"
    passkey: PasskeyId = PasskeyId("")
    """The passkey that opened it; empty if something else did."""

    def __post_init__(self) -> None:
        """Share equal texts: a user has many sessions, and many people have the same browser."""
        for name in ("user", "client", "agent", "by"):
            force_setattr(self, name, intern(getattr(self, name)))


class Token(Value, frozen=True):
    """The access of a program."""

    token: TokenId
    role: Role
    scope: Scope
    hash: str
    """SHA-256 of its secret, in hex."""
    since_ns: int
    until_ns: int | None = None
    by: str = ""
    """The principal that made it."""
    rtsp: bool = False
    """Whether readers by RTSP log in with it."""


class Share(Value, frozen=True):
    """A link with which others may watch some cameras for a while."""

    share: ShareId
    scope: Scope
    hash: str
    """SHA-256 of its secret, in hex."""
    since_ns: int
    until_ns: int
    viewers: int
    """How many may have it open at the same time."""
    label: str
    by: str
    """The principal that made it, without its session."""


class Visit(Value, frozen=True):
    """A browser that has opened a link."""

    visit: VisitId
    share: ShareId
    hash: str
    """SHA-256 of its secret, in hex."""
    client: str
    agent: str
    opened_ns: int


class EndedShare(Value, frozen=True):
    """A link that has ended, for whoever still has it."""

    share: ShareId
    at_ns: int
    reason: Reason


class Identity(Value, frozen=True):
    """A person at a login provider, and the account that is linked to it."""

    identity: IdentityId
    user: UserId
    provider: str
    """The name of the provider when it was linked."""
    since_ns: int = 0


class Alert(Value, frozen=True):
    """A raised alert."""

    text: str
    since_ns: int


class Refused(Value, frozen=True):
    """A changed configuration that was rejected."""

    origin: str
    lines: tuple[str, ...]
    more: int
    since_ns: int


class State(Value, frozen=True):
    """The complete state of the daemon. `State()` is the state before the first event."""

    seq: int = 0
    """Sequence number of the last folded event."""
    node: NodeId | None = None
    run: RunId | None = None
    """The current run; None after a graceful end."""
    stopping: bool = False
    origin: str = ""
    limits: Limits = Limits()
    patrol: Patrol = Patrol()
    devices: HashTrieMap[DeviceId, DeviceSettings] = HashTrieMap()
    """The devices with a configured connection limit."""
    learned: HashTrieMap[DeviceId, Learned] = HashTrieMap()
    slots: HashTrieMap[CameraId, Slot] = HashTrieMap()
    """A removed camera keeps its slot until its last process has ended."""
    uses: HashTrieMap[UseId, Use] = HashTrieMap()
    alerts: HashTrieMap[str, Alert] = HashTrieMap()
    cameras: HashTrieMap[CameraId, Camera] = HashTrieMap()
    children: HashTrieMap[ChildId, Child] = HashTrieMap()
    """Only children that may still exist."""
    peers: HashTrieMap[PeerId, Peer] = HashTrieMap()
    """Only peers that may still hold resources."""
    leases: HashTrieMap[LeaseId, Lease] = HashTrieMap()
    """The current leases. The times of renewals are not part of the state: see `supervisor/services/leases.py`."""
    policy: Policy = Policy()
    suggestion: Suggestion | None = None
    """The newest suggestion."""
    detected: tuple[Detected, ...] = ()
    """The last `KEYS` detections with a key, the newest last."""
    rooms: HashTrieMap[RoomId, Room] = HashTrieMap()
    participants: HashTrieMap[ParticipantId, Participant] = HashTrieMap()
    """All participants of rooms."""
    refused: Refused | None = None
    """The last configuration that was read, if it was rejected."""
    versions: HashTrieMap[str, int] = HashTrieMap()
    """The number of events of each stream. Streams of ended children and peers are removed."""
    order: tuple[CameraId, ...] = ()
    """The cameras in the order of the configuration file; empty in older journals."""
    suggested_before: tuple[Suggestion, ...] = ()
    """The suggestions beside the newest one, newest first. Older journals have none."""
    users: HashTrieMap[UserId, User] = HashTrieMap()
    sessions: HashTrieMap[SessionId, UserSession] = HashTrieMap()
    """The sessions that have not ended."""
    tokens: HashTrieMap[TokenId, Token] = HashTrieMap()
    """The tokens that have not ended."""
    identities: HashTrieMap[IdentityId, Identity] = HashTrieMap()
    """The identities at a login provider that are linked to an account."""
    trust_ended: bool = False
    """Whether there has been a user: then a client of this machine has no rights without a login."""
    access_changes: int = 0
    """The number of changes of users, sessions, tokens, shares and visits: the record with more is newer."""
    privacy: HashTrieMap[CameraId, Privacy] = HashTrieMap()
    """The cameras whose privacy was ever switched. A removed camera stays private, for it may come back."""
    shares: HashTrieMap[ShareId, Share] = HashTrieMap()
    """The links that have not ended."""
    visits: HashTrieMap[VisitId, Visit] = HashTrieMap()
    """The browsers that have one open."""
    ended_shares: HashTrieMap[ShareId, EndedShare] = HashTrieMap()
    """The links that ended last."""
    recordings: HashTrieMap[CameraId, Recording] = HashTrieMap()
    """The cameras that are recorded, or should be."""
    archive_troubles: HashTrieMap[str, ArchiveTrouble] = HashTrieMap()
    """The archives that cannot be written."""
    recording_requests: HashTrieMap[CameraId, RecordingRequest] = HashTrieMap()
    """The cameras that a person wants to be recorded."""
    seals: HashTrieMap[CameraId, Seal] = HashTrieMap()
    """The newest seal of each camera that was ever recorded."""
    pins: HashTrieMap[str, StretchPin] = HashTrieMap()
    """The pins that have not been released, by name. Those of the journal alone are in its folder."""

    @property
    def suggestions(self) -> tuple[Suggestion, ...]:
        """The cameras that all pages show, newest first."""
        return () if self.suggestion is None else (self.suggestion, *self.suggested_before)

    def in_order(self) -> list[Camera]:
        """All cameras in the order of the configuration file. Cameras that it does not name follow, by name."""
        left = dict(self.cameras.items())
        named = [left.pop(name) for name in self.order if name in left]
        return named + [left[name] for name in sorted(left)]

    def places(self) -> dict[CameraId, int]:
        """The position of each camera in `in_order`."""
        return {known.settings.camera: place for place, known in enumerate(self.in_order())}

    def lease_counts(self) -> Counter[CameraId]:
        """The number of current leases per camera: leases whose peers show it, and leases on it without a peer.

        A viewer that does not support the camera's codec gets its substream.
        """
        leases = dict(self.leases.items())  # one pass: a lookup in a persistent map costs as much as ten in this dict
        shown = {(peer.lease, peer.camera) for peer in self.peers.values() if peer.lease in leases or not peer.lease}
        showing = {lease for lease, _ in shown}
        counts = Counter(camera for _, camera in shown)
        counts.update(known.camera for name, known in leases.items() if name not in showing)
        return counts

    def uses_of_cameras(self) -> dict[CameraId, str]:
        """As `uses_of`, for all cameras. It takes 2 ms for a thousand cameras."""
        return self.uses_of(camera.settings for camera in self.cameras.values())

    def uses_of(self, cameras: Iterable[CameraSettings]) -> dict[CameraId, str]:
        """The most important use of each of `cameras`. Those without a use, which may be closed, are omitted."""
        wanted: dict[CameraId, str] = {}
        for use in sorted(self.uses.values(), key=lambda use: USES.index(use.kind.value)):
            wanted.setdefault(use.camera, use.kind.value)
        wanted |= dict.fromkeys((*self.lease_counts(), *self.recording_requests), USES[0])
        private = self.private_cameras()
        found = (
            (known.camera, USES[0] if known.is_always_open else wanted.get(known.camera))
            for known in cameras
            if known.camera not in private
        )
        return {name: use for name, use in found if use is not None}

    def private_cameras(self) -> Mapping[CameraId, Privacy]:
        """The cameras that are private now, with the switch that decides: their own, or that of a camera whose
        substream they are, since both show the same scene."""
        return _private_cameras(self.privacy, self.cameras) if self.privacy else {}

    def private(self, camera: CameraId) -> Privacy | None:
        """The switch that makes a camera private; None if it is not."""
        return self.private_cameras().get(camera) if self.privacy else None

    def settings_of(self, names: Iterable[CameraId]) -> list[CameraSettings]:
        """The settings of those of the cameras `names` that are configured."""
        return [self.cameras[name].settings for name in names if name in self.cameras]

    def transports_of(self, camera: CameraId) -> list[str]:
        """How RTP arrived when the camera was last live, and then the other cameras of its device; known ones only."""
        known = self.cameras.get(camera)
        if known is None:
            return []
        device = known.settings.device
        others = (each for each in self.in_order() if device is not None and each.settings.device == device)
        return [each.transport for each in (known, *others) if each.transport]

    def slots_of(self, device: DeviceId, *, held: bool) -> list[Slot]:
        """The held slots of `device`, or with `held=False` the queued ones, in the order of the queue.

        The order is by the current use of the camera, then by time. Cameras without a use come last.
        """
        found = [slot for slot in self.slots.values() if slot.device == device and slot.held is held]
        uses = self.uses_of(self.settings_of(slot.camera for slot in found))
        ranks = {slot.camera: USES.index(uses.get(slot.camera, USES[-1])) for slot in found}
        return sorted(found, key=lambda slot: (ranks[slot.camera], slot.since_ns, slot.camera))

    def budget(self, device: DeviceId, now_ns: int) -> int | None:
        """The number of connections that `device` serves; None if it is neither configured nor learned."""
        known, learned = self.devices.get(device), self.learned.get(device)
        limits = [known.max_connections] if known else []
        limits += [learned.connections] if learned and now_ns < learned.until_ns else []
        return min(limits, default=None)

    def why_queued(self, device: DeviceId, now_ns: int) -> Reason:
        """A reason that names the current holders of the slots at `device`, for a queued camera."""
        text = f"waits for a connection to {device}, which serves {self.budget(device, now_ns)}"
        taken = f"taken by {self.holders_of(device)}"
        if self.learned_until_ns(device, now_ns) is None:
            return Reason("queued", f"{text}; {taken}", Fault.NONE)
        until = "next attempt when one of them ends, or when this limit expires"
        return Reason("queued", f"{text}, as it refused more; {taken}; {until}", Fault.NONE)

    def holders_of(self, device: DeviceId) -> str:
        """The holders of the slots of `device`, in words."""
        return named(self.slots_of(device, held=True)) or "none yet"

    def learned_until_ns(self, device: DeviceId, now_ns: int) -> int | None:
        """When the limit of `device` ends that its refusals have set; None if another one applies, or none does."""
        known, learned = self.devices.get(device), self.learned.get(device)
        if learned is None or now_ns >= learned.until_ns or (known and known.max_connections <= learned.connections):
            return None
        return learned.until_ns

    def next_attempt_ns(self, camera: CameraId, now_ns: int) -> int | None:
        """When `camera` is tried at the latest, if it waits for that; None for a wait without a known end."""
        known = self.cameras.get(camera)
        if known is not None and known.phase is CameraPhase.QUEUED and known.settings.device is not None:
            return self.learned_until_ns(known.settings.device, now_ns)
        return known.retry_at_ns if known else None

    def why(self, camera: CameraId, now_ns: int) -> Reason | None:
        """Why a camera is not live; None while it is live, or if no reason is known."""
        if (switched := self.private(camera)) is not None:
            return switched.reason
        known = self.cameras.get(camera)
        if known is not None and known.phase is CameraPhase.QUEUED and known.settings.device is not None:
            return self.why_queued(known.settings.device, now_ns)
        return known.reason if known else None

    def rows(self) -> list[Lease]:
        """Leases that one of our connections holds without a peer: those of MJPEG streams."""
        of_peers = {peer.lease for peer in self.peers.values()}
        return [lease for lease in self.leases.values() if lease.lease not in of_peers and lease.is_held]

    def peers_of(self, lease: LeaseId) -> list[Peer]:
        """The peers under `lease`, oldest first, including closing ones."""
        found = [peer for peer in self.peers.values() if peer.lease == lease]
        return sorted(found, key=lambda peer: (peer.opened_ns, peer.peer))

    def children_of(self, camera: CameraId) -> list[Child]:
        """The child processes of `camera`, oldest first."""
        found = [child for child in self.children.values() if child.camera == camera]
        return sorted(found, key=lambda child: (child.started_ns, child.child))

    def connections_of(self, camera: CameraId) -> list[Child]:
        """The child processes of `camera` that may have a connection to it, oldest first."""
        return [child for child in self.children_of(camera) if child.purpose not in TRANSCODERS]


_found: tuple[object, object, Mapping[CameraId, Privacy]] = (None, None, {})
"""The last answer of `_private_cameras`, with its arguments: many ask about the same state."""


def _private_cameras(
    privacy: HashTrieMap[CameraId, Privacy], cameras: HashTrieMap[CameraId, Camera]
) -> Mapping[CameraId, Privacy]:
    global _found
    of_privacy, of_cameras, found = _found
    if of_privacy is privacy and of_cameras is cameras:
        return found
    private = {name: switched for name, switched in privacy.items() if switched.on}
    for name, switched in list(private.items()):
        known = cameras.get(name)
        while known is not None and (below := known.settings.substream) is not None and below not in private:
            private[below] = switched
            known = cameras.get(below)
    if isinstance(privacy, HashTrieMap):  # a draft changes in place
        _found = privacy, cameras, private
    return private


RULE = 2
"""The rule by which `state_hash` encodes a state. 1: JSON, where 600 and 600.0 differ. 2: equal values, equal bytes."""


def state_hash(state: State, rule: int = RULE) -> str:
    """SHA-256 of the state in a canonical form: the same for equal states, in any process, under any hash seed.

    A stored hash is compared by the rule with which it was made. Raises `ValueError` for a rule of a later release.
    """
    if rule == 1:
        return hashlib.sha256(msgspec.json.encode(_canonical(state), order="deterministic")).hexdigest()
    if rule == RULE:
        return hashlib.sha256(canonical(state)).hexdigest()
    raise ValueError(f"a state hash by rule {rule} is of a newer banken; this one knows rules 1 to {RULE}")


def canonical(value: object) -> bytes:
    """The bytes of rule 2: equal values (`==`) have equal bytes, and different values of a field have different bytes.

    A field at its default is omitted. Numbers are encoded by value, not by type: 600 as 600.0, and -0.0 as 0.
    Tuples and lists are both sequences; maps and sets have no order. Text is not normalized. Raises `TypeError` for a
    value that a state cannot hold.
    """
    if isinstance(value, Value):
        defaults = _defaults(type(value))
        held = {name: getattr(value, name) for name in sorted(defaults)}
        kept = (_text(name) + canonical(one) for name, one in held.items() if not _is_default(name, one, defaults))
        return _framed(b"{", kept)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float):
        return _number(value)
    if value is None:
        return b"0;"
    if isinstance(value, HashTrieMap | dict):
        return _framed(b"{", sorted(canonical(key) + canonical(held) for key, held in value.items()))
    if isinstance(value, tuple | list):
        return _framed(b"[", map(canonical, value))
    if isinstance(value, set | frozenset):
        return _framed(b"<", sorted(map(canonical, value)))
    raise TypeError(f"a state holds no {type(value).__name__}")


def _is_default(name: str, held: object, defaults: dict[str, object]) -> bool:
    """Whether rule 2 leaves a field out. A map of the state is only left out if it came after the rule."""
    if isinstance(held, HashTrieMap):
        return not held and name in LEFT_OUT_WHEN_EMPTY
    return bool(held == defaults[name])


def _text(value: str) -> bytes:
    """A text with its length in front, so that no text can look like two."""
    data = value.encode(errors="surrogatepass")
    return b"s%d:%b" % (len(data), data)


def _number(value: float) -> bytes:
    whole = isinstance(value, int) or value.is_integer()
    return f"n{int(value)};".encode() if whole else f"n{value!r};".encode()


def _framed(kind: bytes, parts: Iterable[bytes]) -> bytes:
    data = b"".join(parts)
    return b"%b%d:%b" % (kind, len(data), data)


def _canonical(value: object) -> object:
    """`value` for rule 1, without the fields that equal their defaults.

    msgspec alone would omit a field only if it is the same object as its default. Equal states may differ in that.
    """
    if isinstance(value, Value):
        fields = _defaults(type(value)).items()
        held = ((name, getattr(value, name), default) for name, default in fields)
        return {name: _canonical(kept) for name, kept, default in held if not _is_left_out(name, kept, default)}
    if isinstance(value, HashTrieMap):
        return {key: _canonical(held) for key, held in value.items()}
    if isinstance(value, tuple):
        return [_canonical(held) for held in value]
    return value


def _is_left_out(name: str, held: object, default: object) -> bool:
    return bool(held == default) and not (name in HASHED_WHEN_EMPTY and isinstance(held, HashTrieMap))


@cache
def _defaults(kind: type[Value]) -> dict[str, object]:
    """The default of each field; for a field without a default, an object that equals no value."""
    nothing = object()
    missing = len(kind.__struct_fields__) - len(kind.__struct_defaults__)
    return dict(zip(kind.__struct_fields__, (*[nothing] * missing, *kind.__struct_defaults__), strict=True))
