"""Maps the time stamps of a camera's connections to one clock, which never goes back for the life of its hub.

Rules of this file:
- Decode times grow with each access unit. A source that names none has the largest presentation time so far instead.
- Presentation times keep their distance to the source's. They may go back, as B-frames do, by at most `MAX_REORDER`.
- No presentation time occurs twice: receivers join packets of one RTP time stamp to one access unit (RFC 6184, 5.1).
"""

from collections import deque

from .media import CLOCK_RATE

JUMP = 10 * CLOCK_RATE
"""In ticks. A larger leap of the source's time stamps means that the source has restarted its count."""
MAX_REORDER = CLOCK_RATE
"""In ticks. A presentation time that goes back further is an error of the source, not a B-frame."""
MOST_REORDERED = 16
"""Access units that a decoder holds back at most to present them in order (H.264, A.3.1; H.265, A.4.2)."""


class ClockMap:
    """The clock of one hub, in 1/90000 s."""

    def __init__(self) -> None:
        self.last = 0
        """The decode time of the newest access unit."""
        self.connection = 0
        self._newest = 0
        """The largest presentation time."""
        self._recent: deque[int] = deque(maxlen=MOST_REORDERED)
        """The newest presentation times."""
        self._offset: int | None = None
        """Added to the source's time stamps; None until the connection's first key frame."""

    def begin(self) -> None:
        """Begin a new connection: its time stamps are unrelated to those before."""
        self._offset = None
        self.connection += 1
        self._recent.clear()

    def map(self, pts: int, dts: int | None, now_ns: int) -> tuple[int, int]:
        """Return the hub's presentation and decode time of an access unit that arrived at `now_ns`."""
        there = pts if dts is None else dts
        if self._offset is not None and not -JUMP < there + self._offset - self.last < JUMP:
            self._offset = None
        if self._offset is None:
            self._offset = max(now_ns * CLOCK_RATE // 1_000_000_000, self.last + 1, self._newest + 1) - min(pts, there)
        self.last = max(self.last + 1, there + self._offset)
        return self._present(pts + self._offset), self.last

    def _present(self, pts: int) -> int:
        """Return the presentation time closest to `pts` that is allowed."""
        if pts > self._newest:
            self._newest = pts
        elif self._newest - pts > MAX_REORDER or pts in self._recent:
            pts = self._newest = self._newest + 1
        self._recent.append(pts)
        return pts

    def map_audio(self, pts: int) -> int | None:
        """Return the hub's time stamp of an audio frame. None before the video, and for one far from the last video."""
        if self._offset is None or not -JUMP < pts + self._offset - self.last < JUMP:
            return None
        return pts + self._offset


class SameClock(ClockMap):
    """The clock of a rendition, whose time stamps are those of its camera's hub already. It has no B-frames."""

    def map(self, pts: int, dts: int | None, now_ns: int) -> tuple[int, int]:
        self._offset = 0
        self.last = max(self.last + 1, pts)
        return self.last, self.last
