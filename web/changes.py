"""A topic that many clients follow: entities by id, in parts, sent once in full and then as changes.

Rules of this file:
- The text of a change is made once, whoever follows.
- A client is a version number. One that is more than `KEPT` versions behind is sent everything again, so nothing is
  kept for it.
"""

from collections import deque
from collections.abc import Iterable, Mapping

from . import json

KEPT = 8
"""Changes, for clients that did not read for some seconds."""

Entities = Mapping[str, json.Json]
Parts = Mapping[str, Entities]


class Topic:
    """The entities of one topic, and their last changes."""

    def __init__(self) -> None:
        self.version = 0
        self._parts: Parts = {}
        self._full: str | None = None
        self._changes: deque[str] = deque(maxlen=KEPT)

    def update(self, parts: Parts) -> None:
        """Take how things are now. The names of the parts, and the fields of an entity, are always the same."""
        if not self.version:
            self._parts, self.version = parts, 1
            return
        changed = {name: found for name, now in parts.items() if (found := difference(self._parts[name], now))}
        if changed:
            self._parts, self._full = parts, None
            self.version += 1
            self._changes.append(_inside(changed))

    def since(self, version: int, now: str) -> Iterable[str]:
        """The messages that bring a client from `version` (0: it knows nothing) to this one, at the time `now`."""
        behind = self.version - version
        if version and behind <= len(self._changes):
            missed = list(self._changes)[len(self._changes) - behind :] if behind else []
            return [f'{{"type":"changes","now":"{now}",{body}}}' for body in missed]
        if self._full is None:
            self._full = _inside(self._parts)
        return [f'{{"type":"state","now":"{now}",{self._full}}}']


def difference(before: Entities, now: Entities) -> dict[str, json.Json | None]:
    """By id: a new entity whole, of one that was there the fields that have changed, and null for one that is gone.

    An entity that is the same object as before costs almost nothing.
    """
    changed: dict[str, json.Json | None] = {name: None for name in before if name not in now}
    for name, entity in now.items():
        known = before.get(name)
        if known is None:
            changed[name] = entity
        elif known is not entity and known != entity:
            changed[name] = {field: value for field, value in entity.items() if value != known[field]}
    return changed


def _inside(parts: Mapping[str, object]) -> str:
    """JSON of an object, without its braces."""
    return json.encode(parts).decode()[1:-1]
