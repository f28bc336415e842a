"""The position of one viewer in a camera's ring buffer, and the viewer's clock."""

from .arrivals import Arrivals
from .gop_buffer import GopBuffer
from .media import CLOCK_RATE, AccessUnit

CATCH_UP = 300 * CLOCK_RATE // 1000
"""In ticks: the time in which a new viewer plays the cached access units that it starts with."""


class Subscription:
    """The position of one viewer in the ring buffer."""

    def __init__(self, gop: GopBuffer, arrivals: Arrivals) -> None:
        self._gop, self._ring, self._arrivals = gop, gop.units, arrivals
        self.at = gop.units.end
        """Position of the next access unit."""
        self._live_at = 0
        """Access units before this position were cached when the viewer began. Their time stamps are compressed."""
        self._newest = self._until = self._factor = 0.0
        self._shown: int | None = None
        """The decode time of the access unit that was taken last, on the viewer's clock."""

    def begin(self) -> bool:
        """Go to the newest key frame and return True. Without one, go to the end of the ring buffer and return False.

        The time stamps of cached access units are compressed. For a new viewer they span `CATCH_UP`. For a viewer that
        has seen cached access units before, they fit between two access units, so its clock need not go back.
        """
        newest = self._gop.newest_key()
        if newest is None:
            self.at = self._ring.end
            return False
        first, last = (self._ring.read_nowait(at, 1)[0].dts for at in (newest, self._ring.end - 1))
        self.at, self._live_at, self._newest = newest, self._ring.end, last
        room, span = float(CATCH_UP), last - first
        self._until = self._newest
        if self._shown is not None:
            self._until = max(self._newest, self._shown + self._arrivals.gap_s() * CLOCK_RATE / 2)
            room = min(room, self._until - self._shown - 1)
        self._factor = min(1.0, room / span) if span else 1.0
        return True

    def follow(self, earlier: "Subscription") -> None:
        """Continue the viewer's clock of another subscription, so that it does not go back."""
        self._shown = earlier._shown

    def is_lost(self) -> bool:
        """Return whether the next access unit is no longer in the ring buffer."""
        return self.at < self._ring.start

    def has_newer_key(self) -> bool:
        """Return whether the newest key frame is the next access unit or a later one."""
        newest = self._gop.newest_key()
        return newest is not None and newest >= self.at

    def skip(self) -> None:
        """Go to the end of the ring buffer."""
        self.at = self._ring.end

    def show(self, position: int, unit: AccessUnit) -> int:
        """Take the access unit at `position`. Returns its presentation time stamp.

        It goes back only for B-frames. Cached access units are presented in the order in which they are decoded.
        """
        dts, ahead = unit.dts, unit.pts - unit.dts
        if position < self._live_at:
            dts, ahead = int(self._until - (self._newest - dts) * self._factor), 0
        self._shown = dts if self._shown is None else max(dts, self._shown + 1)
        self.at = position + 1
        return self._shown + ahead

    def take_nowait(self) -> tuple[AccessUnit, int] | None:
        """Return the next access unit and its time stamp. None at the end, or without a key frame to continue with."""
        if self.is_lost() and not self.begin():
            return None
        if self.at >= self._ring.end:
            return None
        (unit,) = self._ring.read_nowait(self.at, 1)
        return unit, self.show(self.at, unit)
