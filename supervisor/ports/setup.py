"""The interface through which the web makes the first user (`services/setup.py`)."""

from typing import Protocol

import attrs

from .accounts import LoggedIn


@attrs.frozen
class SetupSecret:
    """The secret of a new setup link."""

    text: str = attrs.field(repr=False)
    until_ns: int


class SetupPort(Protocol):
    """The setup link. All but `is_open` raise `Rejected`."""

    @property
    def is_open(self) -> bool:
        """Whether there has never been a user, so that a link can make the first one."""
        ...

    def renew(self) -> SetupSecret:
        """Make the secret of a link, which ends the link before."""
        ...

    async def use(self, secret: str, name: str, password: str, client: str, agent: str) -> LoggedIn:
        """Make the first user, and a session of this user, for who has the link."""
        ...
