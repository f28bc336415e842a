"""Presentation times: RTP time stamps of two clocks on one timeline. Pure; the time of arrival is input.

Rules of this file:
- The time stamps of the video define the timeline, and nothing else moves it. Audio is shifted to match.
- Until both tracks have sent reports, media that arrive together belong together. After that the camera's clock
  decides, as long as it is plausible.
- After a leap, or a change of sender that changes the count, the timeline continues at the time of arrival.

Source: RFC 3550, sections 5.1, 6.4.1 and A.8 (jitter).
"""

import attrs

from ...media.media import CLOCK_RATE
from .rtcp import SenderReport

LEAP_S = 10.0
"""A longer step between two time stamps is a restart of the count, not a pause."""
MAX_BACK_S = 1.0
"""The same for a step back: B-frames need less."""
MAX_DEVIATION_S = 0.5
"""After a change of sender, a step that deviates less from the time of arrival continues the same count."""
MAX_CLOCK_DIFFERENCE_S = 5.0
"""Audio and video that arrive together are never further apart than this: the clocks of such a camera are ignored."""
TOLERANCE = CLOCK_RATE // 50
"""Smaller deviations of the audio are left, in 1/90000 s: clocks drift, and each shift is audible."""


@attrs.define
class TrackTimeline:
    """The unwrapped time stamps of one track."""

    rate: int
    now: float = 0.0
    """Seconds of any steady clock; set before received media are parsed."""
    jitter: float = 0.0
    """In ticks of the RTP clock."""
    epoch: int = 0
    """The number of restarts of the count."""
    _last: int | None = None
    _ticks: int = 0
    _at: float = 0.0
    _leaps: bool = False
    _reported: tuple[float, int] | None = None
    """Seconds of the camera's clock, and the unwrapped time stamp at that time."""

    def restart(self) -> None:
        """The sender has changed: its count may be unrelated to the one before."""
        self._leaps = True

    def pts(self, timestamp: int) -> int:
        """Convert a packet's time stamp to 1/90000 s on the timeline."""
        if self._last is None:
            self._last = self._ticks = timestamp
        else:
            passed = (self.now - self._at) * self.rate
            step = _difference(timestamp, self._last)
            if self._leaps:
                self._leaps = step <= 0 or abs(step - passed) > MAX_DEVIATION_S * self.rate
            if self._leaps or not -MAX_BACK_S * self.rate <= step <= LEAP_S * self.rate:
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
        """Return the position of the timeline by the time of arrival, in 1/90000 s; None before the first packet."""
        if self._last is None:
            return None
        return self._ticks * CLOCK_RATE // self.rate + int((self.now - self._at) * CLOCK_RATE)

    def hear(self, report: SenderReport) -> None:
        if self._last is not None and not self._leaps:
            self._reported = report.ntp, self._ticks + _difference(report.rtp, self._last)

    def pts_at(self, ntp: float) -> int | None:
        """Return the position of the timeline at time `ntp` of the camera's clock; None before its first report."""
        if self._reported is None:
            return None
        then, ticks = self._reported
        return ticks * CLOCK_RATE // self.rate + round((ntp - then) * CLOCK_RATE)

    def reported(self) -> float | None:
        return None if self._reported is None else self._reported[0]


def _difference(new: int, old: int) -> int:
    """Return the signed difference of two 32-bit counters, the shorter way around."""
    return ((new - old + 0x80000000) & 0xFFFFFFFF) - 0x80000000


@attrs.define
class Sync:
    """Places the audio of one track on the timeline of the video."""

    video: TrackTimeline
    audio: TrackTimeline
    _shift: int | None = None
    """Offset from the audio's time stamps to those of the video."""
    _epoch: int = 0

    def audio_pts(self, timestamp: int) -> int | None:
        """Return the position of an audio frame on the video's timeline; None before the first access unit."""
        own = self.audio.pts(timestamp)
        if self._epoch != self.audio.epoch:
            self._epoch, self._shift = self.audio.epoch, None
        there = self.video.now_pts()
        if there is None:
            return None
        if self._shift is None or abs(own + self._shift - there) > MAX_CLOCK_DIFFERENCE_S * CLOCK_RATE:
            self._shift = there - own
        return own + self._shift

    def adjust(self) -> None:
        """Adjust the offset after a report of either track."""
        ntp = self.audio.reported()
        if ntp is None:
            return
        there, own = self.video.pts_at(ntp), self.audio.pts_at(ntp)
        arrived, by_arrival = self.video.now_pts(), self.audio.now_pts()
        if there is None or own is None or arrived is None or by_arrival is None:
            return
        shift = there - own
        believed = abs(shift - (arrived - by_arrival)) < MAX_CLOCK_DIFFERENCE_S * CLOCK_RATE
        if believed and (self._shift is None or abs(shift - self._shift) > TOLERANCE):
            self._shift = shift
