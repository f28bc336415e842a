"""Detects a journal that grows so fast that history would be cut short, and the clients that cause it. Pure.

Rules of this file:
- Growth is measured over `WINDOW_S`, so one page that opens a wall of cameras is not a flood.
- A client is busy if it made more requests than `ORDINARY` bursts in that time. Prevented requests count as well.
- One count decides which clients are slowed, stay slowed and are released. It compares the events that busy clients
  would write if no client were slowed with the events of all others.
- The rule is `slows`. While clients are slowed, its limits are wider by `CLEAR_AT`.
- The sums over the window are kept up to date: each reading is added once and subtracted once.
"""

from collections import Counter, deque
from collections.abc import Mapping

import attrs

from .allowance import MOST_BUCKETS
from .values import Limits

WINDOW_S = 600.0
ORDINARY = 3
"""Bursts that a client may use within the window without being named."""
EVENTS_PER_REQUEST = 3.0
"""Assumed events per request of a client without known events: at least a grant and an end."""
RAISE_AT, CLEAR_AT = 1.0, 0.8


@attrs.frozen
class Traffic:
    """Events and requests within the window."""

    events: int
    by_client: Mapping[str, int]
    """Events that a client's requests led to, by client."""
    granted: Mapping[str, int]
    """Journaled requests, by client."""
    prevented: Mapping[str, int]
    """Requests that were rejected because the client is slowed, by client."""

    def wanted(self, limits: Limits) -> dict[str, float]:
        """Requests that each client would have made if none were slowed, up to its allowance."""
        wanted, most = dict[str, float](self.granted), limits.journaled_rate * WINDOW_S
        for client, prevented in self.prevented.items():
            granted = wanted.get(client, 0)
            wanted[client] = max(granted, min(granted + prevented, most))
        return wanted

    def unwritten(self, client: str, wanted: float) -> float:
        """Events that the prevented requests among the `wanted` requests would have led to."""
        written, granted = self.by_client.get(client, 0), self.granted.get(client, 0)
        return (wanted - granted) * (written / granted if written and granted else EVENTS_PER_REQUEST)


class Window:
    """Sums over the last `most` readings, for at most `MOST_BUCKETS` names. Further names are omitted."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._readings: deque[tuple[int, list[Mapping[str, int]]]] = deque()
        self._events = 0
        self._totals: tuple[Counter[str], Counter[str], Counter[str]] = (Counter(), Counter(), Counter())

    def add(self, events: int, *parts: Mapping[str, int]) -> Traffic:
        """Add a reading, with the tables of `Traffic` in their order, and remove the reading that leaves the window.

        The result is valid until the next reading.
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
    """Add `part` as far as there is room. Returns the added rows."""
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
    """Subtract `part`. Names with a count of zero leave the table."""
    for name, count in part.items():
        if (left := total[name] - count) > 0:
            total[name] = left
        else:
            del total[name]


@attrs.frozen
class Keeping:
    """The configured retention."""

    keep_s: float
    max_bytes: int


@attrs.frozen
class Growth:
    """The result for the monitor."""

    bytes_per_s: float
    kept_s: float
    """How long events are kept at this growth."""
    ratio: float
    """Ratio of `journal.retention` to `kept_s`: from 1 on, `max_size` would cut history below it."""
    clients: tuple[str, ...]
    """The clients that cause it, those with the most events first; empty while the ratio is small."""

    @property
    def level(self) -> float:
        """The level for the alert. Growth that no client causes raises no alert."""
        return self.ratio if self.clients else 0.0


def slows(rest: float, busy: float, slowed: bool) -> bool:
    """Whether busy clients are slowed: history would be cut, either only because of them or by them alone.

    Args:
        rest, busy: the growth that others and busy clients cause, as shares of the growth for which `keep` has room.
        slowed: whether clients are slowed now.
    """
    ease = CLEAR_AT if slowed else 1.0
    least = RAISE_AT * ease
    return rest + busy >= least and (rest * ease < RAISE_AT or busy >= least)


def project(
    traffic: Traffic, bytes_per_event: float, keeping: Keeping, limits: Limits, slowed: frozenset[str]
) -> Growth:
    """The growth if the traffic continues. `slowed`: the clients that were named before, by `network_of`."""
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
