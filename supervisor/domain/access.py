"""Access: who a principal is, and what it may do. Pure.

Rules of this file:
- A right that is not granted is denied. A principal that is not known has the right `none` only.
- Until there is a user, the clients that the web layer lets in have all rights: they are on this machine.
- A share has at most the rights that its maker has now.
- A camera outside the scope is refused as one that does not exist.
"""

import re
from collections.abc import Collection

import attrs

from .clients import LOCAL, PREFIX
from .core import Command
from .errors import Refusal, Rejected
from .ids import CameraId, LeaseId, SessionId, ShareId, TokenId, UserId, VisitId
from .rights import (
    ALL,
    EVERYTHING,
    NOTHING,
    NOWHERE,
    OF_SHARES,
    OF_USERS,
    PEOPLE,
    PROXY,
    PROXY_ROLES,
    RIGHTS,
    SHARE,
    TOKEN,
    USER,
    Right,
    Role,
    Scope,
)
from .scoped import visible_in
from .state import Lease, State, Token, UserSession, Visit

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}", re.ASCII)
"""The name of a user or a token."""
OWN = frozenset({"system", "actor", "patrol"})
"""The principals of the daemon's own parts."""


@attrs.frozen
class Principal:
    """A principal with its rights now."""

    name: str
    rights: Collection[Right] = NOTHING
    scope: Scope = NOWHERE
    until_ns: int | None = None
    """When its rights end by themselves."""

    def may(self, right: Right) -> bool:
        return right in self.rights

    def administers(self) -> bool:
        """Whether it may see and change what names all cameras."""
        return self.may(Right.ADMINISTER) and self.scope.everything

    def sees(self, state: State, camera: CameraId) -> bool:
        """Whether the camera is in the scope, or is the substream of one that is.

        A camera that is not configured is in no scope but `everything`. To find that out takes as long as for one that
        is configured, and is not in the scope.
        """
        if self.scope.everything:
            return True
        known = state.cameras.get(camera)
        if known is not None and self.scope.has(camera, known.settings.group):
            return True
        return camera in visible_in(state, self.scope)


def principal_of(session: UserSession) -> str:
    return f"{USER}{session.user}/{session.session}"


def of_proxy(name: str, role: Role) -> str:
    """The principal of somebody whom a trusted proxy has let in, with the role that the configuration gives."""
    return f"{PROXY}{name}/{role}"


def of_visit(visit: Visit) -> str:
    """The principal of a browser that has opened a link."""
    return f"{SHARE}{visit.share}/{visit.visit}"


def of_token(token: Token) -> str:
    return f"{TOKEN}{token.token}"


def rights_of(state: State, principal: str, now_ns: int) -> Principal:
    """The rights of a principal."""
    if principal == LOCAL:
        return Principal(principal, EVERYTHING, ALL)
    if principal.startswith(USER):
        user, _, session = principal.removeprefix(USER).partition("/")
        return _user(state, principal, UserId(user), SessionId(session), now_ns)
    if principal.startswith(TOKEN):
        name = TokenId(principal.removeprefix(TOKEN))
        known = state.tokens.get(name)
        if known is None or (known.until_ns is not None and now_ns >= known.until_ns):
            return Principal(principal)
        return Principal(principal, RIGHTS[known.role] - OF_USERS, known.scope, known.until_ns)
    if principal.startswith(SHARE):
        share, _, visit = principal.removeprefix(SHARE).partition("/")
        return _visitor(state, principal, ShareId(share), VisitId(visit), now_ns)
    if principal.startswith(PROXY):
        role = principal.rpartition("/")[2]
        return Principal(principal, RIGHTS[Role(role)] - OF_USERS, ALL) if role in PROXY_ROLES else Principal(principal)
    if principal in OWN or (principal.startswith(PREFIX) and not state.trust_ended):
        return Principal(principal, EVERYTHING, ALL)
    return Principal(principal)


def _user(state: State, principal: str, name: UserId, session: SessionId, now_ns: int) -> Principal:
    user = state.users.get(name)
    known = state.sessions.get(session)
    if user is None or known is None or known.user != name or now_ns >= known.until_ns:
        return Principal(principal)
    return Principal(principal, RIGHTS[user.role], user.scope, known.until_ns)


def _visitor(state: State, principal: str, name: ShareId, visit: VisitId, now_ns: int) -> Principal:
    known, here = state.shares.get(name), state.visits.get(visit)
    if known is None or here is None or here.share != name or now_ns >= known.until_ns:
        return Principal(principal)
    maker = maker_of(state, known.by)
    if not maker.may(Right.SHARE):
        return Principal(principal)
    return Principal(principal, OF_SHARES, shared(state, known.scope, maker), known.until_ns)


def maker_of(state: State, by: str) -> Principal:
    """The rights of a maker of shares, a user or the owner of the machine. Whether it is logged in does not matter."""
    if by == LOCAL:
        return Principal(by, EVERYTHING, ALL)
    user = state.users.get(UserId(by.removeprefix(USER))) if by.startswith(USER) else None
    return Principal(by) if user is None else Principal(by, RIGHTS[user.role], user.scope)


def shared(state: State, scope: Scope, maker: Principal) -> Scope:
    """The part of the scope of a share that its maker has now. A camera that is not configured is in nobody's part."""
    if maker.scope.everything:
        return scope
    cameras = tuple(name for name in scope.cameras if maker.sees(state, name))
    return Scope(cameras=cameras, groups=tuple(name for name in scope.groups if name in maker.scope.groups))


def authorize(state: State, principal: str, command: Command, now_ns: int) -> None:
    """Raise `Rejected` unless the principal may send the command. Commands without a right are the daemon's own."""
    right = command.needs()
    if command.right_of_user is not None and principal.startswith(f"{USER}{getattr(command, 'user', '')}/"):
        right = command.right_of_user
    if right is None or right is Right.NONE:
        return
    _require_own_lease(state, principal, command)
    who = rights_of(state, principal, now_ns)
    if not who.may(right):
        raise Rejected(Refusal.FORBIDDEN, f"this needs the right {right.value}, which {shown(principal)} does not have")
    camera = command.on(state)
    if camera is not None and not who.sees(state, camera):
        raise Rejected(Refusal.UNKNOWN, f"there is no camera {camera!r}")


def _require_own_lease(state: State, principal: str, command: Command) -> None:
    """Raise `Rejected` for a peer under the lease of somebody else, whose viewers do not end with this principal."""
    lease = state.leases.get(getattr(command, "lease", None) or LeaseId("")) if getattr(command, "holder", "") else None
    if lease is not None and shown(lease.by) != shown(principal) and principal.startswith(PEOPLE):
        raise Rejected(Refusal.FORBIDDEN, "this lease is of somebody else: acquire one of your own")


def require_all_of_admin(role: Role, scope: Scope) -> None:
    """Raise `Rejected` for an admin of some cameras: users and the configuration name all of them."""
    if role is Role.ADMIN and not scope.everything:
        raise Rejected(Refusal.INVALID, "an admin administers all cameras")


def shown(principal: str) -> str:
    """The principal for people, without its session."""
    return principal.partition("/")[0]


def still_may(state: State, lease: Lease, now_ns: int) -> bool:
    """Whether the principal of a lease may still watch its camera."""
    who = rights_of(state, lease.by, now_ns)
    return who.may(Right.WATCH) and who.sees(state, lease.camera)
