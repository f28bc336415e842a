"""The result of a login, however the user has proved who it is."""

import attrs

from ..domain.state import UserSession


@attrs.frozen
class LoggedIn:
    """A new session. `secret` is for its browser alone."""

    session: UserSession
    secret: str = attrs.field(repr=False)
