"""Returns the daemon's free memory to the system. For the collector of cycles see `collector.py`."""

import ctypes

import trio

TRIM_EVERY_S = 15.0


async def run_trimming() -> None:
    """Every `TRIM_EVERY_S` return free memory to the system: gaps in the heap that closed peers and cameras left.

    Takes less than a millisecond. Does nothing if the C library is not glibc (malloc_trim(3)).
    Cancellation: at any time. Cleanup: nothing is held.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while trim is not None:
        trim(0)
        await trio.sleep(TRIM_EVERY_S)
