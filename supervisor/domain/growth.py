"""Whether the journal grows so fast that history would be cut short, and which clients cause it. Pure.

Rules of this file:
- Growth is measured over `WINDOW_S`: one page that opens a wall of cameras is no flood.
- A client is named only if it asked for more than `ORDINARY` bursts in that time.
- A client that is slowed and goes on asking counts with the events that it would have caused.
- Clients are named only where slowing them helps: without their events, history would not be cut.
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
"""Events that a refused request would have led to: a grant and an end at the least."""
RAISE_AT, CLEAR_AT = 1.0, 0.8


@attrs.frozen
class Traffic:
    """Events and requests within the window."""

    events: int
    by_client: Mapping[str, int]
    """Events that a client's requests led to."""
    asked: Mapping[str, int]
    """Journaled requests of a client, those that were refused included."""


class Window:
    """Sums over the last `most` readings, of `MOST_BUCKETS` names at the most; further names are left out."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._readings: deque[tuple[int, Mapping[str, int], Mapping[str, int]]] = deque()
        self._events = 0
        self._by_client: Counter[str] = Counter()
        self._asked: Counter[str] = Counter()

    def add(self, events: int, by_client: Mapping[str, int], asked: Mapping[str, int]) -> Traffic:
        """Add a reading, and forget the one that leaves the window. The result holds until the next reading."""
        if len(self._readings) == self._most:
            gone, gone_by_client, gone_asked = self._readings.popleft()
            self._events -= gone
            _subtract(self._by_client, gone_by_client)
            _subtract(self._asked, gone_asked)
        self._events += events
        self._readings.append((events, _add(self._by_client, by_client), _add(self._asked, asked)))
        return Traffic(self._events, self._by_client, self._asked)


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


def project(
    traffic: Traffic, bytes_per_event: float, keeping: Keeping, limits: Limits, slowed: frozenset[str]
) -> Growth:
    """How things go on if they go on like this. `slowed`: the clients that were named before, by `network_of`."""
    most = limits.journaled_rate * WINDOW_S
    # Events of each client, those included that slowing it has prevented.
    costs: dict[str, float] = dict(traffic.by_client)
    for client in slowed:
        written, wanted = costs.get(client, 0), min(traffic.asked.get(client, 0), most) * EVENTS_PER_REQUEST
        costs[client] = max(written, wanted)
    events = traffic.events + sum(costs[client] - traffic.by_client.get(client, 0) for client in slowed)
    bytes_per_s = events * bytes_per_event / WINDOW_S
    kept_s = keeping.max_bytes / bytes_per_s if bytes_per_s else float("inf")
    ratio = keeping.keep_s / kept_s
    ordinary = ORDINARY * limits.journaled_burst
    busy = [client for client, asked in traffic.asked.items() if asked > ordinary]
    too_fast = ratio >= RAISE_AT or (slowed and ratio > CLEAR_AT)
    others = events - sum(costs.get(client, 0.0) for client in busy)
    if not too_fast or ratio * others >= RAISE_AT * events:
        return Growth(bytes_per_s, kept_s, ratio, ())
    busy.sort()
    busy.sort(key=lambda client: traffic.by_client.get(client, 0), reverse=True)
    return Growth(bytes_per_s, kept_s, ratio, tuple(busy))
