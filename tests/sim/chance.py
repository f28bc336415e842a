"""All chance of a simulation comes from one seed, and all time from a clock of its own.

Rules of this file:
- Whoever draws has a stream of numbers of his own, named after him: one more draw here changes nothing there.
- The order in which trio runs its tasks is drawn as well; this is the one place that reaches into trio for it.
"""

import gc
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import trio

T = TypeVar("T")

PATIENCE = 1000
"""Turns of trio's loop in a row in which nobody waits for the clock."""


class Chance:
    """Where every number of one simulation comes from."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def stream(self, name: str) -> random.Random:
        """The numbers of whoever has this name; the same in every process."""
        return random.Random(f"{self.seed}/{name}")


class JumpingClock(trio.abc.Clock):
    """Jumps to the next deadline as soon as nobody can run: trio's autojump clock, in half the turns of its loop."""

    def __init__(self) -> None:
        self._now, self._idle = 0.0, 0

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        return self._now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Asked by trio only when no task can run."""
        if deadline < float("inf"):
            self._now, self._idle = max(self._now, deadline), 0
            return 0.0
        self._idle += 1  # trio's own beginning and end are such turns, too
        if self._idle > PATIENCE:
            raise RuntimeError("everybody waits, and nobody for the clock: this simulation would never end")
        return 0.0


def run_seeded(seed: int, story: Callable[[Chance], Awaitable[T]]) -> T:
    """Run `story` in virtual time from its beginning to its end; nothing in it may depend on anything but the seed."""
    inside: Any = trio._core._run  # type: ignore[attr-defined]  # as hypothesis-trio does
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
