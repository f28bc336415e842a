"""The interface through which the RTSP server asks who a reader is (`services/reader_logins.py`)."""

from typing import Protocol

from ..domain.digest import ReaderKeys


class ReaderLogins(Protocol):
    """Logins of readers by RTSP, with tokens. Each call takes some microseconds."""

    def trusts(self, client: str) -> bool:
        """Whether a reader at this address reads without a login: banken has no users, and it is on this machine."""
        ...

    def keys(self, token: str) -> ReaderKeys | None:
        """HA1 of the token of this name; None if no reader may log in with it now."""
        ...

    def principal(self, token: str) -> str:
        """The principal of the token of this name; empty if it may not watch now."""
        ...

    def fail(self, token: str, client: str) -> float:
        """Note that a login failed. Returns the seconds to the next attempt, 0 while the client may try at once."""
        ...

    def advice(self) -> str:
        """Advice for a reader without a login."""
        ...
