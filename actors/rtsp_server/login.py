"""The login of one connection: which requests need one, and whose it is.

Rules of this file:
- OPTIONS needs no login. Any other request needs one in its connection, or has to show one itself.
- A connection that is logged in stays so while its token may watch. A login that a request shows is checked even then.
- While something is open, the connection is of the principal that opened it, and of no other.
- Basic is refused: it shows the password to everybody on the way.
"""

import math

import trio

from supervisor.domain.digest import ReaderKeys
from supervisor.ports.reader_logins import ReaderLogins

from ..sources.rtsp.messages import RtspRequest
from .digest import Nonces, Outcome, read_answer
from .requests import RequestRefused

FREE = ("OPTIONS",)
KEEPING = ("GET_PARAMETER", "SET_PARAMETER", "TEARDOWN")
"""A reader that has logged in may ask these with a nonce that is stale: some do not ask again, and would stop."""


class TooManyFailures(RequestRefused):
    """The reader fails to log in again and again: the connection ends with the answer."""


class ConnectionLogin:
    """The login of a connection from `client`."""

    def __init__(self, client: str, logins: ReaderLogins) -> None:
        self._client, self._logins = client, logins
        self._nonces = Nonces()
        self._token = ""
        """The name of the token that has logged in."""
        self._keys: ReaderKeys | None = None
        """Its keys: another token may have its name later, and does not log this connection in."""

    def require(self, request: RtspRequest, *, is_open: bool) -> str:
        """The principal of a request; empty for a reader that is trusted without a login. Raises `RequestRefused`.

        `is_open`: whether the connection has something open, which is of the principal that opened it.
        """
        if request.method in FREE or self._logins.trusts(self._client):
            return ""
        values = request.headers.get("authorization", ())
        answer = read_answer(values)
        if answer is None:
            is_same = self._keys is not None and self._logins.keys(self._token) == self._keys
            principal = self._logins.principal(self._token) if is_same and not values else ""
            if principal:
                return principal
            raise self._challenge(stale=False)
        keys = self._logins.keys(answer.user)
        outcome = self._nonces.judge(answer, keys, request.method, request.url, trio.current_time())
        if outcome is Outcome.WRONG:
            self._count_failure(answer.user)
        is_same = answer.user == self._token and keys == self._keys
        if outcome is Outcome.STALE and not (is_same and request.method in KEEPING):
            raise self._challenge(stale=True)
        if is_open and not is_same:
            raise RequestRefused(403, "what this connection has open is of another token")
        self._token, self._keys = answer.user, keys
        principal = self._logins.principal(answer.user)
        if not principal:
            raise self._challenge(stale=False)
        return principal

    def _count_failure(self, user: str) -> None:
        wait_s = self._logins.fail(user, self._client)
        if wait_s:
            after = {"Retry-After": f"{math.ceil(wait_s)}"}
            raise TooManyFailures(503, "too many logins have failed; try again later", after)
        raise self._challenge(stale=False)

    def _challenge(self, *, stale: bool) -> RequestRefused:
        return RequestRefused(
            401, self._logins.advice(), {"WWW-Authenticate": self._nonces.challenges(trio.current_time(), stale=stale)}
        )
