"""The journal's disk: normally fast, sometimes slow or full, and occasionally failing after a write."""

import random
from collections.abc import Sequence

import trio

from supervisor.domain.events import Recorded
from supervisor.domain.state import State
from tests.kit.memory import MemorySegment


class Disk(MemorySegment):
    """A segment whose appends may take a while."""

    delay_s = 0.0

    async def append(self, batch: Sequence[Recorded], state: State) -> None:
        if self.delay_s:
            await trio.sleep(self.delay_s)
        await super().append(batch, state)


async def be_full(disk: MemorySegment, seconds: float) -> None:
    disk.broken = True
    await trio.sleep(seconds)
    disk.broken = False


async def run_disk(disk: Disk, chance: random.Random) -> None:
    """Apply disk faults, one after the other.

    Cancellation: at any time. Cleanup: the disk works.
    """
    try:
        while True:
            await trio.sleep(chance.expovariate(1 / 300))
            trouble = chance.random()
            if trouble < 0.5:
                disk.delay_s = chance.choice((0.01, 0.1, 2.0))
                await trio.sleep(chance.expovariate(1 / 30))
                disk.delay_s = 0.0
            elif trouble < 0.8:
                disk.broken_after = True
            else:
                await be_full(disk, chance.expovariate(1 / 60))
    finally:
        disk.broken = disk.broken_after = False
        disk.delay_s = 0.0
