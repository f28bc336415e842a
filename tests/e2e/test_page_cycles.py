"""A hundred large views and a hundred suggestions leave no trace in the page; `ops/bench/page_cycles.py` tells more."""

from pathlib import Path

import pytest

from tests.kit.page_cycles import PageCount, run_page_cycles

pytestmark = [pytest.mark.usefixtures("chromium_here")]

WARM_UP, CYCLES = 12, 100
HEAP_MB, NODES = 1.0, 50


async def test_a_hundred_large_views_and_suggestions_leave_the_page_as_it_was(tmp_path: Path) -> None:
    """Heap within 1 MB, elements within 50; connections and the daemon's descriptors as they were."""
    cycled = await run_page_cycles(tmp_path, WARM_UP, CYCLES, lambda *_: None)
    assert (len(cycled.opened_ms), len(cycled.suggested_ms)) == (CYCLES, CYCLES)
    for after in (cycled.after_large, cycled.after_suggest):
        assert grown(cycled.before, after) == [], cycled


def grown(before: PageCount, after: PageCount) -> list[str]:
    rooms = {"heap_mb": HEAP_MB, "nodes": NODES, "connections": 0, "descriptors": 0}
    return [name for name, room in rooms.items() if getattr(after, name) - getattr(before, name) > room]
