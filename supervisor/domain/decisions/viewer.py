"""Decisions about those who watch: WebRTC peers, and whoever else wants a camera open."""

from .. import commands as c
from .. import events as e
from .. import lifecycle
from ..errors import Refusal, Rejected
from ..ids import CameraId
from ..lifecycle import PeerPhase
from ..state import Peer, State, Use
from ..values import UseKind
from .common import Events, elapsed_s, require_running, require_usable

RETRY_WHEN_FULL_S = 5.0
"""Places come free when viewers leave; asking again sooner rarely helps."""


def open_peer(state: State, command: c.OpenPeer, now_ns: int) -> Events:
    require_running(state, retry_after_s=RETRY_WHEN_FULL_S)
    require_usable(state, command.camera, now_ns)
    _require_place(state, command.camera, command.client)
    return (e.PeerOpened(peer=command.peer, camera=command.camera, client=command.client, owner=command.owner),)


def _require_place(state: State, camera: CameraId, client: str) -> None:
    """Raises `Rejected` when one more viewer would be one too many. Who watches over MJPEG is a viewer, too."""
    watching: list[Peer | Use] = [*state.peers.values()]
    watching += [use for use in state.uses.values() if use.kind is UseKind.MJPEG]
    limits = state.limits
    caps = (
        ("in all", len(watching), limits.peers),
        (f"of {camera}", sum(viewer.camera == camera for viewer in watching), limits.peers_per_camera),
        (f"from {client}", sum(viewer.client == client for viewer in watching), limits.peers_per_client),
    )
    for whose, taken, cap in caps:
        if taken >= cap:
            text = f"{taken} viewers {whose} are connected, {cap} may be"
            raise Rejected(Refusal.CAP_REACHED, text, RETRY_WHEN_FULL_S)


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
    lasted_s = elapsed_s(peer.opened_ns, now_ns)
    return (e.PeerClosed(peer.peer, peer.camera, reason=peer.reason or command.reason, lasted_s=lasted_s),)


def begin_use(state: State, command: c.BeginUse, now_ns: int) -> Events:
    require_running(state, retry_after_s=RETRY_WHEN_FULL_S)
    require_usable(state, command.camera, now_ns)
    if command.kind is UseKind.MJPEG:
        _require_place(state, command.camera, command.client)
    return (e.UseBegan(command.use, command.camera, command.kind, command.client),)


def end_use(state: State, command: c.EndUse, now_ns: int) -> Events:
    known = state.uses.get(command.use)
    return (e.UseEnded(known.use, known.camera, command.reason),) if known else ()


def report_patrol(state: State, command: c.ReportPatrol, now_ns: int) -> Events:
    return (e.PatrolEnded(command.group, command.pictures, command.missed, command.took_s, command.skipped),)
