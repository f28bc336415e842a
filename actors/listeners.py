"""How many listen to a camera, for whoever works only while somebody does."""

from collections.abc import Iterator
from contextlib import contextmanager

import trio


class Listeners:
    """How many listen to a camera's sound."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = trio.lowlevel.ParkingLot()

    @contextmanager
    def listen(self) -> Iterator[None]:
        """Be one of them."""
        self.join()
        try:
            yield
        finally:
            self.leave()

    def join(self) -> None:
        """Be one of them, until `leave`."""
        self._change(1)

    def leave(self) -> None:
        self._change(-1)

    def _change(self, by: int) -> None:
        self.count += by
        self._changed.unpark_all()

    async def wait_some(self) -> None:
        """Wait until somebody listens. A checkpoint in any case."""
        await trio.lowlevel.checkpoint()
        while not self.count:
            await self._changed.park()

    async def wait_none(self, for_s: float) -> None:
        """Wait until nobody has listened for so many seconds."""
        while True:
            while self.count:
                await self._changed.park()
            with trio.move_on_after(for_s):
                await self.wait_some()
                continue
            return
