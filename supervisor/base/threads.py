"""The only way to run a function in a thread. It raises a typed error if the system refuses to start a thread.

Rules of this file:
- trio starts a worker thread if none is idle. At a limit on processes (`RLIMIT_NPROC`, a control group's `pids.max`),
  or without memory for its stack, that raises an unspecific `RuntimeError`. Here it becomes `ThreadRefused`.
- `ThreadRefused` is an `OSError` with `EAGAIN`: code that handles a shortage of resources handles it as well.
"""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import trio

from .resource_errors import RESOURCE_ERRNOS

Result = TypeVar("Result")

CANNOT_START = "can't start new thread"
"""CPython's message (`Modules/_threadmodule.c`). A check of the type alone would hide bugs."""


class ThreadRefused(OSError):
    """The system cannot start a thread at the moment. `errno` is `EAGAIN`."""

    def __init__(self) -> None:
        super().__init__(errno.EAGAIN, "the system refuses another thread")


@contextmanager
def refusing_threads() -> Iterator[None]:
    """Around a call of a library that starts threads itself, as trio's name resolution does. Raises `ThreadRefused`."""
    try:
        yield
    except RuntimeError as error:
        if str(error) != CANNOT_START:
            raise
        raise ThreadRefused from None


async def run_in_thread(work: Callable[[], Result], *, limiter: trio.CapacityLimiter, abandon: str = "") -> Result:
    """Run `work()` in a thread and return its result. Pass arguments with `functools.partial`.

    `abandon` is the reason why a cancellation does not wait for the thread. Nothing may depend on the abandoned work.
    Raises `ThreadRefused`, and the errors of `work`.
    Cancellation: waits for the thread unless `abandon` is given. Cleanup: the thread's end frees its `limiter` token.
    """
    with refusing_threads():
        return await trio.to_thread.run_sync(work, limiter=limiter, abandon_on_cancel=bool(abandon))


def is_refusal(error: BaseException) -> bool:
    """Whether a shortage of system resources caused `error`: a temporary fault, so the operation is retried."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in RESOURCE_ERRNOS)
