"""The one way to run something in a thread, in which a thread that the system refuses is an error with a type.

Rules of this file:
- trio starts a worker thread when none is idle. At a limit on processes (`RLIMIT_NPROC`, a control group's `pids.max`),
  or without memory for its stack, that raises `RuntimeError`, which nobody expects. Here it becomes `ThreadRefused`.
- `ThreadRefused` is an `OSError` with `EAGAIN`: code that handles what the system refuses handles it as well.
"""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import trio

from .shortage import REFUSALS

Result = TypeVar("Result")

CANNOT_START = "can't start new thread"
"""The words of CPython (`Modules/_threadmodule.c`); its type alone would hide bugs."""


class ThreadRefused(OSError):
    """The system starts no thread for now. `errno` is `EAGAIN`."""

    def __init__(self) -> None:
        super().__init__(errno.EAGAIN, "the system refuses another thread")


@contextmanager
def refusing_threads() -> Iterator[None]:
    """Around a call of a library that starts threads by itself, as trio's look-up of names does."""
    try:
        yield
    except RuntimeError as error:
        if str(error) != CANNOT_START:
            raise
        raise ThreadRefused from None


async def run_in_thread(
    work: Callable[[], Result], *, limiter: trio.CapacityLimiter, abandon_on_cancel: bool = False
) -> Result:
    """What `work()` returns, run in a thread. Arguments come by `functools.partial`.

    Raises `ThreadRefused`, and what `work` raises.
    Cancellation: waits for the thread, unless it may be abandoned. Cleanup: its place in `limiter` is free again.
    """
    with refusing_threads():
        return await trio.to_thread.run_sync(work, limiter=limiter, abandon_on_cancel=abandon_on_cancel)


def is_refusal(error: BaseException) -> bool:
    """Whether the system was short of something when it raised `error`: a fault of the moment, to be tried again."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in REFUSALS)
