"""The catalogue: all events and decisions of the entities, and the tables that are made from their declarations."""

import sys

from . import entities
from .common import Arms, Decisions
from .core import Command, Event, Severity
from .lifecycle import CameraPhase, ChildPhase, PeerPhase, RecordingPhase, table

_DECLARED = [kind for kind in vars(entities).values() if isinstance(kind, type) and issubclass(kind, Event | Command)]
ENTITIES = tuple(sys.modules[name] for name in sorted({kind.__module__ for kind in _DECLARED}))
"""The modules of the entities, by name. A package of modules is one entity."""

EVENTS: tuple[type[Event], ...] = tuple(
    kind
    for entity in ENTITIES
    for kind in vars(entity).values()
    if kind in _DECLARED and kind.__module__ == entity.__name__ and "severity" in vars(kind)
)
"""All events, by entity, in the order of their declarations."""

DECISIONS: Decisions = {kind: made for entity in ENTITIES for kind, made in getattr(entity, "DECISIONS", {}).items()}
ARMS: Arms = {kind: arm for entity in ENTITIES for kind, arm in getattr(entity, "ARMS", {}).items()}

CAMERA = table(CameraPhase, EVENTS)
CHILD = table(ChildPhase, EVENTS)
PEER = table(PeerPhase, EVENTS)
RECORDING = table(RecordingPhase, EVENTS)


def entity_of(kind: type[Event | Command]) -> str:
    """The entity that declares `kind`: its module, or its package in the domain."""
    return kind.__module__.removeprefix(f"{__package__}.").partition(".")[0]


LAST = frozenset(kind for kind in EVENTS if kind.ends_stream)
"""The last events of their streams."""


def types_from(level: Severity) -> tuple[str, ...]:
    """The types of the events that are at least as severe as `level`."""
    order = list(Severity)
    return tuple(kind.__name__ for kind in EVENTS if order.index(kind.severity) >= order.index(level))


TROUBLES = types_from(Severity.WARNING)
"""The types of the events that are warnings or errors."""
