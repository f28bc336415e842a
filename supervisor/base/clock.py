"""The clock seam: wall and monotonic time as values. trio does the sleeping."""

import time
from typing import Protocol

import attrs
import trio


class Clock(Protocol):
    """The interface of a clock. Both values are integers in nanoseconds."""

    def wall_ns(self) -> int:
        """Nanoseconds since the Unix epoch, for people and for the journal."""
        ...

    def mono_ns(self) -> int:
        """Nanoseconds of a clock that never runs backwards."""
        ...


class SystemClock:
    """The machine's clocks."""

    def wall_ns(self) -> int:
        return time.time_ns()

    def mono_ns(self) -> int:
        return time.monotonic_ns()


@attrs.frozen
class TrioClock:
    """Follows trio's own clock, so that simulated days have simulated dates. For tests and simulation."""

    epoch_ns: int = 1_800_000_000_000_000_000

    def wall_ns(self) -> int:
        return self.epoch_ns + self.mono_ns()

    def mono_ns(self) -> int:
        return int(trio.current_time() * 1e9)
