"""Peers: the connections of viewers, and other uses that keep a camera open."""

import attrs
from quart import Response

from supervisor.domain import commands as c
from supervisor.domain.ids import CameraId, LeaseId, PeerId
from supervisor.domain.lifecycle import PeerPhase
from supervisor.domain.rights import TOKEN
from supervisor.domain.state import Lease, State
from supervisor.domain.state import Peer as KnownPeer
from supervisor.domain.state import Use as KnownUse
from supervisor.domain.values import Fault, PeerProtocol, Reason, UseKind
from supervisor.ports.asking import origin_of
from supervisor.ports.snapshot import Snapshot
from supervisor.ports.statistics import PeerStatistics

from ..client import client
from ..json import Answer, Time, iso
from ..json import Reason as Why
from ..routes import Right, Route, Web


class Sent(Answer, frozen=True):
    """Packets sent to one viewer, and the reports of its receiver."""

    packets: int
    """Of video, repeats not counted."""
    bytes: int
    audio_packets: int
    sound_packets: int
    """Old name of `audio_packets`, in 0.2 only."""
    repeated: int
    """Packets that were sent again because they were lost."""
    nacks: int
    plis: int
    """How often it asked for a key frame."""
    skipped: int
    """Access units that it missed, because it fell behind or its path is too narrow."""
    refused: int
    """Sends that its socket did not take."""
    loss: float
    """The share of packets that was lost, by its newest report: 0 to 1."""
    rtt_s: float | None
    remb: int | None
    """The receiver's estimate of the capacity of its path, in bits per second."""
    key_frames_only: bool
    """It gets key frames only, because its path carries no more."""
    thin: bool
    """Old name of `key_frames_only`, in 0.2 only."""

    @classmethod
    def of(cls, known: PeerStatistics) -> "Sent":
        fields = attrs.asdict(known, filter=lambda field, _: field.name != "audio_bytes")
        return cls(**fields, sound_packets=known.audio_packets, thin=known.key_frames_only)


class Peer(Answer, frozen=True):
    """A connection of a viewer."""

    id: PeerId
    camera: CameraId
    client: str
    """The address of the viewer."""
    protocol: PeerProtocol
    transport: str | None
    """That of a reader by RTSP that plays: `tcp` or `udp`; null for others."""
    token: str | None
    """The name of the token with which a reader by RTSP has logged in."""
    lease: LeaseId
    state: PeerPhase
    since: Time
    """When it entered its phase."""
    opened: Time
    transcoded: Why | None
    """Why it gets the rendition of the camera; null while it gets the video as the camera sends it."""
    sent: Sent | None
    """Null in the past."""


class Use(Answer, frozen=True):
    """A use that keeps a camera open without a peer."""

    id: str
    camera: CameraId
    client: str
    kind: UseKind
    since: Time


class Peers(Answer, frozen=True):
    peers: list[Peer]
    """The oldest first."""
    uses: list[Use]
    """Those that have a camera open without a peer, MJPEG viewers among them, the oldest first."""


async def list_peers(web: Web) -> Peers:
    snapshot = web.gateway.snapshot(peers=True)
    return Peers(peers=peers(snapshot), uses=uses(snapshot.state))


async def close_peer(web: Web, peer: str) -> Response:
    """Close a peer as an operator; the viewer receives the reason."""
    kicked = Reason("kicked", "an operator ended this connection", Fault.NONE)
    await web.gateway.submit(c.ClosePeer(PeerId(peer), kicked), origin_of(client()))
    return Response(b"", status=204)


def peers(snapshot: Snapshot) -> list[Peer]:
    """Return all peers, the oldest first."""
    found = sorted(snapshot.state.peers.values(), key=lambda p: (p.opened_ns, p.peer))
    return [peer(known, snapshot.peers.get(known.peer)) for known in found]


def peer(known: KnownPeer, statistics: PeerStatistics | None) -> Peer:
    return Peer(
        id=known.peer,
        camera=known.camera,
        client=known.client,
        protocol=known.protocol,
        transport=known.transport or None,
        token=token_of(known),
        lease=known.lease,
        state=known.phase,
        since=iso(known.since_ns),
        opened=iso(known.opened_ns),
        transcoded=Why.of(known.transcoded),
        sent=Sent.of(statistics) if statistics else None,
    )


def token_of(known: KnownPeer) -> str | None:
    """The name of the token of a reader by RTSP."""
    is_reader = known.protocol is PeerProtocol.RTSP and known.by.startswith(TOKEN)
    return known.by.removeprefix(TOKEN) if is_reader else None


def uses(state: State) -> list[Use]:
    """Return all uses that keep a camera open, except peers, the oldest first."""
    found = [use(known.use, known, known.kind) for known in state.uses.values()]
    found += [use(known.lease, known, UseKind.MJPEG) for known in state.rows()]
    return sorted(found, key=lambda use: (use.since, use.id))


def use(name: str, known: KnownUse | Lease, kind: UseKind) -> Use:
    return Use(
        id=name,
        camera=known.camera,
        client=known.client,
        kind=kind,
        since=iso(known.since_ns),
    )


ROUTES = (
    Route(
        method="GET",
        path="/api/peers",
        right=Right.INSPECT,
        handler=list_peers,
        summary="List the peers, the oldest first.",
        answer=Peers,
        response="`peers`: a list of [peers](#peer). `uses`: a list of [uses](#use), MJPEG viewers among them.",
    ),
    Route(
        method="DELETE",
        path="/api/peers/{peer}",
        right=Right.OPERATE,
        handler=close_peer,
        summary="Close a peer.",
        status=204,
        response="the peer closes, and its viewer gets the reason `kicked`",
        errors=(404,),
    ),
)
