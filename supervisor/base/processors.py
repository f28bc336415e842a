"""The number of processors that this process may use."""

import os
from functools import cache


@cache
def processors() -> int:
    return len(os.sched_getaffinity(0))
