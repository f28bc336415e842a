"""Sessions: logins of users. The state knows the hash of a session's secret, which only the browser has.

Rules of this file:
- A session has an end that no use moves. That it was not used for long is judged by the accounts service, which keeps
  the times of its use.
- With a session, the leases end that were granted to it.
"""

import re
from typing import Protocol

from msgspec.structs import replace

from .access import principal_of
from .common import Arms, Changes, Decisions, Events, elapsed_s
from .core import FIRST, OUTSIDE, SOON, Command, Event, Recorded, Severity
from .errors import Refusal, Rejected
from .ids import ACCESS, PasskeyId, SessionId, UserId, session_stream
from .lease import end
from .rights import Right
from .state import State, UserSession
from .values import Fault, Reason
from .words import plural, seconds

MOST_SESSIONS = 1000
MOST_OF_USER = 50
MOST_AGENT = 200
"""Characters of the browser's name that are kept."""
HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
NO_PASSKEY = PasskeyId("")
DISPLACED = Reason("displaced", "the user has logged in at many other browsers", Fault.NONE)
LOGGED_OUT = Reason("logged-out", "logged out", Fault.NONE)
OVER = Reason("over", "its time was over", Fault.NONE)


class NewSession(Protocol):
    """The fields of a command that opens a session."""

    @property
    def hash(self) -> str: ...
    @property
    def client(self) -> str: ...
    @property
    def agent(self) -> str: ...
    @property
    def until_ns(self) -> int: ...


class OpenSession(Command, frozen=True):
    """Somebody has proved to be `user`."""

    user: UserId
    hash: str
    """SHA-256 of its secret, in hex. Its first 16 digits are the session's id."""
    client: str
    agent: str
    until_ns: int
    by: str
    passkey: PasskeyId = NO_PASSKEY
    """The passkey with which they have proved it."""

    sender = "accounts service"
    right = Right.NONE


class EndSession(Command, frozen=True):
    session: SessionId
    reason: Reason

    sender = "accounts service"
    right = Right.NONE
    """The service has checked whose session it is."""


class ReportLoginFailed(Command, frozen=True):
    """Somebody gave a wrong name, password or key. `suppressed` counts further failures since the last report."""

    user: str
    """The name if there is such a user; else empty, for people type passwords there."""
    client: str
    reason: Reason
    suppressed: int = 0

    sender = "accounts service"


class SessionEvent(Event, frozen=True):
    session: SessionId
    """As in `/api/sessions`. It may be shown."""
    user: UserId
    """Whose it is."""

    @property
    def stream(self) -> str:
        return session_stream(self.session)


class SessionOpened(SessionEvent, frozen=True):
    """A user has logged in."""

    hash: str
    """SHA-256 of the session's secret, in hex. The API does not show it."""
    client: str
    """Address of the client, without its port."""
    agent: str
    """The browser, as it calls itself; cut off at 200 characters."""
    until_ns: int
    """When it ends, used or not."""
    by: str = "password"
    """How the user proved who it is: `password`, `passkey`, `oidc` (a login provider), or `setup-link` for
    the first user."""
    passkey: PasskeyId = NO_PASSKEY
    """The passkey; empty for a login by something else."""

    severity = Severity.INFO
    emitters = ("OpenSession", "AdmitIdentity")
    causes = (OUTSIDE, "SessionEnded", "UserAdded", "UserChanged")
    cause_note = "none; the end of the oldest session of a user who has too many; what a login provider changed before"
    when = "before the answer to the login"
    stored = FIRST

    def sentence(self) -> str:
        return f"{self.user} logged in from {self.client} by {self.by}"


class SessionEnded(SessionEvent, frozen=True):
    """A login is over. Viewers that were opened with it end."""

    reason: Reason
    """Code `logged-out`, `ended-by-admin`, `idle`, `over`, `displaced`, `new-password`, `passkey-removed`,
    `user-removed`, `restored`, `unlinked`, `no-role`."""
    lasted_s: float
    """Time since `SessionOpened`."""

    ends_stream = True
    severity = Severity.INFO
    emitters = (
        "EndSession",
        "OpenSession",
        "AdmitIdentity",
        "RefuseIdentity",
        "UnlinkIdentity",
        "SetPassword",
        "RemovePasskey",
        "RemoveUser",
        "RestoreAccess",
    )
    causes = (
        OUTSIDE,
        "PasswordSet",
        "PasskeyRemoved",
        "UserRemoved",
        "UserChanged",
        "UserAdded",
        "TrustEnded",
        "SessionEnded",
        "IdentityUnlinked",
        *("TokenEnded", "ShareEnded", "PrivacyBegan", "IdentityLinked"),
    )
    cause_note = "none when somebody ended it or its time was over; otherwise the change with which it ends"
    when = "before the answer; viewers that depend on it end with it"
    stored = f"{FIRST}; {SOON} when its time was over"

    def sentence(self) -> str:
        return f"session of {self.user} ended after {seconds(self.lasted_s)}: {self.reason.text}"


class LoginFailed(Event, frozen=True):
    """Somebody could not log in. At most one failure a second is journaled."""

    user: str
    """The name of a user, or `token:` and the name of a token; empty without one of that name."""
    client: str
    """Address of the client, without its port."""
    reason: Reason
    """Code `wrong-password`, `wrong-link`, `unknown-user`, `wrong-passkey`, `unknown-passkey`, `cloned-passkey`,
    `wrong-token`, `unknown-token`, `too-often`, `busy` or `login-provider`; for the link of a share also
    `ended-link` or `link-full`."""
    suppressed: int = 0
    """Failures, of any client, since the last journaled one."""

    severity = Severity.NOTICE
    emitters = ("ReportLoginFailed",)
    when = "with the answer"

    @property
    def stream(self) -> str:
        return ACCESS

    def sentence(self) -> str:
        more = f"; {plural(self.suppressed, 'more failure')} before" if self.suppressed else ""
        who = self.user or "somebody"
        return f"{who} could not log in from {self.client}: {self.reason.text}{more}"


def session_of(hashed: str) -> SessionId:
    """The id of the session with this hash."""
    return SessionId(hashed[:16])


def open_session(state: State, command: OpenSession, now_ns: int) -> Events:
    known = state.users.get(command.user)
    if known is not None and command.passkey and command.passkey not in (each.passkey for each in known.passkeys):
        raise Rejected(Refusal.FORBIDDEN, "the passkey was not accepted")
    return opened_session(state, command, command.user, command.by, now_ns, command.passkey)


def opened_session(
    state: State, command: NewSession, user: UserId, by: str, now_ns: int, passkey: PasskeyId = NO_PASSKEY
) -> Events:
    """Open a session of `user`, who has proved by `by` who it is."""
    if user not in state.users:
        raise Rejected(Refusal.FORBIDDEN, "the name or the password is wrong")
    if HASH.fullmatch(command.hash) is None or session_of(command.hash) in state.sessions:
        raise Rejected(Refusal.INVALID, "this is no new session")
    of_user = [session for session in state.sessions.values() if session.user == user]
    if len(state.sessions) >= MOST_SESSIONS and len(of_user) < MOST_OF_USER:
        raise Rejected(Refusal.CAP_REACHED, f"{MOST_SESSIONS} sessions are open, which is the limit")
    over: Events = ()
    if len(of_user) >= MOST_OF_USER:
        oldest = min(of_user, key=lambda session: (session.opened_ns, session.session))
        over = ended_session(state, oldest, DISPLACED, now_ns)
    opened = SessionOpened(
        session_of(command.hash),
        user,
        command.hash,
        command.client,
        command.agent[:MOST_AGENT],
        command.until_ns,
        by,
        passkey,
    )
    return (*over, opened)


def end_session(state: State, command: EndSession, now_ns: int) -> Events:
    known = state.sessions.get(command.session)
    return () if known is None else ended_session(state, known, command.reason, now_ns)


def ended_session(state: State, session: UserSession, reason: Reason, now_ns: int) -> Events:
    """End a session, and the leases that were granted to it."""
    ended = SessionEnded(session.session, session.user, reason, elapsed_s(session.opened_ns, now_ns))
    leases = [lease for _, lease in sorted(state.leases.items()) if lease.by == principal_of(session)]
    return (ended, *(event for lease in leases for event in end(state, lease, reason, now_ns)))


def report_login_failed(state: State, command: ReportLoginFailed, now_ns: int) -> Events:
    return (LoginFailed(command.user, command.client, command.reason, command.suppressed),)


def _session_opened(state: State, event: SessionOpened, at: Recorded) -> Changes:
    session = UserSession(
        event.session, event.user, event.hash, event.client, event.agent, at.wall_ns, event.until_ns, event.by,
        event.passkey,
    )  # fmt: skip
    changes = {"sessions": state.sessions.insert(event.session, session), "access_changes": state.access_changes + 1}
    if not event.passkey:
        return changes
    user = state.users[event.user]
    used = tuple(replace(each, used_ns=at.wall_ns) if each.passkey == event.passkey else each for each in user.passkeys)
    return changes | {"users": state.users.insert(event.user, replace(user, passkeys=used))}


def _session_ended(state: State, event: SessionEnded, at: Recorded) -> Changes:
    return {"sessions": state.sessions.remove(event.session), "access_changes": state.access_changes + 1}


DECISIONS: Decisions = {
    OpenSession: open_session,
    EndSession: end_session,
    ReportLoginFailed: report_login_failed,
}


ARMS: Arms = {
    SessionOpened: _session_opened,
    SessionEnded: _session_ended,
    LoginFailed: lambda s, v, at: {},
}
