"""Whether something grows: a slope that single readings cannot bend, and the verdict over a soak's samples.

Rules of this file:
1. Counts are compared at quiet moments only: no viewer, every camera live. There they are exact.
2. One odd reading is no leak, and hides none: both the slope and the least of the last third must have grown.
3. Minutes say nothing of memory, so its slope is only told; after an hour it has a verdict, too.
4. Threads are not exact at quiet moments: one that has nothing to do lives on for 10 s. Growth by `IDLE` is none.
"""

import statistics
from collections.abc import Sequence
from itertools import combinations

import attrs

COUNTS = ("descriptors", "processes", "threads")
IDLE = {"threads": 2}
"""How much more of a count the last third may have than the first: worker threads that wait for work."""
WARM_UP = 0.25
"""Of the whole time: imports, caches and thread pools fill."""
LONG_S = 3600.0
"""So long a run has seen what fills up, and what is left is growth."""
MEMORY_MB = 10.0
"""An hour; below it, what a heap's gaps make of a day is not told from growth."""
FEWEST = 6
"""Quiet moments after the warm-up; with fewer there is no verdict."""


@attrs.frozen
class Sample:
    """The daemon at one instant. Processes are the daemon and all below it, zombies too."""

    at_s: float
    quiet: bool
    viewers: int
    """That are held open."""
    descriptors: int
    processes: int
    threads: int
    rss_mb: float
    pss_mb: float


@attrs.frozen
class Verdict:
    slopes: dict[str, float]
    """By name, an hour: each of `COUNTS`, and `rss_mb` and `pss_mb`."""
    leaks: tuple[str, ...]


def judge(samples: Sequence[Sample], seconds: float) -> Verdict:
    """The verdict over a soak that took so long. Too few quiet moments are a leak, too: nothing was proved."""
    quiet = [sample for sample in samples if sample.quiet and sample.at_s >= WARM_UP * seconds]
    if len(quiet) < FEWEST:
        return Verdict({}, (f"only {len(quiet)} quiet moments of {FEWEST}: no verdict",))
    times = [sample.at_s / 3600 for sample in quiet]
    slopes, leaks = {}, []
    for name in (*COUNTS, "rss_mb", "pss_mb"):
        values = [float(getattr(sample, name)) for sample in quiet]
        slopes[name] = slope(times, values)
        third = len(values) // 3
        if name in COUNTS and slopes[name] > 0 and min(values[-third:]) > min(values[:third]) + IDLE.get(name, 0):
            leaks.append(f"{name}: {' '.join(f'{value:g}' for value in values)}")
    if seconds >= LONG_S and slopes["pss_mb"] > MEMORY_MB:
        leaks.append(f"memory: {slopes['pss_mb']:.1f} MB an hour, {MEMORY_MB:g} are the most")
    return Verdict(slopes, tuple(leaks))


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """Theil and Sen's: the median of the slopes between all pairs."""
    points = zip(times, values, strict=True)
    return statistics.median((b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2))
