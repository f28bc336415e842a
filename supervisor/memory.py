"""The daemon's memory: what came free is given back to the system. The collector of cycles: `collector.py`."""

import ctypes

import trio

TRIM_EVERY_S = 15.0


async def run_trimming() -> None:
    """Give back to the system what viewers and cameras that have gone have left in the heap's gaps, now and then.

    Takes less than a millisecond. Does nothing where the C library is not glibc (malloc_trim(3)).
    Cancellation: at any time. Cleanup: nothing is held.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while trim is not None:
        trim(0)
        await trio.sleep(TRIM_EVERY_S)
