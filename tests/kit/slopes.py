"""Detection of growth: a robust slope that outliers do not change, and the verdict over the samples of a soak test.

Rules of this file:
1. Counts are compared at quiet moments only: no viewer, every camera live. Then they are exact.
2. One outlier neither is a leak nor hides one: both the slope and the minimum of the last third must have grown.
3. Some minutes prove nothing about memory, so its slope is only reported; after an hour it is judged too.
4. Thread counts are not exact at quiet moments: an idle thread lives for 10 s. Growth by up to `IDLE` is not a leak.
"""

import statistics
from collections.abc import Sequence
from itertools import combinations

import attrs

COUNTS = ("descriptors", "processes", "threads")
IDLE = {"threads": 2}
"""Permitted growth of a count from the first to the last third: idle worker threads."""
WARM_UP = 0.25
"""Share of the whole time in which imports, caches and thread pools fill."""
LONG_S = 3600.0
"""So long a run has seen what fills up, and what is left is growth."""
MEMORY_MB = 10.0
"""An hour; below it, what a heap's gaps make of a day is not told from growth."""
FEWEST = 6
"""Minimum number of quiet moments after the warm-up for a verdict."""


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
    """Return the verdict over a soak. Too few quiet moments count as a leak too, since they prove nothing."""
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
        leaks.append(f"memory: {slopes['pss_mb']:.1f} MB an hour, at most {MEMORY_MB:g} are allowed")
    return Verdict(slopes, tuple(leaks))


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """Theil and Sen's: the median of the slopes between all pairs."""
    points = zip(times, values, strict=True)
    return statistics.median((b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2))
