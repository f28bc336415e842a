"""How late the loop's tasks get their turn: what a blocking call, or too much work, does to everything at once."""

from collections import deque

import attrs
import trio

EVERY_S = 0.1
KEPT = 100
"""The last ten seconds."""

_lags: trio.lowlevel.RunVar[deque[float]] = trio.lowlevel.RunVar("lags of the loop")


@attrs.frozen
class LoopLag:
    """Seconds between the moment a task was due and its turn."""

    p50_s: float
    p99_s: float
    turns: int
    """How many it is made of."""


async def run_lag() -> None:
    """Measure, ten times a second. Costs a wake-up each.

    Cancellation: at any time. Cleanup: nothing is held.
    """
    lags: deque[float] = deque(maxlen=KEPT)
    _lags.set(lags)
    while True:
        due = trio.current_time() + EVERY_S
        await trio.sleep_until(due)
        lags.append(trio.current_time() - due)


def loop_lag() -> LoopLag | None:
    """Over the last `KEPT` turns; None where nobody measures, or not yet. To be called in the loop."""
    ranked = sorted(_lags.get(deque()))
    return LoopLag(_percentile(ranked, 50), _percentile(ranked, 99), len(ranked)) if ranked else None


def _percentile(ranked: list[float], share: int) -> float:
    """By the nearest rank: so many in a hundred are not above it."""
    return ranked[-(-len(ranked) * share // 100) - 1]
