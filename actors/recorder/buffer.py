"""The buffer in front of an archive's disk: the steps of recordings that are not written yet. Pure.

Rules of this file:
- It has `CALM_S` of each camera. While the disk stands still, all cameras together may use `POOL` more.
- An item that does not fit is refused at once, and so is a fragment of a file whose beginning was not taken.
- Everything that is taken leaves it by `wrote` or `clear`.
"""

from collections import deque

import attrs

from actors.media.latency import LatencyTally
from actors.media.media import CLOCK_RATE
from supervisor.ports.statistics import Latency

from .cutter import Fragment, NewFile

CALM_S = 2.0
POOL = 64 * 1024 * 1024
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@attrs.frozen
class RecordingEnd:
    """The recording of a camera ends: its file is sealed."""


@attrs.frozen(eq=False)
class Item:
    """The next step of a camera's recording."""

    camera: str
    recording: str
    step: NewFile | Fragment | RecordingEnd

    @property
    def size(self) -> int:
        return 0 if isinstance(self.step, RecordingEnd) else len(self.step.data)

    @property
    def duration(self) -> int:
        """In 1/90000 s."""
        return self.step.duration if isinstance(self.step, Fragment) else 0


class Buffer:
    """Made once for each archive. Times are those of one monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._queue: deque[Item] = deque()
        self._offered_at: dict[Item, float] = {}
        """The items that are not written yet: those of the queue, and those that the disk has got."""
        self._held: dict[str, int] = {}
        """For each camera, the ticks that are not written."""
        self._begun: set[str] = set()
        """The cameras that have offered the beginning of a file, and not its end."""
        self._pooled: set[Item] = set()
        self._pool = 0
        """Bytes of the items in the pool."""
        self.size = 0
        """Bytes that are not written yet."""
        self.written = 0
        """Bytes of fragments that were written since the start."""
        self._latency = LatencyTally(BOUNDS_S)

    def __len__(self) -> int:
        """The items that nobody has taken out."""
        return len(self._queue)

    def offer(self, item: Item, now: float) -> bool:
        """Take an item unless there is no room for it."""
        if isinstance(item.step, Fragment) and not self.has_begun(item.camera):
            return False
        held = self._held.get(item.camera, 0) + item.duration
        if item.duration and held > CALM_S * CLOCK_RATE:
            if self._pool + item.size > POOL:
                return False
            self._pooled.add(item)
            self._pool += item.size
        self._held[item.camera] = held
        if isinstance(item.step, NewFile):
            self._begun.add(item.camera)
        elif isinstance(item.step, RecordingEnd):
            self._begun.discard(item.camera)
        self._queue.append(item)
        self._offered_at[item] = now
        self.size += item.size
        return True

    def has_begun(self, camera: str) -> bool:
        """Whether the beginning of a file of this camera was taken, and not its end."""
        return camera in self._begun

    def take(self) -> list[Item]:
        """The items that wait, the oldest first; `wrote` is called for each."""
        taken = list(self._queue)
        self._queue.clear()
        return taken

    def wrote(self, item: Item, now: float) -> None:
        """An item is written."""
        after_s = now - self._offered_at.pop(item)
        self.size -= item.size
        self._held[item.camera] -= item.duration
        if item in self._pooled:
            self._pooled.remove(item)
            self._pool -= item.size
        if isinstance(item.step, Fragment):
            self.written += item.size
            self._latency.add(after_s)

    def clear(self) -> None:
        """Forget everything: the recorders begin a gap."""
        for each in (self._queue, self._offered_at, self._held, self._begun, self._pooled):
            each.clear()
        self._pool = self.size = 0

    def latency(self) -> Latency:
        return self._latency.result()

    @property
    def pool(self) -> float:
        """The share of `POOL` that is in use."""
        return self._pool / max(1, POOL)
