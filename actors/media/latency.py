"""Counts how long something takes, in buckets."""

from bisect import bisect_left

from supervisor.ports.statistics import Latency


class LatencyTally:
    def __init__(self, bounds_s: tuple[float, ...]) -> None:
        """`bounds_s`: the upper bounds of the buckets, in order; beyond the last one there is one more."""
        self._bounds_s, self._counts = bounds_s, [0] * (len(bounds_s) + 1)
        self._sum_s = self._max_s = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds_s, seconds)] += 1
        self._sum_s += seconds
        self._max_s = max(self._max_s, seconds)

    def result(self) -> Latency:
        return Latency(self._bounds_s, tuple(self._counts), self._sum_s, self._max_s)
