"""Logins by a login provider: the account, its role and its session, in one decision.

Rules of this file:
- An identity without a link gets a new account. It never gets an account that exists: else somebody who may
  choose a name at the provider could take over an account.
- The provider's groups give the role at each login. Cameras of an account are never more than before.
"""

from msgspec.structs import replace

from .common import Arms, Decisions, Events
from .core import Command, Event
from .errors import Refusal, Rejected
from .identity import OIDC, IdentityLinked, require_free
from .ids import IdentityId, UserId
from .rights import ALL, Right, Role
from .session import opened_session
from .state import Identity, State, User
from .user import added_user, set_role
from .values import Fault, Reason

NEW_GROUPS = Reason("access-changed", "the groups at the login provider changed it", Fault.NONE)


class AdmitIdentity(Command, frozen=True):
    """A login provider vouches for an identity, whose groups give `role`."""

    identity: IdentityId
    user: UserId
    """The name of the account if it is made now."""
    role: Role
    provider: str
    hash: str
    """As in `OpenSession`, and the same for those below."""
    client: str
    agent: str
    until_ns: int

    sender = "identities service"
    right = Right.NONE
    """The service has checked what the provider says."""


def admit_identity(state: State, command: AdmitIdentity, now_ns: int) -> Events:
    known = state.identities.get(command.identity)
    before = _make_account(state, command, now_ns) if known is None else _set_role(state, command, known, now_ns)
    user = command.user if known is None else known.user
    account = state.users.get(user) or User(user, command.role, ALL, now_ns)
    after = replace(state, users=state.users.insert(user, account))
    return (*before, *opened_session(after, command, user, OIDC, now_ns))


def _make_account(state: State, command: AdmitIdentity, now_ns: int) -> tuple[Event, ...]:
    require_free(state, command.identity, command.provider)
    if command.user in state.users:
        raise Rejected(
            Refusal.CONFLICT,
            f"there is an account {command.user} already, which {command.provider} does not open: its owner logs in "
            "with the password, and links it in the menu of the account",
        )
    added = added_user(state, command.user, command.role, ALL, now_ns)
    return (*added, IdentityLinked(command.user, command.identity, command.provider))


def _set_role(state: State, command: AdmitIdentity, known: Identity, now_ns: int) -> tuple[Event, ...]:
    user = state.users[known.user]
    if command.role is Role.ADMIN and not user.scope.everything:
        raise Rejected(
            Refusal.CONFLICT,
            f"the groups at {command.provider} make {user.user} an admin, and the account has some cameras only: "
            "an admin gives it all cameras first",
        )
    return tuple(set_role(state, user, command.role, NEW_GROUPS, now_ns))


DECISIONS: Decisions = {AdmitIdentity: admit_identity}
ARMS: Arms = {}
