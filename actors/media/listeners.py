"""The number of listeners to a transcoder's output, for tasks that work only while there is one."""

from collections.abc import Iterator
from contextlib import contextmanager

import trio

from .media import AudioFormat


class Listeners:
    """Counts the listeners: to transcoded audio, or to a rendition."""

    def __init__(self) -> None:
        self.count = 0
        self.recorders = 0
        """Those of them that record: they take nothing but Opus, while viewers get some audio unchanged."""
        self._changed = trio.lowlevel.ParkingLot()
        self._hurries = False

    @contextmanager
    def listen(self) -> Iterator[None]:
        """Be counted as a listener inside the context."""
        self.join()
        try:
            yield
        finally:
            self.leave()

    def join(self, *, records: bool = False) -> None:
        """Be counted as a listener until `leave`."""
        self.recorders += records
        self._change(1)

    def leave(self, *, records: bool = False) -> None:
        self.recorders -= records
        self._change(-1)

    def need(self, audio: AudioFormat) -> bool:
        """Whether a listener needs this audio to be transcoded to Opus."""
        return audio.codec != "opus" and (not audio.is_passed or self.recorders > 0)

    def hurry(self) -> None:
        """Make `wait_none` return as soon as there is no listener, until the next one joins."""
        self._hurries = True
        self._changed.unpark_all()

    def _change(self, by: int) -> None:
        self.count += by
        self._hurries = self._hurries and by < 0
        self._changed.unpark_all()

    def _ends_wait(self) -> bool:
        return self.count > 0 or self._hurries

    async def wait_some(self) -> None:
        """Wait until there is a listener. Always executes a trio checkpoint. Cancellation: at any time."""
        await trio.lowlevel.checkpoint()
        while not self.count:
            await self._changed.park()

    async def wait_none(self, for_s: float) -> None:
        """Wait until there has been no listener for `for_s` seconds; after `hurry` only until nobody listens.

        Cancellation: at any time.
        """
        while True:
            while self.count:
                await self._changed.park()
            with trio.move_on_after(for_s):
                await trio.lowlevel.checkpoint()
                while not self._ends_wait():
                    await self._changed.park()
            if not self.count:
                return
