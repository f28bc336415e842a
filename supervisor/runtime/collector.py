"""Tunes the collector of cyclic garbage: off during a start, blind to the start's objects, and rarely a full run.

Standard library only, because the table of commands imports this module.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

FULL_AFTER = 60
"""Collections of the middle generation before a full one, instead of 10. With 500 connections a full collection takes
40 ms, so it may run once in half a minute, not every five seconds."""
SWITCH_INTERVAL_S = 0.001
"""How long a computing thread may delay the loop each time, in seconds; CPython's default is 5 ms."""


@contextmanager
def starting() -> Iterator[None]:
    """Around a start: disable the collector until `settle`, or until the block ends.

    Imports make 70,000 objects that stay. Repeated scans of them take a sixth of the start.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def settle() -> None:
    """Hide all objects made so far from the collector, and enable it. Called once, before `ready`.

    A full collection then skips the 70,000 objects of imports and routes, so it is short enough to fit between two
    access units. The 6,000 garbage objects of the start also stay: finding them would add 40 ms to the start.
    """
    gc.freeze()
    gc.enable()
    youngest, middle, _ = gc.get_threshold()
    gc.set_threshold(youngest, middle, FULL_AFTER)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
