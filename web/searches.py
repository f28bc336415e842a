"""Searches of the journal that clients wait for: they share one thread, so few may wait, and of one client fewer."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from werkzeug.exceptions import TooManyRequests

from supervisor.domain.clients import network_of

MOST, MOST_OF_CLIENT = 16, 2
"""Searches that run or wait: of all clients, and of one."""
MAX_PATTERN, MAX_WILD = 128, 4
"""Characters of a pattern, and of `*`, `?` and `[` in it: the time of a match is their product in the worst case."""


class Searches:
    """Counts them."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    @contextmanager
    def place(self, client: str) -> Iterator[None]:
        """A place for one search of `client`. Raises `TooManyRequests` (429) when there is none."""
        name = network_of(client)
        if self._open[name] >= MOST_OF_CLIENT or self._open.total() >= MOST:
            raise TooManyRequests(
                "searches of the journal wait already; ask again when they are answered", retry_after=1
            )
        self._open[name] += 1
        try:
            yield
        finally:
            self._open[name] -= 1
            self._open += Counter()  # without those that have none


def why_costly(pattern: str) -> str | None:
    """Why a glob may take too long to match; None for one that does not."""
    if len(pattern) > MAX_PATTERN:
        return f"a pattern has at most {MAX_PATTERN} characters"
    if sum(pattern.count(wild) for wild in "*?[") > MAX_WILD:
        return f"a pattern has at most {MAX_WILD} of *, ? and ["
    return None
