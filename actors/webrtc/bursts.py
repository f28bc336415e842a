"""Groups the runs of an access unit into bursts, which leave at once. Pure.

Rules of this file:
- Runs that fit together into `BURST` bytes leave together: parameter sets and short slices are runs, but not bursts.
- Bursts are paced by their bytes, so the first slice never waits.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from .runs import Run

BURST = 40_000
"""Bytes of one burst: a run of full packets and the parameter sets before it."""


@attrs.frozen
class Burst:
    """Runs that leave at once."""

    numbers: range
    """Indexes of the unit's runs."""
    before: int
    """Bytes of the unit that have left before this burst."""


def make_bursts(runs: Iterable["Run"]) -> Iterator[Burst]:
    """Yield the bursts of a unit, at most `BURST` bytes each. A burst is yielded once the run after it was made."""
    first = end = size = before = 0
    for number, run in enumerate(runs):
        if number > first and size + len(run.template) > BURST:
            yield Burst(range(first, number), before)
            first, size, before = number, 0, before + size
        size, end = size + len(run.template), number + 1
    yield Burst(range(first, end), before)
