"""Accounts of people whom a login provider vouches for. The access file has who they are there."""

import secrets

from ..domain import commands as c
from ..domain.access import NAME
from ..domain.errors import Refusal, Rejected
from ..domain.identity import identity_of, link_of
from ..domain.ids import SessionId, UserId
from ..domain.rights import Role
from ..ports.accounts import LoggedIn
from ..ports.decisions import Origin
from ..ports.login_provider import LoginRefused
from ..runtime.kernel import Kernel
from .access_file import Link
from .accounts import SESSION_S, Accounts, digest

SYSTEM = Origin("system")


class Identities:
    """Made once by the daemon."""

    def __init__(self, kernel: Kernel, accounts: Accounts) -> None:
        self._kernel, self._accounts = kernel, accounts

    def is_linked(self, user: UserId) -> bool:
        return link_of(self._kernel.state, user) is not None

    async def admit(self, link: Link, name: str, role: Role, client: str, agent: str, longest_s: float) -> LoggedIn:
        """Open a session for an identity with this role; `name`: of the account if it is made now.

        Raises `LoginRefused`.
        """
        identity = identity_of(link.issuer, link.subject)
        known = self._kernel.state.identities.get(identity)
        user = UserId(name.lower()) if known is None else known.user
        if known is None:
            self._require_new(user, link.provider)
        secret = secrets.token_urlsafe(32)
        hashed, until_ns = digest(secret), self._kernel.clock.wall_ns() + round(min(longest_s, SESSION_S) * 1e9)
        command = c.AdmitIdentity(identity, user, role, link.provider, hashed, client, agent, until_ns)
        await self._change(command, Origin(f"client:{client}"), "role", user, link)
        return LoggedIn(self._kernel.state.sessions[c.session_of(hashed)], secret)

    def _require_new(self, user: UserId, provider: str) -> None:
        if NAME.fullmatch(user) is None:
            text = f"{user[:70]!r} can be the name of no account: letters a to z, digits, and . _ - inside; at most 63"
            raise LoginRefused("name", f"{text}; access.oidc.user_claim can name another claim")
        if user in self._kernel.state.users:
            text = f"there is an account {user} already, and a name at {provider} is no proof: its owner links it"
            raise LoginRefused("taken", text)

    async def link(self, link: Link, session: SessionId) -> None:
        """Link an identity to the user of a session. Raises `LoginRefused`."""
        known = self._kernel.state.sessions.get(session)
        if known is None:
            raise LoginRefused("out", "the session that wanted the link has ended")
        command = c.LinkIdentity(session, identity_of(link.issuer, link.subject), link.provider)
        await self._change(command, Origin(f"user:{known.user}/{session}"), "linked-elsewhere", known.user, link)

    async def refuse(self, link: Link) -> UserId | None:
        """End the sessions that an identity has opened. Returns its user. Raises `LoginRefused`."""
        identity = identity_of(link.issuer, link.subject)
        known = self._kernel.state.identities.get(identity)
        if known is None:
            return None
        try:
            await self._accounts.change(c.RefuseIdentity(identity), SYSTEM)
        except Rejected as error:
            raise LoginRefused("unavailable", str(error)) from None
        return known.user

    async def unlink(self, session: SessionId) -> None:
        """Take the link of the user of a session away, if another way in is left. Raises `Rejected`."""
        known = self._kernel.state.sessions.get(session)
        if known is None:
            raise Rejected(Refusal.FORBIDDEN, "the session has ended: log in again")

        def require_another_way() -> None:
            user = self._kernel.state.users.get(known.user)
            if user is not None and not user.passkeys and not self._accounts.has_password(known.user):
                text = "the account has no password, so nobody could log in to it: an admin sets one first"
                raise Rejected(Refusal.CONFLICT, text)

        origin = Origin(f"user:{known.user}/{session}")
        await self._accounts.change(c.UnlinkIdentity(session), origin, require=require_another_way)

    async def _change(self, command: c.Command, origin: Origin, conflict: str, user: UserId, link: Link) -> None:
        """Send a command that may conflict with the accounts there are. Raises `LoginRefused`."""

        def keep() -> None:
            if link_of(self._kernel.state, user) is not None:
                self._accounts.links[user] = link

        try:
            await self._accounts.change(command, origin, keep)
        except Rejected as error:
            code = conflict if error.refusal is Refusal.CONFLICT else "unavailable"
            raise LoginRefused(code, str(error)) from None
