"""Supervision as in OTP: an actor that crashes is restarted, within limits, and its siblings are not affected.

A failure outside is not a crash: a refused session or a lost peer is an ordinary result inside an actor. A crash is
an unexpected exception. The state decides how long to wait before the restart (`domain/restart.py`).
"""

import logging
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, ParamSpec, TypeVar

from .context import in_empty_context
from .groups import first_of

logger = logging.getLogger(__name__)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Item = TypeVar("Item")


async def run_supervised(
    name: str, actor: Callable[[], Coroutine[Any, Any, None]], wait_after: Callable[[str], Awaitable[object]]
) -> None:
    """Run `actor` in an empty context until it returns. After each crash, await `wait_after(error)` and run it again.

    `error` is one line for people: the exception and where it was raised.
    Cancellation: ends the actor or the wait at once. Cleanup: the actor's own.
    """
    while True:
        crash: BaseExceptionGroup[Exception] | None = None
        try:
            await in_empty_context(actor)
            return
        except* Exception as group:
            crash = group
        if crash is not None:
            logger.error("%s crashed", name, exc_info=crash)
            await wait_after(describe_crash(crash))


def attempt(
    act: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> tuple[Result | None, Exception | None]:
    """Return the result of `act`, or the exception that it raises.

    For code that serves several actors: a bug that appears while it serves one of them does not affect the others.
    Raise the exception again in the actor that it concerns.
    """
    try:
        return act(*args, **kwargs), None
    except Exception as crash:
        return None, crash


class CrashAgain(Iterator[Item]):
    """Iterates over `items`, and raises again each time what they have raised.

    For an iterator that several actors share: the first crash ends a generator, which would seem to be at its end.
    """

    def __init__(self, items: Iterator[Item]) -> None:
        self._items = items
        self._crash: Exception | None = None

    def __next__(self) -> Item:
        if self._crash is not None:
            raise self._crash
        try:
            return next(self._items)
        except StopIteration:
            raise
        except Exception as crash:
            self._crash = crash
            raise


def describe_crash(error: BaseException) -> str:
    """One line: the first leaf exception of `error`, and the place in the code that raised it."""
    leaf = first_of(error)
    frames = traceback.extract_tb(leaf.__traceback__)
    where = f" at {frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else ""
    message = str(leaf).splitlines()[0][:200] if str(leaf) else "no message"
    return f"{type(leaf).__name__}: {message}{where}".encode(errors="replace").decode()
