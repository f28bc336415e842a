"""Whether the journal grows so fast that history would be cut short, and which clients cause it. Pure.

Rules of this file:
- Growth is measured over `WINDOW_S`: one page that opens a wall of cameras is no flood.
- A client is busy if it made more requests than `ORDINARY` bursts in that time; those that slowing it prevented count.
- One count decides who is slowed, stays slowed and is released: the events that busy clients would write if nobody were
  slowed, and the rest. `slows` is the rule; while clients are slowed, its limits are wider by `CLEAR_AT`.
- The sums over the window are kept up to date: each reading is added once and subtracted once.
"""

from collections import Counter, deque
from collections.abc import Mapping

import attrs

from .allowance import MOST_BUCKETS
from .values import Limits

WINDOW_S = 600.0
ORDINARY = 3
"""Bursts that a client may use within the window and is never named."""
EVENTS_PER_REQUEST = 3.0
"""Events that a request leads to, for a client without any to tell: a grant and an end at the least."""
RAISE_AT, CLEAR_AT = 1.0, 0.8


@attrs.frozen
class Traffic:
    """Events and requests within the window."""

    events: int
    by_client: Mapping[str, int]
    """Events that a client's requests led to."""
    granted: Mapping[str, int]
    """Journaled requests of a client."""
    prevented: Mapping[str, int]
    """Those that were refused because it is slowed."""

    def wanted(self, limits: Limits) -> dict[str, float]:
        """Requests that each client would have made if none were slowed: as many as its allowance has."""
        wanted, most = dict[str, float](self.granted), limits.journaled_rate * WINDOW_S
        for client, prevented in self.prevented.items():
            granted = wanted.get(client, 0)
            wanted[client] = max(granted, min(granted + prevented, most))
        return wanted

    def unwritten(self, client: str, wanted: float) -> float:
        """Events that the prevented ones among these requests would have led to."""
        written, granted = self.by_client.get(client, 0), self.granted.get(client, 0)
        return (wanted - granted) * (written / granted if written and granted else EVENTS_PER_REQUEST)


class Window:
    """Sums over the last `most` readings, of `MOST_BUCKETS` names at the most; further names are left out."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._readings: deque[tuple[int, list[Mapping[str, int]]]] = deque()
        self._events = 0
        self._totals: tuple[Counter[str], Counter[str], Counter[str]] = (Counter(), Counter(), Counter())

    def add(self, events: int, *parts: Mapping[str, int]) -> Traffic:
        """Add a reading, with the tables of `Traffic` in their order, and forget the one that leaves the window.

        The result holds until the next reading.
        """
        if len(self._readings) == self._most:
            gone, gone_parts = self._readings.popleft()
            self._events -= gone
            for total, part in zip(self._totals, gone_parts, strict=True):
                _subtract(total, part)
        self._events += events
        added = [_add(total, part) for total, part in zip(self._totals, parts, strict=True)]
        self._readings.append((events, added))
        return Traffic(self._events, *self._totals)


def _add(total: Counter[str], part: Mapping[str, int]) -> Mapping[str, int]:
    """Add `part` as far as there is room; returns the rows that were added."""
    room = MOST_BUCKETS - len(total)
    if len(part) > room:
        new = [name for name in part if name not in total]
        part = {name: count for name, count in part.items() if name in total} | {
            name: part[name] for name in new[:room]
        }
    for name, count in part.items():
        total[name] += count
    return part


def _subtract(total: Counter[str], part: Mapping[str, int]) -> None:
    """Names without a count leave the table."""
    for name, count in part.items():
        if (left := total[name] - count) > 0:
            total[name] = left
        else:
            del total[name]


@attrs.frozen
class Keeping:
    """The retention that the configuration asks for."""

    keep_s: float
    max_bytes: int


@attrs.frozen
class Growth:
    """The result for the monitor."""

    bytes_per_s: float
    kept_s: float
    """For how long events are kept at this growth."""
    ratio: float
    """Of `keep` to that: at 1 and more, `max_size` would cut history below `keep`."""
    clients: tuple[str, ...]
    """Those that cause it, the most first; none while the ratio is small."""

    @property
    def level(self) -> float:
        """The alert follows this figure: growth that no client causes is no alert."""
        return self.ratio if self.clients else 0.0


def slows(rest: float, busy: float, slowed: bool) -> bool:
    """Whether busy clients are slowed: history would be cut, and not without them, or by them alone.

    Args:
        rest, busy: the growth that others cause, and that busy clients cause, as shares of what `keep` has room for.
        slowed: whether clients are slowed now.
    """
    ease = CLEAR_AT if slowed else 1.0
    least = RAISE_AT * ease
    return rest + busy >= least and (rest * ease < RAISE_AT or busy >= least)


def project(
    traffic: Traffic, bytes_per_event: float, keeping: Keeping, limits: Limits, slowed: frozenset[str]
) -> Growth:
    """How things go on if they go on like this. `slowed`: the clients that were named before, by `network_of`."""
    wanted, ordinary = traffic.wanted(limits), ORDINARY * limits.journaled_burst
    eased = ordinary * CLEAR_AT
    busy = [name for name, many in wanted.items() if many > eased and (many > ordinary or name in slowed)]
    written = sum(traffic.by_client.get(client, 0) for client in busy)
    rest = traffic.events - written
    cost = written + sum(traffic.unwritten(client, wanted[client]) for client in busy if client in traffic.prevented)
    bytes_per_s = (rest + cost) * bytes_per_event / WINDOW_S
    kept_s = keeping.max_bytes / bytes_per_s if bytes_per_s else float("inf")
    share = keeping.keep_s * bytes_per_event / WINDOW_S / keeping.max_bytes
    if not slows(share * rest, share * cost, bool(slowed)):
        busy = []
    busy.sort()
    busy.sort(key=lambda client: traffic.by_client.get(client, 0), reverse=True)
    return Growth(bytes_per_s, kept_s, share * (rest + cost), tuple(busy))
