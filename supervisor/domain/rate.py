"""Limits the messages of a client: `MOST` within a rolling second. After one more, all are dropped for a second."""

from collections import deque

import attrs

MOST = 20
WINDOW_S = 1.0
CLOSED_S = 1.0


@attrs.define
class RateLimit:
    """The limit of one WebSocket. All times are seconds of one clock."""

    _recent: deque[float] = attrs.field(factory=lambda: deque(maxlen=MOST))
    """The times of the last accepted messages."""
    _closed_until: float = float("-inf")

    def closed(self, now: float) -> bool:
        """Whether all messages are dropped at `now`, because the limit was exceeded recently."""
        return now < self._closed_until

    def exceeds(self, now: float) -> bool:
        """Count a message. Returns whether it exceeds the limit; then the limit closes, and the count is reset."""
        if len(self._recent) == MOST and now - self._recent[0] < WINDOW_S:
            self._recent.clear()
            self._closed_until = now + CLOSED_S
            return True
        self._recent.append(now)
        return False
