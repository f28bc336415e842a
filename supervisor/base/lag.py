"""Loop lag: how late the event loop runs its tasks. A blocking call, or too much work, delays every task."""

from collections import deque

import attrs
import trio

EVERY_S = 0.1
KEPT = 100
"""Measurements: those of the last ten seconds."""

_lags: trio.lowlevel.RunVar[deque[float]] = trio.lowlevel.RunVar("lags of the loop")


@attrs.frozen
class LoopLag:
    """Seconds between the moment at which a task was due and the moment at which it ran."""

    p50_s: float
    p99_s: float
    turns: int
    """Number of measurements."""


async def run_lag() -> None:
    """Measure the loop lag ten times a second. Each measurement costs one wake-up.

    Cancellation: at any time. Cleanup: nothing is held.
    """
    lags: deque[float] = deque(maxlen=KEPT)
    _lags.set(lags)
    while True:
        due = trio.current_time() + EVERY_S
        await trio.sleep_until(due)
        lags.append(trio.current_time() - due)


def loop_lag() -> LoopLag | None:
    """The lag over the last `KEPT` measurements; None if there is no measurement yet. Call it in the loop."""
    ranked = sorted(_lags.get(deque()))
    return LoopLag(_percentile(ranked, 50), _percentile(ranked, 99), len(ranked)) if ranked else None


def _percentile(ranked: list[float], share: int) -> float:
    """The percentile `share` by the nearest rank: `share` % of the values are not above it."""
    return ranked[-(-len(ranked) * share // 100) - 1]
