"""JSON of the entities of a list, made again only for those that have changed."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

import trio

from . import json

AT_ONCE = 25
"""Entities between two checkpoints: about a millisecond's work."""

Entity = TypeVar("Entity")
Known = tuple[tuple[object, ...], json.Json]


async def in_turns(each: Iterable[Entity]) -> list[Entity]:
    """All of `each`, which are made as they are taken; other tasks run before the first, and meanwhile."""
    await trio.lowlevel.checkpoint()
    found = []
    for number, entity in enumerate(each, 1):
        found.append(entity)
        if number % AT_ONCE == 0:
            await trio.lowlevel.checkpoint()
    return found


class Made:
    """Keeps one object for each entity of the last call, and makes it by `make(*sources)`, which must be pure."""

    def __init__(self, make: Callable[..., json.Json]) -> None:
        self._make = make
        self._known: Mapping[str, Known] = {}

    def entities(self, now: Iterable[tuple[str, tuple[object, ...]]]) -> dict[str, json.Json]:
        """By id. An entity of equal sources is the same object as in the last call: nobody may change it."""
        return self._keep(self._follow(now))

    async def entities_in_turns(self, now: Iterable[tuple[str, tuple[object, ...]]]) -> dict[str, json.Json]:
        """The same, while other tasks run. One call at a time."""
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
