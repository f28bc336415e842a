"""Decides which recording files are removed. Pure.

Rules of this file:
- A pinned file is never removed, and none that still grows: the index has only sealed ones.
- Age removes files first. Then cameras that are larger than their own limit lose files, and then the whole archive:
  the oldest without events, then the oldest with events.
- A clock is believed when it has gone evenly for a day. Until then, time goes on from the newest file, by at most a
  day: a clock that is far ahead costs nothing younger.
- A file of a time before `BEGIN_NS` was recorded before the clock was set. Its age is not known, so only room
  removes it.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import attrs

from .index import IndexedFile

DAY_S = 86_400
DAY_NS, HOUR_NS = DAY_S * 10**9, 3600 * 10**9
BEGIN_NS = 1_577_836_800 * 10**9
"""2020. No recording of banken is older."""
MOST = 256
"""Files that are removed in one turn."""

Spans = Mapping[str, Sequence[tuple[int, int]]]
"""For each camera, times in nanoseconds since 1970, in order and apart from each other."""


@attrs.frozen
class Keep:
    """For how long files are kept: the rule of an archive, or of one camera in it."""

    plain_s: float = 14 * DAY_S
    """For how long files are kept in which nothing was detected."""
    eventful_s: float = 30 * DAY_S
    """For how long files are kept in which something was detected."""

    def seconds(self, row: IndexedFile) -> float:
        return self.eventful_s if row.eventful else self.plain_s


@attrs.frozen
class RetentionRules:
    """The rules of an archive and of its cameras."""

    keep: Keep = Keep()
    max_bytes: int | None = None
    """None for no limit but the disk."""
    keep_of: Mapping[str, Keep] = attrs.field(factory=dict)
    """Rules of cameras, in place of `keep`."""
    max_of: Mapping[str, int] = attrs.field(factory=dict)
    """Limits of cameras, in bytes."""

    def left_s(self, row: IndexedFile, now_ns: int) -> float:
        """Seconds until a file is too old; negative if it is."""
        if row.began_ns < BEGIN_NS:
            return float(DAY_S)
        return self.keep_of.get(row.camera, self.keep).seconds(row) - (now_ns - row.ended_ns) / 1e9


@attrs.frozen
class Pinned:
    """A time of a camera that is kept until a person releases it."""

    camera: str
    from_ns: int
    to_ns: int


def spans_of(pins: Iterable[Pinned]) -> Spans:
    """The pinned times of each camera."""
    found = dict[str, list[tuple[int, int]]]()
    for pin in sorted(pins, key=lambda pin: pin.from_ns):
        spans = found.setdefault(pin.camera, [])
        if spans and pin.from_ns <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], pin.to_ns))
        else:
            spans.append((pin.from_ns, pin.to_ns))
    return found


def is_pinned(row: IndexedFile, pinned: Spans) -> bool:
    """Whether a file has something of a pinned time."""
    spans = pinned.get(row.camera, ())
    at = bisect_right(spans, row.ended_ns - 1, key=lambda span: span[0]) - 1
    return at >= 0 and row.began_ns < spans[at][1]


@attrs.frozen
class Expendable:
    """The files that are removed now."""

    aged: tuple[IndexedFile, ...] = ()
    """Those that are older than their rule."""
    displaced: tuple[IndexedFile, ...] = ()
    """Those that are in the way of newer ones."""
    lag_s: float = 0.0
    """By how much the oldest file that stays is older than its rule; 0 if none is."""

    @property
    def rows(self) -> tuple[IndexedFile, ...]:
        return (*self.aged, *self.displaced)


def expendable(
    oldest: Sequence[IndexedFile],
    pinned: Spans,
    rules: RetentionRules,
    excess: int,
    used: Mapping[str, int],
    now_ns: int,
    most: int = MOST,
) -> Expendable:
    """Return the files that are removed in this turn, each kind the oldest first.

    Args:
        oldest: the oldest files of each camera, the oldest first.
        excess: bytes by which the archive exceeds its budget; negative if there is room.
        used: bytes of each camera.
        now_ns: the time of `CarefulClock`.
        most: files in one turn.
    """
    free = [row for row in oldest if not is_pinned(row, pinned)]
    late = [row for row in free if rules.left_s(row, now_ns) < 0]
    gone = dict.fromkeys(late[:most])
    aged, left = tuple(gone), excess - sum(row.size for row in gone)
    left_of = Counter({camera: used.get(camera, 0) - limit for camera, limit in rules.max_of.items()})
    for row in gone:
        left_of[row.camera] -= row.size
    by_class = sorted(free, key=lambda row: (row.eventful, row.began_ns))
    for of_camera in (True, False):
        for row in by_class:
            if (left_of[row.camera] if of_camera else left) > 0 and row not in gone and len(gone) < most:
                gone[row] = None
                left -= row.size
                left_of[row.camera] -= row.size
    lag_s = max((-rules.left_s(row, now_ns) for row in late[most:]), default=0.0)
    return Expendable(aged, tuple(gone)[len(aged) :], lag_s)


@attrs.define
class CarefulClock:
    """The time for retention. It is fed with the clocks before each turn."""

    _base_ns: int = 0
    """A time that was believed, at `_base_mono_ns` of the monotonic clock."""
    _base_mono_ns: int | None = None
    _offset_ns: int = 0
    _even_since_ns: int = 0
    """Since when, on the monotonic clock, the wall clock has gone evenly."""

    def read(self, wall_ns: int, mono_ns: int, newest_ns: int) -> int:
        """The time in nanoseconds since 1970. `newest_ns`: the end of the newest file; 0 without one."""
        if self._base_mono_ns is None:
            self._base_ns, self._base_mono_ns = newest_ns or wall_ns, mono_ns
            self._offset_ns, self._even_since_ns = wall_ns - mono_ns, mono_ns
        if abs(wall_ns - mono_ns - self._offset_ns) > HOUR_NS:
            self._even_since_ns = mono_ns
        self._offset_ns = wall_ns - mono_ns
        if mono_ns - self._even_since_ns >= DAY_NS:
            self._base_ns, self._base_mono_ns = wall_ns, mono_ns
            return wall_ns
        return min(wall_ns, self._base_ns + (mono_ns - self._base_mono_ns) + DAY_NS)
