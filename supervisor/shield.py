"""The only shield in the code, and it demands a deadline."""

from collections.abc import Iterator
from contextlib import contextmanager

import trio


@contextmanager
def bounded_shield(seconds: float) -> Iterator[trio.CancelScope]:
    """Shield cleanup from cancellation, but never for longer than `seconds`."""
    with trio.move_on_after(seconds) as scope:
        scope.shield = True
        yield scope
