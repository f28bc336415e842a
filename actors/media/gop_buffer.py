"""The ring buffer of a camera's access units, with its newest GOP and the one before.

Rules of this file:
- It is bounded in access units, in bytes and in time. A longer GOP is truncated at its front and counted.
- A new viewer starts at the newest key frame. If that is no longer in the buffer, it waits for the next one.
"""

from supervisor.base.ring_buffer import RingBuffer

from .media import CLOCK_RATE, AccessUnit

LEAST = 8
"""Access units that are kept where each one is a key frame: a transcoder may be so far behind."""
MAX_UNITS = 4096
MAX_BYTES = 64 * 1024 * 1024
MAX_SPAN = 30 * CLOCK_RATE
"""In ticks. A longer GOP is truncated at its front and counted. New viewers then wait for the next key frame."""


class GopBuffer:
    """The cached access units of one camera."""

    def __init__(self) -> None:
        self.units: RingBuffer[AccessUnit] = RingBuffer(MAX_UNITS)
        self.truncated_gops = 0
        """GOPs that were too long to be kept whole."""
        self._held = 0
        self._key_at: int | None = None
        """Position of the newest key frame in the ring buffer."""

    def begin(self) -> None:
        """Begin a new connection: a viewer may not start before its first key frame."""
        self._key_at = None

    def clear(self) -> None:
        """Discard all cached access units."""
        self._key_at = None
        self._drop_before(self.units.end)

    def append(self, unit: AccessUnit) -> None:
        if unit.key:
            # Until now, the previous GOP remained for viewers that are slightly behind.
            if self._key_at is not None:
                self._drop_before(min(self._key_at, self.units.end - LEAST))
            self._key_at = self.units.end
        self._held += unit.weight
        self.units.append(unit)
        was_whole = self.newest_key() is not None
        while self._is_too_much(unit):
            self._drop_before(self.units.start + 1)
        self.truncated_gops += was_whole and self.newest_key() is None

    def newest_key(self) -> int | None:
        """Return the position of the newest key frame that is still in the ring buffer."""
        return self._key_at if self._key_at is not None and self._key_at >= self.units.start else None

    def _is_too_much(self, newest: AccessUnit) -> bool:
        """Return whether the cache exceeds its limit in bytes, in time or in access units."""
        start, end = self.units.start, self.units.end
        if self._held > MAX_BYTES or end - start >= MAX_UNITS:
            return True
        return start < end and newest.dts - self.units.read_nowait(start, 1)[0].dts > MAX_SPAN

    def _drop_before(self, position: int) -> None:
        count = position - self.units.start
        self._held -= sum(unit.weight for unit in self.units.read_nowait(self.units.start, count))
        self.units.drop_before(position)
