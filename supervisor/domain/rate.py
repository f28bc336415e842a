"""How many messages a client may send: so many within a rolling second, and after one too many, none for a second."""

from collections import deque

import attrs

MOST = 20
WINDOW_S = 1.0
CLOSED_S = 1.0


@attrs.define
class RateLimit:
    """Of one WebSocket. All times are those of one clock, in seconds."""

    _recent: deque[float] = attrs.field(factory=lambda: deque(maxlen=MOST))
    """When the last messages came that were let through."""
    _closed_until: float = float("-inf")

    def closed(self, now: float) -> bool:
        """Whether everything is dropped just now, because there was one too many a moment ago."""
        return now < self._closed_until

    def exceeds(self, now: float) -> bool:
        """Count one more message; whether it is one too many. Then it closes, and the count starts anew after that."""
        if len(self._recent) == MOST and now - self._recent[0] < WINDOW_S:
            self._recent.clear()
            self._closed_until = now + CLOSED_S
            return True
        self._recent.append(now)
        return False
