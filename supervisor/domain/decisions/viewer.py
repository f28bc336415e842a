"""Decisions about those who watch over WebRTC, and about banken's own uses of cameras."""

from .. import commands as c
from .. import events as e
from .. import lifecycle
from ..errors import Refusal, Rejected
from ..ids import LeaseId
from ..lifecycle import PeerPhase
from ..state import State
from ..substreams import tried
from ..values import LeaseKind
from .common import Events, elapsed_s, require_running, require_usable
from .lease import RETRY_WHEN_FULL_S, ended_lease, grant_lease, owned, require_place


def open_peer(state: State, command: c.OpenPeer, now_ns: int) -> Events:
    """Under the lease that it names, or under one of its own."""
    name = LeaseId(command.peer) if command.lease is None else command.lease
    opened = e.PeerOpened(command.peer, command.camera, command.client, command.owner, name)
    if command.lease is None:
        own = c.GrantLease(name, LeaseKind.VIEWER, command.camera, command.client)
        return (*grant_lease(state, own, now_ns), opened)
    require_running(state, retry_after_s=RETRY_WHEN_FULL_S)
    lease = owned(state, name, command.holder)
    if command.camera not in tried(state, lease.camera):
        text = f"this lease is for {lease.camera}, and {command.camera} is no substream of that"
        raise Rejected(Refusal.CONFLICT, text)
    require_usable(state, command.camera, now_ns)
    require_place(state, command.camera, command.client)
    return (opened,)


def report_peer_connected(state: State, command: c.ReportPeerConnected, now_ns: int) -> Events:
    peer = state.peers.get(command.peer)
    if peer is None or not lifecycle.allows(lifecycle.PEER, peer.phase, e.PeerConnected):
        return ()
    return (e.PeerConnected(peer.peer, peer.camera, after_s=elapsed_s(peer.opened_ns, now_ns)),)


def report_peer_silent(state: State, command: c.ReportPeerSilent, now_ns: int) -> Events:
    peer = state.peers.get(command.peer)
    if peer is None or not lifecycle.allows(lifecycle.PEER, peer.phase, e.PeerSilent):
        return ()
    return (e.PeerSilent(peer.peer, peer.camera, silence_s=command.silence_s),)


def report_peer_heard(state: State, command: c.ReportPeerHeard, now_ns: int) -> Events:
    peer = state.peers.get(command.peer)
    if peer is None or not lifecycle.allows(lifecycle.PEER, peer.phase, e.PeerHeard):
        return ()
    return (e.PeerHeard(peer.peer, peer.camera, silence_s=command.silence_s),)


def close_peer(state: State, command: c.ClosePeer, now_ns: int) -> Events:
    peer = state.peers.get(command.peer)
    if peer is None:
        raise Rejected(Refusal.UNKNOWN, "there is no such viewer, or it has left")
    if command.owner is not None and command.owner != peer.owner:
        raise Rejected(Refusal.FORBIDDEN, "only the one who opened this connection may end it")
    if peer.phase is PeerPhase.CLOSING:
        return ()
    return (e.PeerClosing(peer.peer, peer.camera, reason=command.reason),)


def report_peer_closed(state: State, command: c.ReportPeerClosed, now_ns: int) -> Events:
    peer = state.peers.get(command.peer)
    if peer is None:
        return ()
    lasted_s, reason = elapsed_s(peer.opened_ns, now_ns), peer.reason or command.reason
    closed = e.PeerClosed(peer.peer, peer.camera, reason=reason, lasted_s=lasted_s)
    lease = state.leases.get(peer.lease)
    return (closed, ended_lease(lease, reason, now_ns)) if lease and lease.is_held else (closed,)


def begin_use(state: State, command: c.BeginUse, now_ns: int) -> Events:
    require_running(state, retry_after_s=RETRY_WHEN_FULL_S)
    require_usable(state, command.camera, now_ns)
    return (e.UseBegan(command.use, command.camera, command.kind, command.client),)


def end_use(state: State, command: c.EndUse, now_ns: int) -> Events:
    known = state.uses.get(command.use)
    return (e.UseEnded(known.use, known.camera, command.reason),) if known else ()


def report_patrol(state: State, command: c.ReportPatrol, now_ns: int) -> Events:
    return (e.PatrolEnded(command.group, command.pictures, command.missed, command.took_s, command.skipped),)
