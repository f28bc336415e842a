"""Archives: how much room recordings have, and how long it lasts."""

from supervisor.domain.ids import CameraId
from supervisor.ports import archives as port

from ..json import Answer, Time, iso
from ..routes import Right, Route, Web


class CameraRoom(Answer, frozen=True):
    """The footage of one camera in an archive."""

    camera: CameraId
    bytes: int
    bytes_per_day: int
    """At the rate of the last 24 hours."""
    oldest: Time | None


class ArchiveRoom(Answer, frozen=True):
    """The room of an archive; at most a minute old."""

    archive: str
    """Its name in the configuration."""
    bytes: int
    """Of its complete files."""
    pinned_bytes: int
    other_bytes: int
    """Of files in its folder that are not its own. They are never removed."""
    budget_bytes: int
    """The bytes that its files may have: those that they have and those that are free, without the reserve, and at most
    `max_size`."""
    bytes_per_day: int
    """At the rate of the last 24 hours."""
    days_left: float | None
    """Until the budget is full; null if it is, or never will be at this rate."""
    turns_over_days: float | None
    """The age in days at which footage that is not pinned is removed; null while that is not known."""
    oldest: Time | None
    """When its oldest file began."""
    lag_s: float
    """By how much the oldest file is older than its rule; 0 if none is."""
    warning: str
    """Empty if all is well."""
    cameras: list[CameraRoom]
    """Those of the scope."""


class Archives(Answer, frozen=True):
    archives: list[ArchiveRoom]


async def list_archives(web: Web) -> Archives:
    return Archives(archives=[room_of(room) for room in web.gateway.archive_rooms()])


def room_of(room: port.ArchiveRoom) -> ArchiveRoom:
    return ArchiveRoom(
        archive=room.archive,
        bytes=room.bytes,
        pinned_bytes=room.pinned_bytes,
        other_bytes=room.other_bytes,
        budget_bytes=room.budget_bytes,
        bytes_per_day=round(room.day_bytes),
        days_left=_days(room.days_left),
        turns_over_days=_days(room.turns_over_days),
        oldest=_time(room.oldest_ns),
        lag_s=round(room.lag_s, 1),
        warning=room.warning,
        cameras=[
            CameraRoom(
                camera=each.camera,
                bytes=each.bytes,
                bytes_per_day=round(each.day_bytes),
                oldest=_time(each.oldest_ns),
            )
            for each in room.cameras
        ],
    )


def _days(days: float | None) -> float | None:
    return None if days is None else round(days, 2)


def _time(wall_ns: int | None) -> str | None:
    return None if wall_ns is None else iso(wall_ns)


ROUTES = (
    Route(
        method="GET",
        path="/api/archives",
        right=Right.REVIEW,
        handler=list_archives,
        summary="How much room recordings have, and how long it lasts at today's rate.",
        answer=Archives,
        response="`archives`: a list of [rooms](#archiveroom); empty while nothing is recorded",
    ),
)
