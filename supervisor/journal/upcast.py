"""Upcasters: convert old events to their current version when they are read. Stored bytes never change. Pure.

An event whose fields are renamed declares that, in `renames`. Another change of a structure, or of a name, needs a line
in `UPCASTS`: the stored type and version, and a function to the body of the next version. A new field with a default
needs no line.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ..domain.catalogue import EVENTS
from ..domain.core import Event

Body = dict[str, Any]
Upcast = Callable[[Body], tuple[str, int, Body]]
"""Converts a body to the next type, version and body."""


def _renaming(kind: type[Event]) -> Upcast:
    """From version 1, whose fields have other names."""
    return lambda body: (kind.__name__, 2, {kind.renames.get(name, name): value for name, value in body.items()})


UPCASTS: Mapping[tuple[str, int], Upcast] = {(kind.__name__, 1): _renaming(kind) for kind in EVENTS if kind.renames}


def upcast(name: str, version: int, body: Body, table: Mapping[tuple[str, int], Upcast] = UPCASTS) -> tuple[str, Body]:
    """The current type and body of a stored event, after all steps of `table`."""
    while (step := table.get((name, version))) is not None:
        name, version, body = step(body)
    return name, body
