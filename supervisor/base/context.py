"""An empty context for actors.

A task copies the context of the task that starts it (PEP 567), and with it all context variables: a cause, a deadline.
An actor outlives the task that starts it, so it runs in an empty context. Only the fields of its log records stay: they
state what an actor works for, and not why it was started.
"""

from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from types import coroutine
from typing import Any, ParamSpec, TypeVar

from .log import about

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


async def in_empty_context(
    actor: Callable[Arguments, Coroutine[Any, Any, Result]], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    """Run `actor` in a context with nothing but `log.about`. Returns its result; raises its errors.

    The tasks that it starts copy that context.

    Cancellation: that of `actor`. Cleanup: that of `actor`.
    """
    context = Context()
    context.run(about.set, about.get())
    return await _run(actor(*args, **kwargs), context)


@coroutine
def _run(work: Coroutine[Any, Any, Result], context: Context) -> Generator[Any, Any, Result]:
    """Run each step of `work` in `context`. trio resumes a task by `send` only, also for errors and cancellations."""
    answer = None
    while True:
        try:
            wanted = context.run(work.send, answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        answer = yield wanted
