"""Logins of readers by RTSP: with the name of a token, and the token as the password, by Digest.

Rules of this file:
- The right token always logs in, so nobody can lock a recorder out by failing in its name: 256 random bits cannot be
  guessed. The bound on failures protects the loop and the journal.
- Failures of readers are counted apart from those of people: a recorder whose token has ended tries for ever, and the
  people of its network still log in.
- A failure is journaled as that of a password is, and never with what was sent as a password.
"""

from ..domain.access import of_token, rights_of
from ..domain.clients import is_loopback, network_of
from ..domain.digest import ReaderKeys
from ..domain.ids import TokenId
from ..domain.rights import TOKEN, Right
from ..domain.values import Fault, Reason
from ..runtime.kernel import Kernel
from .accounts import Accounts

WRONG_TOKEN = Reason("wrong-token", "by RTSP: this is not the token", Fault.NONE)
UNKNOWN_TOKEN = Reason("unknown-token", "by RTSP: there is no such token for RTSP", Fault.NONE)
TOO_OFTEN = Reason("too-often", "by RTSP: too many logins have failed", Fault.NONE)
LOG_IN = "log in with the name of a token for RTSP, and the token as the password"
BEYOND = "this banken has no users yet, so it serves its own machine only: open its page there, and make a user"


class TokenLogins:
    """Made once by the daemon."""

    def __init__(self, kernel: Kernel, accounts: Accounts) -> None:
        self._kernel, self._accounts = kernel, accounts

    def trusts(self, client: str) -> bool:
        return not self._kernel.state.trust_ended and not self._accounts.damage and is_loopback(client)

    def keys(self, token: str) -> ReaderKeys | None:
        return self._accounts.reader_keys(TokenId(token)) if self.principal(token) else None

    def principal(self, token: str) -> str:
        state = self._kernel.state
        known = state.tokens.get(TokenId(token))
        if known is None or not known.rtsp or self._accounts.damage:
            return ""
        who = rights_of(state, of_token(known), self._kernel.clock.wall_ns())
        return who.name if who.may(Right.WATCH) else ""

    def fail(self, token: str, client: str) -> float:
        known = f"{TOKEN}{token}" if self.keys(token) is not None else ""
        attempts, network = self._accounts.attempts, f"rtsp {network_of(client)}"
        if not attempts.wait_s(known or TOKEN, network):
            attempts.take(known or TOKEN, network)
        wait_s = attempts.wait_s(known or TOKEN, network)
        reason = TOO_OFTEN if wait_s else WRONG_TOKEN if known else UNKNOWN_TOKEN
        attempts.say_failed(known, client, reason)
        return wait_s

    def advice(self) -> str:
        return LOG_IN if self._kernel.state.trust_ended else BEYOND
