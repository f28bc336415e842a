"""A bounded, shared log that any number of readers follow at their own pace.

Rules of this file:
- The writer never waits and never knows its readers; memory is bounded by the capacity, not by the slowest reader.
- A reader is only a position. One that falls behind what is kept learns how much it missed, and decides for itself.
"""

from collections import deque
from typing import Generic, TypeVar

import trio

Item = TypeVar("Item")


class Tape(Generic[Item]):
    """Items numbered from `start` upwards; the last `capacity` of them are kept."""

    def __init__(self, capacity: int, start: int = 0) -> None:
        self._items: deque[Item] = deque(maxlen=capacity)
        self._end = start
        self._readers = trio.lowlevel.ParkingLot()

    @property
    def start(self) -> int:
        """Number of the oldest item kept."""
        return self._end - len(self._items)

    @property
    def end(self) -> int:
        """Number that the next item will have."""
        return self._end

    def append(self, item: Item) -> None:
        self._items.append(item)
        self._end += 1
        self._readers.unpark_all()

    def restart(self, position: int) -> None:
        """Forget every item; the next one is numbered `position`."""
        self._items.clear()
        self._end = position

    def drop_before(self, position: int) -> None:
        """Forget the items numbered below `position`."""
        while self.start < position and self._items:
            self._items.popleft()

    def read_nowait(self, position: int, limit: int) -> list[Item]:
        """Up to `limit` items from `position` on; positions before `start` raise `LookupError`."""
        offset = position - self.start
        if offset < 0:
            raise LookupError(f"item {position} is no longer kept; the oldest is {self.start}")
        return [self._items[index] for index in range(offset, min(offset + limit, len(self._items)))]

    def wake(self) -> None:
        """Let those who wait look again."""
        self._readers.unpark_all()

    async def wait_beyond(self, position: int) -> None:
        """Wait until there is an item numbered `position`. A checkpoint in any case."""
        if self._end > position:
            await trio.lowlevel.checkpoint()
        else:
            await self._readers.park()
