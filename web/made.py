"""JSON of the entities of a list, made again only for those that have changed."""

from collections.abc import Callable, Iterable

from . import json


class Made:
    """Keeps one object for each entity of the last call, and makes it by `make(*sources)`, which must be pure."""

    def __init__(self, make: Callable[..., json.Json]) -> None:
        self._make = make
        self._known: dict[str, tuple[tuple[object, ...], json.Json]] = {}

    def entities(self, now: Iterable[tuple[str, tuple[object, ...]]]) -> dict[str, json.Json]:
        """By id. An entity of equal sources is the same object as in the last call: nobody may change it."""
        before, self._known = self._known, {}
        for name, sources in now:
            known = before.get(name)
            if known is None or known[0] != sources:
                known = sources, self._make(*sources)
            self._known[name] = known
        return {name: made for name, (_, made) in self._known.items()}
