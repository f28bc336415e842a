"""Decisions about leases: who may have a camera open, and until when.

Rules of this file:
- Nobody watches without a lease, and what lives under one ends with it, in the same step.
- A renewal is a command from which nothing follows. So when a lease was last renewed is not of the state: who keeps
  that reports silence, and whether that is the end is decided here.
- Caps, owners and exclusiveness are looked at in the step that grants.
"""

from .. import commands as c
from .. import events as e
from ..clients import network_of
from ..errors import Refusal, Rejected
from ..ids import CameraId, LeaseId
from ..lifecycle import PeerPhase
from ..state import Lease, State
from ..values import Fault, LeaseKind, Reason
from .common import Events, elapsed_s, require_camera, require_running, require_usable

RETRY_WHEN_FULL_S = 5.0
"""Places come free when viewers leave; asking again sooner rarely helps."""
IDLE = Reason("idle", "nobody has touched the page for a while", Fault.NONE)
TIME_IS_UP = Reason("max-duration", "it has lasted as long as it may", Fault.NONE)
GONE = "there is no such lease, or it is over"


def grant_lease(state: State, command: c.GrantLease, now_ns: int) -> Events:
    require_running(state, retry_after_s=RETRY_WHEN_FULL_S)
    if command.kind is LeaseKind.SUGGEST:
        raise Rejected(Refusal.FORBIDDEN, "only banken itself suggests a camera")
    if command.exclusive and command.kind is not LeaseKind.MODAL:
        raise Rejected(Refusal.FORBIDDEN, "only the large view can be had exclusively")
    if command.ttl_s:
        require_camera(state, command.camera)
        _require_lease_left(state, command.client)
    else:
        require_usable(state, command.camera, now_ns)
        require_place(state, command.camera, command.client)
    _require_shared(state, command)
    until_ns = now_ns + int(state.limits.modal_s * 1e9) if command.kind is LeaseKind.MODAL else None
    granted = e.LeaseGranted(
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


def require_place(state: State, camera: CameraId, client: str) -> None:
    """Raises `Rejected` when one more viewer would be one too many. Who watches pictures in a row is a viewer, too."""
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
            text = f"{taken} viewers {whose} are connected, {cap} may be (limits.{name})"
            raise Rejected(Refusal.CAP_REACHED, text, RETRY_WHEN_FULL_S)


def _require_lease_left(state: State, client: str) -> None:
    """Raises `Rejected`. What a connection holds is not among them: it has its place among the viewers."""
    limits, renewed = state.limits, [network_of(lease.client) for lease in state.leases.values() if lease.ttl_s]
    for whose, taken, cap in (
        ("in all", len(renewed), limits.leases),
        (f"of {client}", renewed.count(network_of(client)), limits.leases_per_client),
    ):
        if taken >= cap:
            raise Rejected(Refusal.CAP_REACHED, f"{taken} leases {whose} are live, {cap} may be", RETRY_WHEN_FULL_S)


def _require_shared(state: State, command: c.GrantLease) -> None:
    """An exclusive lease is the only one of its kind on its camera; leases of other kinds do not mind."""
    wanted = command.camera, command.kind
    alike = (other for other in state.leases.values() if (other.camera, other.kind) == wanted)
    against = [other for other in alike if other.exclusive or command.exclusive]
    other = min(against, key=lambda lease: lease.lease, default=None)
    if other is not None:
        held = "exclusively" if other.exclusive else "already, so not exclusively by another"
        raise Rejected(Refusal.CONFLICT, f"{command.camera} is held by {other.client} ({other.kind}), {held}")


def renew_lease(state: State, command: c.RenewLease, now_ns: int) -> Events:
    lease = owned(state, command.lease, command.owner)
    if lease.kind is LeaseKind.MODAL and command.idle_s >= state.limits.idle_s:
        return end(state, lease, IDLE, now_ns)
    return _over(state, lease, 0.0, now_ns)


def report_lease_silent(state: State, command: c.ReportLeaseSilent, now_ns: int) -> Events:
    lease = state.leases.get(command.lease)
    return () if lease is None else _over(state, lease, command.silence_s, now_ns)


def _over(state: State, lease: Lease, silence_s: float, now_ns: int) -> Events:
    """The end of `lease`, if its time has come."""
    if lease.until_ns is not None and now_ns >= lease.until_ns:
        return end(state, lease, TIME_IS_UP, now_ns)
    if lease.ttl_s and silence_s >= lease.ttl_s:
        expired = Reason("expired", f"it was not renewed within {lease.ttl_s:g} s", Fault.NONE)
        return end(state, lease, expired, now_ns)
    return ()


def end_lease(state: State, command: c.EndLease, now_ns: int) -> Events:
    if command.owner is None:
        lease = state.leases.get(command.lease)
        return () if lease is None else end(state, lease, command.reason, now_ns)
    return end(state, owned(state, command.lease, command.owner), command.reason, now_ns)


def report_refusal(state: State, command: c.ReportRefusal, now_ns: int) -> Events:
    return (e.LeaseRefused(command.camera, command.kind, command.client, command.reason, command.unsaid),)


def owned(state: State, name: LeaseId, owner: str) -> Lease:
    """Raises `Rejected` when there is no such lease, or it is another's."""
    lease = state.leases.get(name)
    if lease is None:
        raise Rejected(Refusal.UNKNOWN, GONE)
    if not lease.owner or owner != lease.owner:
        raise Rejected(Refusal.FORBIDDEN, "only the one to whom this lease was granted may use, renew or release it")
    return lease


def end(state: State, lease: Lease, reason: Reason, now_ns: int) -> Events:
    """The lease is over, and its peers are to close."""
    ended = ended_lease(lease, reason, now_ns)
    left = [peer for peer in state.peers_of(lease.lease) if peer.phase is not PeerPhase.CLOSING]
    return (ended, *(e.PeerClosing(peer.peer, peer.camera, reason=reason) for peer in left))


def ended_lease(lease: Lease, reason: Reason, now_ns: int) -> e.LeaseEnded:
    lasted_s = elapsed_s(lease.since_ns, now_ns)
    return e.LeaseEnded(lease.lease, lease.camera, lease.kind, lease.client, reason=reason, lasted_s=lasted_s)
