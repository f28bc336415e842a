"""Archives of recordings, as services and the web use them."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import attrs

from ..domain.ids import CameraId


@attrs.frozen
class CameraRoom:
    """The footage of one camera in an archive."""

    camera: CameraId
    bytes: int
    day_bytes: float
    """Bytes a day, at the rate of the last 24 hours."""
    oldest_ns: int | None


@attrs.frozen
class ArchiveRoom:
    """The room of an archive, at its last turn of retention."""

    archive: str
    bytes: int
    """Of its sealed files."""
    pinned_bytes: int
    other_bytes: int
    """Of files in its folder that are not its own. They are never removed."""
    budget_bytes: int
    """The bytes that its files may have: those that they have and those that are free, without the reserve, and at most
    `max_size`."""
    day_bytes: float
    """Bytes a day, at the rate of the last 24 hours."""
    days_left: float | None
    """Until the budget is full; None if it is, or never will be at this rate."""
    turns_over_days: float | None
    """The age in days at which footage that is not pinned is removed; None while that is not known."""
    oldest_ns: int | None
    lag_s: float
    """By how much the oldest file is older than its rule; 0 if none is."""
    warning: str
    """Empty if all is well."""
    cameras: tuple[CameraRoom, ...] = ()


@attrs.frozen
class CameraTime:
    """A time of a camera."""

    camera: CameraId
    from_ns: int
    to_ns: int


class ArchivesPort(Protocol):
    """The archives of the daemon."""

    def archive_rooms(self) -> Sequence[ArchiveRoom]:
        """Those that have been opened."""
        ...

    async def footage_bytes(
        self, stretches: Sequence[CameraTime], *, of_all: tuple[int, int] | None = None
    ) -> Mapping[str, Mapping[CameraId, int]]:
        """The bytes of the sealed files that have something of these times, by archive and camera.

        A file counts once for each time that is apart from the others. `of_all`: a time of which all cameras of the
        archives are taken as well. After the answer, retention removes nothing that the state has pinned before.
        Raises `Rejected` if an archive cannot be read.
        """
        ...
