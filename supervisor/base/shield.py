"""The only shield in the code. It requires a deadline."""

from collections.abc import Iterator
from contextlib import contextmanager

import trio


@contextmanager
def bounded_shield(seconds: float) -> Iterator[trio.CancelScope]:
    """Shield cleanup from cancellation for at most `seconds`."""
    with trio.move_on_after(seconds) as scope:
        scope.shield = True
        yield scope
