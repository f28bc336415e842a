"""Returns the daemon's free memory to the system. For the collector of cycles see `collector.py`."""

import ctypes

import trio

TRIM_EVERY_S = 15.0


M_MMAP_THRESHOLD = -3
"""Of mallopt(3)."""
LARGE = 4 * 1024 * 1024


def free_large_blocks_at_once() -> None:
    """Let malloc return blocks of `LARGE` bytes and more to the system when they are freed.

    Otherwise it keeps as much as the largest block that was freed, for each thread that has used one: 12 MiB after a
    password was hashed. Does nothing if the C library is not glibc.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(M_MMAP_THRESHOLD, LARGE)


async def run_trimming() -> None:
    """Every `TRIM_EVERY_S` return free memory to the system: gaps in the heap that closed peers and cameras left.

    Takes less than a millisecond. Does nothing if the C library is not glibc (malloc_trim(3)).
    Cancellation: at any time. Cleanup: nothing is held.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while trim is not None:
        trim(0)
        await trio.sleep(TRIM_EVERY_S)
