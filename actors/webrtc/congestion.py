"""Decides whether a peer's path carries the whole stream. Pure; times are in seconds of any one clock.

banken does not transcode video, so the only smaller stream is the camera's key frames. A peer whose path is too narrow
gets key frames only: a frame every second or two, instead of a growing delay and damaged video. After a while, the
whole stream is tried again.
"""

LOST = 0.10
"""A larger share of lost packets, in report after report, is not chance but a full path."""
WINDOW_S = 1.0
PATIENCE_S = 1.0
TRY_AGAIN_S = (10.0, 60.0)
"""Seconds of key frames only: for the first time, and at most. The time doubles after each failed trial."""
STEADY_S = 20.0
"""Seconds without trouble, after which the next trouble counts as the first."""


class Congestion:
    """The state of one peer's path, from its receiver reports."""

    def __init__(self) -> None:
        self.narrow = False
        """Whether the peer gets key frames only."""
        self.loss = 0.0
        """The share of lost packets in the newest report, 0 to 1."""
        self.carried = 1.0
        """While the path is narrow: the share of the whole stream that the path has carried, 0 to 1."""
        self._counted: tuple[float, int, int] | None = None
        self._bad_since: float | None = None
        self._until = 0.0
        self._hold_s = TRY_AGAIN_S[0]

    def count(self, highest: int, lost: int, now: float) -> None:
        """Take a receiver report: the highest sequence number so far, and the total number of lost packets.

        Reports may arrive many times a second, and most of them then span no packet. A share covers at least a second.
        """
        if self._counted is None:
            self._counted = (now, highest, lost)
            return
        since, before, lost_before = self._counted
        expected = (highest - before) & 0xFFFFFFFF
        if now - since >= WINDOW_S and 0 < expected < 0x80000000:
            self.report(min(1.0, max(0.0, (lost - lost_before) / expected)), now)
            self._counted = (now, highest, lost)
        elif expected >= 0x80000000:  # the viewer restarted its count
            self._counted = (now, highest, lost)

    def report(self, lost: float, now: float) -> None:
        """Take the share `lost`, 0 to 1, of the packets since the last call."""
        self.loss = lost
        if lost < LOST:
            self._bad_since = None
            return
        if self._bad_since is None:
            self._bad_since = now
        patience_s = 0.0 if self._is_tried(now) else PATIENCE_S
        if not self.narrow and now - self._bad_since >= patience_s:
            self._narrow(now)

    def look(self, now: float) -> None:
        """Update the state at `now`: try the whole stream again after long enough with key frames only."""
        if self.narrow and now >= self._until:
            self.narrow, self._bad_since = False, None

    def _is_tried(self, now: float) -> bool:
        """Return whether the path was narrow recently. The first loss then shows that it still is."""
        return self._until > 0 and now - self._until < STEADY_S

    def _narrow(self, now: float) -> None:
        first, most = TRY_AGAIN_S
        if self._is_tried(now):
            self._hold_s, self.carried = min(most, 2 * self._hold_s), min(self.carried, 1 - self.loss)
        else:
            self._hold_s, self.carried = first, 1 - self.loss
        self.narrow, self._until = True, now + self._hold_s
