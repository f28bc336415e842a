"""Attempts to prove who one is: slowed down for the account and for the network, and journaled when they fail."""

from ..domain import commands as c
from ..domain.bucket import Bucket
from ..domain.clients import network_of
from ..domain.values import Reason
from ..ports.decisions import Origin
from ..runtime.kernel import Kernel

TRIES, TRY_EVERY_S = 5, 30.0
"""Wrong secrets that an account or a network may send at once, and the seconds until one more."""
MOST_BUCKETS = 4096
FAILURES_EVERY_S = 1.0
"""One failure in each interval is journaled; those in between are counted."""


class Attempts:
    """Made once by the daemon; whatever checks a secret asks it before, and tells it when the secret was wrong.

    Where a check takes long, the attempt is charged before it, and given back if the secret was right.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._buckets: dict[str, Bucket] = {}
        self._shared = Bucket(1 / TRY_EVERY_S, TRIES, self._now())
        """For new names while the table is full."""
        self._said_at = -FAILURES_EVERY_S
        self._suppressed = 0

    def wait_s(self, account: str, client: str) -> float:
        """Seconds until the account and the network of the client may try again; 0: at once.

        `account` is empty where a secret names its account itself: then only the network counts.
        """
        now = self._now()
        new = self._shared if len(self._buckets) >= MOST_BUCKETS else None
        found = (self._buckets.get(name, new) for name in _names(account, client))
        return max((bucket.ready_in(now) for bucket in found if bucket is not None), default=0.0)

    def take(self, account: str, client: str) -> None:
        """Charge an attempt."""
        self._charge(account, client, 1.0)

    def give_back(self, account: str, client: str) -> None:
        """Return what `take` has charged."""
        self._charge(account, client, -1.0)

    def say_failed(self, user: str, client: str, reason: Reason) -> None:
        """Journal a failure; `user` is empty if there is no such user."""
        now = self._now()
        if now - self._said_at < FAILURES_EVERY_S:
            self._suppressed += 1
            return
        self._kernel.emit(
            c.ReportLoginFailed(user, client, reason, self._suppressed), origin=Origin(f"client:{client}")
        )
        self._said_at, self._suppressed = now, 0

    def _now(self) -> float:
        return self._kernel.clock.mono_ns() / 1e9

    def _charge(self, account: str, client: str, tokens: float) -> None:
        now = self._now()
        for name in _names(account, client):
            self._bucket(name, now).take(now, tokens)

    def _bucket(self, name: str, now: float) -> Bucket:
        """The bucket of an account or a network; the shared one where the table is full."""
        found = self._buckets.get(name)
        if found is None:
            if len(self._buckets) >= MOST_BUCKETS:
                self._buckets = {each: one for each, one in self._buckets.items() if not one.is_full(now)}
            if len(self._buckets) >= MOST_BUCKETS:
                return self._shared
            found = self._buckets[name] = Bucket(1 / TRY_EVERY_S, TRIES, now)
        return found


def _names(account: str, client: str) -> list[str]:
    return [*([f"user {account}"] if account else []), f"net {network_of(client)}"]
