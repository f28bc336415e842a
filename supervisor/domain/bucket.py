"""The token bucket: every rate limit of the project is one. Pure; times are seconds of one clock."""

import attrs

NEARLY = 1e-6
"""Tokens that rounding may take: a bucket that lacks less is ready."""


@attrs.define
class Bucket:
    """`burst` tokens at once and `rate` a second after that; full at the time `at`.

    `rate` and `burst` may be set at any time, and count from the next call on.
    """

    rate: float
    burst: float
    at: float = 0.0
    left: float = attrs.field(default=attrs.Factory(lambda self: self.burst, takes_self=True))
    """Tokens at the time `at`; fewer than none are owed."""

    def ready_in(self, now: float, tokens: float = 1.0) -> float:
        """Seconds until there are `tokens`; 0 when there are."""
        self._refill(now)
        lacking = tokens - self.left
        return lacking / self.rate if lacking > NEARLY else 0.0

    def take(self, now: float, tokens: float = 1.0) -> None:
        """Take `tokens`, whether they are there or not. A negative number gives tokens back."""
        self._refill(now)
        self.left -= tokens

    def is_full(self, now: float) -> bool:
        """Whether it is as good as a new one."""
        return self.ready_in(now, self.burst) == 0.0

    def _refill(self, now: float) -> None:
        self.left, self.at = min(self.burst, self.left + max(0.0, now - self.at) * self.rate), now
