"""Three hundred misbehaving viewers of different kinds: afterwards all their resources are released.

Every run is the same; `ops/peers.py` runs thousands and prints the memory cost of a cycle.
"""

import logging

import pytest

from tests.kit.peers import OFTEN, WAYS, count_resources, open_rig, run_cycles

CYCLES = 300


async def test_three_hundred_misbehaving_viewers_leave_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Cancelled, silent, vanished, closed twice, crashed: descriptors, threads, loops, tasks are as before."""
    caplog.set_level(logging.CRITICAL)
    assert set(OFTEN) == set(WAYS)
    async with open_rig() as rig:
        await run_cycles(rig, range(2 * len(OFTEN)))  # fills the threads and caches of every process
        before = count_resources()
        ends = await run_cycles(rig, range(2 * len(OFTEN), 2 * len(OFTEN) + CYCLES))
        after = count_resources()
        assert (after.descriptors, after.loops, after.tasks) == (before.descriptors, before.loops, before.tasks)
        assert after.threads <= before.threads
        assert len(ends) == CYCLES
        assert {"ended", "never-connected", "crashed"} <= set(ends)
        assert not rig.core.kernel.state.peers


@pytest.mark.parametrize("way", WAYS)
async def test_each_way_ends_with_its_reason(way: str, caplog: pytest.LogCaptureFixture) -> None:
    """Three seeds for each way; a viewer that vanishes at a random moment may end with any of five reasons."""
    caplog.set_level(logging.CRITICAL)
    async with open_rig() as rig:
        ends = {await rig.run_cycle(way, seed) for seed in range(3)}
    expected = {
        "cancelled": {"ended", "never-connected"},
        "never-connects": {"never-connected"},
        "vanishes": {"ended", "never-connected", "ice-failed", "left", "lost"},
        "closed-twice": {"left"},
        "crashes": {"crashed"},
    }
    assert ends <= expected[way]
