"""Loop time for web work, shared among clients by token buckets of seconds. Pure: the caller passes the time.

Rules of this file:
- All web work together gets `ALL_RATE` of the loop, and at most `ALL_BURST_S` without a break, so that media is sent in
  between.
- Each client gets `CLIENT_RATE`, after a burst that loads several pages. A bucket may become negative: excess time is
  paid back later.
- A bucket is removed only when it is full again. When the table is full, further clients share buckets, by a hash that
  outsiders cannot predict.
"""

from itertools import islice

from supervisor.domain.bucket import Bucket

ALL_RATE, ALL_BURST_S = 0.5, 0.002
"""Seconds of work per second, and without a break.

A burst is shorter than the time between two packets of a key frame.
"""
CLIENT_RATE, CLIENT_BURST_S = 0.1, 1.5
"""Seconds of work per second, and the burst, for one client.

A page of 30 tiles takes 0.3 s to load, and 0.02 of the loop while it is open.
"""
MOST_CLIENTS, SHARED = 2048, 64
LOOKED_AT = 16
"""Number of buckets that are checked to make room for one more client."""


class LoopBudgets:
    """The buckets. All times are seconds of one clock."""

    def __init__(self) -> None:
        self._all = Bucket(ALL_RATE, ALL_BURST_S)
        self._clients: dict[str, Bucket] = {}
        self._shared: dict[int, Bucket] = {}

    def all_wait_s(self, now: float) -> float:
        """Return the seconds until time is available for web work; 0 if available now."""
        return self._all.ready_in(now, 0.0)

    def client_wait_s(self, client: str | None, now: float) -> float:
        """Return the seconds until time is available for this client; None is an unknown client, which never waits."""
        bucket = None if client is None else self._clients.get(client) or self._owed(client, now)
        return 0.0 if bucket is None else bucket.ready_in(now, 0.0)

    def spend(self, client: str | None, seconds: float, now: float) -> None:
        """Charge work. Negative seconds refund an unused advance."""
        self._all.take(now, seconds)
        if client is not None:
            bucket = self._clients.get(client) or self._owed(client, now) or self._add(client, now)
            bucket.take(now, seconds)

    def _add(self, client: str, now: float) -> Bucket:
        if len(self._clients) >= MOST_CLIENTS:
            self._forget_full(now)
        if len(self._clients) >= MOST_CLIENTS:
            return self._shared.setdefault(hash(client) % SHARED, Bucket(CLIENT_RATE, CLIENT_BURST_S, now))
        return self._clients.setdefault(client, Bucket(CLIENT_RATE, CLIENT_BURST_S, now))

    def _owed(self, client: str, now: float) -> Bucket | None:
        """Return the shared bucket of the client; None if it is full again, so that the client may get its own."""
        bucket = self._shared.get(hash(client) % SHARED)
        if bucket is not None and bucket.is_full(now):
            del self._shared[hash(client) % SHARED]
            return None
        return bucket

    def _forget_full(self, now: float) -> None:
        """Remove full buckets among the oldest `LOOKED_AT` only: a new client must not scan the whole table."""
        for name in [*islice(self._clients, LOOKED_AT)]:
            bucket = self._clients.pop(name)
            if not bucket.is_full(now):
                self._clients[name] = bucket
