"""The interface through which the web uses a login provider (`services/oidc.py`)."""

from typing import Protocol

import attrs

from ..domain.ids import SessionId, UserId
from .accounts import LoggedIn

LOGIN_S = 600
"""Within which a browser comes back from the provider."""


class LoginRefused(Exception):
    """A login by the provider leads to nothing. `code` is one of `CODES`; the text is for the operator."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


CODES = (
    "denied",  # the provider has refused it
    "stale",  # it was begun at another browser, or long ago, or is over
    "provider",  # the provider cannot be reached, or answers wrongly
    "busy",  # too many at once
    "group",  # the groups give no role
    "name",  # the name at the provider can be that of no account
    "taken",  # there is an account of that name
    "role",  # the groups and the account do not fit together
    "linked-elsewhere",  # the identity or the account has a link already
    "out",  # a link was requested, and the session has ended
    "unavailable",  # banken cannot change accounts now
)
"""Why a login leads to nothing: the page has a text for each."""


@attrs.frozen
class Begun:
    """A login that goes on at the provider."""

    location: str = attrs.field(repr=False)
    browser: str = attrs.field(repr=False)
    """A secret that the browser keeps until it comes back."""


@attrs.frozen
class Returned:
    """The answer that a browser brings back from the provider. All of it may be forged."""

    state: str = attrs.field(repr=False)
    code: str = attrs.field(repr=False)
    error: str
    issuer: str
    browser: str = attrs.field(repr=False)


class LoginProviderPort(Protocol):
    """Logins by a provider. All but the look-ups raise `LoginRefused`."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    def is_linked(self, user: UserId) -> bool: ...

    async def begin(self, origin: str, client: str, session: SessionId | None) -> Begun:
        """Begin a login of a browser that came to `origin`; with `session`, to link its user."""
        ...

    async def finish(self, returned: Returned, client: str, agent: str, session: SessionId | None) -> LoggedIn | None:
        """End it: a new session, or None after a link. `session`: the one that the browser shows now."""
        ...

    async def unlink(self, session: SessionId) -> None:
        """Take the link of the user of a session away. Raises `Rejected`."""
        ...
