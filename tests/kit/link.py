"""One direction of a bad line: which packets are lost, and when the others arrive at the other end. Pure.

Time is whatever the caller says it is, chance is a generator with a seed: the same packets at the same instants have
the same fate. The order of events: a packet is lost, or it waits until those in front of it are on the wire, and then
it travels.
"""

import heapq
import itertools
import math
from random import Random
from typing import Generic, TypeVar

import attrs

T = TypeVar("T")


@attrs.frozen
class Link:
    """The impairments of a line; the default is a perfect line."""

    loss: float = 0.0
    """The share of packets that are lost, each by its own chance."""
    delay_s: float = 0.0
    jitter_s: float = 0.0
    """Uniform jitter in seconds, added to or subtracted from `delay_s`: close packets may change their order."""
    ordered: bool = False
    """Whether packets keep their order despite jitter, as on most real lines: packets after a late one are late too."""
    bit_rate: float = math.inf
    queue_bytes: int = 128 * 1024
    """Size of the queue at the bottleneck; a packet that does not fit is dropped, not the waiting ones."""


@attrs.define
class Traffic:
    """Counts of the packets of a line so far."""

    taken: int = 0
    lost: int = 0
    """By chance."""
    dropped: int = 0
    """Because the queue was full."""
    delivered: int = 0
    delivered_bytes: int = 0
    longest_wait_s: float = 0.0
    """In the queue."""


class Line(Generic[T]):
    """Packets in, with their size and an instant; packets out, when their instant has come."""

    def __init__(self, link: Link, chance: Random) -> None:
        self.traffic = Traffic()
        self._link = link
        self._chance = chance
        self._free_at = self._last_out_at = -math.inf
        self._travelling: list[tuple[float, int, int, T]] = []
        self._numbers = itertools.count()

    @property
    def next_at(self) -> float:
        """When the next packet comes out; infinity while none travels."""
        return self._travelling[0][0] if self._travelling else math.inf

    def send(self, packet: T, size: int, now: float) -> None:
        """Take a packet of `size` bytes. `now` never goes back."""
        link, traffic = self._link, self.traffic
        # Both are drawn for every packet: the fate of one shifts nothing for those behind it.
        lost, drift = self._chance.random() < link.loss, self._chance.uniform(-link.jitter_s, link.jitter_s)
        traffic.taken += 1
        if lost:
            traffic.lost += 1
            return
        wait_s = max(0.0, self._free_at - now)
        if wait_s and wait_s * link.bit_rate / 8 + size > link.queue_bytes:
            traffic.dropped += 1
            return
        traffic.longest_wait_s = max(traffic.longest_wait_s, wait_s)
        self._free_at = now + wait_s + size * 8 / link.bit_rate
        out_at = self._free_at + max(0.0, link.delay_s + drift)
        if link.ordered:
            out_at = self._last_out_at = max(out_at, self._last_out_at)
        heapq.heappush(self._travelling, (out_at, next(self._numbers), size, packet))

    def receive(self, now: float) -> list[T]:
        """Those that have come out by now, the earliest first."""
        out: list[T] = []
        while self._travelling and self._travelling[0][0] <= now:
            _, _, size, packet = heapq.heappop(self._travelling)
            self.traffic.delivered += 1
            self.traffic.delivered_bytes += size
            out.append(packet)
        return out
