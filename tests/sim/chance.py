"""The randomness of a simulation, which comes from one seed, and its virtual clock.

Rules of this file:
- Each user has a separate, named stream of random numbers: one more draw in one stream does not affect the others.
- The order in which trio runs its tasks is random too; only this file accesses the internals of trio for it.
"""

import gc
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import trio

T = TypeVar("T")

PATIENCE = 1000
"""Number of consecutive passes of trio's loop without a task that waits for the clock."""


class Chance:
    """The source of all random numbers of one simulation."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def stream(self, name: str) -> random.Random:
        """Return the stream with this name; it is the same in every process."""
        return random.Random(f"{self.seed}/{name}")


class JumpingClock(trio.abc.Clock):
    """Jumps to the next deadline when no task can run: like trio's autojump clock, with half the passes of its loop."""

    def __init__(self) -> None:
        self._now, self._idle = 0.0, 0

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        return self._now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Called by trio only when no task can run."""
        if deadline < float("inf"):
            self._now, self._idle = max(self._now, deadline), 0
            return 0.0
        self._idle += 1  # the start and end of trio are such passes, too
        if self._idle > PATIENCE:
            raise RuntimeError("everybody waits, and nobody for the clock: this simulation would never end")
        return 0.0


def run_seeded(seed: int, story: Callable[[Chance], Awaitable[T]]) -> T:
    """Run `story` in virtual time from start to end; the story must depend on the seed only."""
    inside: Any = trio._core._run  # as hypothesis-trio does
    before = inside._ALLOW_DETERMINISTIC_SCHEDULING
    inside._ALLOW_DETERMINISTIC_SCHEDULING = True
    inside._r.seed(seed)
    gc.freeze()  # what is collected when is no business of the story's, and looking for it takes a third of the time
    gc.disable()
    try:
        return trio.run(story, Chance(seed), clock=JumpingClock())
    finally:
        inside._ALLOW_DETERMINISTIC_SCHEDULING = before
        inside._r.seed()
        gc.enable()
        gc.unfreeze()
        gc.collect()
