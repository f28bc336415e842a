"""A profile of the event loop: the stacks of its thread, sampled while it works.

Rules of this file:
- All tasks run in the loop's thread, so its stack shows which task runs, and through which calls.
- A timer of the kernel interrupts that thread. A sampling thread would have to wait for the interpreter's lock, which
  the loop releases when it is about to wait: it sees next to no work (`ops/bench/profile.md`).
- A stack has the file, the name and the first line of each function. Values are not read, so no secret is in it.
- A sample is idle while the loop waits for the kernel. If tasks are ready it only asks the kernel, and that is work.
- A call that delays the sample counts as all the samples that it delayed.
- One profile at a time, at most `MOST_S` long, with at most `MOST_STACKS` different stacks of `MOST_DEPTH` functions.
"""

import random
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType

import attrs
import trio

RATE = 100
"""Samples a second, on average."""
JITTER = 0.5
"""The time between two samples varies by this share, so that they do not fall in step with a timer of the daemon."""
MOST_S = 60.0
MOST_STACKS, MOST_DEPTH = 2000, 128
WAITING = ("get_events", "_io_epoll.py")
"""The function of trio, and its file, that waits for the kernel."""
OUTERMOST = "unrolled_run"
"""The function of trio that runs the tasks. Its callers are the same in all stacks, and left out."""


class ProfileBusy(Exception):
    """Another profile runs, for `left_s` seconds more."""

    def __init__(self, left_s: float) -> None:
        super().__init__(f"another profile runs, for {left_s:.0f} s more; there is one at a time")
        self.left_s = left_s


@attrs.frozen
class Function:
    """A function of a stack."""

    file: str
    """Its path, below a folder of `sys.path`."""
    name: str
    line: int
    """The line at which it begins."""


@attrs.frozen
class Stack:
    functions: tuple[Function, ...]
    """The outermost first. Of a deeper stack, the innermost `MOST_DEPTH`."""
    samples: int


@attrs.frozen
class Profile:
    seconds: float
    cpu: float
    """The share of a core that the loop used, as the kernel says: 0.25 is a quarter."""
    cost: float
    """The part of it in which samples were taken; that the loop wakes for each comes on top."""
    samples: int
    """Of these, `idle` were idle. The others are in `stacks`, or in `others`."""
    idle: int
    others: int
    """Samples of further stacks, beyond `MOST_STACKS`."""
    stacks: tuple[Stack, ...]
    """The most frequent first."""


class Samples:
    """Counts the stacks of samples."""

    def __init__(self) -> None:
        self.total = self.idle = self.others = 0
        self._codes: dict[int, CodeType] = {}
        """By their id, which no other has while they are kept here: to hash a code object takes long."""
        self._stacks: dict[tuple[int, ...], int] = {}

    def add(self, frame: FrameType | None, count: int = 1) -> None:
        """Count samples of the stack that ends in `frame`, the innermost."""
        self.total += count
        if frame is None or is_idle(frame):
            self.idle += count
            return
        stack: list[int] = []
        codes = self._codes
        while frame is not None and len(stack) < MOST_DEPTH:
            code = frame.f_code
            codes[id(code)] = code
            stack.append(id(code))
            frame = None if code.co_name == OUTERMOST else frame.f_back
        key = tuple(stack)
        if key in self._stacks or len(self._stacks) < MOST_STACKS:
            self._stacks[key] = self._stacks.get(key, 0) + count
        else:
            self.others += count

    def stacks(self) -> tuple[Stack, ...]:
        folders = sorted((f"{folder}/" for folder in sys.path if folder), key=len, reverse=True)
        known = {each: function_of(code, folders) for each, code in self._codes.items()}
        ranked = sorted(self._stacks.items(), key=lambda found: -found[1])
        return tuple(Stack(tuple(known[each] for each in reversed(key)), count) for key, count in ranked)


def is_idle(frame: FrameType) -> bool:
    """Whether a stack that ends in `frame` waits for the kernel."""
    name, file = WAITING
    code = frame.f_code
    return code.co_name == name and code.co_filename.endswith(file) and frame.f_locals.get("timeout", 0) > 0


def function_of(code: CodeType, folders: list[str]) -> Function:
    path = code.co_filename
    found = next((folder for folder in folders if path.startswith(folder)), "")
    return Function(path.removeprefix(found), code.co_qualname, code.co_firstlineno)


class Profiler:
    """Makes profiles of the loop, one at a time. The loop must run in the main thread, which gets the signals."""

    def __init__(self) -> None:
        self._ends_at: float | None = None
        self._samples: Samples | None = None
        """None while nothing is sampled."""
        self._due = self._cost_s = 0.0

    @contextmanager
    def reserve(self, seconds: float) -> Iterator[None]:
        """Around a profile of `seconds` and what comes before it. Raises `ProfileBusy`."""
        if self._ends_at is not None:
            raise ProfileBusy(max(1.0, self._ends_at - trio.current_time()))
        self._ends_at = trio.current_time() + seconds
        try:
            yield
        finally:
            self._ends_at = None

    async def run(self, seconds: float) -> Profile:
        """Sample the loop for `seconds`, at most `MOST_S`, within `reserve`.

        Cancellation: at any time. Cleanup: the timer is off. The handler of SIGALRM stays, and does nothing.
        """
        samples = self._samples = Samples()
        self._cost_s = 0.0
        began, used = time.monotonic(), time.thread_time()
        try:
            signal.signal(signal.SIGALRM, self._interrupt)
            self._arm()
            await trio.sleep(min(seconds, MOST_S))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._samples = None
        lasted, cpu_s = time.monotonic() - began, time.thread_time() - used
        found = samples.total, samples.idle, samples.others, samples.stacks()
        return Profile(lasted, cpu_s / lasted, self._cost_s / lasted, *found)

    def _arm(self) -> None:
        wait_s = random.uniform(1 - JITTER, 1 + JITTER) / RATE
        self._due = time.monotonic() + wait_s
        signal.setitimer(signal.ITIMER_REAL, wait_s)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Take a sample. Called between two steps of the interpreter, wherever the loop's thread is."""
        if self._samples is None:
            return
        began = time.thread_time()
        late_s = time.monotonic() - self._due
        self._samples.add(frame, 1 + max(0, int(late_s * RATE)))
        self._arm()
        self._cost_s += time.thread_time() - began
