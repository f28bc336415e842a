"""The state: what all events so far add up to. Frozen values in persistent maps, so that a snapshot is a reference.

Everything in it is a `Value`: a field added later has a default, and does not count for the hash while it has that.
"""

from __future__ import annotations  # rpds maps take no type arguments at run time

import hashlib
from collections import Counter
from collections.abc import Iterable
from functools import cache

import msgspec
from rpds import HashTrieMap

from .ids import (
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
)
from .lifecycle import CameraPhase, ChildPhase, PeerPhase
from .values import (
    CameraSettings,
    DeviceSettings,
    Fault,
    LeaseKind,
    Limits,
    Mode,
    Patrol,
    Picture,
    Policy,
    Reason,
    UseKind,
    Value,
)

USES = ("live", *(kind.value for kind in UseKind))
"""What a camera is opened for, the most important first: so the queue for a device's connections is ordered."""


STRAY = "stray"
"""The purpose of a child that nobody of ours started, or looks after any more."""
DECODER = "decoder"
"""The purpose of the child that decodes, for all cameras."""
SOUND = "audio"
"""The purpose of a child that works on sound we have: it has no connection to the camera, whose source has its own."""


KEYS = 256
EMPTY_TOO = ("devices", "learned", "slots", "uses", "alerts", "cameras", "children", "peers", "versions")
"""The maps of the first release count for the hash even when they are empty, since they did then."""


class Camera(Value, frozen=True):
    settings: CameraSettings
    phase: CameraPhase
    since_ns: int
    """When the phase began."""
    reason: Reason | None = None
    """Why it is not live; none while it is."""
    live_since_ns: int = 0
    """When the current connection, or the last one, showed its first picture."""
    retry_at_ns: int | None = None
    attempts: int = 0
    """Failures in a row since it was last healthy."""
    picture: Picture | None = None
    """Of the current connection, or of the last one."""
    crashes_ns: tuple[int, ...] = ()
    quarantines: int = 0
    failed: str = ""
    """The code of the last reason that does not pass by itself, since the camera was last live."""
    failures: int = 0
    """How often in a row it was that one."""
    probe_s: float = 0.0
    """The wait that followed."""
    live_until_ns: int = 0
    """When it was last live; 0 if it is, never was, or an older journal does not say."""
    suggested_ns: int = 0
    """When it was suggested to all pages last, until the end of that."""


class Child(Value, frozen=True):
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
    """The child whose mark a stray bears; empty where that is its own id."""


class Peer(Value, frozen=True):
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
    """What it lives under; empty in older journals."""


class Lease(Value, frozen=True):
    """Somebody's right to have a camera open. Its peers live under it, and end with it."""

    lease: LeaseId
    kind: LeaseKind
    camera: CameraId
    client: str
    since_ns: int
    owner: str = ""
    """SHA-256 of the secret that renews and releases it; empty for one that nobody can renew."""
    ttl_s: float = 0.0
    """It ends this long after its last renewal; 0 for one that a connection of ours holds, which ends it."""
    until_ns: int | None = None
    """It ends then, renewed or not."""
    exclusive: bool = False
    purpose: str = ""

    @property
    def is_held(self) -> bool:
        """Whether it lives as long as a connection of ours does, a peer's or that of a stream of pictures."""
        return not self.ttl_s and self.until_ns is None


class Slot(Value, frozen=True):
    """A camera's place among the connections to its device, or in the queue for one."""

    camera: CameraId
    device: DeviceId
    use: str
    held: bool
    since_ns: int


class Learned(Value, frozen=True):
    """What a device's own refusals have taught us."""

    connections: int
    until_ns: int


class Use(Value, frozen=True):
    """Banken itself wants a camera open for a moment: a snapshot, or the visit of a patrol."""

    use: UseId
    camera: CameraId
    kind: UseKind
    client: str
    since_ns: int


class Suggestion(Value, frozen=True):
    """What all pages show."""

    lease: LeaseId
    camera: CameraId
    detection: DetectionId
    label: str
    score: float
    since_ns: int
    until_ns: int


class Detected(Value, frozen=True):
    """What came of a detection that its detector has a name for."""

    key: str
    detection: DetectionId
    suggested: bool
    why: str


class Room(Value, frozen=True):
    """A meeting of participants, who tell each other through us how to reach each other."""

    room: RoomId
    opened_ns: int
    participants: tuple[ParticipantId, ...] = ()
    """In the order in which they came."""
    client: str = ""
    """Who made it."""
    empty_since_ns: int = 0
    """Since when nobody is in it; 0 while somebody is."""


class Participant(Value, frozen=True):
    room: RoomId
    client: str
    since_ns: int


class Alert(Value, frozen=True):
    text: str
    since_ns: int


class State(Value, frozen=True):
    """Everything the daemon knows. `State()` is the state before the first event."""

    seq: int = 0
    """Sequence number of the last event folded in."""
    node: NodeId | None = None
    run: RunId | None = None
    """The run in progress; none after a graceful end."""
    stopping: bool = False
    origin: str = ""
    limits: Limits = Limits()
    patrol: Patrol = Patrol()
    devices: HashTrieMap[DeviceId, DeviceSettings] = HashTrieMap()
    """Those with a budget."""
    learned: HashTrieMap[DeviceId, Learned] = HashTrieMap()
    slots: HashTrieMap[CameraId, Slot] = HashTrieMap()
    """A camera that was removed keeps its place until it has no process any more."""
    uses: HashTrieMap[UseId, Use] = HashTrieMap()
    alerts: HashTrieMap[str, Alert] = HashTrieMap()
    cameras: HashTrieMap[CameraId, Camera] = HashTrieMap()
    children: HashTrieMap[ChildId, Child] = HashTrieMap()
    """Only those that may still exist."""
    peers: HashTrieMap[PeerId, Peer] = HashTrieMap()
    """Only those that may still hold something."""
    leases: HashTrieMap[LeaseId, Lease] = HashTrieMap()
    """The live ones. When they were renewed is not of the state: see `supervisor/leases.py`."""
    policy: Policy = Policy()
    suggestion: Suggestion | None = None
    detected: tuple[Detected, ...] = ()
    """The last `KEYS` that came with a key, the newest last."""
    rooms: HashTrieMap[RoomId, Room] = HashTrieMap()
    participants: HashTrieMap[ParticipantId, Participant] = HashTrieMap()
    """Those who are in a room."""
    versions: HashTrieMap[str, int] = HashTrieMap()
    """How many events each stream has had; streams of ended children and peers are forgotten."""

    def lent(self) -> Counter[CameraId]:
        """How many live leases each camera has: those whose peers show it, and those on it that show nothing yet.

        A viewer whose codecs do not suit the camera is shown its substream.
        """
        leases = dict(self.leases.items())  # one walk: each look into a persistent map costs as much as ten into this
        shown = {(peer.lease, peer.camera) for peer in self.peers.values() if peer.lease in leases or not peer.lease}
        showing = {lease for lease, _ in shown}
        lent = Counter(camera for _, camera in shown)
        lent.update(known.camera for name, known in leases.items() if name not in showing)
        return lent

    def uses_of_cameras(self) -> dict[CameraId, str]:
        """As `uses_of`, for all cameras: a walk that takes 2 ms for a thousand of them."""
        return self.uses_of(camera.settings for camera in self.cameras.values())

    def uses_of(self, cameras: Iterable[CameraSettings]) -> dict[CameraId, str]:
        """What each of `cameras` is wanted open for now: the most important of its uses. Those that may rest are not
        among them.
        """
        wanted: dict[CameraId, str] = {}
        for use in sorted(self.uses.values(), key=lambda use: USES.index(use.kind.value)):
            wanted.setdefault(use.camera, use.kind.value)
        wanted |= dict.fromkeys(self.lent(), USES[0])
        found = (
            (known.camera, USES[0] if known.mode is Mode.ALWAYS else wanted.get(known.camera)) for known in cameras
        )
        return {name: use for name, use in found if use is not None}

    def settings_of(self, names: Iterable[CameraId]) -> list[CameraSettings]:
        """Of those that are configured."""
        return [self.cameras[name].settings for name in names if name in self.cameras]

    def slots_of(self, device: DeviceId, *, held: bool) -> list[Slot]:
        """Those who have a place at `device`, or those who wait for one, in the order of their turn.

        A turn is by what the camera is wanted for now; who is wanted for nothing any more comes last.
        """
        found = [slot for slot in self.slots.values() if slot.device == device and slot.held is held]
        uses = self.uses_of(self.settings_of(slot.camera for slot in found))
        ranks = {slot.camera: USES.index(uses.get(slot.camera, USES[-1])) for slot in found}
        return sorted(found, key=lambda slot: (ranks[slot.camera], slot.since_ns, slot.camera))

    def budget(self, device: DeviceId, now_ns: int) -> int | None:
        """How many connections we may have to `device`; none if nobody has said or taught us."""
        known, learned = self.devices.get(device), self.learned.get(device)
        limits = [known.max_connections] if known else []
        limits += [learned.connections] if learned and now_ns < learned.until_ns else []
        return min(limits, default=None)

    def why_queued(self, device: DeviceId, now_ns: int) -> Reason:
        """Who has the places that somebody waits for, as it is now."""
        held = " and ".join(f"{slot.camera} ({slot.use})" for slot in self.slots_of(device, held=True)) or "nobody yet"
        text = f"waits for a connection to {device}, which serves {self.budget(device, now_ns)}; taken by {held}"
        return Reason("queued", text, Fault.NONE)

    def why(self, camera: CameraId, now_ns: int) -> Reason | None:
        """Why a camera is not live; none while it is, or when nothing is known of it."""
        known = self.cameras.get(camera)
        if known is not None and known.phase is CameraPhase.QUEUED and known.settings.device is not None:
            return self.why_queued(known.settings.device, now_ns)
        return known.reason if known else None

    def rows(self) -> list[Lease]:
        """Leases that a connection of ours holds and under which no peer lives: those of MJPEG streams."""
        of_peers = {peer.lease for peer in self.peers.values()}
        return [lease for lease in self.leases.values() if lease.lease not in of_peers and lease.is_held]

    def peers_of(self, lease: LeaseId) -> list[Peer]:
        """Those who live under `lease`, oldest first; those that are closing among them."""
        found = [peer for peer in self.peers.values() if peer.lease == lease]
        return sorted(found, key=lambda peer: (peer.opened_ns, peer.peer))

    def children_of(self, camera: CameraId) -> list[Child]:
        """The child processes of `camera`, oldest first."""
        found = [child for child in self.children.values() if child.camera == camera]
        return sorted(found, key=lambda child: (child.started_ns, child.child))

    def connections_of(self, camera: CameraId) -> list[Child]:
        """Those of its child processes that may have a connection to it, oldest first."""
        return [child for child in self.children_of(camera) if child.purpose != SOUND]


RULE = 2
"""How `state_hash` makes bytes of a state. 1: JSON, in which 600 and 600.0 differ. 2: equal values give equal bytes."""


def state_hash(state: State, rule: int = RULE) -> str:
    """SHA-256 of the state in a canonical form: the same for equal states, in any process, under any hash seed.

    A stored hash is compared by the rule that it was made by. Raises `ValueError` for a rule of a later release.
    """
    if rule == 1:
        return hashlib.sha256(msgspec.json.encode(_canonical(state), order="deterministic")).hexdigest()
    if rule == RULE:
        return hashlib.sha256(canonical(state)).hexdigest()
    raise ValueError(f"a state hash by rule {rule} is of a newer banken; this one knows rules 1 to {RULE}")


def canonical(value: object) -> bytes:
    """The bytes of rule 2: equal values (`==`) have equal bytes, and other values of one field have others.

    A field at its default is left out. Numbers are written by value, whatever their type: 600, 600.0 and -0.0 and 0.
    A tuple and a list are both a sequence; maps and sets have no order. Text is not normalized.
    """
    if isinstance(value, Value):
        defaults = _defaults(type(value))
        held = {name: getattr(value, name) for name in sorted(defaults)}
        kept = (_text(name) + canonical(one) for name, one in held.items() if one != defaults[name])
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


def _text(value: str) -> bytes:
    """With its length in front, so that no text can look like two."""
    data = value.encode(errors="surrogatepass")
    return b"s%d:%b" % (len(data), data)


def _number(value: float) -> bytes:
    whole = isinstance(value, int) or value.is_integer()
    return f"n{int(value)};".encode() if whole else f"n{value!r};".encode()


def _framed(kind: bytes, parts: Iterable[bytes]) -> bytes:
    data = b"".join(parts)
    return b"%b%d:%b" % (kind, len(data), data)


def _canonical(value: object) -> object:
    """For rule 1: `value` without the fields that equal their defaults.

    msgspec alone would leave out only a field that is the very object of its default, which equal states may differ in.
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
    return bool(held == default) and not (name in EMPTY_TOO and isinstance(held, HashTrieMap))


@cache
def _defaults(kind: type[Value]) -> dict[str, object]:
    """The default of each field; for one that has none, a thing that nothing equals."""
    nothing = object()
    missing = len(kind.__struct_fields__) - len(kind.__struct_defaults__)
    return dict(zip(kind.__struct_fields__, (*[nothing] * missing, *kind.__struct_defaults__), strict=True))
