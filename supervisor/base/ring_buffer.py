"""A ring buffer that any number of readers read at their own pace.

Rules of this file:
- The writer never waits and does not know its readers. The capacity bounds the memory, not the slowest reader.
- A reader is only a position. A reader that falls too far behind learns how much it missed, and decides how to go on.
"""

from collections import deque
from typing import Generic, TypeVar

import trio

Item = TypeVar("Item")


class RingBuffer(Generic[Item]):
    """Items numbered from `start` upwards. The last `capacity` items are kept."""

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
        """Add an item, which replaces the oldest one at the capacity, and wake the readers. Never waits."""
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
        """Wake all waiting readers."""
        self._readers.unpark_all()

    async def wait_beyond(self, position: int) -> None:
        """Wait until there is an item numbered `position`, or until `wake`. Always a trio checkpoint."""
        if self._end > position:
            await trio.lowlevel.checkpoint()
        else:
            await self._readers.park()
