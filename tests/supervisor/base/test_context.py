"""An actor runs in an empty context, and otherwise as if it were awaited."""

from contextvars import ContextVar

import pytest
import trio

from supervisor.base.context import in_empty_context

WORD = ContextVar("WORD", default="nothing")


async def read(*_: object) -> str:
    await trio.lowlevel.checkpoint()
    return WORD.get()


async def test_actor_and_its_tasks_see_no_variable_of_the_caller() -> None:
    """Variables of the caller and of the actor are separate, also across checkpoints."""
    seen: list[str] = []

    async def actor() -> str:
        async def child() -> None:
            seen.append(await read())

        seen.append(await read())
        WORD.set("the actor's")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)
        return await read()

    WORD.set("the caller's")
    assert await in_empty_context(actor) == "the actor's"
    assert seen == ["nothing", "the actor's"]
    assert await read() == "the caller's"


async def test_errors_and_cancellations_pass_through() -> None:
    """An error of the actor reaches the caller, and the caller's cancellation reaches the actor."""

    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError, match="a bug"):
        await in_empty_context(fail)
    cleaned = False

    async def wait() -> None:
        nonlocal cleaned
        try:
            await trio.sleep_forever()
        finally:
            cleaned = True

    with trio.CancelScope() as scope:
        scope.cancel(reason="no longer needed")
        await in_empty_context(wait)
    assert scope.cancelled_caught
    assert cleaned


async def test_actor_can_be_started_with_a_task_status() -> None:
    """Keyword arguments reach the actor, so `Nursery.start` returns its value."""

    async def actor(task_status: trio.TaskStatus[str]) -> None:
        task_status.started(await read())

    WORD.set("the caller's")
    async with trio.open_nursery() as nursery:
        assert await nursery.start(in_empty_context, actor) == "nothing"
