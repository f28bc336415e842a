"""Access units for a reader that takes them in batches: it is woken once a second, not for each of them.

Rules of this file:
- A batch is due with a key frame, and a second after the first access unit of the batch before became due.
- An access unit stays until it is taken, also when the hub discards it: a recorder loses no end of a connection.
- It is bounded. If the reader does not take it in time, everything is discarded and counted.
"""

from collections import deque

import trio

from .gop_buffer import MAX_BYTES, MAX_UNITS
from .media import CLOCK_RATE, AccessUnit

EVERY = CLOCK_RATE
"""Longest duration of a batch, in 1/90000 s, unless one access unit lasts longer."""
LARGE = 8 * 1024 * 1024
"""Bytes of a batch that is due at once."""


class Batches:
    """The access units that one reader has not taken yet. The hub calls `put` and `wake`."""

    def __init__(self) -> None:
        self._units: deque[AccessUnit] = deque()
        self._size = 0
        """Bytes in `_units`."""
        self._since = 0
        """Decode time of the last access unit with which a batch became due."""
        self._reader = trio.lowlevel.ParkingLot()
        self.is_due = False
        """Whether there is a batch that should be taken now."""
        self.lost = 0
        """Access units that were discarded because the reader did not take them in time."""

    def put(self, unit: AccessUnit) -> None:
        """Take the next access unit. Never waits."""
        if len(self._units) >= MAX_UNITS or self._size + unit.size > MAX_BYTES:
            self.lost += len(self._units)
            self._units.clear()
            self._size = 0
        self._units.append(unit)
        self._size += unit.size
        if unit.key or unit.dts - self._since >= EVERY:
            self._since = unit.dts
        elif self._size < LARGE:
            return
        self.is_due = True
        self._reader.unpark_all()

    @property
    def newest(self) -> AccessUnit | None:
        """The last access unit that waits."""
        return self._units[-1] if self._units else None

    def wake(self) -> None:
        """End `wait`, although nothing may be due."""
        self._reader.unpark_all()

    def take_nowait(self, limit: int) -> list[AccessUnit]:
        """Return the next access units, at most `limit`, also when they are not due."""
        taken = [self._units.popleft() for _ in range(min(limit, len(self._units)))]
        self._size -= sum(unit.size for unit in taken)
        self.is_due = self.is_due and bool(self._units)
        return taken

    async def wait(self) -> None:
        """Wait until a batch is due, or until `wake`. Always a trio checkpoint. Cancellation: at any time."""
        if self.is_due:
            await trio.lowlevel.checkpoint()
        else:
            await self._reader.park()
