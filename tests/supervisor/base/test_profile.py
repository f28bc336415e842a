"""A profile of the event loop: it says which functions work, and does not take long itself."""

import hashlib
import signal
import sys
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest
import trio

from supervisor.base import profile
from supervisor.base.profile import ProfileBusy, Profiler, Samples, is_idle
from tests.kit.patience import give_up_after

OFF = (0.0, 0.0)
"""The timer of a loop that is not sampled."""


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    """The handler of SIGALRM is put back, which a daemon need not do."""
    before = signal.getsignal(signal.SIGALRM)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def work_hard(until: float) -> None:
    while time.monotonic() < until:
        pass


async def keep_busy() -> None:
    while True:
        work_hard(time.monotonic() + 0.0002)  # shorter than another thread would wait for the interpreter's lock
        await trio.lowlevel.checkpoint()


async def run(profiler: Profiler, seconds: float) -> profile.Profile:
    with give_up_after(30), profiler.reserve(seconds):
        return await profiler.run(seconds)


def frame_in(name: str, file: str, timeout: float) -> FrameType:
    """The frame of a function with this name in this file, which was called with this timeout."""
    space: dict[str, Any] = {"look": lambda: sys._getframe(1)}
    exec(compile(f"def {name}(self, timeout):\n    return look()", file, "exec"), space)
    found = space[name](None, timeout)
    assert isinstance(found, FrameType)
    return found


async def test_function_that_works_is_found_through_its_callers() -> None:
    """Its stack leads from the loop through the task to it; it has its file in the installation, and its first line."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_busy)
        found = await run(Profiler(), 0.5)
        nursery.cancel_scope.cancel()
    stack = next(each for each in found.stacks if each.functions[-1].name == "work_hard")
    assert [each.name for each in stack.functions] == ["unrolled_run", "keep_busy", "work_hard"]
    function = stack.functions[-1]
    assert function.file.endswith("tests/supervisor/base/test_profile.py") and not function.file.startswith("/")
    assert function.line == work_hard.__code__.co_firstlineno
    hard = sum(each.samples for each in found.stacks if each.functions[-1].name == "work_hard")
    assert hard > found.samples / 2 > found.idle
    assert found.idle + found.others + sum(each.samples for each in found.stacks) == found.samples
    assert 0 < found.cost < found.cpu


async def test_loop_that_waits_is_idle() -> None:
    """By the function of trio that waits, so a release of trio with another one fails here."""
    found = await run(Profiler(), 0.3)
    assert found.samples > 0
    assert found.idle > found.samples * 0.8


@pytest.mark.parametrize(
    ("name", "file", "timeout", "idle"),
    [
        ("get_events", "/x/trio/_core/_io_epoll.py", 3.5, True),
        ("get_events", "/x/trio/_core/_io_epoll.py", 0, False),
        ("process_events", "/x/trio/_core/_io_epoll.py", 3.5, False),
        ("get_events", "/x/actors/camera.py", 3.5, False),
    ],
)
def test_sample_is_idle_only_where_the_loop_waits(name: str, file: str, timeout: float, idle: bool) -> None:
    """A loop with ready tasks asks the kernel without a wait: that is work."""
    assert is_idle(frame_in(name, file, timeout)) is idle


def test_number_of_stacks_and_their_depth_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples of further stacks are counted; of a deep stack the innermost functions are kept."""
    monkeypatch.setattr(profile, "MOST_STACKS", 2)
    monkeypatch.setattr(profile, "MOST_DEPTH", 3)
    samples = Samples()
    frames = {name: frame_in(name, f"{name}.py", 0) for name in ("one", "two", "three", "four")}
    for name in ("one", "two", "three", "one", "four"):
        samples.add(frames[name])
    stacks = samples.stacks()
    assert [(each.functions[-1].name, each.samples) for each in stacks] == [("one", 2), ("two", 1)]
    assert (samples.total, samples.idle, samples.others) == (5, 0, 2)
    assert {len(each.functions) for each in stacks} == {3}


def compute() -> None:
    hashlib.pbkdf2_hmac("sha256", b"", b"", 300_000)  # 0.1 s and more in C


async def test_long_call_counts_as_the_samples_that_it_delayed() -> None:
    """A call of C is interrupted only when it has returned."""
    async with trio.open_nursery() as nursery:

        async def keep_computing() -> None:
            while True:
                compute()
                await trio.lowlevel.checkpoint()

        nursery.start_soon(keep_computing)
        found = await run(Profiler(), 0.5)
        nursery.cancel_scope.cancel()
    computed = sum(each.samples for each in found.stacks if each.functions[-1].name == "compute")
    assert computed > 0.5 * profile.RATE * found.seconds


async def test_second_profile_is_refused_until_the_first_has_ended() -> None:
    """It says how long that takes."""
    profiler = Profiler()
    with profiler.reserve(7), pytest.raises(ProfileBusy, match="for 7 s more") as busy, profiler.reserve(1):
        pass
    assert 6 < busy.value.left_s <= 7
    with profiler.reserve(1):
        pass


async def test_cancelled_profile_leaves_no_timer() -> None:
    """And a late signal does nothing."""
    profiler = Profiler()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, profiler, 30)
        while signal.getitimer(signal.ITIMER_REAL) == OFF:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert signal.getitimer(signal.ITIMER_REAL) == OFF
    signal.raise_signal(signal.SIGALRM)
    assert signal.getitimer(signal.ITIMER_REAL) == OFF
