"""Shares: links with which others watch some cameras for a while. The state knows the hash of a link's secret.

Rules of this file:
- A share has an end, a number of viewers, and cameras that it names. It never has more than its maker has.
- A share ends when its maker loses any right that it is made of, and is not opened again when the right comes back.
- A viewer is a visit: one browser that has opened the link. Visits are counted in the step that admits one more.
- With a share, its visits and their leases end.
"""

from .access import Principal, maker_of, of_visit, rights_of, shared, shown
from .common import Arms, Changes, Decisions, Events, elapsed_s
from .core import FIRST, OUTSIDE, SOON, Command, Event, Recorded, Severity
from .errors import Refusal, Rejected
from .ids import ShareId, VisitId, share_stream, visit_stream
from .lease import end
from .rights import Right, Scope
from .session import HASH, MOST_AGENT
from .state import EndedShare, Share, State, Visit
from .values import Fault, Reason
from .words import plural, seconds

MOST_SHARES = 1000
MOST_OF_MAKER = 100
MOST_NAMES = 100
"""Cameras and groups of one share."""
MOST_VIEWERS = 50
MOST_VISITS = 1000
MOST_LABEL = 100
LONGEST_S = 90 * 86_400.0
KEPT_ENDED = 100
"""Ended shares whose reason is kept, for those who still have the link."""
NEEDS_USERS = "banken has no users yet, so no link can be limited: make a user first"
NO_SHARE = "there is no such share, or it has ended"
NO_LINK = "this link is not valid: it may be incomplete, or it ended long ago"
REVOKED = Reason("share-revoked", "the link was revoked", Fault.NONE)
OVER = Reason("over", "the time of the link is over", Fault.NONE)
MAKER_LOST = Reason("access-revoked", "the person who made the link may not share this any more", Fault.NONE)
NOT_KEPT = Reason("restored", "the link did not survive a restart", Fault.NONE)
LEFT = Reason("left", "nobody watches any more", Fault.NONE)


class MakeShare(Command, frozen=True):
    hash: str
    """SHA-256 of its secret, in hex. Its first 16 digits are the share's id."""
    scope: Scope
    until_ns: int
    viewers: int
    label: str
    by: str
    """The principal that asks, without its session."""

    sender = "shares service"
    right = Right.SHARE


class EndShare(Command, frozen=True):
    share: ShareId
    reason: Reason
    by: str
    """The principal that asks. A user may end their own shares, an admin all."""

    sender = "shares service"
    right = Right.NONE


class OpenVisit(Command, frozen=True):
    """A browser has shown the secret of a share."""

    share: ShareId
    hash: str
    """SHA-256 of the secret of the visit, in hex. Its first 16 digits are the visit's id."""
    client: str
    agent: str

    sender = "shares service"
    right = Right.NONE


class EndVisit(Command, frozen=True):
    visit: VisitId
    reason: Reason = LEFT

    sender = "shares service"
    right = Right.NONE


class ShareEvent(Event, frozen=True):
    share: ShareId
    """As in `/api/shares`. It may be shown, and opens nothing."""

    @property
    def stream(self) -> str:
        return share_stream(self.share)


class ShareMade(ShareEvent, frozen=True):
    """A link was made, with which others may watch its cameras."""

    hash: str
    """SHA-256 of the link's secret, in hex. The API does not show it."""
    scope: Scope
    """The cameras; at most those of its maker."""
    until_ns: int
    """When it ends."""
    viewers: int
    """How many may have it open at the same time."""
    label: str
    """A name that its maker gave it."""
    by: str
    """Its maker: a user, or `local`, the owner of the machine."""

    severity = Severity.NOTICE
    emitters = ("MakeShare",)
    when = "before the answer, which is the only one with the link"
    stored = FIRST

    def sentence(self) -> str:
        names = ", ".join([*self.scope.cameras, *(f"group {group}" for group in self.scope.groups)])
        return f"share {self.share} made of {names}, for {plural(self.viewers, 'viewer')}"


class ShareEnded(ShareEvent, frozen=True):
    """The link opens nothing any more. Viewers that came with it end."""

    reason: Reason
    """Code `share-revoked`, `over`, `access-revoked`, `user-removed`, `new-password` or `restored`."""

    ends_stream = True
    severity = Severity.NOTICE
    emitters = (
        "AdmitIdentity",
        "RefuseIdentity",
        "SetPassword",
        "EndShare",
        "ChangeUser",
        "RemoveUser",
        "RestoreAccess",
    )
    causes = (
        OUTSIDE,
        "UserChanged",
        "UserRemoved",
        "UserAdded",
        "TrustEnded",
        "PasswordSet",
        "PasskeyRemoved",
        "SessionEnded",
        "TokenEnded",
        "ShareEnded",
    )
    cause_note = "none when somebody revoked it or its time was over; otherwise the change with which it ends"
    when = "before the answer; viewers that depend on it end with it"
    stored = f"{FIRST}; {SOON} when its time was over"

    def sentence(self) -> str:
        return f"share {self.share} ended: {self.reason.text}"


class VisitEvent(Event, frozen=True):
    visit: VisitId
    """It may be shown, and opens nothing."""
    share: ShareId
    """The share whose link was opened."""

    @property
    def stream(self) -> str:
        return visit_stream(self.visit)


class VisitBegan(VisitEvent, frozen=True):
    """A browser has opened the link of a share."""

    hash: str
    """SHA-256 of the visit's secret, in hex. The API does not show it."""
    client: str
    """Address of the client, without its port."""
    agent: str
    """The browser, as it calls itself; cut off at 200 characters."""

    severity = Severity.INFO
    emitters = ("OpenVisit",)
    when = "before the answer; one more than the share has viewers is refused"
    stored = FIRST

    def sentence(self) -> str:
        return f"share {self.share} opened from {self.client}"


class VisitEnded(VisitEvent, frozen=True):
    """A browser that had opened a link has gone, or may not watch any more."""

    reason: Reason
    """Code `left`, or the code of the `ShareEnded` with which it ends."""
    lasted_s: float
    """Time since `VisitBegan`."""

    ends_stream = True
    severity = Severity.INFO
    emitters = ("AdmitIdentity", "EndVisit", *ShareEnded.emitters)
    causes = ShareEnded.causes
    cause_note = "none when the browser has gone; otherwise the change with which it ends"
    when = "viewers that depend on it end with it"

    def sentence(self) -> str:
        return f"visit of share {self.share} ended after {seconds(self.lasted_s)}: {self.reason.text}"


def share_of(hashed: str) -> ShareId:
    """The id of the share with this hash."""
    return ShareId(hashed[:16])


def visit_of(hashed: str) -> VisitId:
    """The id of the visit with this hash."""
    return VisitId(hashed[:16])


def visits_of(state: State, share: ShareId) -> list[Visit]:
    return sorted((each for each in state.visits.values() if each.share == share), key=lambda each: each.visit)


def make_share(state: State, command: MakeShare, now_ns: int) -> Events:
    if not state.trust_ended:
        raise Rejected(Refusal.CONFLICT, NEEDS_USERS)
    maker = _require_maker(state, command.by)
    _require_scope(state, command.scope, maker)
    if not now_ns < command.until_ns <= now_ns + LONGEST_S * 1e9:
        raise Rejected(Refusal.INVALID, "a share ends after at most 90 days")
    if not 1 <= command.viewers <= MOST_VIEWERS:
        raise Rejected(Refusal.INVALID, f"a share has 1 to {MOST_VIEWERS} viewers")
    if len(command.label) > MOST_LABEL or not command.label.isprintable():
        raise Rejected(Refusal.INVALID, f"a label has at most {MOST_LABEL} characters, which can be printed")
    if HASH.fullmatch(command.hash) is None or share_of(command.hash) in state.shares:
        raise Rejected(Refusal.INVALID, "this is no new share")
    if len(state.shares) >= MOST_SHARES:
        raise Rejected(Refusal.CAP_REACHED, f"there are {MOST_SHARES} shares, which is the limit")
    if sum(share.by == command.by for share in state.shares.values()) >= MOST_OF_MAKER:
        raise Rejected(Refusal.CAP_REACHED, f"you have {MOST_OF_MAKER} shares, which is the limit: revoke some")
    made = ShareMade(
        share_of(command.hash),
        command.hash,
        command.scope,
        command.until_ns,
        command.viewers,
        command.label,
        command.by,
    )
    return (made,)


def _require_maker(state: State, by: str) -> Principal:
    maker = maker_of(state, by)
    if not maker.may(Right.SHARE):
        raise Rejected(Refusal.FORBIDDEN, "only a user who may watch can share: no program, and nobody from a proxy")
    return maker


def _require_scope(state: State, scope: Scope, maker: Principal) -> None:
    """Raise `Rejected` for cameras that the maker does not see, as for those that do not exist."""
    if scope.everything or not (scope.cameras or scope.groups):
        raise Rejected(Refusal.INVALID, "a share names its cameras or groups")
    if len(scope.cameras) + len(scope.groups) > MOST_NAMES:
        raise Rejected(Refusal.INVALID, f"a share has at most {MOST_NAMES} cameras and groups")
    for camera in scope.cameras:
        if not maker.sees(state, camera) or camera not in state.cameras:
            raise Rejected(Refusal.UNKNOWN, f"there is no camera {camera!r}")
    groups = {known.settings.group for known in state.cameras.values()} if scope.groups else set()
    for group in scope.groups:
        if group not in groups or not (maker.scope.everything or group in maker.scope.groups):
            raise Rejected(Refusal.UNKNOWN, f"there is no group {group!r} of which you have all cameras")


def end_share(state: State, command: EndShare, now_ns: int) -> Events:
    known = state.shares.get(command.share)
    who = rights_of(state, command.by, now_ns)
    is_ours = known is not None and known.by == shown(command.by) and who.may(Right.SHARE)
    if known is None or not (is_ours or who.administers()):
        raise Rejected(Refusal.UNKNOWN, NO_SHARE)
    return ended_share(state, known, command.reason, now_ns)


def ended_share(state: State, share: Share, reason: Reason, now_ns: int) -> Events:
    """End a share, its visits, and their leases."""
    visits = visits_of(state, share.share)
    return (
        ShareEnded(share.share, reason),
        *(event for visit in visits for event in ended_visit(state, visit, reason, now_ns)),
    )


def ended_visit(state: State, visit: Visit, reason: Reason, now_ns: int) -> Events:
    """End a visit, and the leases that were granted to it."""
    leases = [lease for _, lease in sorted(state.leases.items()) if lease.by == of_visit(visit)]
    ended = VisitEnded(visit.visit, visit.share, reason, elapsed_s(visit.opened_ns, now_ns))
    return (ended, *(event for lease in leases for event in end(state, lease, reason, now_ns)))


def lost_shares(state: State, then: State, by: str) -> list[Share]:
    """The shares of a maker who has less of them in the state `then`."""
    found = [share for _, share in sorted(state.shares.items()) if share.by == by]
    before, after = maker_of(state, by), maker_of(then, by)
    if not after.may(Right.SHARE):
        return found
    return [share for share in found if shared(state, share.scope, before) != shared(then, share.scope, after)]


def open_visit(state: State, command: OpenVisit, now_ns: int) -> Events:
    share = state.shares.get(command.share)
    if share is None:
        raise refused(state, command.share)
    if now_ns >= share.until_ns:
        raise Rejected(Refusal.FORBIDDEN, OVER.text)
    if not maker_of(state, share.by).may(Right.SHARE):
        raise Rejected(Refusal.FORBIDDEN, MAKER_LOST.text)
    if HASH.fullmatch(command.hash) is None or visit_of(command.hash) in state.visits:
        raise Rejected(Refusal.INVALID, "this is no new visit")
    if len(visits_of(state, share.share)) >= share.viewers:
        viewers = plural(share.viewers, "viewer has", "viewers have")
        raise Rejected(Refusal.FULL, f"{viewers} this link open already, which is its limit: try again later")
    if len(state.visits) >= MOST_VISITS:
        raise Rejected(Refusal.CAP_REACHED, f"{MOST_VISITS} links are open, which is the limit")
    began = VisitBegan(visit_of(command.hash), share.share, command.hash, command.client, command.agent[:MOST_AGENT])
    return (began,)


def refused(state: State, share: ShareId) -> Rejected:
    """Why a link is refused that no share of now has."""
    ended = state.ended_shares.get(share)
    return Rejected(Refusal.FORBIDDEN, NO_LINK if ended is None else ended.reason.text)


def end_visit(state: State, command: EndVisit, now_ns: int) -> Events:
    known = state.visits.get(command.visit)
    return () if known is None else ended_visit(state, known, command.reason, now_ns)


def _share_made(state: State, event: ShareMade, at: Recorded) -> Changes:
    share = Share(
        event.share, event.scope, event.hash, at.wall_ns, event.until_ns, event.viewers, event.label, event.by
    )
    return {"shares": state.shares.insert(event.share, share), "access_changes": state.access_changes + 1}


def _share_ended(state: State, event: ShareEnded, at: Recorded) -> Changes:
    ended = state.ended_shares
    if len(ended) >= KEPT_ENDED:
        ended = ended.remove(min(ended.values(), key=lambda one: (one.at_ns, one.share)).share)
    ended = ended.insert(event.share, EndedShare(event.share, at.wall_ns, event.reason))
    changes = state.access_changes + 1
    return {"shares": state.shares.remove(event.share), "ended_shares": ended, "access_changes": changes}


def _visit_began(state: State, event: VisitBegan, at: Recorded) -> Changes:
    visit = Visit(event.visit, event.share, event.hash, event.client, event.agent, at.wall_ns)
    return {"visits": state.visits.insert(event.visit, visit), "access_changes": state.access_changes + 1}


def _visit_ended(state: State, event: VisitEnded, at: Recorded) -> Changes:
    return {"visits": state.visits.remove(event.visit), "access_changes": state.access_changes + 1}


DECISIONS: Decisions = {
    MakeShare: make_share,
    EndShare: end_share,
    OpenVisit: open_visit,
    EndVisit: end_visit,
}


ARMS: Arms = {
    ShareMade: _share_made,
    ShareEnded: _share_ended,
    VisitBegan: _visit_began,
    VisitEnded: _visit_ended,
}
