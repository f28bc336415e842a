"""The setup link, with which somebody at another machine makes the first user.

Rules of this file:
- Memory has the SHA-256 of its secret alone: no file, journal or log has either, and a restart ends the link.
- It works for `LINK_S`. A new one ends the one before.
- It makes the first user only, so it works once. The kernel decides that: of two people with one link one wins.
- A wrong secret is slowed down and journaled as a wrong password is.
"""

import secrets
from collections.abc import Callable

from ..domain.clients import PREFIX, network_of
from ..domain.errors import Refusal, Rejected
from ..domain.ids import UserId
from ..domain.rights import ALL, Role
from ..domain.values import Fault, Reason
from ..ports.accounts import LoggedIn
from ..ports.decisions import Origin
from ..ports.setup import SetupSecret
from ..runtime.kernel import Kernel
from .accounts import TOO_OFTEN, Accounts, digest

LINK_S = 900
WRONG_LINK = Reason("wrong-link", "the setup link is wrong", Fault.NONE)
WRONG = (
    f"this link is wrong, was used, or is older than {LINK_S // 60} minutes: banken setup-link prints a new one on the "
    "machine of banken"
)
OVER = "banken has users: log in; only before the first one there is a setup link"
TAKEN = "somebody else has made the first user: log in, or ask that person for an account"


class Setup:
    """Made once by the daemon. Every method may be called by any number of tasks."""

    def __init__(
        self, kernel: Kernel, accounts: Accounts, new_secret: Callable[[], str] = lambda: secrets.token_urlsafe(32)
    ) -> None:
        self._kernel, self._accounts, self._new_secret = kernel, accounts, new_secret
        self._hash, self._until_s = "", 0.0
        """SHA-256 of the secret, and the end of the link by the monotonic clock. Empty: there is no link."""

    @property
    def is_open(self) -> bool:
        """Whether there has never been a user. While the access file cannot be read, nobody knows that."""
        return not (self._kernel.state.trust_ended or self._accounts.damage)

    def renew(self) -> SetupSecret:
        """Make the secret of a link. Raises `Rejected` if there has been a user."""
        self._require_open()
        secret = self._new_secret()
        self._hash, self._until_s = digest(secret), self._now() + LINK_S
        return SetupSecret(secret, self._kernel.clock.wall_ns() + LINK_S * 10**9)

    async def use(self, secret: str, name: str, password: str, client: str, agent: str) -> LoggedIn:
        """Make the first user, an admin, and log in. Raises `Rejected`; a name or a password that cannot be used leaves
        the link as it is."""
        self._require_open()
        attempts, account = self._accounts.attempts, f"setup {network_of(client)}"
        wait_s = attempts.wait_s(account, client)
        if wait_s > 0:
            attempts.say_failed("", client, TOO_OFTEN)
            raise Rejected(Refusal.RATE_LIMITED, f"too many wrong links; try again in {wait_s:.0f} s", wait_s)
        if not self._is_link(secret):
            attempts.take(account, client)
            attempts.say_failed("", client, WRONG_LINK)
            raise Rejected(Refusal.FORBIDDEN, WRONG)
        user, origin = UserId(name), Origin(f"{PREFIX}{client}")
        try:
            await self._accounts.add_user(user, Role.ADMIN, ALL, password, origin)
        except Rejected as error:
            if self._kernel.state.trust_ended and error.refusal in (Refusal.FORBIDDEN, Refusal.CONFLICT):
                raise Rejected(Refusal.CONFLICT, TAKEN) from None
            raise
        return await self._accounts.open_session(user, "setup-link", client, agent, lambda: True)

    def _require_open(self) -> None:
        self._accounts.require_whole()
        if self._kernel.state.trust_ended:
            raise Rejected(Refusal.CONFLICT, OVER)

    def _is_link(self, secret: str) -> bool:
        is_right = secrets.compare_digest(self._hash, digest(secret))
        return is_right and self._now() < self._until_s

    def _now(self) -> float:
        return self._kernel.clock.mono_ns() / 1e9
