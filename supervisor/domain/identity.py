"""Identities at a login provider, and the accounts that they are linked to. Only the access file has them readably.

Rules of this file:
- An identity is linked to one account, and an account to one identity. A name alone links nothing.
- With a link the sessions end that were opened by it.
"""

import hashlib

from .common import Arms, Changes, Decisions, Events
from .core import FIRST, OUTSIDE, Command, Event, Recorded, Severity
from .errors import Refusal, Rejected
from .ids import IdentityId, SessionId, UserId, identity_stream
from .rights import USER, Right
from .session import HASH, ended_session
from .share import MAKER_LOST, ended_share
from .state import Identity, State
from .values import Fault, Reason

OIDC = "oidc"
"""How a session was opened that a login provider vouches for."""
UNLINKED = Reason("unlinked", "the login provider is no longer linked to the account", Fault.NONE)
NO_ROLE = Reason("no-role", "the groups at the login provider give no role", Fault.NONE)


class LinkIdentity(Command, frozen=True):
    """The user of a session has proved to have an identity at the login provider."""

    session: SessionId
    identity: IdentityId
    provider: str

    sender = "identities service"
    right = Right.NONE
    """The decision looks at the session."""


class UnlinkIdentity(Command, frozen=True):
    """Take the link of the user of a session away. That session goes on."""

    session: SessionId

    sender = "identities service"
    right = Right.NONE
    """As `LinkIdentity`."""


class RefuseIdentity(Command, frozen=True):
    """The login provider gives an identity no role any more.

    The sessions end that were opened by it, and the shares of the account: else its owner watches on by an own link.
    """

    identity: IdentityId

    sender = "identities service"


class IdentityEvent(Event, frozen=True):
    user: UserId
    """Whose account it is."""
    identity: IdentityId
    """SHA-256 of the issuer and the subject, in hex. The API does not show it."""
    provider: str
    """The name of the login provider, as the configuration has it."""

    @property
    def stream(self) -> str:
        return identity_stream(self.identity)


_AT_START = (
    "UserChanged",
    "TrustEnded",
    "SessionEnded",
    "PasskeyRemoved",
    "TokenEnded",
    "ShareEnded",
    "PrivacyBegan",
    "IdentityLinked",
    "IdentityUnlinked",
)
"""The causes of an event that `RestoreAccess` may emit behind others: its first event."""


class IdentityLinked(IdentityEvent, frozen=True):
    """A person may log in to the account by the login provider."""

    restored: bool = False
    """Whether only the access file had the link at a start, and was newer than the journal."""

    severity = Severity.NOTICE
    emitters = ("LinkIdentity", "AdmitIdentity", "RestoreAccess")
    causes = (OUTSIDE, "UserAdded", "UserRemoved", *_AT_START)
    cause_note = "none for a user who links the own account; the new account; at a start, the first difference"
    when = "before the answer"
    stored = FIRST

    def sentence(self) -> str:
        restored = ", as the access file has it" if self.restored else ""
        return f"user {self.user} may log in by {self.provider}{restored}"


class IdentityUnlinked(IdentityEvent, frozen=True):
    """The login provider opens the account no more. The sessions that it opened end."""

    reason: Reason
    """Code `unlinked`, `user-removed`, or `restored`."""

    ends_stream = True
    severity = Severity.NOTICE
    emitters = ("UnlinkIdentity", "RemoveUser", "RestoreAccess")
    causes = (OUTSIDE, "UserAdded", "UserRemoved", *_AT_START)
    cause_note = "none for the user's own request; the removal of the user; at a start, the first difference"
    when = "before the answer; sessions that were opened by it end with it"
    stored = FIRST

    def sentence(self) -> str:
        return f"user {self.user} may not log in by {self.provider} any more: {self.reason.text}"


def identity_of(issuer: str, subject: str) -> IdentityId:
    """The id of what a provider calls `subject`."""
    return IdentityId(hashlib.sha256(f"{issuer}\0{subject}".encode(errors="replace")).hexdigest())


def link_of(state: State, user: UserId) -> Identity | None:
    """The identity that is linked to an account."""
    return next((one for one in state.identities.values() if one.user == user), None)


def require_free(state: State, identity: IdentityId, provider: str) -> None:
    if HASH.fullmatch(identity) is None:
        raise Rejected(Refusal.INVALID, "an identity is known by a SHA-256")
    if identity in state.identities:
        raise Rejected(Refusal.CONFLICT, f"this login at {provider} is linked to an account already")


def link_identity(state: State, command: LinkIdentity, now_ns: int) -> Events:
    user = _user_of(state, command.session, now_ns)
    require_free(state, command.identity, command.provider)
    if link_of(state, user) is not None:
        raise Rejected(Refusal.CONFLICT, "the account has a link already: take that one away first")
    return (IdentityLinked(user, command.identity, command.provider),)


def unlink_identity(state: State, command: UnlinkIdentity, now_ns: int) -> Events:
    user = _user_of(state, command.session, now_ns)
    known = link_of(state, user)
    return () if known is None else unlinked(state, known, UNLINKED, now_ns, keep=command.session)


def refuse_identity(state: State, command: RefuseIdentity, now_ns: int) -> Events:
    known = state.identities.get(command.identity)
    if known is None:
        return ()
    shares = [share for _, share in sorted(state.shares.items()) if share.by == f"{USER}{known.user}"]
    ended = [event for share in shares for event in ended_share(state, share, MAKER_LOST, now_ns)]
    return (*_end_sessions(state, known, NO_ROLE, now_ns), *ended)


def unlinked(
    state: State, known: Identity, reason: Reason, now_ns: int, keep: SessionId | None = None
) -> tuple[Event, ...]:
    """End a link, and the sessions that were opened by it, but the session `keep`."""
    ended = IdentityUnlinked(known.user, known.identity, known.provider, reason)
    return (ended, *_end_sessions(state, known, reason, now_ns, keep))


def restore_identities(
    state: State, filed: tuple[Identity, ...], is_file_newer: bool, reason: Reason, now_ns: int
) -> tuple[Event, ...]:
    """Make links agree with those in the access file. A link that only an older record has is not restored.

    `state`: as it is behind the changes of users.
    """
    events: list[Event] = []
    known = {one.identity: one for one in filed}
    for name, one in sorted(state.identities.items()):
        if name not in known or known[name].user != one.user:
            events += unlinked(state, one, reason, now_ns)
    if is_file_newer:
        linked = {one.user for one in state.identities.values()}
        new = [one for name, one in sorted(known.items()) if name not in state.identities and one.user not in linked]
        events += [IdentityLinked(one.user, one.identity, one.provider, restored=True) for one in new]
    return tuple(events)


def _user_of(state: State, session: SessionId, now_ns: int) -> UserId:
    known = state.sessions.get(session)
    if known is None or now_ns >= known.until_ns or known.user not in state.users:
        raise Rejected(Refusal.FORBIDDEN, "the session has ended: log in again")
    return known.user


def _end_sessions(
    state: State, known: Identity, reason: Reason, now_ns: int, keep: SessionId | None = None
) -> tuple[Event, ...]:
    opened = sorted(
        (one for one in state.sessions.values() if one.user == known.user and one.by == OIDC and one.session != keep),
        key=lambda one: one.session,
    )
    return tuple(event for one in opened for event in ended_session(state, one, reason, now_ns))


def _linked(state: State, event: IdentityLinked, at: Recorded) -> Changes:
    link = Identity(event.identity, event.user, event.provider, at.wall_ns)
    changes = state.access_changes + 1
    return {"identities": state.identities.insert(event.identity, link), "access_changes": changes}


DECISIONS: Decisions = {
    LinkIdentity: link_identity,
    UnlinkIdentity: unlink_identity,
    RefuseIdentity: refuse_identity,
}


ARMS: Arms = {
    IdentityLinked: _linked,
    IdentityUnlinked: lambda s, v, at: {
        "identities": s.identities.remove(v.identity),
        "access_changes": s.access_changes + 1,
    },
}
