"""The journal's own thread: started once, bounded, and never the end of anything."""

import threading
from collections.abc import Callable

import pytest
import trio

from supervisor.base import worker
from supervisor.base.threads import ThreadRefused
from supervisor.base.worker import Worker, WorkerBusy


async def test_calls_run_in_one_thread_and_post_in_order() -> None:
    """Two calls see the same thread; what they post comes in order."""
    work = Worker("test")
    heard: list[object] = []

    def call(post: object) -> None:
        for number in range(3):
            post(number)  # type: ignore[operator]
        post(threading.current_thread().name)  # type: ignore[operator]

    await work.run(call, heard.append)
    await work.run(call, heard.append)
    assert heard == [0, 1, 2, "test"] * 2
    work.close()
    assert "test" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize("error", [OSError(5, "input/output error"), MemoryError(), WorkerBusy("damaged")])
async def test_error_of_a_call_is_raised_by_the_caller_and_the_thread_goes_on(error: Exception) -> None:
    """A refused resource in the thread is no end of the thread."""
    work = Worker("test")

    def fail(post: object) -> None:
        raise error

    with pytest.raises(type(error)):
        await work.run(fail)
    heard: list[int] = []
    await work.run(lambda post: post(1), heard.append)
    assert heard == [1]
    work.close()


async def test_refused_thread_is_an_os_error_and_is_tried_again() -> None:
    """`can't start new thread` is a fault of the moment; the next call starts the thread."""
    refuse = [True]

    def start(thread: threading.Thread) -> None:
        if refuse[0]:
            raise RuntimeError("can't start new thread")
        thread.start()

    work = Worker("test", start=start)
    with pytest.raises(ThreadRefused):
        await work.run(lambda post: None)
    refuse[0] = False
    await work.run(lambda post: None)
    refuse[0] = True
    await work.run(lambda post: None)  # the thread is there already
    work.close()


async def test_calls_beyond_the_bound_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that hangs collects no calls without end; an abandoned call still ends by itself."""
    work, go = Worker("test"), threading.Event()

    def hang(post: object) -> None:
        go.wait(20)

    for _ in range(worker.CALLS + 1):
        with trio.move_on_after(0.01):
            await work.run(hang)
    with pytest.raises(WorkerBusy, match="wait for the disk"):
        await work.run(lambda post: None)
    go.set()
    work.close(within_s=20)


async def test_idle_thread_looks_now_and_then() -> None:
    """While nothing is asked of it."""
    looked = threading.Event()
    work = Worker("test", idle=looked.set, idle_s=0.01)
    await work.run(lambda post: None)
    assert looked.wait(20)
    work.close()


async def test_items_that_a_call_returns_are_heard_after_those_it_posted() -> None:
    """They need no further wake-up. A call that fails returns none."""
    work, heard = Worker("test"), list[int]()

    def call(post: Callable[[int], None]) -> list[int]:
        post(1)
        return [2, 3]

    await work.run(call, heard.append)
    assert heard == [1, 2, 3]
    work.close()
