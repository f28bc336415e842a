"""The token bucket, used for every rate limit of the project. Pure; times are seconds of one clock."""

import attrs

NEARLY = 1e-6
"""Tolerance for rounding, in tokens: a bucket that lacks less is ready."""


@attrs.define
class Bucket:
    """Allows `burst` tokens at once and then `rate` a second. A new bucket is full at the time `at`.

    `rate` and `burst` may be set at any time, and apply from the next call on.
    """

    rate: float
    burst: float
    at: float = 0.0
    left: float = attrs.field(default=attrs.Factory(lambda self: self.burst, takes_self=True))
    """Tokens at the time `at`; a negative number is owed."""

    def ready_in(self, now: float, tokens: float = 1.0) -> float:
        """Seconds until there are `tokens`; 0 if there are."""
        self._refill(now)
        lacking = tokens - self.left
        return lacking / self.rate if lacking > NEARLY else 0.0

    def take(self, now: float, tokens: float = 1.0) -> None:
        """Take `tokens` unconditionally. A negative number returns tokens."""
        self._refill(now)
        self.left -= tokens

    def is_full(self, now: float) -> bool:
        """Whether it equals a new bucket."""
        return self.ready_in(now, self.burst) == 0.0

    def _refill(self, now: float) -> None:
        self.left, self.at = min(self.burst, self.left + max(0.0, now - self.at) * self.rate), now
