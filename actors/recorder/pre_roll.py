"""The video before a detection: access units that wait in memory, and are recorded when one comes. Pure.

Rules of this file:
- It begins with a key frame, and has whole GOPs of one connection.
- It covers the wished time if it can: the oldest GOP goes when the others are long enough without it.
- It has at most `MOST_BYTES`. A GOP that is larger is not held: a recording then begins with what the hub has cached.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from actors.media.media import CLOCK_RATE, AccessUnit, AudioFrame

MOST_BYTES = 4 * 1024 * 1024


class Held(NamedTuple):
    """An access unit with the audio that came before it."""

    unit: AccessUnit
    wall_ns: int
    """The system's time when it arrived."""
    audio: Sequence[AudioFrame] = ()

    @property
    def weight(self) -> int:
        return self.unit.weight + sum(len(frame.data) for frame in self.audio)


class PreRoll:
    """Made once for each camera."""

    def __init__(self) -> None:
        self._gops: deque[list[Held]] = deque()
        self.weight = 0
        """Approximate bytes of memory."""

    def add(self, held: Held, before_s: float) -> None:
        """Hold the next access unit. `before_s`: the time that should be covered."""
        unit = held.unit
        if self._gops and self._gops[0][0].unit.connection != unit.connection:
            self.clear()
        if unit.key:
            self._gops.append([])
        elif not self._gops:
            return
        self._gops[-1].append(held)
        self.weight += held.weight
        enough = unit.dts - before_s * CLOCK_RATE
        while len(self._gops) > 1 and (self._gops[1][0].unit.dts <= enough or self.weight > MOST_BYTES):
            self.weight -= sum(each.weight for each in self._gops.popleft())
        if self.weight > MOST_BYTES:
            self.clear()

    def take(self) -> list[Held]:
        """Return everything, the oldest first; it holds nothing then."""
        taken = [held for gop in self._gops for held in gop]
        self.clear()
        return taken

    def clear(self) -> None:
        self._gops.clear()
        self.weight = 0
