"""Searches of the journal that clients wait for, and questions about its past.

Rules of this file:
- A reader runs one search at a time (`JournalReader` sees to that). The next one is handed to it when the last one is
  answered, so that clients that wait are served in turn, one search each.
- Few may wait, and of one client fewer; more get 429. The places are counted before anything is awaited.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from .places import Places

MOST, MOST_OF_CLIENT = 32, 4
"""Searches that run or wait at one reader: of all clients, and of one. A page asks for three at a time."""
MAX_PATTERN, MAX_WILD = 128, 4
"""Characters of a pattern, and of `*`, `?` and `[` in it: the time of a match is their product in the worst case."""
TOO_MANY = "searches of the journal wait already; ask again when they are answered"


class Searches:
    """Those of one reader: whose turn is next. One is let through, since a second would only wait in the reader."""

    def __init__(self) -> None:
        self.places = Places(MOST, MOST_OF_CLIENT, TOO_MANY)
        self._runs = False
        self._waiting: dict[str, trio.lowlevel.ParkingLot] = {}
        """Clients whose searches wait; the one whose turn is next comes first."""

    @asynccontextmanager
    async def place(self, client: str) -> AsyncIterator[None]:
        """Wait until it is the turn of a search of `client`. Raises `TooManyRequests` (429) when there is no place.

        Cancellation: at any time. Cleanup: the place is free, and it is the next client's turn.
        """
        with self.places.hold(client) as name:
            if self._runs:
                await self._wait(name)
            self._runs = True
            try:
                yield
            finally:
                self._runs = self._give_turn(name)

    async def _wait(self, name: str) -> None:
        lot = self._waiting.setdefault(name, trio.lowlevel.ParkingLot())
        try:
            await lot.park()
        finally:
            if not lot and self._waiting.get(name) is lot:
                del self._waiting[name]

    def _give_turn(self, ran: str) -> bool:
        """The next client's search may run; another one of `ran` comes last. Whether any waits."""
        if (lot := self._waiting.pop(ran, None)) is not None:
            self._waiting[ran] = lot
        return any(lot.unpark() for lot in self._waiting.values())


def why_costly(pattern: str) -> str | None:
    """Why a glob may take too long to match; None for one that does not."""
    if len(pattern) > MAX_PATTERN:
        return f"a pattern has at most {MAX_PATTERN} characters"
    if sum(pattern.count(wild) for wild in "*?[") > MAX_WILD:
        return f"a pattern has at most {MAX_WILD} of *, ? and ["
    return None
