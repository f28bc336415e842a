"""States with their numbers in the type in which they were written, for hashes by rule 1.

That rule hashed 600 and 600.0 differently. A daemon that was configured with 600 hashed an integer, but the decoded
journal contains a float. The stored bytes still show the type, so the state is folded again from them.
"""

import zlib
from typing import Any

import msgspec
from msgspec.structs import replace
from rpds import HashTrieMap

from ..domain.evolve import evolve
from ..domain.state import State
from ..domain.values import Value
from ..ports.questions import Query
from . import checkpoint, codec
from .reader import PAGE, SegmentReader


def as_written(value: Any, raw: Any) -> Any:
    """`value`, which was decoded from `raw`, with an integer wherever `raw` has one."""
    if isinstance(value, Value) and isinstance(raw, dict):
        held = {name: getattr(value, name) for name in raw if name in value.__struct_fields__}
        return replace(value, **{name: as_written(one, raw[name]) for name, one in held.items()})
    if isinstance(value, HashTrieMap) and isinstance(raw, dict):
        return HashTrieMap({key: as_written(one, raw[str(key)]) for key, one in value.items()})
    if isinstance(value, tuple) and isinstance(raw, list):
        return tuple(as_written(one, other) for one, other in zip(value, raw, strict=True))
    if isinstance(value, float) and isinstance(raw, int):
        return raw
    return value


class WrittenState:
    """The states of a segment as its daemon had them. Ask for increasing sequence numbers."""

    def __init__(self, part: SegmentReader) -> None:
        self.part = part
        ((data,),) = part.rows("SELECT state FROM checkpoint ORDER BY seq LIMIT 1")
        plain = zlib.decompressobj().decompress(data, checkpoint.MAX_STATE)
        self._state: State = as_written(checkpoint.unpack(data), msgspec.json.decode(plain))

    def at(self, seq: int) -> State:
        """The state after event `seq`. Raises what folding raises."""
        while self._state.seq < seq:
            rows = self.part.read(Query(after=self._state.seq, before=seq + 1), PAGE, False)
            if not rows:
                break
            for row in rows:
                recorded = codec.decode(row)
                event = as_written(recorded.event, msgspec.json.decode(row[12]))
                self._state = evolve(self._state, replace(recorded, event=event))
        return self._state
