"""Peers: the connections of viewers, by WebRTC or by RTSP."""

from msgspec.structs import replace

from .common import Arms, Changes, Decisions, Events, elapsed_s
from .core import FIRST, OUTSIDE, REVOKES, SOON, Command, Event, Recorded, Severity
from .errors import Refusal, Rejected
from .ids import CameraId, LeaseId, PeerId, peer_stream
from .lifecycle import PeerPhase, allows, leads, step
from .rights import PEOPLE, Right
from .state import Peer, State
from .values import PeerProtocol, Reason
from .words import seconds


class ReportPeerConnected(Command, frozen=True):
    peer: PeerId
    transport: str = ""
    """That of a reader by RTSP: `tcp` or `udp`."""

    sender = "peer actor"


class ReportPeerSilent(Command, frozen=True):
    peer: PeerId
    silence_s: float

    sender = "peer actor"


class ReportPeerHeard(Command, frozen=True):
    peer: PeerId
    silence_s: float

    sender = "peer actor"


class ReportPeerStream(Command, frozen=True):
    """The peer gets another stream of the camera: its rendition for the reason `transcoded`, or with None its own."""

    peer: PeerId
    transcoded: Reason | None

    sender = "peer actor"


class ClosePeer(Command, frozen=True):
    """Request the end of a peer. If `owner` (hash of the secret) is given, it must match the peer's."""

    peer: PeerId
    reason: Reason
    owner: str | None = None

    sender = "gateway"
    right = Right.OPERATE
    right_of_owner = Right.WATCH


_OPEN = tuple(phase for phase in PeerPhase if phase is not PeerPhase.CLOSED)


class PeerEvent(Event, frozen=True):
    peer: PeerId
    """As in `/api/peers`."""
    camera: CameraId
    """Its name in the configuration."""

    @property
    def stream(self) -> str:
        return peer_stream(self.peer)


class PeerOpened(PeerEvent, frozen=True):
    """A peer was accepted within the limits. Its connection is being established.

    A peer without support for the codec of the requested camera gets a camera of its substreams.
    """

    client: str
    """Address of the client, without its port."""
    owner: str
    """SHA-256 of the owner's secret, in hex; empty for a reader by RTSP. The API does not show it."""
    lease: LeaseId = LeaseId("")
    """The lease that it depends on; empty in older journals."""
    protocol: PeerProtocol = PeerProtocol.WEBRTC
    """`webrtc` or `rtsp`; older journals have only WebRTC."""

    begins = PeerPhase.NEGOTIATING
    severity = Severity.INFO
    emitters = ("OpenPeer",)
    causes = (OUTSIDE, "LeaseGranted")
    cause_note = "the `LeaseGranted` of the same request; none, a request from outside, under an existing lease"
    when = "before the offer or the DESCRIBE is answered; a peer beyond a limit is rejected without an event"
    stored = FIRST

    def sentence(self) -> str:
        by = "" if self.protocol is PeerProtocol.WEBRTC else " by RTSP"
        return f"peer {self.peer} of {self.camera} opened for {self.client}{by}"


class PeerConnected(PeerEvent, frozen=True):
    """Media flows: ICE and DTLS are established, or PLAY is accepted."""

    after_s: float
    """Time since `PeerOpened`."""
    transport: str = ""
    """`tcp` or `udp` for a reader by RTSP; otherwise, and in older journals, empty."""

    steps = leads(PeerPhase.NEGOTIATING, to=PeerPhase.CONNECTED)
    severity = Severity.INFO
    emitters = ("ReportPeerConnected",)
    causes = ("PeerOpened",)
    when = "within 20 s, or the peer is closed instead"

    def sentence(self) -> str:
        by = f" by {self.transport.upper()}" if self.transport else ""
        return f"peer {self.peer} of {self.camera} connected{by} after {seconds(self.after_s)}"


class PeerSilent(PeerEvent, frozen=True):
    """No verified RTCP packet and no connectivity check of the peer has arrived for 8 s. It may come back.

    Only of a peer by WebRTC.
    """

    silence_s: float
    """Duration of the silence so far."""

    steps = leads(PeerPhase.CONNECTED, to=PeerPhase.SILENT)
    severity = Severity.WARNING
    emitters = ("ReportPeerSilent",)
    causes = ("PeerConnected", "PeerHeard", "PeerStreamChanged")
    when = "once for each silence; after `limits.disconnected_after_s` the peer is closed with the code `lost`"
    action = "nothing for a single one: a closed laptop, a phone without WLAN. Many at once indicate a network fault"

    def sentence(self) -> str:
        return f"peer {self.peer} of {self.camera} silent for {seconds(self.silence_s)}"

    def timeline_mark(self) -> str:
        return "silent"


class PeerHeard(PeerEvent, frozen=True):
    """A packet of a silent peer has arrived again."""

    silence_s: float
    """Duration of the whole silence."""

    steps = leads(PeerPhase.SILENT, to=PeerPhase.CONNECTED)
    severity = Severity.INFO
    emitters = ("ReportPeerHeard",)
    causes = ("PeerSilent", "PeerStreamChanged")
    when = "at its next packet"

    def sentence(self) -> str:
        return f"peer {self.peer} of {self.camera} active again after {seconds(self.silence_s)}"


class PeerStreamChanged(PeerEvent, frozen=True):
    """The peer gets the camera's rendition from now on, or again the video as the camera sends it."""

    transcoded: Reason | None = None
    """Why it gets the rendition: code `b-frames`, `codec` or `always`. None for the video of the camera itself."""

    steps = leads(PeerPhase.CONNECTED, PeerPhase.SILENT)
    severity = Severity.INFO
    emitters = ("ReportPeerStream",)
    causes = ("PeerConnected", "PeerSilent", "PeerHeard", "PeerStreamChanged")
    cause_note = "the newest event of the peer"
    when = (
        "after `PeerConnected` for a peer that begins with the rendition; later when the format of the video, the "
        "settings or the transcoder change"
    )

    def sentence(self) -> str:
        video = f"transcoded video: {self.transcoded.text}" if self.transcoded else "video as the camera sends it"
        return f"peer {self.peer} of {self.camera} gets {video}"


class PeerClosing(PeerEvent, frozen=True):
    """The end of this peer was requested. Its actor is being stopped."""

    reason: Reason
    """Code `left`, `kicked`, or that of `LeaseEnded`."""

    steps = leads(*(phase for phase in _OPEN if phase is not PeerPhase.CLOSING), to=PeerPhase.CLOSING)
    severity = Severity.INFO
    emitters = (
        "ClosePeer",
        "EndLease",
        "RenewLease",
        "ReportLeaseSilent",
        "ReportDetection",
        "Configure",
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
    causes = (OUTSIDE, "LeaseEnded", "ConfigurationApplied", *REVOKES)
    cause_note = "none, a request from outside; or `LeaseEnded`, or the event that this follows from"
    when = "before the answer to the request; directly after the `LeaseEnded` of its lease"
    stored = FIRST

    def sentence(self) -> str:
        return f"peer {self.peer} of {self.camera} is closing: {self.reason.text}"


class PeerClosed(PeerEvent, frozen=True):
    """The peer's connection and all its resources are closed, or were never opened."""

    reason: Reason
    """That of `PeerClosing`, if there was one; otherwise how it ended."""
    lasted_s: float
    """Time since `PeerOpened`."""
    bytes: int | None = None
    """Of video and audio that were sent to it, without headers and repeats; null in older journals, and for a peer
    that an earlier run left open."""

    steps = leads(*_OPEN, to=PeerPhase.CLOSED)
    ends_stream = True
    severity = Severity.INFO
    emitters = ("ReportPeerClosed", "StartRun")
    causes = (
        "PeerOpened",
        "PeerConnected",
        "PeerSilent",
        "PeerHeard",
        "PeerStreamChanged",
        "PeerClosing",
        "CameraRemoved",
        "RunStopping",
    )
    cause_note = (
        "`PeerClosing` if its end was requested, otherwise the newest event of the peer; for `ended` the "
        "`CameraRemoved` or `RunStopping` that ended its camera"
    )
    when = "after its sockets are closed"
    stored = f"{SOON}; {FIRST} at a start"

    def sentence(self) -> str:
        return f"peer {self.peer} of {self.camera} closed after {seconds(self.lasted_s)}: {self.reason.text}"


def report_peer_connected(state: State, command: ReportPeerConnected, now_ns: int) -> Events:
    peer = state.peers.get(command.peer)
    if peer is None or not allows(peer.phase, PeerConnected):
        return ()
    return (PeerConnected(peer.peer, peer.camera, elapsed_s(peer.opened_ns, now_ns), command.transport),)


def report_peer_silent(state: State, command: ReportPeerSilent, now_ns: int) -> Events:
    peer = state.peers.get(command.peer)
    if peer is None or not allows(peer.phase, PeerSilent):
        return ()
    return (PeerSilent(peer.peer, peer.camera, silence_s=command.silence_s),)


def report_peer_heard(state: State, command: ReportPeerHeard, now_ns: int) -> Events:
    peer = state.peers.get(command.peer)
    if peer is None or not allows(peer.phase, PeerHeard):
        return ()
    return (PeerHeard(peer.peer, peer.camera, silence_s=command.silence_s),)


def report_peer_stream(state: State, command: ReportPeerStream, now_ns: int) -> Events:
    peer = state.peers.get(command.peer)
    if peer is None or not allows(peer.phase, PeerStreamChanged) or peer.transcoded == command.transcoded:
        return ()
    return (PeerStreamChanged(peer.peer, peer.camera, command.transcoded),)


def close_peer(state: State, command: ClosePeer, now_ns: int) -> Events:
    peer = state.peers.get(command.peer)
    if peer is None:
        raise Rejected(Refusal.UNKNOWN, "there is no such viewer, or it has left")
    if command.owner is not None and command.owner != peer.owner:
        raise Rejected(Refusal.FORBIDDEN, "only the owner of this connection may end it")
    if peer.phase is PeerPhase.CLOSING:
        return ()
    return (PeerClosing(peer.peer, peer.camera, reason=command.reason),)


_NEGOTIATING, _CLOSED = PeerPhase.NEGOTIATING, PeerPhase.CLOSED


def _peer_opened(state: State, event: PeerOpened, at: Recorded) -> Changes:
    peer = Peer(
        event.peer,
        event.camera,
        event.client,
        event.owner,
        _NEGOTIATING,
        since_ns=at.wall_ns,
        opened_ns=at.wall_ns,
        lease=event.lease,
        protocol=event.protocol,
        by=at.principal if at.principal.startswith(PEOPLE) else "",
    )
    return {"peers": state.peers.insert(event.peer, peer)}


def _peer(state: State, event: PeerEvent, at: Recorded, changed: Peer | None = None) -> Changes:
    """The peer, unchanged or `changed`, in its next phase; removed at a final phase."""
    before = changed or state.peers[event.peer]
    phase = step(before.phase, type(event))
    if phase is _CLOSED:
        return {"peers": state.peers.remove(event.peer)}
    return {"peers": state.peers.insert(event.peer, replace(before, phase=phase, since_ns=at.wall_ns))}


def _peer_connected(state: State, event: PeerConnected, at: Recorded) -> Changes:
    return _peer(state, event, at, replace(state.peers[event.peer], transport=event.transport))


def _peer_stream_changed(state: State, event: PeerStreamChanged, at: Recorded) -> Changes:
    known = state.peers[event.peer]
    return {"peers": state.peers.insert(event.peer, replace(known, transcoded=event.transcoded))}


def _peer_closing(state: State, event: PeerClosing, at: Recorded) -> Changes:
    return _peer(state, event, at, replace(state.peers[event.peer], reason=event.reason))


DECISIONS: Decisions = {
    ReportPeerConnected: report_peer_connected,
    ReportPeerSilent: report_peer_silent,
    ReportPeerHeard: report_peer_heard,
    ReportPeerStream: report_peer_stream,
    ClosePeer: close_peer,
}


ARMS: Arms = {
    PeerOpened: _peer_opened,
    PeerConnected: _peer_connected,
    PeerSilent: _peer,
    PeerHeard: _peer,
    PeerStreamChanged: _peer_stream_changed,
    PeerClosing: _peer_closing,
    PeerClosed: _peer,
}
