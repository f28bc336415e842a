"""The wall time of a recording: a camera's clock, which follows the system's slowly. Pure.

Rules of this file:
- Time never goes back within a recording, and never leaps: it is corrected by at most `SLEW` while it passes.
- A system clock that was set by more than `LEAP_S` begins another recording.
"""

from actors.media.media import CLOCK_RATE

SLEW = 500e-6
"""Seconds of correction a second."""
LEAP_S = 2.0


class WallClock:
    """Made with the first access unit of a recording: its decode time, and the system's time at its arrival."""

    def __init__(self, dts: int, wall_ns: int) -> None:
        self._dts, self._wall_ns = dts, wall_ns

    def leaps(self, dts: int, wall_ns: int) -> bool:
        """Whether the system's time at the arrival of an access unit is too far from the recording's."""
        return abs(wall_ns - self._at(dts)) > LEAP_S * 1e9

    def advance(self, dts: int, wall_ns: int) -> int:
        """Return the wall time of an access unit, in ns. Decode times never go back."""
        passed_ns = (dts - self._dts) * 1_000_000_000 // CLOCK_RATE
        now_ns = self._at(dts)
        most = int(passed_ns * SLEW)
        self._wall_ns = now_ns + max(-most, min(most, wall_ns - now_ns))
        self._dts = dts
        return self._wall_ns

    def _at(self, dts: int) -> int:
        return self._wall_ns + (dts - self._dts) * 1_000_000_000 // CLOCK_RATE
