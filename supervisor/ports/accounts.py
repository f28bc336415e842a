"""The interface through which the web uses accounts (`services/accounts.py`)."""

from typing import Protocol

from ..domain.access import Principal
from ..domain.ids import SessionId, TokenId, UserId
from ..domain.rights import Role, Scope
from ..domain.values import Reason
from .decisions import Origin
from .logged_in import LoggedIn as LoggedIn
from .passkeys import PasskeysPort


class AccountsPort(Protocol):
    """Users, their sessions, and tokens. All but the look-ups raise `Rejected`."""

    @property
    def damage(self) -> str:
        """Why nobody can log in; empty if the access file is whole."""
        ...

    @property
    def passkeys(self) -> PasskeysPort: ...

    def by_session(self, secret: str) -> Principal | None:
        """The principal with this session; None if there is no such session now."""
        ...

    def by_token(self, text: str) -> Principal | None:
        """The principal with this token; None if there is no such token now."""
        ...

    async def wait_fewer_rights(self, principal: Principal) -> None:
        """Wait until the principal has fewer rights, or another scope, than it had."""
        ...

    def has_fewer_rights(self, principal: Principal) -> bool:
        """Whether the principal has fewer rights, or another scope, than it had."""
        ...

    def require_login(self, client: str) -> None:
        """Refuse a login from this address that is refused whatever its name and password."""
        ...

    async def log_in(self, name: str, password: str, client: str, agent: str) -> LoggedIn: ...

    async def end_session(self, session: SessionId, reason: Reason, origin: Origin) -> None: ...

    async def add_user(self, name: UserId, role: Role, scope: Scope, password: str, origin: Origin) -> None: ...

    async def change_user(self, name: UserId, role: Role, scope: Scope, origin: Origin) -> None: ...

    async def remove_user(self, name: UserId, origin: Origin) -> None: ...

    async def set_password(
        self, name: UserId, password: str, origin: Origin, *, end_passkeys: bool = False
    ) -> None: ...

    async def change_own_password(self, name: UserId, old: str, new: str, client: str, session: SessionId) -> None: ...

    async def make_token(
        self, name: TokenId, role: Role, scope: Scope, until_ns: int | None, origin: Origin, *, rtsp: bool = False
    ) -> str: ...

    async def end_token(self, name: TokenId, origin: Origin) -> None: ...
