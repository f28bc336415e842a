"""Ctrl+C while a program still imports its modules: the end, without a trace."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_CODE = 128 + signal.SIGINT


@contextmanager
def exit_on_ctrl_c() -> Iterator[None]:
    """End the process at once by 130 at a SIGINT within the block, which must have nothing to clean up.

    A SIGINT that is ignored, or handled otherwise than by `KeyboardInterrupt`, stays so.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _exit(number: int, frame: FrameType | None) -> None:
    os._exit(EXIT_CODE)
