"""The loop's lag is what tasks wait beyond their time."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from supervisor.base.lag import EVERY_S, KEPT, loop_lag, run_lag


async def test_lag_is_missing_without_a_measurement() -> None:
    """Without `run_lag` the lag is None, which is not 0."""
    assert loop_lag() is None


async def test_late_step_of_the_loop_is_in_the_percentile_until_enough_others_came(mock_clock: MockClock) -> None:
    """The 99th percentile of a few measurements is the largest; of KEPT it leaves one out."""

    async def turns(count: int, late_s: float = 0.0) -> float:
        for _ in range(count):
            mock_clock.jump(EVERY_S + late_s)
            await wait_all_tasks_blocked()
        lag = loop_lag()
        assert lag is not None
        return lag.p99_s

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_lag)
        await wait_all_tasks_blocked()
        assert await turns(1, late_s=0.3) == pytest.approx(0.3)
        assert await turns(1, late_s=0.2) == pytest.approx(0.3)
        assert await turns(KEPT - 2) == pytest.approx(0.2), "one in a hundred may be above it"
        assert await turns(1) == pytest.approx(0.0), "of two late ones the first is kept no more"
        nursery.cancel_scope.cancel()
