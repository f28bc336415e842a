"""Whether a viewer's path carries the whole stream. Pure; times are in seconds of any one clock.

We pass on what the camera sends, so there is no smaller stream to fall back to but its key frames: a viewer whose path
is too narrow gets those alone, a still picture every second or two, instead of a delay that grows and a picture that
breaks. After a while the whole stream is tried again.
"""

LOST = 0.10
"""More than this share lost, in report after report, is not chance but a path that is full."""
WINDOW_S = 1.0
PATIENCE_S = 1.0
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
        self.carried = 1.0
        """The share of the whole stream that the path has shown to carry, while it is narrow."""
        self._counted: tuple[float, int, int] | None = None
        self._bad_since: float | None = None
        self._until = 0.0
        self._hold_s = TRY_AGAIN_S[0]

    def count(self, highest: int, lost: int, now: float) -> None:
        """What a receiver report says: the highest sequence number so far, and how many packets were lost in all.

        Reports may come many times a second, and most of them then span no packet: a share is of a second at least.
        """
        if self._counted is None:
            self._counted = (now, highest, lost)
            return
        since, before, lost_before = self._counted
        expected = (highest - before) & 0xFFFFFFFF
        if now - since >= WINDOW_S and 0 < expected < 0x80000000:
            self.report(min(1.0, max(0.0, (lost - lost_before) / expected)), now)
            self._counted = (now, highest, lost)
        elif expected >= 0x80000000:  # it counts anew
            self._counted = (now, highest, lost)

    def report(self, lost: float, now: float) -> None:
        """`lost` of the packets since the last time did not arrive, from 0 to 1."""
        self.loss = lost
        if lost < LOST:
            self._bad_since = None
            return
        if self._bad_since is None:
            self._bad_since = now
        patience_s = 0.0 if self._is_tried(now) else PATIENCE_S
        if not self.thin and now - self._bad_since >= patience_s:
            self._narrow(now)

    def look(self, now: float) -> None:
        """Let time pass: what has been thin for long enough is tried again."""
        if self.thin and now >= self._until:
            self.thin, self._bad_since = False, None

    def _is_tried(self, now: float) -> bool:
        """Whether the path was narrow not long ago: the first loss then says that it still is."""
        return self._until > 0 and now - self._until < STEADY_S

    def _narrow(self, now: float) -> None:
        first, most = TRY_AGAIN_S
        if self._is_tried(now):
            self._hold_s, self.carried = min(most, 2 * self._hold_s), min(self.carried, 1 - self.loss)
        else:
            self._hold_s, self.carried = first, 1 - self.loss
        self.thin, self._until = True, now + self._hold_s
