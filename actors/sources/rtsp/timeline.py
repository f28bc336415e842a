"""When things are to be shown: RTP time stamps of two clocks on one timeline. Pure; the time of arrival is input.

Rules of this file:
- The pictures' time stamps make the timeline, and nothing ever moves it but they. Sound is shifted to fit.
- Until both have sent reports, what arrives together belongs together. After that the camera's own clock decides, as
  long as it is to be believed.
- A leap, or another sender, goes on where the time of arrival says.

Source: RFC 3550, sections 5.1, 6.4.1 and A.8 (jitter).
"""

import attrs

from ...media import CLOCK_RATE
from .rtcp import SenderReport

LEAP_S = 10.0
"""A step this long between two time stamps is no pause, but another count."""
DISBELIEF_S = 5.0
"""Sound and pictures that arrive together are never so far apart: such a camera's clocks are not believed."""
TOLERANCE = CLOCK_RATE // 50
"""Sound stays where it is for less than this: clocks drift, and each shift can be heard."""


@attrs.define
class Timeline:
    """The time stamps of one track, without their wraps."""

    rate: int
    now: float = 0.0
    """Seconds of any steady clock; set before what arrived is read."""
    jitter: float = 0.0
    """In ticks."""
    epoch: int = 0
    """How often a new count has begun."""
    _last: int | None = None
    _ticks: int = 0
    _at: float = 0.0
    _leaps: bool = False
    _reported: tuple[float, int] | None = None
    """Seconds of the camera's clock, and what the time stamp was then, without its wraps."""

    def restart(self) -> None:
        """Another sender: its count has nothing to do with the one before."""
        self._leaps = True

    def pts(self, timestamp: int) -> int:
        """A packet's time stamp in 1/90000 s."""
        if self._last is None:
            self._last = self._ticks = timestamp
        else:
            passed = (self.now - self._at) * self.rate
            step = _difference(timestamp, self._last)
            if self._leaps or abs(step) > LEAP_S * self.rate:
                self._leaps, self._reported = False, None
                self.epoch += 1
                step = max(1, int(passed))
            elif step:
                self.jitter += (abs(passed - step) - self.jitter) / 16
            self._last = timestamp
            self._ticks += step
        self._at = self.now
        return self._ticks * CLOCK_RATE // self.rate

    def now_pts(self) -> int | None:
        """Where the timeline stands by the time of arrival; none before the first packet."""
        if self._last is None:
            return None
        return self._ticks * CLOCK_RATE // self.rate + int((self.now - self._at) * CLOCK_RATE)

    def hear(self, report: SenderReport) -> None:
        if self._last is not None and not self._leaps:
            self._reported = report.ntp, self._ticks + _difference(report.rtp, self._last)

    def pts_at(self, ntp: float) -> int | None:
        """Where the timeline stood at that time of the camera's clock; none before its first report."""
        if self._reported is None:
            return None
        then, ticks = self._reported
        return ticks * CLOCK_RATE // self.rate + round((ntp - then) * CLOCK_RATE)

    def reported(self) -> float | None:
        return None if self._reported is None else self._reported[0]


def _difference(new: int, old: int) -> int:
    """Of two 32-bit counters, the shorter way round."""
    return ((new - old + 0x80000000) & 0xFFFFFFFF) - 0x80000000


@attrs.define
class Sync:
    """Puts the sound of one track on the timeline of another's pictures."""

    video: Timeline
    audio: Timeline
    _shift: int | None = None
    """From the sound's own time stamps to the pictures'."""
    _epoch: int = 0

    def audio_pts(self, timestamp: int) -> int | None:
        """Where on the pictures' timeline a frame of sound belongs; none before the first picture."""
        own = self.audio.pts(timestamp)
        if self._epoch != self.audio.epoch:
            self._epoch, self._shift = self.audio.epoch, None
        there = self.video.now_pts()
        if there is None:
            return None
        if self._shift is None or abs(own + self._shift - there) > DISBELIEF_S * CLOCK_RATE:
            self._shift = there - own
        return own + self._shift

    def adjust(self) -> None:
        """After a report of either track."""
        ntp = self.audio.reported()
        if ntp is None:
            return
        there, own = self.video.pts_at(ntp), self.audio.pts_at(ntp)
        arrived, by_arrival = self.video.now_pts(), self.audio.now_pts()
        if there is None or own is None or arrived is None or by_arrival is None:
            return
        shift = there - own
        believed = abs(shift - (arrived - by_arrival)) < DISBELIEF_S * CLOCK_RATE
        if believed and (self._shift is None or abs(shift - self._shift) > TOLERANCE):
            self._shift = shift
