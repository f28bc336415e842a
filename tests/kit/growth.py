"""Growth of a parser's run time with its input: measured as processor time of this process, judged by ratios alone.

Rules of this file:
- A slow or busy machine does not change the verdict: the same work is timed at two sizes in direct succession, and the
  minimum of several runs counts. Only a ratio that is too high in every attempt is a failure.
- The sizes differ by `FACTOR`, three doublings: linear work takes 8 times as long, quadratic work 64 times.
"""

import gc
import time
from collections.abc import Callable

FACTOR = 8
MOST = 2.2**3
"""At most 2.2 times as long for each doubling."""
LEAST_S = 0.001
"""Minimum duration of a measurement: shorter work is repeated until it takes as long."""
RUNS, ATTEMPTS = 2, 12


def growth(work: Callable[[int], Callable[[], object]], size: int) -> float:
    """Return the smallest measured ratio of the times of `work` for inputs of `FACTOR * size` and of `size`.

    `work(size)` prepares an input and returns what is timed. Returns early when the ratio is at most `MOST`.
    """
    small, large = work(size), work(FACTOR * size)
    least = float("inf")
    for _ in range(ATTEMPTS):
        first, second = _time(small), _time(large)
        least = min(least, second / first)
        if least <= MOST:
            break
    return least


def _time(work: Callable[[], object]) -> float:
    """Seconds of processor time, the least of `RUNS`."""
    enabled, repeats = gc.isenabled(), 1
    gc.disable()
    try:
        while (taken := _run(work, repeats)) < LEAST_S:
            repeats *= 4
        return min(taken, *(_run(work, repeats) for _ in range(RUNS))) / repeats
    finally:
        if enabled:
            gc.enable()


def _run(work: Callable[[], object], repeats: int) -> float:
    begin = time.process_time()
    for _ in range(repeats):
        work()
    return time.process_time() - begin
