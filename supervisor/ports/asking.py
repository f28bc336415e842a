"""The principal of the request that the current task serves."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ..domain.clients import LOCAL, PREFIX
from .decisions import Origin

_ASKING: ContextVar[str] = ContextVar("asking", default="")


@contextmanager
def asking(principal: str) -> Iterator[None]:
    """Commands in the block, and in tasks that it starts, are by `principal`; without one, by the client."""
    before = _ASKING.set(principal)
    try:
        yield
    finally:
        _ASKING.reset(before)


def origin_of(client: str) -> Origin:
    """The origin of a command of `client`, an address or `LOCAL`: by the principal of the request, else by this one."""
    return Origin(_ASKING.get() or (client if client == LOCAL else f"{PREFIX}{client}"))
