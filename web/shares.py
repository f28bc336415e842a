"""The loop's time for web work, shared among clients by token buckets of seconds. Pure: the caller has the clock.

Rules of this file:
- All web work together gets `ALL_RATE` of the loop, and at most `ALL_BURST_S` in a row: media is sent in between.
- Each client gets `CLIENT_RATE`, after a burst that loads several pages. Time that was taken too much is owed.
- A bucket is forgotten only when it is full again. Clients that find the table full share buckets, by a hash that
  nobody outside knows.
"""

from itertools import islice

from supervisor.domain.bucket import Bucket

ALL_RATE, ALL_BURST_S = 0.5, 0.004
"""Seconds of work in a second, and in a row. A burst is shorter than the time between two packets of a key frame."""
CLIENT_RATE, CLIENT_BURST_S = 0.1, 1.5
"""A page of 30 tiles takes 0.3 s to load, and 0.02 of the loop while it is open."""
MOST_CLIENTS, SHARED = 2048, 64
LOOKED_AT = 16
"""Buckets that are looked at to make room for one more client."""


class Shares:
    """The buckets. All times are seconds of one clock."""

    def __init__(self) -> None:
        self._all = Bucket(ALL_RATE, ALL_BURST_S)
        self._clients: dict[str, Bucket] = {}
        self._shared: dict[int, Bucket] = {}

    def all_wait_s(self, now: float) -> float:
        """How long until there is time for anybody's work; 0 when there is some now."""
        return self._all.ready_in(now, 0.0)

    def client_wait_s(self, client: str | None, now: float) -> float:
        """How long until there is time for this client's work; None is nobody in particular, and never waits."""
        bucket = None if client is None else self._clients.get(client) or self._owed(client, now)
        return 0.0 if bucket is None else bucket.ready_in(now, 0.0)

    def spend(self, client: str | None, seconds: float, now: float) -> None:
        """Work was done. Negative seconds give back what was charged in advance and not needed."""
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
        """The bucket that it shares, unless that is full again: then it may have one of its own."""
        bucket = self._shared.get(hash(client) % SHARED)
        if bucket is not None and bucket.is_full(now):
            del self._shared[hash(client) % SHARED]
            return None
        return bucket

    def _forget_full(self, now: float) -> None:
        """Of the clients that came first: a table full of debts is not looked through for each new client."""
        for name in [*islice(self._clients, LOOKED_AT)]:
            bucket = self._clients.pop(name)
            if not bucket.is_full(now):
                self._clients[name] = bucket
