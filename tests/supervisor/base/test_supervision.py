"""Supervision: a crash is decided upon, waited out and followed by a restart; a cancellation is not a crash."""

from contextvars import ContextVar

import trio
from trio.testing import MockClock

from supervisor.base.shield import bounded_shield
from supervisor.base.supervision import run_supervised


async def test_crashed_actor_is_restarted_after_the_given_pause(autojump_clock: MockClock) -> None:
    """Two crashes and pauses of 7 s give starts at 0, 7 and 14 s; each error is passed on in words."""
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


async def test_actor_runs_in_an_empty_context_at_its_start_and_after_a_crash(autojump_clock: MockClock) -> None:
    """No start sees a variable of the task that started the actor, nor one of the actor before the crash."""
    word, seen = ContextVar("word", default="nothing"), []

    async def actor() -> None:
        seen.append(word.get())
        word.set("the actor's")
        if len(seen) < 2:
            raise RuntimeError("crash")

    async def wait_after(_: str) -> None:
        await trio.sleep(1)

    word.set("the caller's")
    await run_supervised("actor", actor, wait_after)
    assert seen == ["nothing", "nothing"]


async def test_cancelling_is_no_crash(autojump_clock: MockClock) -> None:
    """`wait_after` is not called, and the cancellation reaches its own scope."""

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
