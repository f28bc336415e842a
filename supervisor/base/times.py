"""Times as text, for people and for programs."""

from datetime import UTC, datetime, tzinfo

Zone = tzinfo | None
"""A time zone; None for the zone of this machine."""
MS_NS = 1_000_000


def local(wall_ns: int, zone: Zone) -> datetime:
    """A time, in nanoseconds since the epoch, in a zone, with microseconds.

    Raises `OverflowError`, `ValueError` or `OSError` for a number that is no time.
    """
    seconds, ns = divmod(wall_ns, 10**9)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=ns // 1000).astimezone(zone)


def shown(wall_ns: int, zone: Zone = None, timespec: str = "milliseconds", separator: str = " ") -> str:
    """A time with its offset, like `2026-01-31 03:10:00.000+01:00`; Z for UTC. `ports.questions.parse` reads it."""
    return local(wall_ns, zone).isoformat(separator, timespec).replace("+00:00", "Z")


def iso(wall_ns: int, zone: Zone = UTC, timespec: str = "milliseconds") -> str:
    """A time as ISO 8601, in UTC by default."""
    return shown(wall_ns, zone, timespec, "T")


def whole_ms(wall_ns: int) -> int:
    """A time without the part that milliseconds leave out."""
    return wall_ns // MS_NS * MS_NS
