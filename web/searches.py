"""Scheduling of journal searches and of queries about the past.

Rules of this file:
- A reader runs one search at a time (`JournalReader` ensures that). The next search is passed to it after the last one
  is answered, so that waiting clients are served round-robin, one search each.
- The number of waiting searches is limited, in total and per client; further ones get 429. They are counted
  before anything is awaited.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from .concurrency import ConcurrencyLimit

MOST, MOST_OF_CLIENT = 32, 4
"""Maximum number of running and waiting searches of one reader: in total, per client. A page sends three at a time."""
MAX_PATTERN, MAX_WILD = 128, 4
"""Maximum number of characters in a pattern, and of `*`, `?` and `[` in it.

In the worst case, the time of a match is proportional to their product.
"""
TOO_MANY = "searches of the journal wait already; ask again when they are answered"


class Searches:
    """The queue of one reader. One search runs at a time, since a second one would only wait in the reader."""

    def __init__(self) -> None:
        self.limit = ConcurrencyLimit(MOST, MOST_OF_CLIENT, TOO_MANY)
        self._runs = False
        self._waiting: dict[str, trio.lowlevel.ParkingLot] = {}
        """Clients with waiting searches; the next one to be served comes first."""

    @asynccontextmanager
    async def place(self, client: str) -> AsyncIterator[None]:
        """Wait until a search of `client` may run. Raises `TooManyRequests` (429) if too many wait.

        Cancellation: at any time. Cleanup: the search is no longer counted, and the search of the next client may run.
        """
        with self.limit.hold(client) as name:
            if self._runs:
                await self._wait(name)
            self._runs = True
            try:
                yield
            finally:
                self._runs = self._choose_next(name)

    async def _wait(self, name: str) -> None:
        lot = self._waiting.setdefault(name, trio.lowlevel.ParkingLot())
        try:
            await lot.park()
        finally:
            if not lot and self._waiting.get(name) is lot:
                del self._waiting[name]

    def _choose_next(self, ran: str) -> bool:
        """Let the search of the next client run; `ran` moves to the end. Returns whether a search was waiting."""
        if (lot := self._waiting.pop(ran, None)) is not None:
            self._waiting[ran] = lot
        return any(lot.unpark() for lot in self._waiting.values())


def why_costly(pattern: str) -> str | None:
    """Return why a glob may take too long to match; None if it is acceptable."""
    if len(pattern) > MAX_PATTERN:
        return f"a pattern has at most {MAX_PATTERN} characters"
    if sum(pattern.count(wild) for wild in "*?[") > MAX_WILD:
        return f"a pattern has at most {MAX_WILD} of *, ? and ["
    return None
