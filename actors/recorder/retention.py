"""Decides which recording files are removed. Pure.

Rules of this file:
- A pinned file is never removed, and none that still grows: the index has only sealed ones.
- Age removes files first. If they still need more than the budget, the oldest without events go, then the oldest.
- A clock that is far ahead for a minute costs nothing: time ends a day after the newest file.
"""

from collections.abc import Iterable, Sequence

import attrs

from .index import IndexedFile

DAY_S = 86_400
MOST = 256
"""Files that are removed in one turn."""


@attrs.frozen
class Keep:
    """The rules of an archive, or of one camera in it."""

    plain_s: float = 14 * DAY_S
    """For how long files are kept in which nothing was detected."""
    eventful_s: float = 30 * DAY_S
    """For how long files are kept in which something was detected."""

    def seconds(self, row: IndexedFile) -> float:
        return self.eventful_s if row.eventful else self.plain_s


@attrs.frozen
class Pinned:
    """A time of a camera that is kept until a person releases it."""

    camera: str
    from_ns: int
    to_ns: int

    def covers(self, row: IndexedFile) -> bool:
        return self.camera == row.camera and self.from_ns < row.ended_ns and row.began_ns < self.to_ns


@attrs.frozen
class Expendable:
    """The files that are removed now."""

    aged: tuple[IndexedFile, ...] = ()
    """Those that are older than their rule."""
    displaced: tuple[IndexedFile, ...] = ()
    """Those that are in the way of newer ones."""

    @property
    def rows(self) -> tuple[IndexedFile, ...]:
        return (*self.aged, *self.displaced)


def expendable(
    oldest: Sequence[IndexedFile],
    pins: Iterable[Pinned],
    keep: Keep,
    keep_of: dict[str, Keep],
    excess: int,
    newest_ns: int,
    now_ns: int,
    most: int = MOST,
) -> Expendable:
    """Return the files that are removed in this turn, each kind the oldest first.

    Args:
        oldest: the oldest files of each camera, the oldest first.
        keep: the rule for cameras that are not in `keep_of`.
        excess: bytes by which the archive exceeds its budget; negative if there is room.
        newest_ns: the end of the newest file, in nanoseconds since 1970.
        most: files in one turn.
    """
    pinned, now_ns = tuple(pins), min(now_ns, newest_ns + DAY_S * 10**9)
    free = [row for row in oldest if not any(pin.covers(row) for pin in pinned)]
    aged = [row for row in free if now_ns - row.ended_ns > keep_of.get(row.camera, keep).seconds(row) * 1e9][:most]
    left = excess - sum(row.size for row in aged)
    gone, displaced = set(aged), list[IndexedFile]()
    for row in sorted((row for row in free if row not in gone), key=lambda row: (row.eventful, row.began_ns)):
        if left <= 0 or len(aged) + len(displaced) >= most:
            break
        displaced.append(row)
        left -= row.size
    return Expendable(tuple(aged), tuple(displaced))
