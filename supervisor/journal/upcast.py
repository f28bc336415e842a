"""Old events in today's shape. Stored bytes stay as they are; what is read of them is changed on the way, purely.

An event that gets another shape or name takes a line in `UPCASTS`: the type and version that were stored, and what
makes the body of the next version of it. A field that is only added with a default needs no line.
"""

from collections.abc import Callable, Mapping
from typing import Any

Body = dict[str, Any]
Upcast = Callable[[Body], tuple[str, int, Body]]
"""From a stored body to the type, version and body that follow it."""

UPCASTS: Mapping[tuple[str, int], Upcast] = {}


def upcast(name: str, version: int, body: Body, table: Mapping[tuple[str, int], Upcast] = UPCASTS) -> tuple[str, Body]:
    """The type and body that a stored event has today, step by step."""
    while (step := table.get((name, version))) is not None:
        name, version, body = step(body)
    return name, body
