"""Supervision: a crash is asked about, waited for and mended by a new start; a cancellation is no crash."""

import trio
from trio.testing import MockClock

from supervisor.shield import bounded_shield
from supervisor.supervision import run_supervised


async def test_a_crashing_actor_is_started_anew_after_the_pause_it_is_given(autojump_clock: MockClock) -> None:
    starts: list[float] = []
    errors: list[str] = []

    async def actor() -> None:
        starts.append(trio.current_time())
        if len(starts) < 3:
            raise RuntimeError(f"crash {len(starts)}")

    async def wait_after(error: str) -> None:
        errors.append(error)
        await trio.sleep(7)

    began = trio.current_time()
    await run_supervised("actor", actor, wait_after)
    assert [round(start - began) for start in starts] == [0, 7, 14]
    assert [error.split(" at ")[0] for error in errors] == ["RuntimeError: crash 1", "RuntimeError: crash 2"]


async def test_cancelling_is_no_crash(autojump_clock: MockClock) -> None:
    async def wait_after(error: str) -> None:
        raise AssertionError(f"asked about {error}")

    with trio.move_on_after(1) as scope:
        await run_supervised("actor", trio.sleep_forever, wait_after)
    assert scope.cancelled_caught


async def test_a_shield_ends_at_its_deadline(autojump_clock: MockClock) -> None:
    """Cleanup that hangs is given up: nothing is waited for without a bound."""
    began = trio.current_time()
    with trio.move_on_after(1):
        try:
            await trio.sleep_forever()
        finally:
            with bounded_shield(3):
                await trio.sleep_forever()
    assert round(trio.current_time() - began) == 4
