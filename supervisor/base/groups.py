"""The only place that takes exception groups apart."""


def first_of(error: BaseException) -> BaseException:
    """Return the first exception that is in no group: of nested groups the first leaf, otherwise `error` itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def crash_in(error: BaseException, passing: type[BaseException]) -> BaseException | None:
    """Return what remains of `error` without exceptions of type `passing`; None if nothing remains."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(passing)[1]
    return None if isinstance(error, passing) else error


def holds_only(group: BaseExceptionGroup[BaseException], error: BaseException) -> bool:
    """Return whether `group` is nothing but a wrapper of `error`."""
    return group.exceptions == (error,)
