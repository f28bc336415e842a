"""Makes the rows of the audit from single events. Pure."""

from collections.abc import Collection

from msgspec.structs import replace

from ..domain import events as e
from ..domain.catalogue import EVENTS, entity_of
from ..domain.describe import describe
from ..domain.ids import LeaseId
from ..domain.lifecycle import PeerPhase
from ..domain.state import Lease, Peer, Use, UserSession
from ..domain.values import BY_HLS, LeaseKind, PeerProtocol, UseKind
from ..ports.audit import Author, End, How, Kind, Row, author_of

KICKED = "kicked"
"""The code of the reason with which an operator ends a viewer or a lease."""
LEASES: dict[LeaseKind, How] = {
    LeaseKind.VIEWER: "lease", LeaseKind.MODAL: "large view", LeaseKind.SUGGEST: "suggestion",
}  # fmt: skip
_CHANGING = frozenset({"user", "token", "share", "passkey", "privacy", "oidc", "setup", "pin"})
"""The entities whose events are all changes that somebody makes."""
CHANGES: tuple[type[e.Event], ...] = (
    *(kind for kind in EVENTS if entity_of(kind) in _CHANGING),
    e.ConfigurationApplied, e.ConfigurationRefused, e.CameraRetried,
)  # fmt: skip
TYPES: dict[Kind, tuple[type[e.Event], ...]] = {
    "watched": (e.PeerOpened, e.LeaseGranted, e.UseBegan, e.PicturesSent),
    "leased": (e.LeaseGranted,),
    "exported": (e.BundleExported, e.ProfileTaken, e.ClipTaken),
    "changed": (*CHANGES, e.PeerClosing, e.LeaseEnded),
    "login": (e.SessionOpened,),
    "login-failed": (e.LoginFailed,),
    "refused": (e.AccessRefused, e.LeaseRefused),
}
"""The events that begin the rows of each kind."""
NAMELESS: tuple[type[e.Event], ...] = (e.SessionOpened, e.LoginFailed)
"""Events about a user whose principal is only an address: nobody had logged in yet."""


def types_of(kinds: Collection[Kind], among: Collection[type[e.Event]] = EVENTS) -> set[str]:
    """The names of the types of `among` that begin rows of these kinds; without a kind, of all."""
    return {each.__name__ for kind in kinds or TYPES for each in TYPES[kind] if each in among}


def of_event(recorded: e.Recorded, agents: dict[str, str]) -> Row | None:
    """The row of an event that begins one; None for any other. `agents`: the browser of each session that is known.

    A row that has an end is open.
    """
    happened, author = recorded.event, author_of(recorded.principal)
    match happened:
        case e.PeerOpened():
            return peer(happened, author, recorded.wall_ns, recorded.seq, agents)
        case e.LeaseGranted() if not is_own(happened):
            return lease(happened, author, recorded.wall_ns, recorded.seq, agents)
        case e.UseBegan(kind=UseKind.SNAPSHOT | UseKind.MJPEG):
            return use(happened, author, recorded.wall_ns, recorded.seq, agents)
        case e.SessionOpened():
            opened = UserSession(
                happened.session, happened.user, "", happened.client, happened.agent, recorded.wall_ns, 0
            )
            return login(opened, recorded.seq)
        case e.PicturesSent():
            since_ns = recorded.wall_ns - int(happened.over_s * 1e9)
            sent = _row("watched", author, happened.client, agents, since_ns, recorded.seq)
            return replace(
                _at_once(sent, recorded.wall_ns), camera=happened.camera, how="snapshot", bytes=happened.bytes,
                count=happened.pictures, lasted_s=happened.over_s,
            )  # fmt: skip
        case e.LoginFailed():
            who = Author("user", happened.user) if happened.user else Author("client", happened.client)
            failed = _row("login-failed", who, happened.client, {}, recorded.wall_ns, recorded.seq)
            return _counted(failed, happened.suppressed, happened.reason.text, happened.reason.code)
        case e.AccessRefused():
            refused = _row("refused", author, happened.client, agents, recorded.wall_ns, recorded.seq)
            what = "a camera" if happened.what == "camera" else f"the right {happened.what} is missing"
            return _counted(replace(refused, camera=happened.camera), happened.suppressed, what, happened.what)
        case e.LeaseRefused():
            refused = _row("refused", author, happened.client, agents, recorded.wall_ns, recorded.seq)
            counted = _counted(refused, happened.suppressed, happened.reason.text, happened.reason.code)
            return replace(counted, camera=happened.camera)
        case e.BundleExported():
            made = _row("exported", author, happened.client, agents, recorded.wall_ns, recorded.seq)
            return _counted(made, 0, describe(happened)[1], "anonymous" if happened.anonymous else "exported")
        case e.ProfileTaken():
            made = _row("exported", author, happened.client, agents, recorded.wall_ns, recorded.seq)
            return _counted(made, 0, describe(happened)[1], "profile")
        case e.ClipTaken():
            made = _row("exported", author, happened.client, agents, recorded.wall_ns, recorded.seq)
            return replace(_counted(made, 0, describe(happened)[1], happened.format), camera=happened.camera)
        case e.PeerClosing() | e.LeaseEnded():
            is_kick = happened.reason.code == KICKED and recorded.cause is None
            return _change(recorded, author, agents) if is_kick else None
        case _ if isinstance(happened, CHANGES) and author.by != "banken":
            return _change(recorded, author, agents)
        case _:
            return None


def _change(recorded: e.Recorded, author: Author, agents: dict[str, str]) -> Row:
    client = author.user if author.by == "client" else ""
    made = _row("changed", author, client, agents, recorded.wall_ns, recorded.seq)
    made = _counted(made, 0, describe(recorded.event)[1], recorded.type)
    return replace(made, camera=getattr(recorded.event, "camera", None))


def peer(known: e.PeerOpened | Peer, author: Author, since_ns: int, seq: int | None, agents: dict[str, str]) -> Row:
    of_page = known.lease != LeaseId(known.peer) and bool(known.lease)
    how: How = "rtsp" if known.protocol is PeerProtocol.RTSP else "webrtc" if of_page else "whep"
    begun = _row("watched", author, known.client, agents, since_ns, seq)
    return replace(
        begun, camera=known.camera, how=how, id=known.peer, lease=known.lease if of_page else "",
        connected=isinstance(known, Peer) and known.phase is not PeerPhase.NEGOTIATING,
    )  # fmt: skip


def is_held(known: e.LeaseGranted | Lease) -> bool:
    """Whether it lives as long as a connection does."""
    return not known.ttl_s and known.until_ns is None


def is_own(known: e.LeaseGranted | Lease) -> bool:
    """Whether it is the one that a WebRTC connection brings along: that of an MJPEG stream has a purpose."""
    return is_held(known) and not known.purpose


def lease(known: e.LeaseGranted | Lease, author: Author, since_ns: int, seq: int | None, agents: dict[str, str]) -> Row:
    kind: Kind = "watched" if is_held(known) else "leased"
    how: How = LEASES[known.kind]
    if is_held(known):
        how = "hls" if known.purpose == BY_HLS else "mjpeg"
    return replace(
        _row(kind, author, known.client, agents, since_ns, seq), camera=known.camera, how=how, id=known.lease
    )


def use(known: e.UseBegan | Use, author: Author, since_ns: int, seq: int | None, agents: dict[str, str]) -> Row:
    how: How = "opened" if known.kind is UseKind.SNAPSHOT else "mjpeg"
    return replace(
        _row("watched", author, known.client, agents, since_ns, seq), camera=known.camera, how=how, id=known.use
    )


def login(known: UserSession, seq: int | None) -> Row:
    author = Author("user", known.user, known.session)
    begun = _row("login", author, known.client, {known.session: known.agent}, known.opened_ns, seq)
    return replace(begun, id=known.session)


def _row(
    kind: Kind, author: Author, client: str, agents: dict[str, str], since_ns: int, seq: int | None
) -> Row:  # fmt: skip
    """An open row. Commands of banken itself serve a client, too."""
    if author.by == "banken" and client not in ("", "banken", "patrol"):
        author = Author("client", client)
    return Row(
        kind=kind, user=author.user, by=author.by, session=author.session, client=client,
        device=agents.get(author.session, ""), since_ns=since_ns, until_ns=None, end="open", seq=seq,
    )  # fmt: skip


def _at_once(row: Row, until_ns: int) -> Row:
    return replace(row, until_ns=until_ns, end="ended")


def _counted(row: Row, more: int, reason: str, code: str) -> Row:
    return replace(_at_once(row, row.since_ns), count=1 + more, reason=reason, code=code)


def over(known: Row, until_ns: int, end: End, reason: str, code: str, sent: int | None = None) -> Row:
    lasted_s = lasted(known.since_ns, until_ns)
    return replace(known, until_ns=until_ns, lasted_s=lasted_s, end=end, reason=reason, code=code, bytes=sent)


def unknown(known: Row, last_ns: int, why: str) -> Row:
    return over(known, max(last_ns, known.since_ns), "unknown", f"its end is not known: {why}", "unknown")


def lasted(since_ns: int, until_ns: int) -> float:
    return round(max(0, until_ns - since_ns) / 1e9, 3)
