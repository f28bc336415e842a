"""A thread that the system refuses is an error with a type, and its limiter token is released."""

import errno
import threading

import pytest
import trio

from supervisor.base.threads import CANNOT_START, ThreadRefused, is_refusal, run_in_thread


def refuse_threads(patch: pytest.MonkeyPatch) -> None:
    """From now on the interpreter starts no thread, as at a limit on processes."""

    def start(*_: object) -> None:
        raise RuntimeError(CANNOT_START)

    patch.setattr(threading.Thread, "start", start)


async def run_beside_busy_threads(limiter: trio.CapacityLimiter) -> None:
    """Ask for a thread while no worker of trio's is idle."""
    release = threading.Event()
    async with trio.open_nursery() as nursery:
        busy = trio.CapacityLimiter(64)
        with pytest.MonkeyPatch.context() as patch:
            try:
                for _ in range(64):  # however many idle workers earlier tests left, they are all taken then
                    nursery.start_soon(lambda: run_in_thread(release.wait, limiter=busy))
                await trio.testing.wait_all_tasks_blocked()
                refuse_threads(patch)
                await run_in_thread(threading.get_ident, limiter=limiter)
            finally:
                release.set()


async def test_refused_thread_raises_typed_error_and_frees_its_place() -> None:
    """The error is an `OSError` with `EAGAIN`; the limiter can be used again."""
    limiter = trio.CapacityLimiter(1)
    with pytest.RaisesGroup(ThreadRefused) as refused:
        await run_beside_busy_threads(limiter)
    (error,) = refused.value.exceptions
    assert isinstance(error, ThreadRefused)
    assert error.errno == errno.EAGAIN
    assert limiter.borrowed_tokens == 0
    assert await run_in_thread(lambda: 7, limiter=limiter) == 7


async def test_other_runtime_error_of_the_work_passes_unchanged() -> None:
    """A bug in the work stays what it is."""

    def work() -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        await run_in_thread(work, limiter=trio.CapacityLimiter(1))


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (ThreadRefused(), True),
        (BlockingIOError(errno.EAGAIN, "fork"), True),
        (OSError(errno.EMFILE, "open"), True),
        (OSError(errno.ENFILE, "open"), True),
        (OSError(errno.ENOMEM, "mmap"), True),
        (MemoryError(), True),
        (OSError(errno.ENOENT, "open"), False),
        (ValueError(), False),
    ],
)
def test_lack_of_resources_differs_from_other_system_errors(error: Exception, refused: bool) -> None:
    """Threads, forks, descriptors and memory count; a missing file does not."""
    assert is_refusal(error) is refused
