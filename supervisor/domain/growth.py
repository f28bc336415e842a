"""Whether the journal grows so fast that history would be cut short, and which clients cause it. Pure.

Rules of this file:
- Growth is measured over `WINDOW_S`: one page that opens a wall of cameras is no flood.
- A client is named only if it asked for more than `ORDINARY` bursts in that time.
- A client that is slowed and goes on asking counts with what it would have written.
"""

from collections.abc import Mapping

import attrs

from .allowance import MOST_NAMED
from .values import Limits

WINDOW_S = 600.0
ORDINARY = 3
"""Bursts that a client may use within the window and is never named."""
EVENTS_PER_REQUEST = 3.0
"""What a request leads to, for requests that were refused: a grant and an end at the least."""
RAISE_AT, CLEAR_AT = 1.0, 0.8


@attrs.frozen
class Traffic:
    """What happened within the window."""

    events: int
    by_client: Mapping[str, int]
    """Events that a client's requests led to."""
    asked: Mapping[str, int]
    """Journaled requests of a client, those that were refused included."""


@attrs.frozen
class Keeping:
    """What the configuration wants to keep."""

    keep_s: float
    max_bytes: int


@attrs.frozen
class Growth:
    """What is to be said of it."""

    bytes_per_s: float
    kept_s: float
    """For how long events are kept at this growth."""
    ratio: float
    """Of `keep` to that: at 1 and more, `max_size` would cut history below `keep`."""
    clients: tuple[str, ...]
    """Those that cause it, the most first; none while the ratio is small."""

    @property
    def level(self) -> float:
        """What the alert is judged by: nothing that clients do not cause."""
        return self.ratio if self.clients else 0.0


def project(
    traffic: Traffic, bytes_per_event: float, keeping: Keeping, limits: Limits, slowed: frozenset[str]
) -> Growth:
    """How things go on if they go on like this. `slowed`: the clients that were named before, by `network_of`."""
    most = limits.journaled_rate * WINDOW_S
    wanted = sum(min(traffic.asked.get(client, 0), most) * EVENTS_PER_REQUEST for client in slowed)
    written = sum(traffic.by_client.get(client, 0) for client in slowed)
    events = traffic.events - written + max(written, wanted)
    bytes_per_s = events * bytes_per_event / WINDOW_S
    kept_s = keeping.max_bytes / bytes_per_s if bytes_per_s else float("inf")
    ratio = keeping.keep_s / kept_s
    ordinary = ORDINARY * limits.journaled_burst
    busy = [client for client, asked in traffic.asked.items() if asked > ordinary]
    busy.sort(key=lambda client: (-traffic.by_client.get(client, 0), client))
    named = tuple(busy[:MOST_NAMED]) if ratio >= RAISE_AT or (slowed and ratio > CLEAR_AT) else ()
    return Growth(bytes_per_s, kept_s, ratio, named)
