"""The targets of damaged input, and the verdict on the result of each input."""

import logging
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path

import attrs
import trio

PATIENCE_S = 5.0
"""One input that takes this long is a hang."""
ALARM_S = 6.0
"""One that has not even come back to the loop by then never will."""

Take = Callable[[bytes], Awaitable[bool]]
"""Give one input to its target: whether it was accepted. Raises whatever should not have come out."""


class Wrong(Exception):
    """The result was not an unexpected exception, but wrong."""


class Hang(BaseException):
    """An input kept the processor for longer than `PATIENCE_S`."""


@attrs.frozen
class Target:
    """`make` makes an input; `open` opens what takes it; `share`: its part of all inputs."""

    name: str
    share: int
    make: Callable[[random.Random], bytes]
    open: Callable[[], AbstractAsyncContextManager[Take]]


@attrs.frozen
class Failure:
    seed: int
    target: str
    index: int
    data: bytes
    what: str

    def __str__(self) -> str:
        again = f"ops/hostile.py --target {self.target} --seed {self.seed} --index {self.index}"
        return f"seed {self.seed}, {self.target} {self.index}: {self.what}\n  input {self.data.hex()}\n  again {again}"


@attrs.define
class Tally:
    """The results of the inputs of one target. Times are in milliseconds."""

    target: str
    accepted: int = 0
    times: list[float] = attrs.field(factory=list)
    failures: list[Failure] = attrs.field(factory=list)
    contained: Counter[str] = attrs.field(factory=Counter)
    """Crashes of the HTTP library that ended the connection they came over, and nothing else."""

    def quantile(self, part: float) -> float:
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def input_of(target: Target, seed: int, index: int) -> bytes:
    return target.make(random.Random(f"{seed}/{target.name}/{index}"))


async def run_target(
    target: Target, seed: int, indices: Sequence[int], progress: Callable[[], None] = lambda: None
) -> Tally:
    """Give a target the inputs of these numbers, one after the other."""
    tally = Tally(target.name)
    with _listening(tally) as bugs:
        async with target.open() as take:
            for index in indices:
                data = input_of(target, seed, index)
                bugs.clear()
                began = time.perf_counter()
                what = await _judge(take, data)
                tally.times.append((time.perf_counter() - began) * 1000)
                if isinstance(what, bool):
                    tally.accepted += what
                fault = what if not isinstance(what, bool) else bugs[0] if bugs else None
                if fault is not None:
                    tally.failures.append(Failure(seed, target.name, index, data, fault))
                progress()
    return tally


async def _judge(take: Take, data: bytes) -> bool | str:
    """Whether it was accepted, or what is wrong."""
    try:
        with _alarm(), trio.fail_after(PATIENCE_S):
            return await take(data)
    except (Hang, trio.TooSlowError):
        return f"not answered within {PATIENCE_S:g} s"
    except Exception as error:
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        where = f" ({Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno})" if frame else ""
        return f"{type(error).__name__}: {str(error)[:200]}{where}"


@contextmanager
def _alarm() -> Iterator[None]:
    """For what never comes back to the loop, which could then not count the time."""

    def ring(*_: object) -> None:
        raise Hang

    stock = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, ALARM_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, stock)


@contextmanager
def _listening(tally: Tally) -> Iterator[list[str]]:
    """Hear what the web layer writes in its log: our own errors as bugs, the library's as contained."""
    bugs: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            named = [value for value in record.args or () if isinstance(value, BaseException)]
            error: BaseException | None = record.exc_info[1] if record.exc_info else next(iter(named), None)
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            origin = type(error).__module__.partition(".")[0]
            if error is not None and (record.name == "banken.web" or origin in ("h11", "h2", "wsproto", "hypercorn")):
                tally.contained[type(error).__name__] += 1
            elif record.levelno >= logging.ERROR:
                bugs.append(f"in the log: {record.getMessage()[:100]}: {error!r}")

    ear, names = Ear(), ("banken", "banken.web", "asyncio", "aiortc", "aioice")
    found = [(logger := logging.getLogger(name), logger.propagate) for name in names]
    for logger, _ in found:
        logger.addHandler(ear)
        logger.propagate = False
    try:
        yield bugs
    finally:
        for logger, propagate in found:
            logger.removeHandler(ear)
            logger.propagate = propagate
