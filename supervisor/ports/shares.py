"""The interface through which the web uses shares (`services/shares.py`)."""

from contextlib import AbstractContextManager
from typing import Protocol

import attrs

from ..domain.access import Principal
from ..domain.ids import ShareId
from ..domain.rights import Scope
from ..domain.state import Share
from .decisions import Origin


@attrs.frozen
class NewLink:
    """A new share. `secret` is for those who may open it."""

    share: Share
    secret: str = attrs.field(repr=False)


@attrs.frozen
class Entered:
    """A visit of a share. `secret` is for its browser alone."""

    share: Share
    secret: str = attrs.field(repr=False)


class SharesPort(Protocol):
    """Links with which others watch some cameras. All but the look-up raise `Rejected`."""

    def by_visit(self, secret: str) -> Principal | None:
        """The principal with this visit; None if there is no such visit now."""
        ...

    def staying(self, principal: str) -> AbstractContextManager[None]:
        """A visit lasts at least as long as the block."""
        ...

    async def make(self, scope: Scope, for_s: float, viewers: int, label: str, origin: Origin) -> NewLink: ...

    async def end(self, share: ShareId, origin: Origin) -> None: ...

    async def enter(self, secret: str, client: str, agent: str, visit: str) -> Entered:
        """Open the share with this secret; `visit` is the secret of a visit that the browser already has, if any."""
        ...

    def leave(self, principal: str) -> None:
        """End a visit. Nothing happens for another principal."""
        ...
