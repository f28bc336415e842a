"""A hundred live views, one after the other in a real browser, leave no trace; `ops/bench/cycles.py` tells more."""

from pathlib import Path

import pytest

from tests.kit.cycles import run_cycles
from tests.kit.slopes import COUNTS, IDLE

pytestmark = [pytest.mark.usefixtures("chromium_here")]

WARM_UP, CYCLES = 35, 100
MEMORY_MB = 3.0
"""From the least of the first half to the least of the second: a view leaves 20 kB of cyclic garbage, which a full
collection takes away every 60 to 80 views."""


async def test_a_hundred_live_views_leave_the_daemon_as_it_was(tmp_path: Path) -> None:
    """Descriptors, processes and tasks are where they were, threads but for idle ones, memory within 3 MB."""
    cycled = await run_cycles(tmp_path, WARM_UP, CYCLES, lambda *_: None)
    before, after = cycled.before, cycled.after
    assert len(cycled.took_ms) == CYCLES
    assert min(cycled.took_ms) > 0
    for name in COUNTS:
        assert getattr(after.sample, name) <= getattr(before.sample, name) + IDLE.get(name, 0), cycled
    assert after.tasks <= before.tasks, cycled
    memory = [count.sample.pss_mb for count in cycled.on_the_way]
    assert min(memory[CYCLES // 2 :]) - min(memory[: CYCLES // 2]) < MEMORY_MB, cycled
