"""When the collector of cyclic garbage works: not during a start, never over what a start has made, and fully rarely.

Standard library only: the table of commands imports it.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

FULL_AFTER = 60
"""Collections of the middle generation before a full one, in place of 10. With 500 connections a full one takes 40 ms:
it may come once in half a minute, not every five seconds."""
TURN_S = 0.001
"""How long a thread that computes may keep the loop waiting each time, in place of 5 ms."""


@contextmanager
def starting() -> Iterator[None]:
    """Around a start: the collector rests until `settle`, or until the block ends.

    Imports make 70,000 objects that stay; looking through them again and again takes a sixth of the start.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def settle() -> None:
    """Take what has been made so far out of the collector's sight, and let it work. Called once, before `ready`.

    A full collection then looks at what comes and goes, not at the 70,000 objects of imports and routes: it is short
    enough to pass between two pictures. The 6,000 objects of the start that nobody needs stay, too: looking for them
    would take 40 ms of the start.
    """
    gc.freeze()
    gc.enable()
    youngest, middle, _ = gc.get_threshold()
    gc.set_threshold(youngest, middle, FULL_AFTER)
    sys.setswitchinterval(TURN_S)
