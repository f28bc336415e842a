"""The monitor of the journal's growth: it names the clients that would cut history short, and slows them.

Rules of this file:
- Events are counted where they are decided (`domain/tally.py`), by the client whose request they follow from.
- The journal's own folder says how many bytes an event takes.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import trio

from ..base.threads import ThreadRefused, run_in_thread
from ..domain.allowance import MOST_NAMED
from ..domain.growth import CLEAR_AT, RAISE_AT, WINDOW_S, Growth, Keeping, Traffic, Window, project
from ..domain.monitors import Figure, Reading, Threshold, Thresholds
from ..domain.words import plural, size
from ..journal.files import list_segments
from ..journal.recovery import SPAN
from ..ports.errors import JournalError
from ..runtime.kernel import Kernel

EVERY_S = 10.0
USUAL_BYTES = 500.0
"""Of an event, for a journal that is too small to tell."""
FEW_EVENTS = 2000
DAY_S = 86400.0
THRESHOLDS = Thresholds(Threshold(RAISE_AT, CLEAR_AT))


class GrowthMonitor:
    """Reads every `EVERY_S` how fast the journal grows. `measure` gives the bytes of an event; it may block nobody."""

    def __init__(self, kernel: Kernel, keeping: Keeping, measure: Callable[[int], Awaitable[float]]) -> None:
        self._kernel, self._keeping, self._measure = kernel, keeping, measure
        self._window = Window(int(WINDOW_S / EVERY_S))

    async def read(self) -> Reading:
        """The growth and who causes it; the clients that it names are slowed until it names them no more."""
        kernel = self._kernel
        bytes_per_event = await self._measure(kernel.state.seq)
        traffic = self._window.add(*kernel.tally.take(), *kernel.allowance.take_requests())
        await trio.lowlevel.checkpoint()
        found = project(traffic, bytes_per_event, self._keeping, kernel.state.limits, kernel.allowance.slowed)
        kernel.allowance.slowed = frozenset(found.clients)
        return Reading(found.level, self._words(found, traffic), self._figures(found))

    def _words(self, found: Growth, traffic: Traffic) -> str:
        kept = "all" if found.kept_s == float("inf") else plural(round(found.kept_s / DAY_S, 1), "day")
        text = f"the journal grows by {size(found.bytes_per_s * 60)} a minute; max_size keeps {kept} of that"
        if not found.clients:
            return text
        wanted = traffic.wanted(self._kernel.state.limits)
        clients = found.clients[:MOST_NAMED]
        named = ", ".join(f"{client} ({plural(round(wanted[client]), 'request')})" for client in clients)
        more = len(found.clients) - MOST_NAMED
        named += f" and {more} more" if more > 0 else ""
        keep = f"retention is {plural(self._keeping.keep_s / DAY_S, 'day')}"
        return f"{text}, {keep}; slowed to one request in 10 s: {named} in {WINDOW_S / 60:.0f} min"

    def _figures(self, found: Growth) -> tuple[Figure, ...]:
        allowance = self._kernel.allowance
        return (
            Figure("banken_journal_growth_bytes_per_second", "Growth of the journal over 10 min", found.bytes_per_s),
            Figure("banken_slowed_clients", "Clients that fill the journal and are slowed", len(allowance.slowed)),
            Figure("banken_refused_requests", "Requests refused to clients", allowance.refused_in_all, True),
        )


def measure_events(folder: Path) -> Callable[[int], Awaitable[float]]:
    """Bytes of an event as the segments of a journal have it. A folder that does not answer is not waited for."""
    limiter, known = trio.CapacityLimiter(1), USUAL_BYTES

    async def measure(last_seq: int) -> float:
        nonlocal known
        with trio.move_on_after(1.0):
            work = partial(bytes_per_event, folder, last_seq)
            try:
                known = await run_in_thread(work, limiter=limiter, abandon="a disk may not answer")
            except ThreadRefused:
                pass  # what is known is good enough until there is a thread
        return known

    return measure


def bytes_per_event(folder: Path, last_seq: int) -> float:
    """Blocking. `USUAL_BYTES` where there are too few events to tell, or the folder cannot be read."""
    try:
        found = [(segment.first, segment.path.stat().st_size) for segment in list_segments(folder)]
    except (OSError, JournalError):
        return USUAL_BYTES
    ends = [] if not found else [*(first for first, _ in found[1:]), last_seq + 1]
    counted = [(end - first, size) for (first, size), end in zip(found, ends, strict=True) if 0 < end - first < SPAN]
    events = sum(count for count, _ in counted)  # numbers that a new chain leaves out are no events
    return sum(size for _, size in counted) / events if events >= FEW_EVENTS else USUAL_BYTES
