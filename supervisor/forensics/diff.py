"""The differences between two states, as a tree that names things as people know them."""

from typing import Any, Literal

from rpds import HashTrieMap

from ..domain.state import State
from ..domain.values import Value, plain
from ..ports.past import Finding

_OURS = ("seq", "versions")
"""Fields of the state that change with every event and say nothing."""


class Change(Finding, frozen=True):
    """Something that is there now, is gone, or is another; `inside` says what of it."""

    name: str
    """Of a camera, a child, a device, ..., or of a field."""
    how: Literal["added", "removed", "changed"]
    before: Any = None
    """The value before, as plain data; None where it was missing, or where `inside` has it."""
    after: Any = None
    inside: tuple["Change", ...] = ()


def changes(before: State, after: State) -> tuple[Change, ...]:
    """The changes, in the order of the state's fields; names within are sorted."""
    return tuple(
        change
        for name in State.__struct_fields__
        if name not in _OURS and (change := _change(name, getattr(before, name), getattr(after, name))) is not None
    )


def as_plain(value: object) -> Any:
    """A state, or something in it, as dicts, lists and scalars; maps are in the order of their names."""
    if isinstance(value, HashTrieMap):
        return {str(key): as_plain(value[key]) for key in sorted(value)}
    if isinstance(value, State):
        return {name: as_plain(getattr(value, name)) for name in State.__struct_fields__ if name != "versions"}
    return plain(value)


def _change(name: str, before: Any, after: Any) -> Change | None:
    if before is after or before == after:
        return None
    inside: list[Change | None] = []
    if isinstance(before, HashTrieMap) and isinstance(after, HashTrieMap):
        for key in sorted({*before, *after}):
            if key not in before:
                inside.append(Change(str(key), "added", after=as_plain(after[key])))
            elif key not in after:
                inside.append(Change(str(key), "removed", before=as_plain(before[key])))
            else:
                inside.append(_change(str(key), before[key], after[key]))
    elif isinstance(before, Value) and type(before) is type(after):
        inside = [_change(field, getattr(before, field), getattr(after, field)) for field in before.__struct_fields__]
    else:
        how: Literal["added", "removed", "changed"] = (
            "added" if before is None else "removed" if after is None else "changed"
        )
        return Change(name, how, as_plain(before), as_plain(after))
    return Change(name, "changed", inside=tuple(change for change in inside if change is not None))
