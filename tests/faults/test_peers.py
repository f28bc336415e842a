"""Three hundred viewers that misbehave, each in its way: afterwards nothing of them is held.

The same for every run; `ops/peers.py` runs thousands and says what a cycle costs in memory.
"""

import logging

import pytest

from tests.kit.peers import OFTEN, WAYS, held, open_house, run_cycles

CYCLES = 300


async def test_three_hundred_misbehaving_viewers_leave_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Cancelled, silent, vanished, closed twice, crashed: descriptors, threads, loops, tasks are as before."""
    caplog.set_level(logging.CRITICAL)
    assert set(OFTEN) == set(WAYS)
    async with open_house() as house:
        await run_cycles(house, range(2 * len(OFTEN)))  # threads and caches that every process comes to have
        before = held()
        ends = await run_cycles(house, range(2 * len(OFTEN), 2 * len(OFTEN) + CYCLES))
        after = held()
        assert (after.descriptors, after.loops, after.tasks) == (before.descriptors, before.loops, before.tasks)
        assert after.threads <= before.threads
        assert len(ends) == CYCLES
        assert {"ended", "never-connected", "crashed"} <= set(ends)
        assert not house.core.kernel.state.peers


@pytest.mark.parametrize("way", WAYS)
async def test_each_way_ends_with_its_reason(way: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    async with open_house() as house:
        ends = {await house.run_cycle(way, seed) for seed in range(3)}
    expected = {
        "cancelled": {"ended", "never-connected"},
        "never-connects": {"never-connected"},
        "vanishes": {"ended", "never-connected", "ice-failed", "left", "lost"},
        "closed-twice": {"left"},
        "crashes": {"crashed"},
    }
    assert ends <= expected[way]
