"""Statistics of the access units that arrive from a camera: counts, rates and the usual gap."""

import math
from collections import deque
from statistics import median_low

from .media import AccessUnit

WINDOW_NS = 2_000_000_000
LEAST_NS = 100_000_000
"""Rates are of at least this time: the first access units of a connection come at once."""
LATE_KEY_S = 0.5
"""A key frame that is later than this is no longer expected, because the camera's key frame interval has changed."""
USUAL = 5
"""Gaps whose median is the usual one: a single pause, or two, do not count."""


class Arrivals:
    """Counts what arrives in the life of a hub. Gaps and rates are those of the current connection."""

    def __init__(self) -> None:
        self.frames = self.bytes = 0
        self.last_ns: int | None = None
        """When the connection's last access unit arrived, on the monotonic clock."""
        self._recent: deque[tuple[int, int]] = deque()
        """Time and bytes of the access units in the window."""
        self._gap_ns = 0
        """Moving average of the nanoseconds between two access units."""
        self._gaps = deque[int](maxlen=USUAL)
        """Nanoseconds between the newest access units of the connection."""
        self._usual_ns: int | None = None
        """The usual gap of the connection before."""
        self._key_ns: int | None = None
        self._key_gap_ns: int | None = None
        """Nanoseconds between the newest two key frames of the connection."""
        self.gop_frames: int | None = None
        """Access units of the last whole GOP of the connection."""
        self._key_at = 0
        """The number of access units before the newest key frame."""

    def begin(self) -> None:
        """Begin a new connection.

        The usual gap of the last one is expected until two access units show another. If the last one ended before its
        second access unit, no gap is expected.
        """
        self._usual_ns = median_low(self._gaps) if self._gaps else None
        self.rest()
        self._gap_ns = 0
        self._gaps.clear()

    def rest(self) -> None:
        """Forget what depends on a running connection."""
        self.last_ns = self._key_ns = self._key_gap_ns = self.gop_frames = None
        self._recent.clear()

    def count(self, unit: AccessUnit, now_ns: int) -> None:
        """Count an access unit that has arrived at `now_ns`."""
        if self.last_ns is not None:
            gap_ns = now_ns - self.last_ns
            self._gaps.append(gap_ns)
            self._gap_ns += (gap_ns - self._gap_ns) // 8
        self.last_ns = now_ns
        if unit.key:
            if self._key_ns is not None:
                self._key_gap_ns, self.gop_frames = now_ns - self._key_ns, self.frames - self._key_at
            self._key_ns, self._key_at = now_ns, self.frames
        self.frames += 1
        self.bytes += unit.size
        self._recent.append((now_ns, unit.size))
        self._forget(now_ns)

    def gap_s(self) -> float:
        """Return the average seconds between two access units, at most 1."""
        return min(1.0, self._gap_ns / 1e9)

    @property
    def gop_s(self) -> float | None:
        """Seconds between the newest two key frames of the connection."""
        return None if self._key_gap_ns is None else round(self._key_gap_ns / 1e9, 3)

    @property
    def usual_s(self) -> float | None:
        """The usual seconds between two access units; None if neither this connection nor the last showed two."""
        usual_ns = median_low(self._gaps) if self._gaps else self._usual_ns
        return None if usual_ns is None else usual_ns / 1e9

    def silence_s(self, least_s: float, most_s: float) -> float:
        """Return three usual gaps, limited to `least_s` and `most_s` seconds; `most_s` if the gap is not known yet."""
        usual_s = self.usual_s
        return most_s if usual_s is None else min(most_s, max(least_s, 3 * usual_s))

    def key_due_s(self, now_ns: int) -> float:
        """Return the seconds until the next key frame at the camera's interval; infinite if that is unknown."""
        if self._key_gap_ns is None or self._key_ns is None:
            return math.inf
        due_s = (self._key_gap_ns - (now_ns - self._key_ns)) / 1e9
        return due_s if due_s > -LATE_KEY_S else math.inf

    def rates(self, now_ns: int) -> tuple[float, int]:
        """Return access units per second and bits per second.

        N access units have N - 1 gaps; the one after the last counts when it is longer than the others.
        """
        self._forget(now_ns)
        recent = self._recent
        if not recent:
            return 0.0, 0
        fps = len(recent) / (WINDOW_NS / 1e9)
        if len(recent) > 1:
            first_ns, last_ns = recent[0][0], recent[-1][0]
            shown_ns, passed_ns = max(1, last_ns - first_ns), max(LEAST_NS, now_ns - first_ns)
            fps = min((len(recent) - 1) * 1e9 / shown_ns, len(recent) * 1e9 / passed_ns)
        bits = 8 * sum(size for _, size in recent) / len(recent)
        return round(fps, 1), int(bits * fps)

    def _forget(self, now_ns: int) -> None:
        while self._recent and self._recent[0][0] < now_ns - WINDOW_NS:
            self._recent.popleft()
