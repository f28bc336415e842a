"""The interface through which the web uses passkeys (`services/passkeys.py`)."""

from typing import Protocol

import attrs

from ..domain.ids import PasskeyId, SessionId, UserId
from .decisions import Origin
from .logged_in import LoggedIn


@attrs.frozen
class RelyingParty:
    """The origin of a page, according to its browser, and the name to which its passkeys are bound (WebAuthn, 4)."""

    rp: str
    """The name of its host, to which passkeys are bound (RP ID)."""
    origin: str
    """As in `Origin`: `https://banken.example`."""


@attrs.frozen
class Assertion:
    """The answer of an authenticator to a challenge (WebAuthn, section 5.2.2). All of it may be forged."""

    credential: bytes
    client_data: bytes
    authenticator_data: bytes
    signature: bytes
    user_handle: bytes


@attrs.frozen
class Attestation:
    """A new passkey, from an authenticator (WebAuthn, section 5.2.1). All of it may be forged."""

    client_data: bytes
    attestation: bytes
    transports: tuple[str, ...]


@attrs.frozen
class NewPasskey:
    """Data that an authenticator needs for a new passkey."""

    challenge: bytes
    user_handle: bytes
    """By which the authenticator knows the user: 32 bytes that say nothing to others."""
    known: tuple[tuple[bytes, tuple[str, ...]], ...]
    """Ids of the passkeys that the user has for this host, each with its transports."""


class PasskeysPort(Protocol):
    """Logins by passkeys, and the passkeys of users. All but `needs_password` raise `Rejected`."""

    def begin_login(self, party: RelyingParty, client: str) -> bytes:
        """A challenge for a login of whoever has a passkey."""
        ...

    async def log_in(self, party: RelyingParty, assertion: Assertion, client: str, agent: str) -> LoggedIn: ...

    def needs_password(self, session: SessionId) -> bool:
        """Whether an addition in this session needs the password again."""
        ...

    async def begin_adding(
        self, user: UserId, session: SessionId, party: RelyingParty, client: str, password: str = ""
    ) -> NewPasskey: ...

    async def add(
        self, user: UserId, session: SessionId, party: RelyingParty, made: Attestation, label: str, origin: Origin
    ) -> PasskeyId: ...

    async def rename(self, user: UserId, passkey: PasskeyId, label: str, origin: Origin) -> None: ...

    async def remove(self, user: UserId, passkey: PasskeyId, origin: Origin, keep: str = "") -> None:
        """Remove a passkey, with the sessions that it has opened but the one with the hash `keep`."""
        ...
