"""The interface through which the web uses pins (`services/pins.py`)."""

from collections.abc import Sequence
from typing import Protocol

import attrs

from ..domain.access import Principal
from ..domain.ids import CameraId
from ..domain.state import StretchPin
from .decisions import Origin


@attrs.frozen
class MadePin:
    """A new pin."""

    pin: StretchPin
    bytes: int
    """The footage that it keeps, as far as its files are complete."""


class PinsPort(Protocol):
    """Stretches of time that are kept. All but `seen` raise `Rejected`."""

    async def make(
        self,
        name: str,
        from_ns: int,
        to_ns: int | None,
        cameras: Sequence[CameraId],
        note: str,
        origin: Origin,
    ) -> MadePin:
        """Pin a stretch. `to_ns`: None for now. `cameras`: none for all of the scope."""
        ...

    async def release(self, name: str, origin: Origin) -> None: ...

    def seen(self, who: Principal) -> list[StretchPin]:
        """The pins as somebody may see them, the newest first."""
        ...
