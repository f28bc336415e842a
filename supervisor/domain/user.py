"""Users: the people who may log in, their roles and scopes. Passwords are in the access file (`services/accounts.py`).

Rules of this file:
- The first user ends the trust in this machine's own clients: their viewers end, and nobody watches without a login.
- A right that is taken away ends what depends on it in the same step: sessions, leases, and the peers under these.
- There is always an admin with all cameras, once there is a user. The last one can be neither removed nor demoted.
"""

from msgspec.structs import replace
from rpds import HashTrieMap

from .access import NAME, require_all_of_admin
from .common import Arms, Changes, Decisions, Events
from .core import FIRST, OUTSIDE, Command, Event, Recorded, Severity
from .errors import Refusal, Rejected
from .identity import IdentityUnlinked, link_of, restore_identities
from .ids import CameraId, PasskeyId, UserId, user_stream
from .lease import LeaseEnded, end, end_lost
from .passkey import PasskeyRemoved, removed_passkey
from .privacy import RESTORED_PRIVACY, PrivacyBegan
from .rights import OF_PROGRAMS, RIGHTS, USER, Right, Role, Scope
from .session import SessionEnded, ended_session
from .share import MAKER_LOST, NOT_KEPT, ShareEnded, ended_share, lost_shares
from .state import Identity, State, User, UserSession
from .token import TokenEnded
from .values import Fault, LeaseKind, Reason

MOST_USERS = 1000
REMOVED = Reason("user-removed", "the account was removed", Fault.NONE)
NEW_PASSWORD = Reason("new-password", "the password was changed", Fault.NONE)
TRUST_ENDED = Reason("trust-ended", "banken has users now: log in", Fault.NONE)
RESTORED = Reason("restored", "the access file and the journal differed: the smaller right holds", Fault.NONE)


class AddUser(Command, frozen=True):
    user: UserId
    role: Role
    scope: Scope

    sender = "accounts service"
    right = Right.ADMINISTER


class ChangeUser(Command, frozen=True):
    """Give a user another role and scope."""

    user: UserId
    role: Role
    scope: Scope

    sender = "accounts service"
    right = Right.ADMINISTER


class RemoveUser(Command, frozen=True):
    user: UserId

    sender = "accounts service"
    right = Right.ADMINISTER


class SetPassword(Command, frozen=True):
    """The password of a user is another one. All sessions of the user end, except the session `keep`."""

    user: UserId
    keep: str = ""
    """Hash of the secret of a session."""
    end_passkeys: bool = False
    """Whether the user's passkeys and shares end with the old password: somebody else may have made them."""

    sender = "accounts service"
    right = Right.ADMINISTER
    right_of_user = Right.INSPECT
    """The service has checked the old password."""


class RestoreAccess(Command, frozen=True):
    """At a start: make users, sessions, tokens and shares agree with the access file. The smaller right holds."""

    users: tuple[User, ...]
    sessions: frozenset[str]
    """Hashes of the sessions that the file knows."""
    tokens: frozenset[str]
    trust_ended: bool
    changes: int
    """`access_changes` of the state for which the file was written."""
    private: frozenset[CameraId] = frozenset()
    """The cameras that are private according to the file."""
    passkeys: frozenset[tuple[UserId, PasskeyId]] = frozenset()
    """The passkeys that the file has, each with its user."""
    shares: frozenset[str] = frozenset()
    """Hashes of the shares that the file knows."""
    identities: tuple[Identity, ...] = ()
    """The links to a login provider in the file."""

    sender = "accounts service"


_AT_START = (OUTSIDE, "UserAdded", "UserChanged", "UserRemoved", "TrustEnded")
"""The causes of an event that `RestoreAccess` may emit: its first event."""


class UserEvent(Event, frozen=True):
    user: UserId
    """The name with which the person logs in."""

    @property
    def stream(self) -> str:
        return user_stream(self.user)


class UserAdded(UserEvent, frozen=True):
    """A person may log in."""

    role: Role
    """`watcher`, `analyst`, `operator` or `admin`."""
    scope: Scope
    """The cameras of which the person may know."""
    restored: bool = False
    """Whether the access file named the user at a start, and a newer journal did not."""

    severity = Severity.NOTICE
    emitters = ("AddUser", "AdmitIdentity", "RestoreAccess")
    causes = _AT_START
    cause_note = "none; at a start, the first difference between the access file and the journal"
    when = "before the access file holds the password"
    stored = FIRST

    def sentence(self) -> str:
        restored = ", as the access file has it" if self.restored else ""
        return f"user {self.user} added: {self.role.value}, {described(self.scope)}{restored}"


class UserChanged(UserEvent, frozen=True):
    """A user has another role or scope."""

    role: Role
    """The role from now on."""
    scope: Scope
    """The cameras from now on."""
    reason: Reason
    """Code `access-changed`, or `restored` at a start."""

    severity = Severity.NOTICE
    emitters = ("ChangeUser", "AdmitIdentity", "RestoreAccess")
    causes = _AT_START
    cause_note = "none; at a start, the first difference between the access file and the journal"
    when = "before the answer; viewers that the user may not have any more end with it"
    stored = FIRST

    def sentence(self) -> str:
        return f"user {self.user} is {self.role.value} now, {described(self.scope)}: {self.reason.text}"


class UserRemoved(UserEvent, frozen=True):
    """A person may not log in any more."""

    reason: Reason
    """Code `user-removed`, or `restored` at a start."""

    ends_stream = True
    severity = Severity.NOTICE
    emitters = ("RemoveUser", "RestoreAccess")
    causes = _AT_START
    cause_note = "none; at a start, the first difference between the access file and the journal"
    when = "before the answer; sessions and viewers of the user end with it"
    stored = FIRST

    def sentence(self) -> str:
        return f"user {self.user} removed: {self.reason.text}"


class PasswordSet(UserEvent, frozen=True):
    """A user has another password."""

    severity = Severity.NOTICE
    emitters = ("SetPassword",)
    when = "before the access file holds its hash; the user's other sessions end with it"
    stored = FIRST

    def sentence(self) -> str:
        return f"user {self.user} has a new password"


class TrustEnded(Event, frozen=True):
    """There is a user, so nobody has a right without a login, not even at this machine."""

    severity = Severity.NOTICE
    emitters = ("AddUser", "AdmitIdentity", "RestoreAccess")
    causes = _AT_START
    cause_note = "the first user; at a start, the first difference between the access file and the journal"
    when = "with the first user; never taken back"
    stored = FIRST

    def sentence(self) -> str:
        return "clients of this machine are no longer trusted: everybody logs in"


def described(scope: Scope) -> str:
    """The scope in words."""
    if scope.everything:
        return "all cameras"
    names = [*scope.cameras, *(f"group {group}" for group in scope.groups)]
    return ", ".join(names) if names else "no camera"


def add_user(state: State, command: AddUser, now_ns: int) -> Events:
    return added_user(state, command.user, command.role, command.scope, now_ns)


def added_user(state: State, name: UserId, role: Role, scope: Scope, now_ns: int) -> Events:
    """Add a user. Raises `Rejected`."""
    if NAME.fullmatch(name) is None:
        text = f"{name[:70]!r} is no name of a user: letters a to z, digits, and . _ - inside; at most 63"
        raise Rejected(Refusal.INVALID, text)
    if name in state.users:
        raise Rejected(Refusal.CONFLICT, f"there is a user {name} already")
    if len(state.users) >= MOST_USERS:
        raise Rejected(Refusal.CAP_REACHED, f"there are {MOST_USERS} users, which is the limit")
    require_role(role, scope)
    if not any(map(is_chief, state.users.values())) and not (role is Role.ADMIN and scope.everything):
        raise Rejected(Refusal.CONFLICT, "the first user is an admin of all cameras")
    added = UserAdded(name, role, scope)
    return (added, *_end_trust(state, now_ns))


def _end_trust(state: State, now_ns: int) -> Events:
    if state.trust_ended:
        return ()
    trusted = [lease for lease in state.leases.values() if not lease.by and lease.kind is not LeaseKind.SUGGEST]
    trusted.sort(key=lambda lease: lease.lease)
    ended = [event for lease in trusted for event in end(state, lease, TRUST_ENDED, now_ns)]
    return (TrustEnded(), *ended)


def require_role(role: Role, scope: Scope) -> None:
    """Raise `Rejected` for a role that is for tokens only, and for an admin of some cameras."""
    if role in OF_PROGRAMS:
        raise Rejected(Refusal.INVALID, f"{role.value} is a role for tokens")
    require_all_of_admin(role, scope)


def is_chief(user: User) -> bool:
    return user.role is Role.ADMIN and user.scope.everything


def require_user(state: State, name: UserId) -> User:
    """The user. Raises `Rejected` for an unknown one."""
    user = state.users.get(name)
    if user is None:
        raise Rejected(Refusal.UNKNOWN, f"there is no user {name!r}")
    return user


def _require_another_chief(state: State, name: UserId) -> None:
    if not any(is_chief(user) for user in state.users.values() if user.user != name):
        raise Rejected(Refusal.CONFLICT, f"{name} is the last admin: make another one first")


def change_user(state: State, command: ChangeUser, now_ns: int) -> Events:
    user = require_user(state, command.user)
    require_role(command.role, command.scope)
    after = replace(user, role=command.role, scope=command.scope)
    return _replace(state, user, after, Reason("access-changed", "an admin changed it", Fault.NONE), now_ns)


def set_role(state: State, user: User, role: Role, reason: Reason, now_ns: int) -> Events:
    """Give a user another role, for the same cameras."""
    return _replace(state, user, replace(user, role=role), reason, now_ns)


def _replace(state: State, user: User, after: User, reason: Reason, now_ns: int) -> Events:
    if after == user:
        return ()
    if is_chief(user) and not is_chief(after):
        _require_another_chief(state, user.user)
    return _change(state, after, reason, now_ns)


def _change(state: State, after: User, reason: Reason, now_ns: int) -> Events:
    """Change a user, and end the leases and shares that they may not have any more."""
    changed = UserChanged(after.user, after.role, after.scope, reason)
    then = replace(state, users=state.users.insert(after.user, after))
    lost = lost_shares(state, then, f"{USER}{after.user}")
    ended = [event for share in lost for event in ended_share(state, share, MAKER_LOST, now_ns)]
    gone = {event.lease for event in ended if isinstance(event, LeaseEnded)}
    left = HashTrieMap({name: lease for name, lease in state.leases.items() if name not in gone})
    return (changed, *ended, *end_lost(replace(state, leases=left), then, now_ns))


def remove_user(state: State, command: RemoveUser, now_ns: int) -> Events:
    user = require_user(state, command.user)
    if is_chief(user):
        _require_another_chief(state, user.user)
    return _remove(state, user, REMOVED, now_ns)


def _remove(state: State, user: User, reason: Reason, now_ns: int) -> Events:
    sessions = _sessions_of(state, user.user)
    ended = [event for session in sessions for event in ended_session(state, session, reason, now_ns)]
    shares = lost_shares(state, replace(state, users=state.users.remove(user.user)), f"{USER}{user.user}")
    ended += [event for share in shares for event in ended_share(state, share, reason, now_ns)]
    link = link_of(state, user.user)
    if link is not None:
        ended.append(IdentityUnlinked(link.user, link.identity, link.provider, reason))
    return (UserRemoved(user.user, reason), *ended)


def _sessions_of(state: State, user: UserId, but: str = "") -> list[UserSession]:
    found = [session for session in state.sessions.values() if session.user == user and session.hash != but]
    return sorted(found, key=lambda session: session.session)


def set_password(state: State, command: SetPassword, now_ns: int) -> Events:
    user = require_user(state, command.user)
    sessions = _sessions_of(state, user.user, but=command.keep)
    ended = [event for session in sessions for event in ended_session(state, session, NEW_PASSWORD, now_ns)]
    removed = user.passkeys if command.end_passkeys else ()
    by = f"{USER}{user.user}"
    shares = [share for _, share in sorted(state.shares.items()) if share.by == by and command.end_passkeys]
    return (
        PasswordSet(user.user),
        *(PasskeyRemoved(user.user, each.passkey, NEW_PASSWORD) for each in removed),
        *ended,
        *(event for share in shares for event in ended_share(state, share, NEW_PASSWORD, now_ns)),
    )


def restore_access(state: State, command: RestoreAccess, now_ns: int) -> Events:
    """The newer record decides which users there are; where both know one, the smaller right decides."""
    events: list[Event] = []
    known = {user.user: user for user in command.users}
    is_file_newer = command.changes > state.access_changes
    for name, user in sorted(state.users.items()):
        if name not in known and is_file_newer:
            events += _remove(state, user, RESTORED, now_ns)
        elif name in known:
            after = smaller(user, known[name])
            events += _change(state, after, RESTORED, now_ns) if after != user else ()
    if is_file_newer:
        new = [user for user in command.users if user.user not in state.users]
        events += [UserAdded(user.user, user.role, user.scope, restored=True) for user in new]
    if command.trust_ended and not state.trust_ended:
        events.append(TrustEnded())
    for user in (user for name, user in sorted(state.users.items()) if name in known or not is_file_newer):
        lost = [each.passkey for each in user.passkeys if (user.user, each.passkey) not in command.passkeys]
        events += [event for each in lost for event in removed_passkey(state, user.user, each, RESTORED, now_ns)]
    gone = {event.session for event in events if isinstance(event, SessionEnded)}
    for session in state.sessions.values():
        if session.hash not in command.sessions and session.session not in gone:
            events += ended_session(state, session, RESTORED, now_ns)
    ended = [token for _, token in sorted(state.tokens.items()) if token.hash not in command.tokens]
    events += [TokenEnded(token.token, RESTORED) for token in ended]
    over = {event.share for event in events if isinstance(event, ShareEnded)}
    for _, share in sorted(state.shares.items()):
        if share.hash not in command.shares and share.share not in over:
            events += ended_share(state, share, NOT_KEPT, now_ns)
    for camera in sorted(command.private):
        switched = state.privacy.get(camera)
        if switched is None or not switched.on:
            events.append(PrivacyBegan(camera, RESTORED_PRIVACY))
    filed = tuple(one for one in command.identities if one.user in known)
    return (*events, *restore_identities(_without_ended(state, events), filed, is_file_newer, RESTORED, now_ns))


def _without_ended(state: State, events: list[Event]) -> State:
    """The state without the sessions and links that end with `events`."""
    sessions, identities = state.sessions, state.identities
    for event in events:
        if isinstance(event, SessionEnded):
            sessions = sessions.discard(event.session)
        elif isinstance(event, IdentityUnlinked):
            identities = identities.discard(event.identity)
    return replace(state, sessions=sessions, identities=identities)


def smaller(one: User, other: User) -> User:
    """`one` with what both have. Where neither role contains the other, no camera is left."""
    scope = one.scope.common(other.scope)
    if RIGHTS[one.role] <= RIGHTS[other.role]:
        return replace(one, scope=scope)
    return replace(one, role=other.role, scope=scope if RIGHTS[other.role] <= RIGHTS[one.role] else Scope())


def _user_added(state: State, event: UserAdded, at: Recorded) -> Changes:
    user = User(event.user, event.role, event.scope, since_ns=at.wall_ns)
    return {"users": state.users.insert(event.user, user), "access_changes": state.access_changes + 1}


def _user_changed(state: State, event: UserChanged, at: Recorded) -> Changes:
    user = replace(state.users[event.user], role=event.role, scope=event.scope)
    return {"users": state.users.insert(event.user, user), "access_changes": state.access_changes + 1}


def _password_set(state: State, event: PasswordSet, at: Recorded) -> Changes:
    before = state.users[event.user]
    user = replace(before, passwords=before.passwords + 1)
    return {"users": state.users.insert(event.user, user), "access_changes": state.access_changes + 1}


def _user_removed(state: State, event: UserRemoved, at: Recorded) -> Changes:
    return {"users": state.users.remove(event.user), "access_changes": state.access_changes + 1}


DECISIONS: Decisions = {
    AddUser: add_user,
    ChangeUser: change_user,
    RemoveUser: remove_user,
    SetPassword: set_password,
    RestoreAccess: restore_access,
}


ARMS: Arms = {
    UserAdded: _user_added,
    UserChanged: _user_changed,
    UserRemoved: _user_removed,
    PasswordSet: _password_set,
    TrustEnded: lambda s, v, at: {"trust_ended": True, "access_changes": s.access_changes + 1},
}
