"""JSON of the entities of a list; only changed entities are rendered again."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

import trio

from . import json

AT_ONCE = 25
"""Number of entities between two trio checkpoints: about 1 ms of work."""

Entity = TypeVar("Entity")
Known = tuple[tuple[object, ...], json.Json]


async def in_turns(each: Iterable[Entity]) -> list[Entity]:
    """Collect the items of a lazy `each`; other tasks run before the first item and every `AT_ONCE` items."""
    await trio.lowlevel.checkpoint()
    found = []
    for number, entity in enumerate(each, 1):
        found.append(entity)
        if number % AT_ONCE == 0:
            await trio.lowlevel.checkpoint()
    return found


class RenderCache:
    """Caches the entities of the last call. `make(*sources)` renders an entity and must be pure."""

    def __init__(self, make: Callable[..., json.Json]) -> None:
        self._make = make
        self._known: Mapping[str, Known] = {}

    def entities(self, now: Iterable[tuple[str, tuple[object, ...]]]) -> dict[str, json.Json]:
        """Return the entities by id. An entity with equal sources is the object of the last call; do not modify it."""
        return self._keep(self._follow(now))

    async def entities_in_turns(self, now: Iterable[tuple[str, tuple[object, ...]]]) -> dict[str, json.Json]:
        """Like `entities`, but other tasks run meanwhile. Calls must not overlap."""
        return self._keep(await in_turns(self._follow(now)))

    def _follow(self, now: Iterable[tuple[str, tuple[object, ...]]]) -> Iterator[tuple[str, Known]]:
        for name, sources in now:
            known = self._known.get(name)
            if known is None or known[0] != sources:
                known = sources, self._make(*sources)
            yield name, known

    def _keep(self, found: Iterable[tuple[str, Known]]) -> dict[str, json.Json]:
        self._known = dict(found)
        return {name: made for name, (_, made) in self._known.items()}
