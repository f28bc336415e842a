"""Supervision as OTP does it: an actor that crashes is started anew, within limits, and its siblings never notice.

The world failing is not a crash: a refused session or a lost peer are ordinary results inside an actor. What arrives
here is an exception that nobody expected. How long to wait is decided elsewhere (`domain/restart.py`), by the state.
"""

import logging
import traceback
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

logger = logging.getLogger(__name__)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


async def run_supervised(
    name: str, actor: Callable[[], Awaitable[None]], wait_after: Callable[[str], Awaitable[None]]
) -> None:
    """Run `actor` until it returns. After each crash `wait_after(error)` is awaited, and it is run anew.

    `error` is one line for people: the exception and where it was raised.
    Cancellation: ends the actor or the wait at once. Cleanup: the actor's own.
    """
    while True:
        crash: BaseExceptionGroup[Exception] | None = None
        try:
            await actor()
            return
        except* Exception as group:
            crash = group
        if crash is not None:
            logger.error("%s crashed", name, exc_info=crash)
            await wait_after(describe_crash(crash))


def attempt(
    act: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> tuple[Result | None, Exception | None]:
    """What `act` returns, or what it raises: for who works for many, so that a bug met for one is that one's alone.

    The exception has to be raised again where it belongs, in the actor of the one it concerns.
    """
    try:
        return act(*args, **kwargs), None
    except Exception as crash:
        return None, crash


def describe_crash(error: BaseException) -> str:
    """One line: the first leaf exception of `error`, and the place in the code that raised it."""
    leaf = error
    while isinstance(leaf, BaseExceptionGroup):
        leaf = leaf.exceptions[0]
    frames = traceback.extract_tb(leaf.__traceback__)
    where = f" at {frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else ""
    message = str(leaf).splitlines()[0][:200] if str(leaf) else "no message"
    return f"{type(leaf).__name__}: {message}{where}".encode(errors="replace").decode()
