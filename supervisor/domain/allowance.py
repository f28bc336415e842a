"""Limits the journaled requests of each client: a token bucket per client, in a table of bounded size.

Rules of this file:
- A request that begins something is charged when its events are decided. A rejected request costs nothing.
- A reload is charged before the file is read, regardless of its outcome (`supervisor/services/reload.py`).
- Ending one's own things is never charged: a release, a renewal, a DELETE and leaving a room are always possible.
- A detection is not charged: its reporter has a token, and one detector reports for many cameras. Detections have
  separate limits, for each camera and in total (`supervisor/services/detections.py`).
- A bucket leaves the table only when it is full again, so no client gets a new one by making the table overflow.
- If the table is full, new clients share buckets, by a hash that no client knows.
- Rejected requests are counted by client, in a table of bounded size.
"""

from collections import Counter

import attrs

from . import commands as c
from .bucket import Bucket
from .clients import network_of
from .values import Limits, RefusedClient

MOST_BUCKETS = 4096
SHARED_BUCKETS = 64
MOST_COUNTED = 256
MOST_NAMED = 20
"""Clients that a report of rejected requests names. The others are only counted."""
SLOWED_RATE = 0.1
"""Requests a second for a client that fills the journal: one in ten seconds."""

CHARGED = (
    c.SetPrivacy,
    c.GrantLease,
    c.OpenPeer,
    c.OpenVisit,
    c.BeginUse,
    c.OpenRoom,
    c.JoinRoom,
    c.RetryCamera,
    c.RequestRecording,
    c.ReportExport,
    c.ReportProfile,
    c.TakeClip,
    c.PinStretch,
)
"""Commands of a client that begin something."""
CHARGED_UNOWNED = (c.ClosePeer, c.EndLease)
"""Commands that are charged if they name no owner, because then an operator sends them. An owner is not charged."""


def is_charged(command: c.Command) -> bool:
    """Whether a client is charged for this command."""
    if isinstance(command, CHARGED_UNOWNED):
        return command.owner is None
    return isinstance(command, CHARGED)


class Allowance:
    """The buckets of all clients, and the count of rejected requests. All times are seconds of one clock."""

    def __init__(self) -> None:
        self._buckets: dict[str, Bucket] = {}
        """In the order of the last charge, the newest last."""
        self._shared: dict[int, Bucket] = {}
        self._refused: dict[str, int] = {}
        self._others = 0
        self._since: float | None = None
        self._granted: Counter[str] = Counter()
        self._prevented: Counter[str] = Counter()
        self.slowed: frozenset[str] = frozenset()
        """Clients that fill the journal, as named by `network_of`."""
        self.refused_in_all = 0

    def wait_s(self, client: str, limits: Limits, now: float) -> float:
        """Seconds until this client may make a journaled request; 0 if it may now."""
        name = network_of(client)
        return self._bucket(name, limits, now).ready_in(now)

    def charge(self, client: str, limits: Limits, now: float) -> None:
        """Charge a client for a journaled request."""
        name = network_of(client)
        _count(self._granted, name)
        bucket = self._bucket(name, limits, now)
        bucket.take(now)
        if self._buckets.pop(name, None) is not None or self._make_room(limits, now):
            self._buckets[name] = attrs.evolve(bucket)
        else:
            self._shared[hash(name) % SHARED_BUCKETS] = bucket

    def refuse(self, client: str, now: float) -> None:
        """Count a rejected request."""
        name = network_of(client)
        if name in self.slowed:
            _count(self._prevented, name)
        self.refused_in_all += 1
        if self._since is None:
            self._since = now
        if name in self._refused or len(self._refused) < MOST_COUNTED:
            self._refused[name] = self._refused.get(name, 0) + 1
        else:
            self._others += 1

    def take_refused(self, now: float) -> c.ReportRequestsRefused | None:
        """The rejected requests since the last call; None without any."""
        if self._since is None:
            return None
        counts = sorted(self._refused.items(), key=lambda row: (-row[1], row[0]))
        named = tuple(RefusedClient(client, requests) for client, requests in counts[:MOST_NAMED])
        others = self._others + sum(requests for _, requests in counts[MOST_NAMED:])
        report = c.ReportRequestsRefused(named, others, round(now - self._since, 3))
        self._refused, self._others, self._since = {}, 0, None
        return report

    def take_requests(self) -> tuple[Counter[str], Counter[str]]:
        """Requests of each client since the last call: granted, and rejected because the client is slowed."""
        granted, self._granted = self._granted, Counter()
        prevented, self._prevented = self._prevented, Counter()
        return granted, prevented

    def _terms(self, name: str, limits: Limits) -> tuple[float, float]:
        """Rate (requests a second) and burst (requests) of a client."""
        if name in self.slowed:
            return min(SLOWED_RATE, limits.journaled_rate), 1.0
        return limits.journaled_rate, float(limits.journaled_burst)

    def _bucket(self, name: str, limits: Limits, now: float) -> Bucket:
        """The client's bucket, or a shared one if the table is or was full; otherwise a new one."""
        rate, burst = self._terms(name, limits)
        found = self._buckets.get(name) or self._shared.get(hash(name) % SHARED_BUCKETS)
        if found is None:
            return Bucket(rate, burst, now)
        found.rate, found.burst = rate, burst
        return found

    def _make_room(self, limits: Limits, now: float) -> bool:
        """Remove buckets that are full again, those charged longest ago first. Returns whether there is room."""
        while len(self._buckets) >= MOST_BUCKETS:
            name = next(iter(self._buckets))
            if not self._bucket(name, limits, now).is_full(now):
                return False
            del self._buckets[name]
        return True


def _count(table: Counter[str], name: str) -> None:
    if name in table or len(table) < MOST_BUCKETS:
        table[name] += 1
