"""Whether a viewer's path carries the whole stream. Pure; times are in seconds of any one clock.

We pass on what the camera sends, so there is no smaller stream to fall back to but its key frames: a viewer whose path
is too narrow gets those alone, a still picture every second or two, instead of a delay that grows and a picture that
breaks. After a while the whole stream is tried again.
"""

LOST = 0.10
"""More than this share lost, in report after report, is not chance but a path that is full."""
PATIENCE_S = 1.5
TRY_AGAIN_S = (10.0, 60.0)
"""The first time and at the most; doubled each time that trying failed."""
STEADY_S = 20.0
"""So long without trouble, and the next trouble counts as the first."""


class Congestion:
    """What one viewer's receiver reports say of its path."""

    def __init__(self) -> None:
        self.thin = False
        """Whether the viewer is to get key frames only."""
        self.loss = 0.0
        """The share that was lost, by the newest report."""
        self._bad_since: float | None = None
        self._until = 0.0
        self._hold_s = TRY_AGAIN_S[0]

    def report(self, lost: float, now: float) -> None:
        """A receiver report: `lost` of the packets since the one before did not arrive, from 0 to 1."""
        self.loss = lost
        if lost < LOST:
            self._bad_since = None
        elif self._bad_since is None:
            self._bad_since = now
        elif not self.thin and now - self._bad_since >= PATIENCE_S:
            self._narrow(now)

    def look(self, now: float) -> None:
        """Let time pass: what has been thin for long enough is tried again."""
        if self.thin and now >= self._until:
            self.thin, self._bad_since = False, None

    def _narrow(self, now: float) -> None:
        first, most = TRY_AGAIN_S
        self._hold_s = min(most, 2 * self._hold_s) if self._until > 0 and now - self._until < STEADY_S else first
        self.thin, self._until = True, now + self._hold_s
