"""Leases: the right to watch a camera for a limited time, and the opening and end of peers under it.

Rules of this file:
- No client watches without a lease. The peers under a lease end with it, in the same step.
- A renewal usually leads to no event, so the time of the last renewal is not part of the state. The service that keeps
  it reports silence, and this module decides whether the lease expires.
- Limits, owners and exclusiveness are checked in the step that grants the lease.
"""

from msgspec.structs import replace

from .access import still_may
from .clients import network_of
from .common import (
    RETRY_WHEN_FULL_S,
    Arms,
    Changes,
    Decisions,
    Events,
    elapsed_s,
    require_camera,
    require_not_private,
    require_running,
    require_usable,
)
from .core import FIRST, LOSSES, OUTSIDE, REVOKES, SOON, Command, Event, Recorded, Severity
from .errors import Refusal, Rejected
from .ids import CameraId, LeaseId, PeerId, lease_stream, refusal_stream
from .lifecycle import PeerPhase
from .peer import PeerClosed, PeerClosing, PeerOpened
from .rights import PEOPLE, Right
from .state import Lease, State, Suggestion
from .substreams import tried
from .values import Fault, LeaseKind, PeerProtocol, Reason, renamed
from .words import plural, seconds


class GrantLease(Command, frozen=True):
    """Request a lease on a camera. Limits are checked in the same step.

    With a `ttl_s` of 0, one of our connections holds the lease, and counts as a viewer.
    """

    lease: LeaseId
    kind: LeaseKind
    camera: CameraId
    client: str
    owner: str = ""
    """Hash of the secret that renews the lease."""
    ttl_s: float = 0.0
    exclusive: bool = False
    purpose: str = ""

    sender = "gateway, snapshots, HLS"
    right = Right.WATCH


class RenewLease(Command, frozen=True):
    """The holder renews its lease, usually without an event. `owner` is the hash of the secret in the request."""

    lease: LeaseId
    owner: str
    idle_s: float = 0.0
    """Seconds without user input on the page that shows it."""

    sender = "gateway"
    right = Right.WATCH


class ReportLeaseSilent(Command, frozen=True):
    """The holder of a lease has been silent for `silence_s`."""

    lease: LeaseId
    silence_s: float

    sender = "leases service"


class EndLease(Command, frozen=True):
    """End a lease, with its peers. If `owner` (hash of the secret) is given, it must match the lease's."""

    lease: LeaseId
    reason: Reason
    owner: str | None = None
    bytes: int | None = None
    """That were sent under it, if it is that of an MJPEG stream."""

    sender = "gateway, snapshots, HLS"
    right = Right.OPERATE
    right_of_owner = Right.WATCH


class ReportRefusal(Command, frozen=True):
    """A lease was denied. `suppressed` counts further denials since the last report."""

    camera: CameraId
    kind: LeaseKind
    client: str
    reason: Reason
    suppressed: int = 0

    sender = "gateway"


class OpenPeer(Command, frozen=True):
    """Request a peer within the limits, under a lease. Check and registration are one step.

    Without a `lease`, one is granted in the same step. It has the id of the peer and ends with it.
    """

    peer: PeerId
    camera: CameraId
    client: str
    owner: str
    lease: LeaseId | None = None
    holder: str = ""
    """Hash of the secret of the lease, if one is given."""
    protocol: PeerProtocol = PeerProtocol.WEBRTC

    sender = "gateway, RTSP server"
    right = Right.WATCH


class ReportPeerClosed(Command, frozen=True):
    """The peer's actor has ended and holds no resources any more."""

    peer: PeerId
    reason: Reason
    bytes: int = 0

    sender = "peer actor, gateway, RTSP server"


class LeaseEvent(Event, frozen=True):
    lease: LeaseId
    """As in `/api/leases`. The lease of a peer that came without one has the id of the peer."""
    camera: CameraId
    """Its name in the configuration."""

    @property
    def stream(self) -> str:
        return lease_stream(self.lease)


class LeaseGranted(LeaseEvent, frozen=True):
    """A client may watch the camera until the lease ends."""

    kind: LeaseKind
    """`viewer`, `modal` or `suggest`."""
    client: str
    """Address of the client, without its port; `banken` for a suggestion."""
    owner: str = ""
    """SHA-256 of the owner's secret, in hex; empty for a lease that cannot be renewed. The API does not show it."""
    ttl_s: float = 0.0
    """The lease expires this long after its last renewal; 0 if one of our connections holds it."""
    until_ns: int | None = None
    """The lease ends at this time, renewed or not."""
    exclusive: bool = False
    """Whether it is the only lease of its kind on the camera."""
    purpose: str = ""
    """The purpose that its holder gives."""

    severity = Severity.INFO
    emitters = ("GrantLease", "OpenPeer", "ReportDetection")
    causes = (OUTSIDE, "DetectionMade")
    cause_note = "none, a request from outside; `DetectionMade` for a suggestion"
    when = "before the answer; a lease beyond a limit is `LeaseRefused` instead"
    stored = f"{FIRST}; {SOON} for MJPEG streams and motion"

    def sentence(self) -> str:
        purpose = f": {self.purpose}" if self.purpose else ""
        return f"lease granted on {self.camera} to {self.client} ({self.kind.value}){purpose}"


class LeaseEnded(LeaseEvent, frozen=True):
    """The lease ended, and its peers end. Without another use, the camera is closed."""

    kind: LeaseKind
    """As it was granted."""
    client: str
    """The client to which it was granted."""
    reason: Reason
    """Code `released`, `kicked`, `idle`, `max-duration`, `expired`, `removed`, `replaced`, `privacy`, `access-revoked`,
    `stopping` or `abandoned`; or the reason of the connection that held it."""
    lasted_s: float
    """Time since `LeaseGranted`."""
    bytes: int | None = None
    """That an MJPEG stream sent; null for other leases, in older journals, and if banken ended the lease: then a
    `PicturesSent` has them."""

    ends_stream = True
    severity = Severity.INFO
    emitters = (
        "EndLease",
        "RenewLease",
        "ReportLeaseSilent",
        "ReportPeerClosed",
        "ReportDetection",
        "Configure",
        "EndRun",
        "StartRun",
        "AddUser",
        "ChangeUser",
        "RemoveUser",
        "SetPassword",
        "OpenSession",
        "EndSession",
        "RemovePasskey",
        "EndToken",
        "EndShare",
        "EndVisit",
        "AdmitIdentity",
        "RefuseIdentity",
        "UnlinkIdentity",
        "RestoreAccess",
        "SetPrivacy",
    )
    causes = (
        OUTSIDE,
        "LeaseGranted",
        "SuggestionMade",
        "SuggestionExtended",
        "DetectionMade",
        "LeaseEnded",
        "PeerClosed",
        "CameraRemoved",
        "ConfigurationApplied",
        "RunStopping",
        *LOSSES,
        *REVOKES,
    )
    cause_note = (
        "none when its holder released it; its `LeaseGranted` when it expired; otherwise the event that ended what "
        "held it"
    )
    when = "the `PeerClosing` of its peers follow directly"
    stored = f"{SOON}; {FIRST} when its holder released it, and at a start"

    def sentence(self) -> str:
        lasted = f"lease ended on {self.camera} to {self.client} ({self.kind.value}) after {seconds(self.lasted_s)}"
        return f"{lasted}: {self.reason.text}"


class LeaseRefused(Event, frozen=True):
    """A lease was denied. At most one denial a second is journaled."""

    camera: CameraId
    """Its name in the configuration."""
    kind: LeaseKind
    """The requested kind."""
    client: str
    """Address of the client, without its port."""
    reason: Reason
    """Code `not-lent`, with the text of the answer."""
    suppressed: int = 0
    """Denials, of any client, since the last journaled one."""

    version = 2
    renames = renamed(unsaid="suppressed")
    severity = Severity.NOTICE
    emitters = ("ReportRefusal",)
    when = "with the answer; a request for an unknown camera is rejected without an event"

    @property
    def stream(self) -> str:
        return refusal_stream(self.camera)

    def sentence(self) -> str:
        others = f"; {self.suppressed} more were refused before" if self.suppressed else ""
        return f"lease refused on {self.camera} to {self.client} ({self.kind.value}): {self.reason.text}{others}"


LOST = Reason("access-revoked", "the account may not see this camera any more", Fault.NONE)
IDLE = Reason("idle", "nobody has touched the page for a while", Fault.NONE)


TIME_IS_UP = Reason("max-duration", "its maximum duration has passed", Fault.NONE)


GONE = "there is no such lease, or it is over"


def grant_lease(state: State, command: GrantLease, now_ns: int) -> Events:
    require_running(state, retry_after_s=RETRY_WHEN_FULL_S)
    if command.kind is LeaseKind.SUGGEST:
        raise Rejected(Refusal.FORBIDDEN, "only banken itself suggests a camera")
    if command.exclusive and command.kind is not LeaseKind.MODAL:
        raise Rejected(Refusal.FORBIDDEN, "only the large view can be had exclusively")
    if command.ttl_s:
        require_camera(state, command.camera)
        require_not_private(state, command.camera)
        _require_lease_left(state, command.client)
    else:
        require_usable(state, command.camera, now_ns)
        require_capacity(state, command.camera, command.client)
    _require_shared(state, command)
    until_ns = now_ns + int(state.limits.modal_s * 1e9) if command.kind is LeaseKind.MODAL else None
    granted = LeaseGranted(
        command.lease,
        command.camera,
        command.kind,
        command.client,
        owner=command.owner,
        ttl_s=command.ttl_s,
        until_ns=until_ns,
        exclusive=command.exclusive,
        purpose=command.purpose,
    )
    return (granted,)


def require_capacity(state: State, camera: CameraId, client: str) -> None:
    """Raise `Rejected` if one more viewer would exceed a limit. Viewers of MJPEG streams count as well."""
    watching = [(peer.camera, peer.client) for peer in state.peers.values()]
    watching += [(row.camera, row.client) for row in state.rows()]
    limits = state.limits
    caps = (
        ("in all", len(watching), limits.peers, "peers"),
        (f"of {camera}", sum(of == camera for of, _ in watching), limits.peers_per_camera, "peers_per_camera"),
        (
            f"from {client}",
            sum(network_of(by) == network_of(client) for _, by in watching),
            limits.peers_per_client,
            "peers_per_client",
        ),
    )
    for whose, taken, cap, name in caps:
        if taken >= cap:
            viewers = plural(taken, f"viewer {whose} is", f"viewers {whose} are")
            text = f"{viewers} connected, the limit is {cap} (limits.{name})"
            raise Rejected(Refusal.CAP_REACHED, text, RETRY_WHEN_FULL_S)


def _require_lease_left(state: State, client: str) -> None:
    """Raise `Rejected` at the limit of leases. Leases that a connection holds count as viewers instead."""
    limits, renewed = state.limits, [network_of(lease.client) for lease in state.leases.values() if lease.ttl_s]
    for whose, taken, cap in (
        ("in all", len(renewed), limits.leases),
        (f"of {client}", renewed.count(network_of(client)), limits.leases_per_client),
    ):
        if taken >= cap:
            leases = plural(taken, f"lease {whose} is", f"leases {whose} are")
            raise Rejected(Refusal.CAP_REACHED, f"{leases} live, the limit is {cap}", RETRY_WHEN_FULL_S)


def _require_shared(state: State, command: GrantLease) -> None:
    """Raise `Rejected` on a conflict: an exclusive lease is the only one of its kind on its camera."""
    wanted = command.camera, command.kind
    alike = (other for other in state.leases.values() if (other.camera, other.kind) == wanted)
    against = [other for other in alike if other.exclusive or command.exclusive]
    other = min(against, key=lambda lease: lease.lease, default=None)
    if other is not None:
        held = "exclusively" if other.exclusive else "already, so not exclusively by another"
        raise Rejected(Refusal.CONFLICT, f"{command.camera} is held by {other.client} ({other.kind}), {held}")


def renew_lease(state: State, command: RenewLease, now_ns: int) -> Events:
    lease = owned(state, command.lease, command.owner)
    if lease.kind is LeaseKind.MODAL and command.idle_s >= state.limits.idle_s:
        return end(state, lease, IDLE, now_ns)
    return _over(state, lease, 0.0, now_ns)


def report_lease_silent(state: State, command: ReportLeaseSilent, now_ns: int) -> Events:
    lease = state.leases.get(command.lease)
    return () if lease is None else _over(state, lease, command.silence_s, now_ns)


def _over(state: State, lease: Lease, silence_s: float, now_ns: int) -> Events:
    """End `lease` if it has expired."""
    if lease.until_ns is not None and now_ns >= lease.until_ns:
        return end(state, lease, TIME_IS_UP, now_ns)
    if lease.ttl_s and silence_s >= lease.ttl_s:
        expired = Reason("expired", f"it was not renewed within {lease.ttl_s:g} s", Fault.NONE)
        return end(state, lease, expired, now_ns)
    return ()


def end_lease(state: State, command: EndLease, now_ns: int) -> Events:
    if command.owner is None:
        lease = state.leases.get(command.lease)
        return () if lease is None else end(state, lease, command.reason, now_ns, command.bytes)
    return end(state, owned(state, command.lease, command.owner), command.reason, now_ns)


def report_refusal(state: State, command: ReportRefusal, now_ns: int) -> Events:
    return (LeaseRefused(command.camera, command.kind, command.client, command.reason, command.suppressed),)


def owned(state: State, name: LeaseId, owner: str) -> Lease:
    """The lease. Raises `Rejected` if it does not exist or has another owner."""
    lease = state.leases.get(name)
    if lease is None:
        raise Rejected(Refusal.UNKNOWN, GONE)
    if not lease.owner or owner != lease.owner:
        raise Rejected(Refusal.FORBIDDEN, "only the holder of this lease may use, renew or release it")
    return lease


def end(state: State, lease: Lease, reason: Reason, now_ns: int, sent: int | None = None) -> Events:
    """End the lease and close its peers. `sent`: the bytes of its MJPEG stream."""
    ended = ended_lease(lease, reason, now_ns, sent)
    left = [peer for peer in state.peers_of(lease.lease) if peer.phase is not PeerPhase.CLOSING]
    return (ended, *(PeerClosing(peer.peer, peer.camera, reason=reason) for peer in left))


def end_lost(state: State, then: State, now_ns: int) -> Events:
    """The ends of the leases whose principal may not watch their camera in the state `then`."""
    lost = [lease for _, lease in sorted(state.leases.items()) if lease.by and not still_may(then, lease, now_ns)]
    return tuple(event for lease in lost for event in end(state, lease, LOST, now_ns))


def ended_lease(lease: Lease, reason: Reason, now_ns: int, sent: int | None = None) -> LeaseEnded:
    lasted_s = elapsed_s(lease.since_ns, now_ns)
    return LeaseEnded(lease.lease, lease.camera, lease.kind, lease.client, reason=reason, lasted_s=lasted_s, bytes=sent)


def open_peer(state: State, command: OpenPeer, now_ns: int) -> Events:
    """Open a peer under the lease that the command names, or under a new one."""
    name = LeaseId(command.peer) if command.lease is None else command.lease
    opened = PeerOpened(command.peer, command.camera, command.client, command.owner, name, command.protocol)
    if command.lease is None:
        own = GrantLease(name, LeaseKind.VIEWER, command.camera, command.client)
        return (*grant_lease(state, own, now_ns), opened)
    require_running(state, retry_after_s=RETRY_WHEN_FULL_S)
    lease = owned(state, name, command.holder)
    if command.camera not in tried(state, lease.camera):
        text = f"this lease is for {lease.camera}, and {command.camera} is no substream of that"
        raise Rejected(Refusal.CONFLICT, text)
    require_usable(state, command.camera, now_ns)
    require_capacity(state, command.camera, command.client)
    return (opened,)


def report_peer_closed(state: State, command: ReportPeerClosed, now_ns: int) -> Events:
    peer = state.peers.get(command.peer)
    if peer is None:
        return ()
    lasted_s, reason = elapsed_s(peer.opened_ns, now_ns), peer.reason or command.reason
    closed = PeerClosed(peer.peer, peer.camera, reason=reason, lasted_s=lasted_s, bytes=command.bytes)
    lease = state.leases.get(peer.lease)
    return (closed, ended_lease(lease, reason, now_ns)) if lease and lease.is_held else (closed,)


def _lease_granted(state: State, event: LeaseGranted, at: Recorded) -> Changes:
    lease = Lease(
        event.lease,
        event.kind,
        event.camera,
        event.client,
        since_ns=at.wall_ns,
        owner=event.owner,
        ttl_s=event.ttl_s,
        until_ns=event.until_ns,
        exclusive=event.exclusive,
        purpose=event.purpose,
        by=at.principal if at.principal.startswith(PEOPLE) else "",
    )
    return {"leases": state.leases.insert(event.lease, lease)}


def _lease_ended(state: State, event: LeaseEnded, at: Recorded) -> Changes:
    changes: Changes = {"leases": state.leases.remove(event.lease)}
    left = tuple(shown for shown in state.suggestions if shown.lease != event.lease)
    if len(left) < len(state.suggestions):
        camera = replace(state.cameras[event.camera], suggested_ns=at.wall_ns)
        changes |= {**suggested(left), "cameras": state.cameras.insert(event.camera, camera)}
    return changes


def suggested(shown: tuple[Suggestion, ...]) -> Changes:
    """The changes of the state that make `shown` its suggestions, newest first."""
    return {"suggestion": shown[0] if shown else None, "suggested_before": shown[1:]}


DECISIONS: Decisions = {
    GrantLease: grant_lease,
    RenewLease: renew_lease,
    ReportLeaseSilent: report_lease_silent,
    EndLease: end_lease,
    ReportRefusal: report_refusal,
    OpenPeer: open_peer,
    ReportPeerClosed: report_peer_closed,
}


ARMS: Arms = {
    LeaseGranted: _lease_granted,
    LeaseEnded: _lease_ended,
    LeaseRefused: lambda s, v, at: {},
}
