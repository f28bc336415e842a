"""A topic that many clients subscribe to: entities by id, in parts, sent once in full and then as changes.

Rules of this file:
- The text of a change is rendered once for all subscribers.
- A client is represented by a version number only. A client that is more than `KEPT` versions behind receives the full
  state again, so no memory is held for it.
"""

from collections import deque
from collections.abc import Iterable, Mapping

from . import json

KEPT = 8
"""Number of changes kept for clients that did not read for some seconds."""

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
        """Replace the entities by `parts`. The names of the parts, and the fields of an entity, never change."""
        if not self.version:
            self._parts, self.version = parts, 1
            return
        changed = {name: found for name, now in parts.items() if (found := difference(self._parts[name], now))}
        if changed:
            self._parts, self._full = parts, None
            self.version += 1
            self._changes.append(_inside(changed))

    def since(self, version: int, now: str) -> Iterable[str]:
        """Return the messages that bring a client from `version` (0: none) to the current one, at the time `now`."""
        behind = self.version - version
        if version and behind <= len(self._changes):
            missed = list(self._changes)[len(self._changes) - behind :] if behind else []
            return [f'{{"type":"changes","now":"{now}",{body}}}' for body in missed]
        if self._full is None:
            self._full = _inside(self._parts)
        return [f'{{"type":"state","now":"{now}",{self._full}}}']


def difference(before: Entities, now: Entities) -> dict[str, json.Json | None]:
    """Changes by id: a new entity in full, the changed fields of a known one, null for a removed one.

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
    """Encode an object as JSON without its braces."""
    return json.encode(parts).decode()[1:-1]
