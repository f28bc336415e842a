"""The daemon's memory: what never goes is not looked at again, and what came free is given back."""

import ctypes
import gc

import trio

TRIM_EVERY_S = 15.0


def settle() -> None:
    """Take what has been made so far out of the collector's sight. Called once, when everything has started.

    A full collection then looks at what comes and goes, not at the 80,000 objects of imports and routes: it is short
    enough to pass between two pictures.
    """
    gc.collect()
    gc.freeze()


async def run_trimming() -> None:
    """Give back to the system what viewers and cameras that have gone have left in the heap's gaps, now and then.

    Takes less than a millisecond. Does nothing where the C library is not glibc (malloc_trim(3)).
    Cancellation: at any time. Cleanup: nothing is held.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while trim is not None:
        trim(0)
        await trio.sleep(TRIM_EVERY_S)
